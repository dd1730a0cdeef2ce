//! Layers in candle's tensor operations, for any device and precision; candle differentiates them.
//!
//! They are the reference implementation that the fused operators are tested against. Windows are
//! gathered position by position, so every stride and padding, even or uneven, takes the same path.

use candle_core::{D, DType, Result, Tensor};

use super::gather::{self, Beyond, Wiring};
use super::statistics::{EPSILON, Moments};
use crate::graph::{Pooling, Window};

/// Multiplies `x` (batch, in) by `weight` (out, in) transposed and adds `bias` (out). The result
/// is (batch, out).
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = match x.track_op() {
        true => x.matmul(&weight.t()?)?,
        false => gather::product_of_input(x, weight)?,
    };
    match bias {
        Some(bias) => product.broadcast_add(bias),
        None => Ok(product),
    }
}

/// Convolves `x` (batch, in, height, width) with `weight` (out, in / groups, rows, columns) and
/// adds `bias` (out). The result is (batch, out, output height, output width). The number of groups
/// follows from the shapes.
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn conv(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, window: Window) -> Result<Tensor> {
    let taps = taps(x, window)?;
    let weight = weight.permute((0, 2, 3, 1))?;
    let rows = match x.dim(1)? == weight.dim(3)? {
        true => linear(&taps.flatten_from(1)?, &weight.flatten_from(1)?, bias)?,
        false => by_groups(&taps, &weight, bias)?,
    };
    to_maps(&rows, x, window)
}

/// Multiplies the `taps` (rows, taps, in) of each group of channels by the weights of that group,
/// from `weight` (out, rows, columns, in / groups), and adds `bias` (out). The result is (rows,
/// out).
fn by_groups(taps: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (rows, count, channels) = taps.dims3()?;
    let (outputs, _, _, inputs) = weight.dims4()?;
    let groups = channels / inputs;
    let taps = taps.reshape((rows, count, groups, inputs))?;
    let taps = taps.permute((2, 0, 1, 3))?.flatten_from(2)?;
    let weight = weight.reshape((groups, outputs / groups, count * inputs))?;
    let products = taps.matmul(&weight.transpose(1, 2)?)?;
    let products = products.transpose(0, 1)?.reshape((rows, outputs))?;
    match bias {
        Some(bias) => products.broadcast_add(bias),
        None => Ok(products),
    }
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

/// Computes min(max(0, x), 6) of every element. The gradient is 0 outside (0, 6). NaN is passed on.
///
/// # Errors
/// Returns an error if the device fails.
pub fn relu6(x: &Tensor) -> Result<Tensor> {
    let low = relu(x)?;
    let six = (x.zeros_like()? + 6.0)?;
    x.ge(6.0)?.where_cond(&six, &low)
}

/// Computes the maximum or mean of each window of `x` (batch, channels, height, width), ignoring
/// padding. The gradient of a maximum flows to the first position that attains it, and NaN counts
/// as larger than every number.
///
/// # Errors
/// Returns an error if the device fails.
pub fn pool(x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let input = [height, width];
    let rows = match kind {
        Pooling::Max => {
            let is_padded = window.pads();
            let beyond = match is_padded {
                true => Beyond::Appended,
                false => Beyond::Zero,
            };
            let wiring = Wiring::of(window, input, beyond, x.device())?;
            let mut positions = positions(x)?;
            if is_padded {
                let lowest = Tensor::full(f32::NEG_INFINITY, (batch, 1, channels), x.device())?;
                positions = Tensor::cat(&[&positions, &lowest.to_dtype(x.dtype())?], 1)?;
            }
            let taps = gather::gather(&positions, &wiring)?;
            let taps = taps.reshape(((), window.taps(), channels))?;
            taps.gather(&first_largest(&taps.detach(), &wiring)?, 1)?
                .squeeze(1)?
        }
        Pooling::Average => {
            let wiring = Wiring::of(window, input, Beyond::Zero, x.device())?;
            let sums = taps(x, window)?.sum(1)?.reshape((batch, (), channels))?;
            sums.broadcast_div(&wiring.counts.to_dtype(x.dtype())?)?
        }
    };
    to_maps(&rows, x, window)
}

/// Returns, for each row and channel of `taps` (rows, taps, channels), the index of the first tap
/// that attains the maximum, or of the first NaN if there is one, as (rows, 1, channels).
///
/// candle's `max` sends the gradient to every tie, and its `argmax` does not specify which one it
/// returns.
fn first_largest(taps: &Tensor, wiring: &Wiring) -> Result<Tensor> {
    let count = taps.dim(1)? as f64;
    let place = wiring
        .places
        .to_dtype(taps.dtype())?
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

/// Normalises each unit of `x` as [`batch_norm`] does, but with the given `moments` instead of
/// those of the batch.
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
    let [mean, variance] = moments.on(x.device(), x.dtype())?;
    let a = scale.div(&(variance + EPSILON)?.sqrt()?)?;
    let b = shift.sub(&a.mul(&mean)?)?;
    // One value per unit, broadcast over the positions of a map.
    let mut shape = vec![1; x.rank() - 1];
    shape[0] = units;
    x.broadcast_mul(&a.reshape(shape.as_slice())?)?
        .broadcast_add(&b.reshape(shape)?)
}

/// Gathers the values that every output position reads from `x` (batch, channels, height, width):
/// (batch · output positions, taps, channels), with 0 where a tap reads padding.
fn taps(x: &Tensor, window: Window) -> Result<Tensor> {
    let (_, channels, height, width) = x.dims4()?;
    let wiring = Wiring::of(window, [height, width], Beyond::Zero, x.device())?;
    gather::gather(&positions(x)?, &wiring)?.reshape(((), window.taps(), channels))
}

/// Returns the values of `x` (batch, channels, height, width) by position: (batch, positions,
/// channels).
fn positions(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    x.permute((0, 2, 3, 1))?
        .reshape((batch, height * width, channels))
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
