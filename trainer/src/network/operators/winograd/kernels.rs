//! Transforms kernels (outputs, inputs, 3, 3) for the products, and their gradients back.

use pulp::Simd;

use super::super::jobs;
use super::panels::{OnVectors, PANEL, POSITIONS, run, vectors, vectors_mut};
use super::transform;

/// Values of a kernel.
const TAPS: usize = 9;

/// Returns the kernels transformed for the products with inputs: (output panels, positions,
/// inputs, outputs of a panel).
pub(super) fn for_outputs(kernel: &[f32], [outputs, inputs]: [usize; 2], work: usize) -> Vec<f32> {
    let mut transformed = vec![0.0; POSITIONS * outputs * inputs];
    let panels = transformed.chunks_exact_mut(POSITIONS * inputs * PANEL);
    let kernels = kernel.chunks_exact(PANEL * inputs * TAPS);
    jobs::run(
        kernels.zip(panels).collect(),
        work,
        |(kernels, transformed)| {
            run(Transform {
                kernels,
                stride: inputs * TAPS,
                next: TAPS,
                transformed,
            });
        },
    );
    transformed
}

/// Returns the kernels transformed for the products with gradients: (input panels, positions,
/// outputs, inputs of a panel).
pub(super) fn for_inputs(kernel: &[f32], [outputs, inputs]: [usize; 2], work: usize) -> Vec<f32> {
    let mut transformed = vec![0.0; POSITIONS * outputs * inputs];
    let panels = transformed.chunks_exact_mut(POSITIONS * outputs * PANEL);
    jobs::run(
        panels.enumerate().collect(),
        work,
        |(panel, transformed)| {
            run(Transform {
                kernels: &kernel[panel * PANEL * TAPS..],
                stride: TAPS,
                next: inputs * TAPS,
                transformed,
            });
        },
    );
    transformed
}

/// Transforms the kernels of one panel.
struct Transform<'a> {
    /// The kernels, starting with the first one of the panel.
    kernels: &'a [f32],
    /// The distance, in values, between the kernels of neighbouring channels of the panel.
    stride: usize,
    /// The distance, in values, between the kernels of neighbouring channels of the other side.
    next: usize,
    /// The result: (positions, channels of the other side, channels of the panel).
    transformed: &'a mut [f32],
}

impl OnVectors for Transform<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let transformed = vectors_mut::<S, N>(self.transformed);
        let others = transformed.len() / POSITIONS;
        let mut taps = [[0.0; PANEL]; TAPS];
        for other in 0..others {
            for c in 0..PANEL {
                let kernel = &self.kernels[other * self.next + c * self.stride..][..TAPS];
                for (taps, value) in taps.iter_mut().zip(kernel) {
                    taps[c] = *value;
                }
            }
            let taps = vectors::<S, N>(taps.as_flattened()).as_chunks::<3>().0;
            let taps: [_; 3] = taps.try_into().expect("three rows");
            let results = transform::kernel::<S, N>(simd, taps);
            for (position, result) in results.as_flattened().iter().enumerate() {
                transformed[position * others + other] = *result;
            }
        }
    }
}

/// Returns the gradient of the kernels (outputs, inputs, 3, 3) from the `sums` of products (input
/// panels, positions, output panels, inputs of a panel, outputs of a panel).
pub(super) fn gradient(sums: &[f32], [outputs, inputs]: [usize; 2], work: usize) -> Vec<f32> {
    let mut kernels = vec![0.0; outputs * inputs * TAPS];
    let panels = kernels.chunks_exact_mut(PANEL * inputs * TAPS).enumerate();
    jobs::run(panels.collect(), work, |(panel, kernels)| {
        run(Gradient {
            sums,
            panel,
            panels: outputs / PANEL,
            kernels,
        });
    });
    kernels
}

/// Transforms the gradients of one output panel.
struct Gradient<'a> {
    sums: &'a [f32],
    panel: usize,
    /// The number of output panels.
    panels: usize,
    /// The result: (outputs of the panel, inputs, taps).
    kernels: &'a mut [f32],
}

impl OnVectors for Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let sums = vectors::<S, N>(self.sums);
        let inputs = self.kernels.len() / (PANEL * TAPS);
        let kernels = self.kernels.as_chunks_mut::<TAPS>().0;
        let zero = [simd.splat_f32s(0.0); N];
        let mut taps = [[0.0; PANEL]; TAPS];
        for input in 0..inputs {
            let first = input / PANEL * POSITIONS * self.panels + self.panel;
            let mut square = [[zero; 4]; 4];
            for (i, row) in square.iter_mut().enumerate() {
                for (j, value) in row.iter_mut().enumerate() {
                    let place = first + (4 * i + j) * self.panels;
                    *value = sums[place * PANEL + input % PANEL];
                }
            }
            let results = transform::kernel_gradient::<S, N>(simd, square);
            let rows = vectors_mut::<S, N>(taps.as_flattened_mut());
            rows.copy_from_slice(results.as_flattened());
            for c in 0..PANEL {
                let kernel = &mut kernels[c * inputs + input];
                for (value, taps) in kernel.iter_mut().zip(&taps) {
                    *value = taps[c];
                }
            }
        }
    }
}
