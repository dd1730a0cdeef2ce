//! Convolution of feature maps, with gradients, as matrix products (im2col), or with fewer
//! multiplications where `winograd` applies.
//!
//! Each row of `columns` (in · taps, positions) contains the values that one tap reads from one
//! input channel at every output position. Then y = W columns, dW = dy columnsᵀ and d columns =
//! Wᵀ dy, which is added back to the positions that were read. A batch is processed in chunks of
//! images whose columns fit in the cache. The backward pass gathers the columns again, because
//! storing them would take the memory of the input times the number of taps.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};

use super::operand::{Bias, GradientSlot, Operand, with_slice};
use super::spans::{self, Span};
use super::winograd::Winograd;
use crate::graph::Window;

/// Target number of values in a chunk's columns: 256 KiB in f32.
const CACHED: usize = 1 << 16;

/// Minimum number of output positions in a chunk, even if its columns then exceed `CACHED`:
/// smaller matrix products are slow.
const POSITIONS: usize = 256;

/// The shapes of one convolution.
struct Geometry {
    /// The spans of each tap of the window.
    taps: Vec<Vec<Span>>,
    /// Distance, along the width, between the positions that neighbouring outputs read.
    stride: usize,
    /// Input channels.
    inputs: usize,
    /// Height and width of the input.
    input: [usize; 2],
    /// Output channels.
    outputs: usize,
    /// Height and width of the output.
    output: [usize; 2],
    /// The same convolution with fewer multiplications, if that is possible and faster.
    fast: Option<Winograd>,
}

/// One application of the operator.
struct Conv {
    geometry: Geometry,
    /// The result, computed in advance with candle's matrix products.
    output: Mutex<Vec<f32>>,
    /// Whether the input needs a gradient; that of the first layer does not.
    input_gradient: bool,
    weight: GradientSlot,
    bias: Option<Bias>,
}

/// Convolves `x` (batch, in, height, width) with `weight` (out, in, rows, columns) and adds
/// `bias` (out). The result is (batch, out, output height, output width). The backward pass stores the
/// gradients of weight and bias in their slots.
///
/// # Errors
/// Returns an error if the shapes do not match or a tensor is not contiguous f32 on the CPU.
pub fn conv(
    x: &Tensor,
    weight: &Operand<'_>,
    bias: Option<&Operand<'_>>,
    window: Window,
) -> Result<Tensor> {
    let (images, inputs, height, width) = x.dims4()?;
    let outputs = weight.values.dim(0)?;
    let fast = Winograd::new(window, inputs, outputs, [height, width]);
    let geometry = Geometry {
        taps: spans::of_taps(window, [height, width]),
        stride: window.stride[1],
        inputs,
        input: [height, width],
        outputs,
        output: window.outputs([height, width]),
        fast: fast.filter(|fast| fast.pays(images)),
    };
    let bias = bias.map(Bias::new).transpose()?;
    let kernel = weight.values.detach().flatten_from(1)?;
    let added = bias.as_ref().map(|bias| bias.values.as_slice());
    let output = with_slice(x, |x| geometry.forward(x, &kernel, added))??;
    let operator = Conv {
        geometry,
        output: Mutex::new(output),
        input_gradient: x.track_op(),
        weight: weight.gradient.clone(),
        bias,
    };
    x.apply_op2(&weight.values, operator)
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        x: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [height, width] = self.geometry.output;
        let shape = Shape::from((x.dims()[0], self.geometry.outputs, height, width));
        let mut output = self.output.lock().expect("a convolution runs once");
        Ok((CpuStorage::F32(std::mem::take(&mut output)), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let kernel = weight.detach().flatten_from(1)?;
        let kernel = self.input_gradient.then_some(&kernel);
        let (d_weight, dx) = with_slice(x, |x| {
            with_slice(&gradient, |dy| self.geometry.backward(x, dy, kernel))
        })???;
        self.weight
            .put(Tensor::from_vec(d_weight, weight.shape(), weight.device())?);
        if let Some(bias) = &self.bias {
            bias.sum(&gradient)?;
        }
        let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device()));
        Ok((dx.transpose()?, None))
    }
}

impl Geometry {
    /// Returns the number of input values per image.
    fn input_len(&self) -> usize {
        self.inputs * self.plane()
    }

    /// Returns the number of input positions per channel.
    fn plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Returns the number of output positions per channel.
    fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns the number of values read per output position: the number of rows of the columns.
    fn depth(&self) -> usize {
        self.inputs * self.taps.len()
    }

    /// Returns the number of images per chunk.
    fn chunk(&self) -> usize {
        let cached = CACHED / (self.depth() * self.positions()).max(1);
        cached.max(POSITIONS.div_ceil(self.positions()))
    }

    /// Computes W columns + b for the images `x`, where `kernel` is W (outputs, inputs · taps).
    /// Returns (images, outputs, positions).
    fn forward(&self, x: &[f32], kernel: &Tensor, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        if let Some(fast) = &self.fast {
            return with_slice(kernel, |kernel| fast.forward(x, kernel, bias));
        }
        let positions = self.positions();
        let images = x.len() / self.input_len();
        let mut y = Vec::with_capacity(images * self.outputs * positions);
        for x in x.chunks(self.chunk() * self.input_len()) {
            let images = x.len() / self.input_len();
            let product = kernel.matmul(&self.columns(x)?)?;
            with_slice(&product, |product| {
                for image in 0..images {
                    for channel in 0..self.outputs {
                        let at = (channel * images + image) * positions;
                        let values = &product[at..at + positions];
                        match bias {
                            Some(bias) => y.extend(values.iter().map(|y| y + bias[channel])),
                            None => y.extend_from_slice(values),
                        }
                    }
                }
            })?;
        }
        Ok(y)
    }

    /// Computes the gradient of the kernel and, if `kernel` (outputs, inputs · taps) is given, that
    /// of the images `x`, from the gradient `dy` of the output.
    fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        kernel: Option<&Tensor>,
    ) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        if let Some(fast) = &self.fast {
            return match kernel {
                Some(kernel) => with_slice(kernel, |kernel| fast.backward(x, dy, Some(kernel))),
                None => Ok(fast.backward(x, dy, None)),
            };
        }
        let output_len = self.outputs * self.positions();
        let mut d_kernel = vec![0.0_f32; self.outputs * self.depth()];
        let mut dx = kernel.map(|_| vec![0.0_f32; x.len()]);
        let chunks = x.chunks(self.chunk() * self.input_len());
        let gradients = dy.chunks(self.chunk() * output_len);
        for (chunk, (x, dy)) in chunks.zip(gradients).enumerate() {
            let dy = self.channel_first(dy)?;
            let product = dy.matmul(&self.columns(x)?.t()?)?;
            with_slice(&product, |product| {
                for (sum, value) in d_kernel.iter_mut().zip(product) {
                    *sum += value;
                }
            })?;
            if let (Some(kernel), Some(dx)) = (kernel, &mut dx) {
                let start = chunk * self.chunk() * self.input_len();
                let dx = &mut dx[start..start + x.len()];
                let columns = kernel.t()?.matmul(&dy)?;
                with_slice(&columns, |columns| self.add_columns(columns, dx))?;
            }
        }
        Ok((d_kernel, dx))
    }

    /// Gathers the values that each tap reads at every output position of the images `x`: (inputs ·
    /// taps, images · positions), with zeros for padding.
    fn columns(&self, x: &[f32]) -> Result<Tensor> {
        let images = x.len() / self.input_len();
        let mut columns = vec![0.0_f32; self.depth() * images * self.positions()];
        self.each_span(images, |at, from, length| {
            let columns = &mut columns[at..at + length];
            if self.stride == 1 {
                columns.copy_from_slice(&x[from..from + length]);
            } else {
                let read = x[from..].iter().step_by(self.stride);
                columns.iter_mut().zip(read).for_each(|(to, x)| *to = *x);
            }
        });
        Tensor::from_vec(
            columns,
            (self.depth(), images * self.positions()),
            &Device::Cpu,
        )
    }

    /// Adds `columns`, laid out as [`columns`](Self::columns) returns them, to the positions of the
    /// images `x` that they were read from.
    fn add_columns(&self, columns: &[f32], x: &mut [f32]) {
        self.each_span(x.len() / self.input_len(), |at, from, length| {
            let columns = &columns[at..at + length];
            if self.stride == 1 {
                let read = &mut x[from..from + length];
                read.iter_mut().zip(columns).for_each(|(x, add)| *x += add);
            } else {
                let read = x[from..].iter_mut().step_by(self.stride);
                read.zip(columns).for_each(|(x, add)| *x += add);
            }
        });
    }

    /// Calls `visit(column, input, length)` for every span of every tap and image, with its start
    /// in the columns, the first position that it reads in the images, and its length.
    fn each_span(&self, images: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let mut columns = 0;
        for channel in 0..self.inputs {
            for spans in &self.taps {
                for image in 0..images {
                    let plane = image * self.input_len() + channel * self.plane();
                    for span in spans {
                        visit(columns + span.output, plane + span.input, span.length);
                    }
                    columns += self.positions();
                }
            }
        }
    }

    /// Transposes gradients (images, outputs, positions) to a tensor (outputs, images ·
    /// positions).
    fn channel_first(&self, dy: &[f32]) -> Result<Tensor> {
        let (positions, output_len) = (self.positions(), self.outputs * self.positions());
        let mut values = Vec::with_capacity(dy.len());
        for channel in 0..self.outputs {
            for image in dy.chunks_exact(output_len) {
                values.extend_from_slice(&image[channel * positions..][..positions]);
            }
        }
        Tensor::from_vec(
            values,
            (self.outputs, dy.len() / self.outputs),
            &Device::Cpu,
        )
    }
}
