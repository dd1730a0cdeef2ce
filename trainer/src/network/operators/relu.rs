//! ReLU, max(0, x), with its gradient, which is 0 where x is not positive.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::operand::{slice, with_slice};

/// The operator.
struct Relu;

/// Computes max(0, x) of every element. NaN is passed on.
///
/// # Errors
/// Returns an error if `x` is not contiguous f32 on the CPU.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Relu)
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        // NaN is passed on, so that training can detect divergence.
        let positive = |&x: &f32| if x < 0.0 { 0.0 } else { x };
        let y = slice(x, layout)?.iter().map(positive).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let dx: Vec<f32> = with_slice(y, |y| {
            with_slice(&gradient, |dy| {
                let pairs = y.iter().zip(dy);
                pairs
                    .map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 })
                    .collect()
            })
        })??;
        Ok(Some(Tensor::from_vec(dx, y.shape(), y.device())?))
    }
}
