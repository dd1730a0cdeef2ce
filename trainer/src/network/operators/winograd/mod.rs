//! Convolution by 3 x 3 windows of stride 1 in fewer multiplications (Winograd's minimal
//! filtering F(2 x 2, 3 x 3); Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural
//! Networks"), with its gradients.
//!
//! The output is divided into tiles of 2 x 2, each of which reads 4 x 4 inputs d. A tile is
//! Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A with constant matrices A, B and G of small numbers ([`transform`]),
//! so the sum over input channels is 16 matrix [`product`]s, one per position of the transformed
//! tile: 16 multiplications instead of 36. The backward pass applies the adjoint of each step, so
//! that all three products have the same form.
//!
//! Channels are processed in [`panels`] whose values lie next to each other, as vectors;
//! [`planes`] moves between them and the feature maps. Images are processed in chunks whose
//! transformed values fit the cache. Every sum runs in the same order for any number of threads.

mod grid;
mod kernels;
mod panels;
mod planes;
mod product;
mod transform;

use self::grid::Grid;
use self::panels::{PANEL, POSITIONS, run};
use super::jobs;
use crate::graph::Window;

/// Target size of a chunk's transformed input in values, 4 MiB in f32.
const CACHED: usize = 1 << 20;

/// Minimum number of tiles of a chunk, because kernels and their gradients are read once per
/// chunk.
const TILES: usize = 256;

/// Minimum number of tiles of a batch for which this algorithm pays.
const FEWEST: usize = 128;

/// A convolution that can be computed this way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Winograd {
    inputs: usize,
    outputs: usize,
    grid: Grid,
}

impl Winograd {
    /// Returns the convolution of maps of `input` (height, width) by `window`, from `inputs` to
    /// `outputs` channels, or `None` if the window is not 3 x 3 with stride 1, or if the channels
    /// do not fill whole panels.
    pub(super) fn new(
        window: Window,
        inputs: usize,
        outputs: usize,
        input: [usize; 2],
    ) -> Option<Self> {
        let fits = window.size == [3; 2]
            && window.stride == [1; 2]
            && inputs.is_multiple_of(PANEL)
            && outputs.is_multiple_of(PANEL);
        fits.then(|| Self {
            inputs,
            outputs,
            grid: Grid::new(input, window.outputs(input), window.before),
        })
    }

    /// Checks whether `images` have enough tiles for this algorithm to pay: kernels are transformed
    /// once for all of them.
    pub(super) fn pays(&self, images: usize) -> bool {
        images * self.grid.tiles() >= FEWEST
    }

    /// Returns the number of images per chunk.
    fn chunk(&self) -> usize {
        let tiles = self.grid.tiles();
        let cached = CACHED / (POSITIONS * self.inputs * tiles);
        cached.max(TILES.div_ceil(tiles))
    }

    /// Returns the number of multiplications of a direct convolution of `images`.
    fn multiplications(&self, images: usize) -> usize {
        images * self.grid.output_area() * self.inputs * self.outputs * 9
    }

    /// Convolves the images `x` with `kernel` (outputs, inputs, 3, 3) and adds `bias`.
    pub(super) fn forward(&self, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (x_len, y_len) = (
            self.inputs * self.grid.input_area(),
            self.outputs * self.grid.output_area(),
        );
        let images = x.len() / x_len;
        let work = self.multiplications(images);
        let kernels = kernels::for_outputs(kernel, [self.outputs, self.inputs], work);
        let mut y = vec![0.0; images * y_len];
        let mut transformed = Vec::new();
        let xs = x.chunks(self.chunk() * x_len);
        for (x, y) in xs.zip(y.chunks_mut(self.chunk() * y_len)) {
            self.gather::<transform::Input>(x, self.inputs, &mut transformed, work);
            self.emit::<transform::Output>(&transformed, &kernels, y, self.outputs, bias, work);
        }
        y
    }

    /// Computes the gradient of the kernel and, if `kernel` is given, that of the images `x`, from
    /// the gradient `dy` of the output.
    pub(super) fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        kernel: Option<&[f32]>,
    ) -> (Vec<f32>, Option<Vec<f32>>) {
        let (x_len, y_len) = (
            self.inputs * self.grid.input_area(),
            self.outputs * self.grid.output_area(),
        );
        let shape = [self.outputs, self.inputs];
        let work = self.multiplications(x.len() / x_len);
        let kernels = kernel.map(|kernel| kernels::for_inputs(kernel, shape, work));
        let mut dx = vec![0.0; kernel.map_or(0, |_| x.len())];
        let mut sums = vec![0.0; POSITIONS * self.inputs * self.outputs];
        let (mut inputs, mut gradients) = (Vec::new(), Vec::new());
        let xs = x.chunks(self.chunk() * x_len);
        let dys = dy.chunks(self.chunk() * y_len);
        for (chunk, (x, dy)) in xs.zip(dys).enumerate() {
            self.gather::<transform::Input>(x, self.inputs, &mut inputs, work);
            self.gather::<transform::Gradient>(dy, self.outputs, &mut gradients, work);
            self.add_products(&inputs, &gradients, &mut sums, work);
            if let Some(kernels) = &kernels {
                let dx = &mut dx[chunk * self.chunk() * x_len..][..x.len()];
                let (of, to) = (&gradients, self.inputs);
                self.emit::<transform::InputGradient>(of, kernels, dx, to, None, work);
            }
        }
        let d_kernel = kernels::gradient(&sums, shape, work);
        (d_kernel, kernel.map(|_| dx))
    }

    /// Transforms the tiles of `maps` (images, channels, height, width) to `transformed` (panels,
    /// positions, tiles, channels of a panel).
    fn gather<T: transform::Gather>(
        &self,
        maps: &[f32],
        channels: usize,
        transformed: &mut Vec<f32>,
        work: usize,
    ) {
        let area = T::area(&self.grid);
        let images = maps.len() / (channels * area);
        let panel_len = POSITIONS * images * self.grid.tiles() * PANEL;
        transformed.resize(channels / PANEL * panel_len, 0.0);
        let panels = transformed.chunks_exact_mut(panel_len).enumerate();
        jobs::run(panels.collect(), work, |(panel, transformed)| {
            let maps = maps.chunks_exact(channels * area);
            let planes: Vec<&[f32]> = maps
                .map(|maps| &maps[panel * PANEL * area..][..PANEL * area])
                .collect();
            run(planes::Gather::<T>::new(&self.grid, &planes, transformed));
        });
    }

    /// Multiplies `transformed` tiles by `kernels` and transforms the products back to `maps`
    /// (images, channels, height, width), with `bias` added to each channel.
    fn emit<T: transform::Emit>(
        &self,
        transformed: &[f32],
        kernels: &[f32],
        maps: &mut [f32],
        channels: usize,
        bias: Option<&[f32]>,
        work: usize,
    ) {
        let area = T::area(&self.grid);
        let panels = channels / PANEL;
        let tiles = maps.len() / (channels * area) * self.grid.tiles();
        let mut planes: Vec<Vec<&mut [f32]>> = (0..panels).map(|_| Vec::new()).collect();
        for (at, part) in maps.chunks_exact_mut(PANEL * area).enumerate() {
            planes[at % panels].push(part);
        }
        let kernels = kernels.chunks_exact(kernels.len() / panels);
        let panels = planes.into_iter().zip(kernels).enumerate();
        jobs::run(panels.collect(), work, |(panel, (mut planes, kernels))| {
            let mut products = vec![0.0; POSITIONS * tiles * PANEL];
            run(product::Products {
                tiles: transformed,
                kernels,
                products: &mut products,
            });
            let bias = bias.map(|bias| &bias[panel * PANEL..][..PANEL]);
            run(planes::Emit::<T>::new(
                &self.grid,
                &products,
                &mut planes,
                bias,
            ));
        });
    }

    /// Adds to `sums` (input panels, positions, output panels, inputs, outputs) the products of
    /// transformed `inputs` and `gradients`, summed over tiles.
    fn add_products(&self, inputs: &[f32], gradients: &[f32], sums: &mut [f32], work: usize) {
        let sums = sums.chunks_exact_mut(POSITIONS * self.outputs * PANEL);
        let inputs = inputs.chunks_exact(inputs.len() / (self.inputs / PANEL));
        let panels = sums.zip(inputs);
        jobs::run(panels.collect(), work, |(sums, inputs)| {
            run(product::Sums {
                inputs,
                gradients,
                sums,
            });
        });
    }
}

#[cfg(test)]
mod tests;
