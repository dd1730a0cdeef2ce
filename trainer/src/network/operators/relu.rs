//! ReLU, max(0, x), of a tensor or of the sum of two; its gradient is 0 where x is not positive.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

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

/// The operator of a sum.
struct ReluOfSum;

/// Computes max(0, a + b) of every element, and does not keep the sum. NaN is passed on.
///
/// # Errors
/// Returns an error if the shapes differ or a tensor is not contiguous f32 on the CPU.
pub fn relu_of_sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        candle_core::bail!("{:?} and {:?} cannot be added", a.dims(), b.dims())
    }
    a.apply_op2(b, ReluOfSum)
}

/// Returns max(0, x). NaN is passed on, so that training can detect divergence.
pub(super) fn positive(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// Returns the `gradient` of a ReLU where its result `y` is positive, and 0 elsewhere.
pub(super) fn where_positive(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    let dx: Vec<f32> = with_slice(y, |y| {
        with_slice(&gradient, |dy| {
            let pairs = y.iter().zip(dy);
            pairs
                .map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 })
                .collect()
        })
    })??;
    Tensor::from_vec(dx, y.shape(), y.device())
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = slice(x, layout)?.iter().map(|&x| positive(x)).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        where_positive(y, gradient).map(Some)
    }
}

impl CustomOp2 for ReluOfSum {
    fn name(&self) -> &'static str {
        "relu of sum"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let pairs = slice(a, a_layout)?.iter().zip(slice(b, b_layout)?);
        let y = pairs.map(|(a, b)| positive(a + b)).collect();
        Ok((CpuStorage::F32(y), a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = where_positive(y, gradient)?;
        Ok((Some(gradient.clone()), Some(gradient)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Compares with the definition: sums below, at and above 0, and NaN.
    #[test]
    fn a_sum_is_added_and_cut_off_at_zero() {
        let variable = |values: &[f32]| Var::new(values, &Device::Cpu).unwrap();
        let a = variable(&[1.0, -2.0, 0.5, f32::NAN]);
        let b = variable(&[2.0, 1.0, -0.5, 1.0]);
        let y = relu_of_sum(&a, &b).unwrap();
        let values = y.to_vec1::<f32>().unwrap();
        assert_eq!(values[..3], [3.0, 0.0, 0.0]);
        assert!(values[3].is_nan());
        let weights = Tensor::new(&[5.0_f32, 6.0, 7.0, 8.0], &Device::Cpu).unwrap();
        let gradients = y.mul(&weights).unwrap().backward().unwrap();
        for operand in [&a, &b] {
            let gradient = gradients.get(operand).unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(gradient, [5.0, 0.0, 0.0, 0.0]);
        }
        let short = variable(&[1.0]);
        assert!(relu_of_sum(&a, &short).is_err());
    }
}
