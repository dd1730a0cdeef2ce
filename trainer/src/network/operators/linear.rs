//! y = x Wᵀ + b with its gradients, W in PyTorch's layout (out, in).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::operand::{Bias, GradientSlot, Operand, with_slice};

/// The operator; made for one application.
struct Linear {
    /// x Wᵀ, computed before by candle's matrix product.
    product: Tensor,
    /// False for a first layer, whose input needs no gradient.
    input_gradient: bool,
    weight: GradientSlot,
    bias: Option<Bias>,
}

/// `x` (batch, in) times `weight` (out, in) plus `bias` (out), giving (batch, out). The gradients of
/// weight and bias are left in their slots.
///
/// # Errors
/// When shapes do not chain or a tensor is not contiguous f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Operand<'_>, bias: Option<&Operand<'_>>) -> Result<Tensor> {
    let operator = Linear {
        product: x.detach().matmul(&weight.values.detach().t()?)?,
        input_gradient: x.track_op(),
        weight: weight.gradient.clone(),
        bias: bias.map(Bias::new).transpose()?,
    };
    x.apply_op2(&weight.values, operator)
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut sums = with_slice(&self.product, <[f32]>::to_vec)?;
        if let Some(bias) = &self.bias {
            for row in sums.chunks_exact_mut(bias.values.len()) {
                for (sum, bias) in row.iter_mut().zip(&bias.values) {
                    *sum += bias;
                }
            }
        }
        Ok((CpuStorage::F32(sums), self.product.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        self.weight.put(gradient.t()?.matmul(&x.detach())?);
        if let Some(bias) = &self.bias {
            bias.sum(&gradient)?;
        }
        let input = match self.input_gradient {
            true => Some(gradient.matmul(&weight.detach())?),
            false => None,
        };
        Ok((input, None))
    }
}
