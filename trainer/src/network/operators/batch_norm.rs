//! Batch normalisation by the batch's own statistics (Ioffe & Szegedy 2015), with its gradients.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{Gradient, slice, with_slice};

/// The operator; made for one application.
struct BatchNorm {
    epsilon: f64,
    scale: Gradient,
    shift: Gradient,
}

/// Normalises each column of `x` (batch, units) to mean 0 and (biased) variance 1 over the batch,
/// then times `scale` plus `shift` (units). The gradients of scale and shift are left in the slots.
///
/// # Errors
/// When shapes do not agree or a tensor is not contiguous f32 on the CPU.
pub fn batch_norm(
    x: &Tensor,
    (scale, scale_gradient): (&Tensor, &Gradient),
    (shift, shift_gradient): (&Tensor, &Gradient),
    epsilon: f64,
) -> Result<Tensor> {
    let operator = BatchNorm {
        epsilon,
        scale: scale_gradient.clone(),
        shift: shift_gradient.clone(),
    };
    x.apply_op3(scale, shift, operator)
}

/// Mean and `1 / sqrt(variance + epsilon)` of each column of `x`, rows of `units`.
fn moments(x: &[f32], units: usize, epsilon: f64) -> (Vec<f32>, Vec<f32>) {
    let rows = (x.len() / units) as f32;
    let mut mean = vec![0.0_f32; units];
    for row in x.chunks_exact(units) {
        for (mean, x) in mean.iter_mut().zip(row) {
            *mean += x;
        }
    }
    mean.iter_mut().for_each(|mean| *mean /= rows);
    let mut inverse = vec![0.0_f32; units];
    for row in x.chunks_exact(units) {
        for ((sum, x), mean) in inverse.iter_mut().zip(row).zip(&mean) {
            *sum += (x - mean) * (x - mean);
        }
    }
    for inverse in &mut inverse {
        *inverse = 1.0 / (*inverse / rows + epsilon as f32).sqrt();
    }
    (mean, inverse)
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
        let units = scale.len();
        let (mean, inverse) = moments(x, units, self.epsilon);
        // y = a x + b with one a and b per unit.
        let a: Vec<f32> = scale
            .iter()
            .zip(&inverse)
            .map(|(scale, inverse)| scale * inverse)
            .collect();
        let b: Vec<f32> = shift
            .iter()
            .zip(&a)
            .zip(&mean)
            .map(|((shift, a), mean)| shift - a * mean)
            .collect();
        let mut y = x.to_vec();
        for row in y.chunks_exact_mut(units) {
            for ((y, a), b) in row.iter_mut().zip(&a).zip(&b) {
                *y = *y * a + b;
            }
        }
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let units = scale.elem_count();
        let (dx, d_scale, d_shift) = with_slice(x, |x| {
            with_slice(&gradient, |dy| {
                with_slice(scale, |scale| backward(x, dy, scale, self.epsilon))
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

/// With x̂ the normalised input: d shift = Σ dy, d scale = Σ dy x̂, and
/// dx = scale / sqrt(v + eps) · (dy - d shift / m - x̂ d scale / m).
fn backward(x: &[f32], dy: &[f32], scale: &[f32], epsilon: f64) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let units = scale.len();
    let rows = (x.len() / units) as f32;
    let (mean, inverse) = moments(x, units, epsilon);
    let (mut d_scale, mut d_shift) = (vec![0.0_f32; units], vec![0.0_f32; units]);
    for (x, dy) in x.chunks_exact(units).zip(dy.chunks_exact(units)) {
        for unit in 0..units {
            d_shift[unit] += dy[unit];
            d_scale[unit] += dy[unit] * (x[unit] - mean[unit]) * inverse[unit];
        }
    }
    // dx = a dy + b x + c with one a, b and c per unit.
    let (mut a, mut b, mut c) = (
        vec![0.0_f32; units],
        vec![0.0_f32; units],
        vec![0.0_f32; units],
    );
    for unit in 0..units {
        a[unit] = scale[unit] * inverse[unit];
        b[unit] = -a[unit] * inverse[unit] * d_scale[unit] / rows;
        c[unit] = -a[unit] * d_shift[unit] / rows - b[unit] * mean[unit];
    }
    let mut dx = dy.to_vec();
    for (dx, x) in dx.chunks_exact_mut(units).zip(x.chunks_exact(units)) {
        for ((((dx, x), a), b), c) in dx.iter_mut().zip(x).zip(&a).zip(&b).zip(&c) {
            *dx = *dx * a + x * b + c;
        }
    }
    (dx, d_scale, d_shift)
}
