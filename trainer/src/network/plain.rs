//! Layers by candle's own tensor operations, for any device and precision; candle differentiates them.
//!
//! The CPU's operators compute the same faster, and are tested against these. Windows are gathered
//! position by position, so that any stride and padding (also uneven) is one case.

use candle_core::{D, DType, Device, Result, Tensor};

use super::moments::{EPSILON, Moments};
use crate::graph::{Pooling, Window};

/// `x` (batch, in) times `weight` (out, in) plus `bias` (out), giving (batch, out).
///
/// # Errors
/// When shapes do not chain or the device refuses.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = x.matmul(&weight.t()?)?;
    match bias {
        Some(bias) => product.broadcast_add(bias),
        None => Ok(product),
    }
}

/// The convolution of `x` (batch, in, height, width) with `weight` (out, in, size, size) plus `bias`
/// (out), giving (batch, out, height, width).
///
/// # Errors
/// When shapes do not chain or the device refuses.
pub fn conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: Window) -> Result<Tensor> {
    let taps = taps(x, window, 0.0)?.flatten_from(1)?;
    let weight = weight.permute((0, 2, 3, 1))?.flatten_from(1)?;
    to_maps(&linear(&taps, &weight, bias)?, x, window)
}

/// max(0, x) of every element; its gradient is 0 where x is not positive. What is not a number stays
/// so, for training to be seen to diverge. (candle's own has gradient 1 at 0, and makes NaN 0.)
///
/// # Errors
/// When the device refuses.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.le(0.0)?.where_cond(&x.zeros_like()?, x)
}

/// The largest or the mean of the real positions of each window of `x` (batch, channels, height,
/// width). The gradient of a maximum goes to the first position that has it, and what is not a
/// number is larger than all that is.
///
/// # Errors
/// When the device refuses.
pub fn pool(x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
    let rows = match kind {
        Pooling::Max => {
            let taps = taps(x, window, f64::NEG_INFINITY)?;
            taps.gather(&first_largest(&taps.detach())?, 1)?
                .squeeze(1)?
        }
        Pooling::Average => {
            // The real positions of a window are counted by the same gathering.
            let ones = x.narrow(1, 0, 1)?.ones_like()?;
            let counts = taps(&ones, window, 0.0)?.sum(1)?;
            taps(x, window, 0.0)?.sum(1)?.broadcast_div(&counts)?
        }
    };
    to_maps(&rows, x, window)
}

/// Which of the `taps` (rows, taps, channels) is the first to hold the largest value, or the first
/// that is not a number where there is one: (rows, 1, channels).
///
/// candle's `max` has the gradient go to every tie, and its `argmax` leaves open which it names.
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
    // A number equals itself.
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

/// Normalises each unit of `x` (batch, units) or (batch, units, height, width) to mean 0 and (biased)
/// variance 1 over the batch and the map, then times `scale` plus `shift` (units).
///
/// # Errors
/// When shapes do not agree or the device refuses.
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

/// Normalises each unit of `x` as [`batch_norm`] does, by the given `moments`.
///
/// # Errors
/// When shapes do not agree or the device refuses.
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
    // One value a unit, over the map where there is one.
    let mut shape = vec![1; x.rank() - 1];
    shape[0] = units;
    x.broadcast_mul(&a.reshape(shape.as_slice())?)?
        .broadcast_add(&b.reshape(shape)?)
}

/// What every output position reads of `x` (batch, channels, height, width): (batch · height ·
/// width of the output, taps, channels), with `padding` where a tap reads no real position.
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

/// The position in (batch, height, width) that each tap of each output reads, or the one after the
/// last where it reads padding.
fn sources(window: Window, batch: usize, input: [usize; 2], device: &Device) -> Result<Tensor> {
    let [height, width] = window.outputs(input);
    // For each output and tap of an axis the position it reads.
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

/// Rows (batch · height · width, channels) as maps (batch, channels, height, width), of the size that
/// `window` gives over `x`.
fn to_maps(rows: &Tensor, x: &Tensor, window: Window) -> Result<Tensor> {
    let (batch, _, height, width) = x.dims4()?;
    let [height, width] = window.outputs([height, width]);
    rows.reshape((batch, height, width, rows.dim(D::Minus1)?))?
        .permute((0, 3, 1, 2))?
        .contiguous()
}
