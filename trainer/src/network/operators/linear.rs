//! Dense layers, y = x Wᵀ + b, with gradients. W has PyTorch's layout (out, in).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::operand::{Bias, GradientSlot, Operand, with_slice};

/// One application of the operator.
struct Linear {
    /// x Wᵀ, computed in advance with candle's matrix product.
    product: Tensor,
    /// Whether the input needs a gradient; that of the first layer does not.
    input_gradient: bool,
    weight: GradientSlot,
    bias: Option<Bias>,
}

/// Multiplies `x` (batch, in) by `weight` (out, in) transposed and adds `bias` (out). The result
/// is (batch, out). The backward pass stores the gradients of weight and bias in their slots.
///
/// # Errors
/// Returns an error if the shapes do not match or a tensor is not contiguous f32 on the CPU.
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
