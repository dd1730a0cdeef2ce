//! Moves values between feature maps and transformed tiles.
//!
//! Each panel of an image passes through a block (rows, columns, channels of the panel), from
//! which tiles are read or to which they are added. A block has a margin of zeros where tiles
//! reach beyond the map.

use pulp::Simd;

use super::grid::Grid;
use super::panels::{OnVectors, PANEL, POSITIONS, Vector, vectors, vectors_mut};
use super::transform::{self, add};

/// A panel's values of one image, with channels innermost.
struct Block {
    values: Vec<f32>,
    /// Number of columns.
    width: usize,
    /// Height and width of the map.
    map: [usize; 2],
    /// The row and column of the map's first position.
    place: [usize; 2],
}

impl Block {
    /// Creates a block of zeros for the map of size `map` at `place`, read by tiles of `size`.
    fn new(grid: &Grid, size: usize, (map, place): ([usize; 2], [usize; 2])) -> Self {
        let [height, width] = grid.size().map(|tiles| 2 * tiles + size - 2);
        Self {
            values: vec![0.0; height * width * PANEL],
            width,
            map,
            place,
        }
    }

    /// Returns the start and end, in positions, of row `row` of the map.
    fn row(&self, row: usize) -> std::ops::Range<usize> {
        let start = (row + self.place[0]) * self.width + self.place[1];
        start..start + self.map[1]
    }

    /// Copies the `planes` (channels, height, width) of a panel in.
    #[inline(always)]
    fn fill(&mut self, planes: &[f32]) {
        let [height, width] = self.map;
        for row in 0..height {
            let range = self.row(row);
            let to = &mut self.values.as_chunks_mut::<PANEL>().0[range];
            let from: [&[f32]; PANEL] =
                std::array::from_fn(|c| &planes[(c * height + row) * width..][..width]);
            for (x, to) in to.iter_mut().enumerate() {
                for c in 0..PANEL {
                    to[c] = from[c][x];
                }
            }
        }
    }

    /// Copies the map out to the `planes` of a panel, with `bias` added to each channel.
    #[inline(always)]
    fn empty(&self, planes: &mut [f32], bias: Option<&[f32]>) {
        let [height, width] = self.map;
        for (c, plane) in planes.chunks_exact_mut(height * width).enumerate() {
            let bias = bias.map_or(0.0, |bias| bias[c]);
            for (row, to) in plane.chunks_exact_mut(width).enumerate() {
                let from = &self.values.as_chunks::<PANEL>().0[self.row(row)];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = from[c] + bias;
                }
            }
        }
    }
}

/// Transforms the tiles of a panel.
pub(super) struct Gather<'a, T> {
    grid: &'a Grid,
    /// The panel of each image: (channels, height, width).
    planes: &'a [&'a [f32]],
    /// The result: (positions, tiles, channels).
    transformed: &'a mut [f32],
    transform: std::marker::PhantomData<T>,
}

impl<'a, T> Gather<'a, T> {
    /// Prepares the transform of `planes`.
    pub(super) fn new(grid: &'a Grid, planes: &'a [&'a [f32]], transformed: &'a mut [f32]) -> Self {
        Self {
            grid,
            planes,
            transformed,
            transform: std::marker::PhantomData,
        }
    }
}

impl<T: transform::Gather> OnVectors for Gather<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let [rows, columns] = self.grid.size();
        let mut block = Block::new(self.grid, T::SIZE, T::place(self.grid));
        let transformed = vectors_mut::<S, N>(self.transformed);
        let tiles = transformed.len() / POSITIONS;
        let mut tile = 0;
        for planes in self.planes {
            block.fill(planes);
            let values = vectors::<S, N>(&block.values);
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let at = 2 * y * block.width + 2 * x;
                let read = |i: usize, j: usize| values[at + i * block.width + j];
                let results = T::apply::<S, N>(simd, read);
                for (i, row) in results.iter().enumerate() {
                    for (j, result) in row.iter().enumerate() {
                        transformed[(4 * i + j) * tiles + tile] = *result;
                    }
                }
                tile += 1;
            }
        }
    }
}

/// Transforms the products of a panel back.
pub(super) struct Emit<'a, 'b, T> {
    grid: &'a Grid,
    /// The products: (positions, tiles, channels).
    products: &'a [f32],
    /// The panel of each image: (channels, height, width).
    planes: &'a mut [&'b mut [f32]],
    bias: Option<&'a [f32]>,
    transform: std::marker::PhantomData<T>,
}

impl<'a, 'b, T> Emit<'a, 'b, T> {
    /// Prepares the transform of `products`.
    pub(super) fn new(
        grid: &'a Grid,
        products: &'a [f32],
        planes: &'a mut [&'b mut [f32]],
        bias: Option<&'a [f32]>,
    ) -> Self {
        Self {
            grid,
            products,
            planes,
            bias,
            transform: std::marker::PhantomData,
        }
    }
}

impl<T: transform::Emit> OnVectors for Emit<'_, '_, T> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let [rows, columns] = self.grid.size();
        let mut block = Block::new(self.grid, T::SIZE, T::place(self.grid));
        let width = block.width;
        let products = vectors::<S, N>(self.products);
        let tiles = products.len() / POSITIONS;
        let zero: Vector<S, N> = [simd.splat_f32s(0.0); N];
        let mut tile = 0;
        for planes in self.planes {
            let values = vectors_mut::<S, N>(&mut block.values);
            // Tiles that overlap are added up.
            values.fill(zero);
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                let mut square = [[zero; 4]; 4];
                for (i, row) in square.iter_mut().enumerate() {
                    for (j, value) in row.iter_mut().enumerate() {
                        *value = products[(4 * i + j) * tiles + tile];
                    }
                }
                let at = 2 * y * width + 2 * x;
                T::apply::<S, N>(simd, square, |i, j, value| {
                    let to = &mut values[at + i * width + j];
                    *to = add(simd, *to, value);
                });
                tile += 1;
            }
            block.empty(planes, self.bias);
        }
    }
}
