//! Batch normalisation with the statistics of the batch (Ioffe & Szegedy 2015), with gradients.
//!
//! Statistics are per unit, over the samples and, for a channel of a feature map, over its
//! positions.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::operand::{GradientSlot, Operand, slice, with_slice};
use super::relu::{positive, where_positive};
use super::units::UnitLayout;
use crate::network::statistics::Moments;

/// One application of batch normalisation, as a candle operator.
struct BatchNorm {
    epsilon: f64,
    /// Whether max(0, y) is the result.
    relu: bool,
    scale: GradientSlot,
    shift: GradientSlot,
    /// Moments of the forward pass, reused by the backward pass.
    moments: OnceLock<BatchMoments>,
}

/// Moments per unit.
struct BatchMoments {
    mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Vec<f32>,
}

/// Normalises each unit of `x` (batch, units) or (batch, units, height, width) to mean 0 and
/// biased variance 1 over batch and positions, then multiplies by `scale` and adds `shift`
/// (units). The backward pass stores the gradients of `scale` and `shift` in their slots.
///
/// # Errors
/// Returns an error if the shapes do not match or a tensor is not contiguous f32 on the CPU.
pub fn batch_norm(
    x: &Tensor,
    scale: &Operand<'_>,
    shift: &Operand<'_>,
    epsilon: f64,
) -> Result<Tensor> {
    apply(x, scale, shift, epsilon, false)
}

/// Computes max(0, y) of the result y of [`batch_norm`], and does not keep y. NaN is passed on.
///
/// # Errors
/// Returns an error if the shapes do not match or a tensor is not contiguous f32 on the CPU.
pub fn batch_norm_relu(
    x: &Tensor,
    scale: &Operand<'_>,
    shift: &Operand<'_>,
    epsilon: f64,
) -> Result<Tensor> {
    apply(x, scale, shift, epsilon, true)
}

/// Applies the operator.
fn apply(
    x: &Tensor,
    scale: &Operand<'_>,
    shift: &Operand<'_>,
    epsilon: f64,
    relu: bool,
) -> Result<Tensor> {
    let operator = BatchNorm {
        epsilon,
        relu,
        scale: scale.gradient.clone(),
        shift: shift.gradient.clone(),
        moments: OnceLock::new(),
    };
    x.apply_op3(&scale.values, &shift.values, operator)
}

/// Normalises each unit of `x` with the population `moments`, then multiplies by `scale` and adds
/// `shift` (units), without gradients. The results are bit-identical to those of the plain tensor
/// operations.
///
/// # Errors
/// Returns an error if a tensor is not contiguous f32 on the CPU.
pub fn population_norm(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    moments: &Moments,
    epsilon: f64,
) -> Result<Tensor> {
    let units = scale.elem_count();
    let (mut a, mut b) = (Vec::with_capacity(units), Vec::with_capacity(units));
    with_slice(scale, |scale| {
        with_slice(shift, |shift| {
            let moments = moments.mean.iter().zip(&moments.variance);
            for ((scale, shift), (mean, variance)) in scale.iter().zip(shift).zip(moments) {
                let factor = scale / (variance + epsilon as f32).sqrt();
                a.push(factor);
                b.push(shift - factor * mean);
            }
        })
    })??;
    let layout = UnitLayout::of(x.shape());
    let y = with_slice(x, |x| {
        layout.map(x, x, [&a, &b, &b], |x, _, [a, b, _]| a * x + b)
    })?;
    Tensor::from_vec(y, x.shape(), x.device())
}

impl BatchMoments {
    /// Computes the moments of `x`, whose values have the given `layout`.
    fn of(x: &[f32], layout: UnitLayout, epsilon: f64) -> Self {
        let count = layout.count(x);
        let mut mean = layout.totals(x);
        mean.iter_mut().for_each(|mean| *mean /= count);
        let mut inverse = layout.sums(x, x, &mean, |x, _, mean| (x - mean) * (x - mean));
        for inverse in &mut inverse {
            *inverse = 1.0 / (*inverse / count + epsilon as f32).sqrt();
        }
        Self { mean, inverse }
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, scale, shift) = (
            slice(x, x_layout)?,
            slice(scale, scale_layout)?,
            slice(shift, shift_layout)?,
        );
        let layout = UnitLayout::of(x_layout.shape());
        let moments = self
            .moments
            .get_or_init(|| BatchMoments::of(x, layout, self.epsilon));
        // y = a x + b, with one a and one b per unit.
        let a: Vec<f32> = scale
            .iter()
            .zip(&moments.inverse)
            .map(|(scale, inverse)| scale * inverse)
            .collect();
        let b: Vec<f32> = shift
            .iter()
            .zip(&a)
            .zip(&moments.mean)
            .map(|((shift, a), mean)| shift - a * mean)
            .collect();
        let y = match self.relu {
            false => layout.map(x, x, [&a, &b, &b], |x, _, [a, b, _]| a * x + b),
            true => layout.map(x, x, [&a, &b, &b], |x, _, [a, b, _]| positive(a * x + b)),
        };
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = match self.relu {
            false => gradient.contiguous()?,
            true => where_positive(y, gradient)?,
        };
        let (layout, units) = (UnitLayout::of(x.shape()), scale.elem_count());
        let (dx, d_scale, d_shift) = with_slice(x, |x| {
            let moments = self
                .moments
                .get_or_init(|| BatchMoments::of(x, layout, self.epsilon));
            with_slice(&gradient, |dy| {
                with_slice(scale, |scale| backward(layout, x, dy, scale, moments))
            })
        })???;
        self.scale
            .put(Tensor::from_vec(d_scale, units, scale.device())?);
        self.shift
            .put(Tensor::from_vec(d_shift, units, scale.device())?);
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            None,
            None,
        ))
    }
}

/// Computes the gradients of the input, the scale and the shift. With x̂ the normalised input and
/// m the number of values per unit, d shift = Σ dy, d scale = Σ dy x̂, and dx = scale / sqrt(v +
/// eps) · (dy - d shift / m - x̂ d scale / m).
fn backward(
    layout: UnitLayout,
    x: &[f32],
    dy: &[f32],
    scale: &[f32],
    BatchMoments { mean, inverse }: &BatchMoments,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let count = layout.count(x);
    let d_shift = layout.totals(dy);
    let mut d_scale = layout.sums(x, dy, mean, |x, dy, mean| dy * (x - mean));
    d_scale
        .iter_mut()
        .zip(inverse)
        .for_each(|(d, inverse)| *d *= inverse);
    // dx = a dy + b x + c, with one a, b and c per unit.
    let mut factors = [(); 3].map(|()| vec![0.0_f32; layout.units]);
    let [a, b, c] = &mut factors;
    for unit in 0..layout.units {
        a[unit] = scale[unit] * inverse[unit];
        b[unit] = -a[unit] * inverse[unit] * d_scale[unit] / count;
        c[unit] = -a[unit] * d_shift[unit] / count - b[unit] * mean[unit];
    }
    let dx = layout.map(x, dy, [a, b, c], |x, dy, [a, b, c]| a * dy + b * x + c);
    (dx, d_scale, d_shift)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::super::relu::relu;
    use super::*;
    use crate::random::Random;

    /// Compares the values and gradients with those of a batch norm and a ReLU, bit for bit.
    #[test]
    fn with_a_relu_it_is_both_in_turn() {
        let mut random = Random::new(4);
        let mut variable = |shape: &[usize]| {
            let values = (0..shape.iter().product()).map(|_| random.normal() as f32);
            let values = Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &Device::Cpu);
            Var::from_tensor(&values.unwrap()).unwrap()
        };
        let (x, weights) = (variable(&[5, 3, 4, 2]), variable(&[5, 3, 4, 2]));
        let (scale, shift) = (variable(&[3]), variable(&[3]));
        let outcome = |joined: bool| -> Vec<Vec<f32>> {
            let slots = [GradientSlot::default(), GradientSlot::default()];
            let operand = |variable: &Var, gradient| Operand {
                values: variable.as_tensor().clone(),
                gradient,
            };
            let (scale, shift) = (operand(&scale, &slots[0]), operand(&shift, &slots[1]));
            let y = match joined {
                true => batch_norm_relu(&x, &scale, &shift, 1e-3),
                false => batch_norm(&x, &scale, &shift, 1e-3).and_then(|y| relu(&y)),
            };
            let y = y.unwrap();
            let gradients = y.mul(&weights.detach()).unwrap().backward().unwrap();
            let all = [y, gradients.get(&x).unwrap().clone()];
            let all = all
                .into_iter()
                .chain(slots.map(|slot| slot.take().unwrap()));
            all.map(|t| t.flatten_all().unwrap().to_vec1().unwrap())
                .collect()
        };
        assert_eq!(outcome(true), outcome(false));
        assert!(outcome(true)[0].contains(&0.0));
    }
}
