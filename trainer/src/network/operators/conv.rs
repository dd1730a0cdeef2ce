//! Convolution of feature maps, with gradients, as matrix products (im2col), or with fewer
//! multiplications where `winograd` applies.
//!
//! Each row of `columns` (in · taps, positions) contains the values that one tap reads from one
//! input channel at every output position. Then y = W columns, dW = dy columnsᵀ and d columns =
//! Wᵀ dy, which is added back to the positions that were read. A batch is processed in chunks of
//! images whose columns fit in the cache. In a convolution in groups, each group of channels has
//! products of its own. The backward pass gathers the columns again, because
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
    /// Groups of channels.
    groups: usize,
    /// Input channels per group.
    inputs: usize,
    /// Height and width of the input.
    input: [usize; 2],
    /// Output channels per group.
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

/// Convolves `x` (batch, in, height, width) with `weight` (out, in / groups, rows, columns) and
/// adds `bias` (out). The result is (batch, out, output height, output width). The number of groups
/// follows from the shapes. The backward pass stores the gradients of weight and bias in their
/// slots.
///
/// # Errors
/// Returns an error if the shapes do not match or a tensor is not contiguous f32 on the CPU.
pub fn conv(
    x: &Tensor,
    weight: &Operand<'_>,
    bias: Option<&Operand<'_>>,
    window: Window,
) -> Result<Tensor> {
    let (images, channels, height, width) = x.dims4()?;
    let (outputs, inputs, _, _) = weight.values.dims4()?;
    let groups = channels / inputs;
    let fast = Winograd::new(window, inputs, outputs, [height, width]);
    let fast = fast.filter(|_| groups == 1);
    let geometry = Geometry {
        taps: spans::of_taps(window, [height, width]),
        stride: window.stride[1],
        groups,
        inputs,
        input: [height, width],
        outputs: outputs / groups,
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
        let channels = self.geometry.groups * self.geometry.outputs;
        let shape = Shape::from((x.dims()[0], channels, height, width));
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
        self.groups * self.inputs * self.plane()
    }

    /// Returns the number of output values per image.
    fn output_len(&self) -> usize {
        self.groups * self.outputs * self.positions()
    }

    /// Returns the number of input positions per channel.
    fn plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Returns the number of output positions per channel.
    fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns the number of values read per output position of a channel: the number of rows of a
    /// group's columns.
    fn depth(&self) -> usize {
        self.inputs * self.taps.len()
    }

    /// Returns the number of images per chunk.
    fn chunk(&self) -> usize {
        let cached = CACHED / (self.depth() * self.positions()).max(1);
        cached.max(POSITIONS.div_ceil(self.positions()))
    }

    /// Returns the rows of `kernel` (groups · outputs, inputs · taps) that belong to `group`.
    fn kernel_of(&self, kernel: &Tensor, group: usize) -> Result<Tensor> {
        kernel.narrow(0, group * self.outputs, self.outputs)
    }

    /// Computes W columns + b for the images `x`, where `kernel` is W (groups · outputs, inputs ·
    /// taps). Returns (images, groups · outputs, positions).
    fn forward(&self, x: &[f32], kernel: &Tensor, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        if let Some(fast) = &self.fast {
            return with_slice(kernel, |kernel| fast.forward(x, kernel, bias));
        }
        let images = x.len() / self.input_len();
        let mut y = vec![0.0_f32; images * self.output_len()];
        let chunks = x.chunks(self.chunk() * self.input_len());
        for (x, y) in chunks.zip(y.chunks_mut(self.chunk() * self.output_len())) {
            for group in 0..self.groups {
                let kernel = self.kernel_of(kernel, group)?;
                let product = kernel.matmul(&self.columns(x, group)?)?;
                with_slice(&product, |product| self.put(product, group, bias, y))?;
            }
        }
        Ok(y)
    }

    /// Writes the `product` (outputs, images · positions) of `group`, plus the bias, to the images
    /// `y`.
    fn put(&self, product: &[f32], group: usize, bias: Option<&[f32]>, y: &mut [f32]) {
        let positions = self.positions();
        let images = y.len() / self.output_len();
        for (image, y) in y.chunks_exact_mut(self.output_len()).enumerate() {
            for output in 0..self.outputs {
                let channel = group * self.outputs + output;
                let values = &product[(output * images + image) * positions..][..positions];
                let y = &mut y[channel * positions..][..positions];
                match bias {
                    Some(bias) => {
                        let pairs = y.iter_mut().zip(values);
                        pairs.for_each(|(y, value)| *y = value + bias[channel]);
                    }
                    None => y.copy_from_slice(values),
                }
            }
        }
    }

    /// Computes the gradient of the kernel and, if `kernel` (groups · outputs, inputs · taps) is
    /// given, that of the images `x`, from the gradient `dy` of the output.
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
        let rows = self.outputs * self.depth();
        let mut d_kernel = vec![0.0_f32; self.groups * rows];
        let mut dx = kernel.map(|_| vec![0.0_f32; x.len()]);
        let chunks = x.chunks(self.chunk() * self.input_len());
        let gradients = dy.chunks(self.chunk() * self.output_len());
        for (chunk, (x, dy)) in chunks.zip(gradients).enumerate() {
            for (group, d_kernel) in d_kernel.chunks_exact_mut(rows).enumerate() {
                let dy = self.channel_first(dy, group)?;
                let product = dy.matmul(&self.columns(x, group)?.t()?)?;
                with_slice(&product, |product| {
                    for (sum, value) in d_kernel.iter_mut().zip(product) {
                        *sum += value;
                    }
                })?;
                if let (Some(kernel), Some(dx)) = (kernel, &mut dx) {
                    let start = chunk * self.chunk() * self.input_len();
                    let dx = &mut dx[start..start + x.len()];
                    let columns = self.kernel_of(kernel, group)?.t()?.matmul(&dy)?;
                    with_slice(&columns, |columns| self.add_columns(columns, group, dx))?;
                }
            }
        }
        Ok((d_kernel, dx))
    }

    /// Gathers the values that each tap reads from the channels of `group` at every output position
    /// of the images `x`: (inputs · taps, images · positions), with zeros for padding.
    fn columns(&self, x: &[f32], group: usize) -> Result<Tensor> {
        let images = x.len() / self.input_len();
        let mut columns = vec![0.0_f32; self.depth() * images * self.positions()];
        self.each_span(images, group, |at, from, length| {
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
    fn add_columns(&self, columns: &[f32], group: usize, x: &mut [f32]) {
        self.each_span(x.len() / self.input_len(), group, |at, from, length| {
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

    /// Calls `visit(column, input, length)` for every span of every tap and image in `group`, with
    /// its start in the columns, the first position that it reads in the images, and its length.
    fn each_span(&self, images: usize, group: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let mut columns = 0;
        for channel in group * self.inputs..(group + 1) * self.inputs {
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

    /// Transposes the gradients (images, groups · outputs, positions) of `group` to a tensor
    /// (outputs, images · positions).
    fn channel_first(&self, dy: &[f32], group: usize) -> Result<Tensor> {
        let positions = self.positions();
        let mut values = Vec::with_capacity(dy.len() / self.groups);
        for channel in group * self.outputs..(group + 1) * self.outputs {
            for image in dy.chunks_exact(self.output_len()) {
                values.extend_from_slice(&image[channel * positions..][..positions]);
            }
        }
        let columns = values.len() / self.outputs;
        Tensor::from_vec(values, (self.outputs, columns), &Device::Cpu)
    }
}
