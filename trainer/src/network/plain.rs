//! Layers in candle's tensor operations, for any device and precision; candle differentiates them.
//!
//! They are the reference implementation that the fused operators are tested against. Windows are
//! gathered position by position, so every stride and padding (also uneven) takes the same path.

use candle_core::{D, DType, Device, Result, Tensor};

use super::statistics::{EPSILON, Moments};
use crate::graph::{Pooling, Window};

/// Multiplies `x` (batch, in) by `weight` (out, in) transposed and adds `bias` (out). The result
/// is (batch, out).
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = x.matmul(&weight.t()?)?;
    match bias {
        Some(bias) => product.broadcast_add(bias),
        None => Ok(product),
    }
}

/// Convolves `x` (batch, in, height, width) with `weight` (out, in, size, size) and adds `bias`
/// (out). The result is (batch, out, output height, output width).
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: Window) -> Result<Tensor> {
    let taps = taps(x, window, 0.0)?.flatten_from(1)?;
    let weight = weight.permute((0, 2, 3, 1))?.flatten_from(1)?;
    to_maps(&linear(&taps, &weight, bias)?, x, window)
}

/// Computes max(0, x) of every element. The gradient is 0 where x is not positive.
///
/// NaN is passed on, so that training can detect divergence. (candle's own ReLU has gradient 1 at
/// 0 and turns NaN to 0.)
///
/// # Errors
/// Returns an error if the device fails.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.le(0.0)?.where_cond(&x.zeros_like()?, x)
}

/// Computes the maximum or mean of each window of `x` (batch, channels, height, width), ignoring
/// padding. The gradient of a maximum goes to the first position that holds it, and NaN counts as
/// larger than every number.
///
/// # Errors
/// Returns an error if the device fails.
pub fn pool(x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
    let rows = match kind {
        Pooling::Max => {
            let taps = taps(x, window, f64::NEG_INFINITY)?;
            taps.gather(&first_largest(&taps.detach())?, 1)?
                .squeeze(1)?
        }
        Pooling::Average => {
            // Gathering ones counts the positions of each window that are not padding.
            let ones = x.narrow(1, 0, 1)?.ones_like()?;
            let counts = taps(&ones, window, 0.0)?.sum(1)?;
            taps(x, window, 0.0)?.sum(1)?.broadcast_div(&counts)?
        }
    };
    to_maps(&rows, x, window)
}

/// Returns the index of the first of the `taps` (rows, taps, channels) that holds the maximum, or
/// the first NaN if there is one: (rows, 1, channels).
///
/// candle's `max` sends the gradient to every tie, and its `argmax` does not specify which one it
/// returns.
fn first_largest(taps: &Tensor) -> Result<Tensor> {
    let count = taps.dim(1)? as f64;
    let place = Tensor::arange(0_u32, count as u32, taps.device())?
        .to_dtype(taps.dtype())?
        .reshape((1, (), 1))?
        .broadcast_as(taps.shape())?
        .contiguous()?;
    let largest = taps.max_keepdim(1)?.broadcast_as(taps.shape())?;
    let smaller = taps.lt(&largest)?;
    let place = smaller.where_cond(&(&place + count)?, &place)?;
    // Only NaN differs from itself.
    let place = taps
        .eq(taps)?
        .where_cond(&place, &(&place - 3.0 * count)?)?;
    let first = place.min_keepdim(1)?;
    let wrapped = (&first + 3.0 * count)?;
    first
        .lt(0.0)?
        .where_cond(&wrapped, &first)?
        .to_dtype(DType::U32)
}

/// Normalises each unit of `x` (batch, units) or (batch, units, height, width) to mean 0 and
/// biased variance 1 over batch and positions, then multiplies by `scale` and adds `shift`
/// (units).
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn batch_norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let units = scale.elem_count();
    let runs = x.reshape((x.dim(0)?, units, ()))?;
    let mean = runs.mean_keepdim((0, 2))?;
    let centred = runs.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim((0, 2))?;
    let normal = centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?;
    let scaled = normal.broadcast_mul(&scale.reshape((units, 1))?)?;
    (scaled.broadcast_add(&shift.reshape((units, 1))?)?).reshape(x.shape())
}

/// Normalises each unit of `x` by the given `moments` instead, as [`batch_norm`] does by those of
/// the batch.
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn population_norm(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    moments: &Moments,
) -> Result<Tensor> {
    let units = scale.elem_count();
    let tensor =
        |values: &[f32]| Tensor::from_slice(values, units, x.device())?.to_dtype(x.dtype());
    let (mean, variance) = (tensor(&moments.mean)?, tensor(&moments.variance)?);
    let a = scale.div(&(variance + EPSILON)?.sqrt()?)?;
    let b = shift.sub(&a.mul(&mean)?)?;
    // One value per unit, broadcast over the positions of a map.
    let mut shape = vec![1; x.rank() - 1];
    shape[0] = units;
    x.broadcast_mul(&a.reshape(shape.as_slice())?)?
        .broadcast_add(&b.reshape(shape)?)
}

/// Gathers what every output position reads of `x` (batch, channels, height, width): (batch ·
/// output positions, taps, channels), with `padding` where a tap reads padding.
fn taps(x: &Tensor, window: Window, padding: f64) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let positions = x.permute((0, 2, 3, 1))?.reshape(((), channels))?;
    let padding = Tensor::full(padding, (1, channels), x.device())?.to_dtype(x.dtype())?;
    let positions = Tensor::cat(&[&positions, &padding], 0)?;
    let sources = sources(window, batch, [height, width], x.device())?;
    positions
        .index_select(&sources, 0)?
        .reshape(((), window.size * window.size, channels))
}

/// Returns the position in (batch, height, width) that each tap of each output reads, or the
/// position after the last one for padding.
fn sources(window: Window, batch: usize, input: [usize; 2], device: &Device) -> Result<Tensor> {
    let [height, width] = window.outputs(input);
    // The position along an axis that a tap of an output reads.
    let reads = |axis: usize, output: usize, tap: usize| {
        let outputs = window.outputs(input)[axis];
        let reading = window.reading(axis, tap, input[axis], outputs);
        reading
            .contains(&output)
            .then(|| window.position(axis, tap, output))
    };
    let none = (batch * input[0] * input[1]) as u32;
    let mut sources = Vec::with_capacity(batch * height * width * window.size * window.size);
    for image in 0..batch {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for i in 0..window.size {
                let row = reads(0, y, i).map(|row| (image * input[0] + row) * input[1]);
                for j in 0..window.size {
                    let position = row.zip(reads(1, x, j)).map(|(row, column)| row + column);
                    sources.push(position.map_or(none, |position| position as u32));
                }
            }
        }
    }
    let length = sources.len();
    Tensor::from_vec(sources, length, device)
}

/// Reshapes rows (batch · output positions, channels) to feature maps (batch, channels, height,
/// width), with the output size of `window` over `x`.
fn to_maps(rows: &Tensor, x: &Tensor, window: Window) -> Result<Tensor> {
    let (batch, _, height, width) = x.dims4()?;
    let [height, width] = window.outputs([height, width]);
    rows.reshape((batch, height, width, rows.dim(D::Minus1)?))?
        .permute((0, 3, 1, 2))?
        .contiguous()
}
