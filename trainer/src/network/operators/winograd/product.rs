//! Products of transformed tiles and kernels, a block of the result in registers at a time.

use pulp::Simd;

use super::panels::{OnVectors, PANEL, POSITIONS, Vector, vectors, vectors_mut};

/// Panels that are multiplied at a time, so that a panel of their kernels stays in the first-level
/// cache (16 KiB).
const DEPTH: usize = 16;

/// Tiles whose products are added up at a time, so that their panels stay in the first-level cache
/// (8 KiB each).
const ADDED: usize = 128;

/// Multiplies tiles by the kernels of one panel of results, for every position.
pub(super) struct Products<'a> {
    /// Transformed tiles: (panels, positions, tiles, channels of a panel).
    pub(super) tiles: &'a [f32],
    /// Transformed kernels: (positions, all channels, results).
    pub(super) kernels: &'a [f32],
    /// What the products are added to: (positions, tiles, results).
    pub(super) products: &'a mut [f32],
}

impl OnVectors for Products<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let length = self.products.len() / POSITIONS;
        let kernels = self.kernels.chunks_exact(self.kernels.len() / POSITIONS);
        let products = self.products.chunks_exact_mut(length);
        let mut panels = Vec::new();
        for (position, (kernels, products)) in kernels.zip(products).enumerate() {
            let all = self.tiles.chunks_exact(POSITIONS * length);
            panels.clear();
            panels.extend(all.map(|panel| {
                let tiles = &panel[position * length..][..length];
                tiles.as_chunks::<PANEL>().0
            }));
            let (kernels, products) = (vectors::<S, N>(kernels), vectors_mut::<S, N>(products));
            let kernels = kernels.as_chunks::<PANEL>().0;
            let parts = panels.chunks(DEPTH).zip(kernels.chunks(DEPTH));
            for (panels, kernels) in parts {
                let mut at = 0;
                // As many rows as registers can hold.
                if N == 1 {
                    at = all_blocks::<S, N, 12>(simd, panels, kernels, products, at);
                }
                at = all_blocks::<S, N, 6>(simd, panels, kernels, products, at);
                at = all_blocks::<S, N, 4>(simd, panels, kernels, products, at);
                all_blocks::<S, N, 1>(simd, panels, kernels, products, at);
            }
        }
    }
}

/// Adds to `products` those of blocks of `M` tiles from tile `at` on, while at least `M` are left.
/// Returns the first tile that is left.
#[inline(always)]
fn all_blocks<S: Simd, const N: usize, const M: usize>(
    simd: S,
    panels: &[&[[f32; PANEL]]],
    kernels: &[[Vector<S, N>; PANEL]],
    products: &mut [Vector<S, N>],
    mut at: usize,
) -> usize {
    while at + M <= products.len() {
        let results: &mut [Vector<S, N>; M] = products[at..].first_chunk_mut().expect("as many");
        let mut sums = *results;
        for (tiles, kernels) in panels.iter().zip(kernels) {
            let tiles: &[[f32; PANEL]; M] = tiles[at..].first_chunk().expect("as many as products");
            for k in 0..PANEL {
                for i in 0..M {
                    let value = simd.splat_f32s(tiles[i][k]);
                    for j in 0..N {
                        sums[i][j] = simd.mul_add_e_f32s(value, kernels[k][j], sums[i][j]);
                    }
                }
            }
        }
        *results = sums;
        at += M;
    }
    at
}

/// Adds up the products of the inputs and gradients of all tiles, for every position and one panel
/// of inputs.
pub(super) struct Sums<'a> {
    /// Transformed inputs: (positions, tiles, inputs).
    pub(super) inputs: &'a [f32],
    /// Transformed gradients: (panels, positions, tiles, channels of a panel).
    pub(super) gradients: &'a [f32],
    /// What the products are added to: (positions, panels, inputs, channels of a panel).
    pub(super) sums: &'a mut [f32],
}

impl OnVectors for Sums<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let length = self.inputs.len() / POSITIONS;
        let inputs = self.inputs.chunks_exact(length);
        let sums = self.sums.chunks_exact_mut(self.sums.len() / POSITIONS);
        for (position, (inputs, sums)) in inputs.zip(sums).enumerate() {
            let inputs = inputs.as_chunks::<PANEL>().0;
            let gradients = self.gradients.chunks_exact(POSITIONS * length);
            for (sums, gradients) in sums.chunks_exact_mut(PANEL * PANEL).zip(gradients) {
                let gradients = vectors::<S, N>(&gradients[position * length..][..length]);
                let sums = vectors_mut::<S, N>(sums);
                let parts = inputs.chunks(ADDED).zip(gradients.chunks(ADDED));
                for (inputs, gradients) in parts {
                    if N == 1 {
                        add_block::<S, N, 16, 0>(simd, inputs, gradients, sums);
                    } else {
                        add_block::<S, N, 6, 0>(simd, inputs, gradients, sums);
                        add_block::<S, N, 6, 6>(simd, inputs, gradients, sums);
                        add_block::<S, N, 4, 12>(simd, inputs, gradients, sums);
                    }
                }
            }
        }
    }
}

/// Adds the products for `M` inputs of the panel from input `AT` on.
#[inline(always)]
fn add_block<S: Simd, const N: usize, const M: usize, const AT: usize>(
    simd: S,
    inputs: &[[f32; PANEL]],
    gradients: &[Vector<S, N>],
    sums: &mut [Vector<S, N>],
) {
    let mut totals = [[simd.splat_f32s(0.0); N]; M];
    for (inputs, gradients) in inputs.iter().zip(gradients) {
        for i in 0..M {
            let input = simd.splat_f32s(inputs[AT + i]);
            for j in 0..N {
                totals[i][j] = simd.mul_add_e_f32s(input, gradients[j], totals[i][j]);
            }
        }
    }
    for (sum, total) in sums[AT..AT + M].iter_mut().zip(totals) {
        for j in 0..N {
            sum[j] = simd.add_f32s(sum[j], total[j]);
        }
    }
}
