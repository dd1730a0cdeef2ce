//! y = x Wᵀ + b with its gradients, W in PyTorch's layout (out, in).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{Gradient, slice, with_slice};

/// The operator; made for one application.
struct Linear {
    /// x Wᵀ, computed before by candle's matrix product.
    product: Tensor,
    /// False for the first layer, whose input needs no gradient.
    input_gradient: bool,
    weight: Gradient,
    bias: Gradient,
}

/// `x` (batch, in) times `weight` (out, in) plus `bias` (out), giving (batch, out). The gradients of
/// weight and bias are left in the two slots.
///
/// # Errors
/// When shapes do not chain or a tensor is not contiguous f32 on the CPU.
pub fn linear(
    x: &Tensor,
    (weight, weight_gradient): (&Tensor, &Gradient),
    (bias, bias_gradient): (&Tensor, &Gradient),
    input_gradient: bool,
) -> Result<Tensor> {
    let product = x.detach().matmul(&weight.detach().t()?)?;
    let operator = Linear {
        product,
        input_gradient,
        weight: weight_gradient.clone(),
        bias: bias_gradient.clone(),
    };
    x.apply_op3(weight, bias, operator)
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = slice(bias, bias_layout)?;
        let sums = with_slice(&self.product, |product| {
            let mut sums = product.to_vec();
            for row in sums.chunks_exact_mut(bias.len()) {
                for (sum, bias) in row.iter_mut().zip(bias) {
                    *sum += bias;
                }
            }
            sums
        })?;
        Ok((CpuStorage::F32(sums), self.product.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        self.weight.put(gradient.t()?.matmul(&x.detach())?);
        let units = bias.elem_count();
        let sums = with_slice(&gradient, |gradient| {
            let mut sums = vec![0.0_f32; units];
            for row in gradient.chunks_exact(units) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })?;
        self.bias.put(Tensor::from_vec(sums, units, bias.device())?);
        let input = match self.input_gradient {
            true => Some(gradient.matmul(&weight.detach())?),
            false => None,
        };
        Ok((input, None, None))
    }
}
