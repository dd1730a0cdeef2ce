//! Pooling of feature maps, with gradient. Padding is ignored: a mean is taken over the positions
//! of its window that are not padding.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::operand::{slice, with_slice};
use super::spans::{self, Span};
use crate::graph::{Pooling, Window};

/// One application of the operator.
struct Pool {
    kind: Pooling,
    window: Window,
    /// The position in its channel that each maximum came from; unset for means.
    origins: OnceLock<Vec<u32>>,
}

/// Computes the maximum or mean of each window of `x` (batch, channels, height, width). The
/// gradient of a maximum flows to the first position that attains it, and NaN counts as larger
/// than every number.
///
/// # Errors
/// Returns an error if `x` is not a contiguous f32 feature map on the CPU.
pub fn pool(x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
    let operator = Pool {
        kind,
        window,
        origins: OnceLock::new(),
    };
    x.apply_op1(operator)
}

impl Pool {
    /// Returns the spans of all taps over a channel of `input` (height, width).
    fn spans(&self, input: [usize; 2]) -> Vec<Span> {
        spans::of_taps(self.window, input).concat()
    }

    /// Returns the reciprocal of the number of positions in each output's window that are not
    /// padding.
    fn shares(&self, spans: &[Span], outputs: usize) -> Vec<f32> {
        let mut counts = vec![0.0_f32; outputs];
        for span in spans {
            let counts = &mut counts[span.output..][..span.length];
            counts.iter_mut().for_each(|count| *count += 1.0);
        }
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
        let (spans, outputs) = (self.spans(input), height * width);
        let planes = x.chunks_exact(rows * columns);
        let y = match self.kind {
            Pooling::Average => {
                let mut y = vec![0.0_f32; shape.elem_count()];
                let shares = self.shares(&spans, outputs);
                for (y, x) in y.chunks_exact_mut(outputs).zip(planes) {
                    for span in &spans {
                        let y = &mut y[span.output..][..span.length];
                        let read = x[span.input..].iter().step_by(self.window.stride[1]);
                        y.iter_mut().zip(read).for_each(|(y, x)| *y += x);
                    }
                    y.iter_mut().zip(&shares).for_each(|(y, share)| *y *= share);
                }
                y
            }
            Pooling::Max => {
                let mut y = vec![f32::NEG_INFINITY; shape.elem_count()];
                let mut origins = vec![0_u32; y.len()];
                let planes = y.chunks_exact_mut(outputs).zip(planes);
                for ((y, x), origins) in planes.zip(origins.chunks_exact_mut(outputs)) {
                    for span in &spans {
                        let y = &mut y[span.output..][..span.length];
                        let origins = &mut origins[span.output..][..span.length];
                        let read = (span.input..).step_by(self.window.stride[1]);
                        for ((y, origin), at) in y.iter_mut().zip(origins).zip(read) {
                            // The first NaN is passed on, so that training can detect divergence.
                            if x[at] > *y || (x[at].is_nan() && !y.is_nan()) {
                                (*y, *origin) = (x[at], at as u32);
                            }
                        }
                    }
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
        let outputs: usize = self.window.outputs(input).iter().product();
        let planes = dx.chunks_exact_mut(rows * columns);
        with_slice(&gradient, |dy| match self.origins.get() {
            None => {
                let spans = self.spans(input);
                let shares = self.shares(&spans, outputs);
                for (dx, dy) in planes.zip(dy.chunks_exact(outputs)) {
                    let dy: Vec<f32> = dy.iter().zip(&shares).map(|(dy, s)| dy * s).collect();
                    for span in &spans {
                        let dy = &dy[span.output..][..span.length];
                        let read = dx[span.input..].iter_mut().step_by(self.window.stride[1]);
                        read.zip(dy).for_each(|(dx, dy)| *dx += dy);
                    }
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
