//! Pooling of each channel of a map, with its gradient. Padding is not read: a mean is that of the
//! real positions.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{slice, with_slice};
use crate::graph::{Pooling, Window};

/// The operator; made for one application.
struct Pool {
    kind: Pooling,
    window: Window,
    /// For a maximum, the position in its plane that each output came from.
    origins: OnceLock<Vec<u32>>,
}

/// The largest or the mean of each window of `x` (batch, channels, height, width). The gradient of
/// a maximum goes to the first position that has it.
///
/// # Errors
/// When `x` is not a contiguous f32 map on the CPU.
pub fn pool(x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
    let operator = Pool {
        kind,
        window,
        origins: OnceLock::new(),
    };
    x.apply_op1(operator)
}

/// Calls `visit` for every tap of every output of a plane, with the output's place and the place
/// that the tap reads, tap by tap.
#[inline]
fn each_tap(window: Window, input: [usize; 2], mut visit: impl FnMut(usize, usize)) {
    let [height, width] = window.outputs(input);
    for (i, j) in (0..window.size).flat_map(|i| (0..window.size).map(move |j| (i, j))) {
        let columns = window.reading(1, j, input[1], width);
        for y in window.reading(0, i, input[0], height) {
            let row = window.position(0, i, y) * input[1];
            for x in columns.clone() {
                visit(y * width + x, row + window.position(1, j, x));
            }
        }
    }
}

impl Pool {
    /// One over the number of real positions of each output's window.
    fn shares(&self, input: [usize; 2]) -> Vec<f32> {
        let mut counts = vec![0.0_f32; self.window.outputs(input).iter().product()];
        each_tap(self.window, input, |output, _| counts[output] += 1.0);
        counts.iter().map(|count| 1.0 / count).collect()
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, rows, columns) = layout.shape().dims4()?;
        let (input, x) = ([rows, columns], slice(x, layout)?);
        let [height, width] = self.window.outputs(input);
        let shape = Shape::from((batch, channels, height, width));
        let planes = x.chunks_exact(rows * columns);
        let y = match self.kind {
            Pooling::Average => {
                let mut y = vec![0.0_f32; shape.elem_count()];
                let shares = self.shares(input);
                for (y, x) in y.chunks_exact_mut(shares.len()).zip(planes) {
                    each_tap(self.window, input, |output, source| y[output] += x[source]);
                    y.iter_mut().zip(&shares).for_each(|(y, share)| *y *= share);
                }
                y
            }
            Pooling::Max => {
                let mut y = vec![f32::NEG_INFINITY; shape.elem_count()];
                let mut origins = vec![0_u32; y.len()];
                let outputs = y.chunks_exact_mut(height * width);
                let outputs = outputs.zip(origins.chunks_exact_mut(height * width));
                for ((y, origins), x) in outputs.zip(planes) {
                    each_tap(self.window, input, |output, source| {
                        if x[source] > y[output] {
                            (y[output], origins[output]) = (x[source], source as u32);
                        }
                    });
                }
                self.origins.get_or_init(|| origins);
                y
            }
        };
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, rows, columns) = x.dims4()?;
        let input = [rows, columns];
        let gradient = gradient.contiguous()?;
        let mut dx = vec![0.0_f32; x.elem_count()];
        let outputs = self.window.outputs(input).iter().product();
        let planes = dx.chunks_exact_mut(rows * columns);
        with_slice(&gradient, |dy| match self.origins.get() {
            None => {
                let shares = self.shares(input);
                for (dx, dy) in planes.zip(dy.chunks_exact(outputs)) {
                    let dy: Vec<f32> = dy.iter().zip(&shares).map(|(dy, s)| dy * s).collect();
                    each_tap(self.window, input, |output, source| {
                        dx[source] += dy[output]
                    });
                }
            }
            Some(origins) => {
                let outputs = dy.chunks_exact(outputs).zip(origins.chunks_exact(outputs));
                for (dx, (dy, origins)) in planes.zip(outputs) {
                    for (dy, &origin) in dy.iter().zip(origins) {
                        dx[origin as usize] += dy;
                    }
                }
            }
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
