//! Batch normalisation by the batch's own statistics (Ioffe & Szegedy 2015), with its gradients.
//!
//! A unit of a dense layer has one value a sample, a channel of a map one for each position: its
//! `area`. Statistics are over both.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{Gradient, Own, slice, with_slice};

/// The operator; made for one application.
struct BatchNorm {
    epsilon: f64,
    scale: Gradient,
    shift: Gradient,
    /// Those of the forward pass, for the backward one.
    moments: OnceLock<Moments>,
}

/// Of each unit.
struct Moments {
    mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Vec<f32>,
}

/// Normalises each unit of `x` (batch, units) or (batch, units, height, width) to mean 0 and (biased)
/// variance 1 over the batch and the map, then times `scale` plus `shift` (units). The gradients of
/// scale and shift are left in the slots.
///
/// # Errors
/// When shapes do not agree or a tensor is not contiguous f32 on the CPU.
pub fn batch_norm(x: &Tensor, scale: &Own<'_>, shift: &Own<'_>, epsilon: f64) -> Result<Tensor> {
    let ((scale, scale_gradient), (shift, shift_gradient)) = (scale, shift);
    let operator = BatchNorm {
        epsilon,
        scale: (*scale_gradient).clone(),
        shift: (*shift_gradient).clone(),
        moments: OnceLock::new(),
    };
    x.apply_op3(scale, shift, operator)
}

/// How the values of a batch lie: for each sample, for each unit, `area` values.
#[derive(Clone, Copy)]
struct Order {
    units: usize,
    area: usize,
}

/// Partial sums of a run, so that the processor adds several values at once.
const LANES: usize = 16;

impl Order {
    /// That of values of `shape`, (batch, units, …).
    fn of(shape: &Shape) -> Self {
        let units = shape.dims()[1];
        let area = shape.dims()[2..].iter().product();
        Self { units, area }
    }

    /// The sum of `term(x, y, constant)` over the values of each unit, which has one constant.
    fn sums(
        self,
        x: &[f32],
        y: &[f32],
        constants: &[f32],
        term: impl Fn(f32, f32, f32) -> f32,
    ) -> Vec<f32> {
        let Self { units, area } = self;
        let mut sums = vec![0.0_f32; units];
        for (x, y) in x
            .chunks_exact(units * area)
            .zip(y.chunks_exact(units * area))
        {
            let values = sums.iter_mut().zip(constants);
            if area == 1 {
                for (((sum, &constant), &x), &y) in values.zip(x).zip(y) {
                    *sum += term(x, y, constant);
                }
                continue;
            }
            let runs = x.chunks_exact(area).zip(y.chunks_exact(area));
            for ((sum, &constant), (x, y)) in values.zip(runs) {
                let mut lanes = [0.0_f32; LANES];
                let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
                for (&x, &y) in xs.remainder().iter().zip(ys.remainder()) {
                    *sum += term(x, y, constant);
                }
                for (x, y) in xs.zip(ys) {
                    for lane in 0..LANES {
                        lanes[lane] += term(x[lane], y[lane], constant);
                    }
                }
                *sum += lanes.iter().sum::<f32>();
            }
        }
        sums
    }

    /// Replaces every value y by `a y + b x + c`, with one a, b and c a unit.
    fn combine(self, y: &mut [f32], x: &[f32], [a, b, c]: [&[f32]; 3]) {
        let Self { units, area } = self;
        for (y, x) in y
            .chunks_exact_mut(units * area)
            .zip(x.chunks_exact(units * area))
        {
            let factors = a.iter().zip(b).zip(c);
            if area == 1 {
                for ((y, &x), ((&a, &b), &c)) in y.iter_mut().zip(x).zip(factors) {
                    *y = *y * a + x * b + c;
                }
                continue;
            }
            let runs = y.chunks_exact_mut(area).zip(x.chunks_exact(area));
            for ((y, x), ((&a, &b), &c)) in runs.zip(factors) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = *y * a + x * b + c;
                }
            }
        }
    }

    /// The values of each unit in `x`.
    fn count(self, x: &[f32]) -> f32 {
        (x.len() / self.units) as f32
    }

    fn moments(self, x: &[f32], epsilon: f64) -> Moments {
        let count = self.count(x);
        let mut mean = self.sums(x, x, &vec![0.0; self.units], |x, _, _| x);
        mean.iter_mut().for_each(|mean| *mean /= count);
        let mut inverse = self.sums(x, x, &mean, |x, _, mean| (x - mean) * (x - mean));
        for inverse in &mut inverse {
            *inverse = 1.0 / (*inverse / count + epsilon as f32).sqrt();
        }
        Moments { mean, inverse }
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
        let order = Order::of(x_layout.shape());
        let moments = self.moments.get_or_init(|| order.moments(x, self.epsilon));
        // y = a x + b with one a and b per unit.
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
        let mut y = Vec::with_capacity(x.len());
        for x in x.chunks_exact(order.units * order.area) {
            if order.area == 1 {
                y.extend(x.iter().zip(&a).zip(&b).map(|((x, a), b)| x * a + b));
                continue;
            }
            for (x, (a, b)) in x.chunks_exact(order.area).zip(a.iter().zip(&b)) {
                y.extend(x.iter().map(|x| x * a + b));
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
        let (order, units) = (Order::of(x.shape()), scale.elem_count());
        let (dx, d_scale, d_shift) = with_slice(x, |x| {
            let moments = self.moments.get_or_init(|| order.moments(x, self.epsilon));
            with_slice(&gradient, |dy| {
                with_slice(scale, |scale| backward(order, x, dy, scale, moments))
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
fn backward(
    order: Order,
    x: &[f32],
    dy: &[f32],
    scale: &[f32],
    Moments { mean, inverse }: &Moments,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let count = order.count(x);
    let d_shift = order.sums(x, dy, mean, |_, dy, _| dy);
    let mut d_scale = order.sums(x, dy, mean, |x, dy, mean| dy * (x - mean));
    d_scale
        .iter_mut()
        .zip(inverse)
        .for_each(|(d, inverse)| *d *= inverse);
    // dx = a dy + b x + c with one a, b and c per unit.
    let mut factors = [(); 3].map(|()| vec![0.0_f32; order.units]);
    let [a, b, c] = &mut factors;
    for unit in 0..order.units {
        a[unit] = scale[unit] * inverse[unit];
        b[unit] = -a[unit] * inverse[unit] * d_scale[unit] / count;
        c[unit] = -a[unit] * d_shift[unit] / count - b[unit] * mean[unit];
    }
    let mut dx = dy.to_vec();
    order.combine(&mut dx, x, [a, b, c].map(|factor| factor.as_slice()));
    (dx, d_scale, d_shift)
}
