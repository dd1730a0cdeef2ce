//! Class scores as the loss reads them: (batch, classes).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::network::operators::operand::{slice, with_slice};

/// The operator.
struct Transpose;

/// Transposes the scores `x` (classes, batch).
///
/// # Errors
/// Returns an error if `x` is not a contiguous f32 matrix on the CPU.
pub(super) fn batch_first(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Transpose)
}

/// Transposes the matrix `x` (rows, columns).
fn transposed(x: &[f32], (rows, columns): (usize, usize)) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len());
    for column in 0..columns {
        y.extend((0..rows).map(|row| x[row * columns + column]));
    }
    y
}

impl CustomOp1 for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        let y = transposed(slice(x, layout)?, (rows, columns));
        Ok((CpuStorage::F32(y), Shape::from((columns, rows))))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let shape = y.dims2()?;
        let dx = with_slice(&gradient.contiguous()?, |dy| transposed(dy, shape))?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
