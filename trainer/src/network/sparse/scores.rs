//! Converts class scores to the layout that the loss reads: (batch, classes).

use candle_core::{Result, Tensor};

use crate::network::operators::operand::with_slice;

/// Transposes the scores `x` (classes, batch), without gradients.
///
/// # Errors
/// Returns an error if `x` is not a contiguous f32 matrix on the CPU.
pub(super) fn batch_first(x: &Tensor) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    let y = with_slice(x, |x| transposed(x, (rows, columns)))?;
    Tensor::from_vec(y, (columns, rows), x.device())
}

/// Transposes the matrix `x` (rows, columns).
pub(super) fn transposed(x: &[f32], (rows, columns): (usize, usize)) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for column in 0..columns {
        y.extend((0..rows).map(|row| x[row * columns + column]));
    }
    y
}
