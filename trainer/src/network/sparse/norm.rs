//! Batch normalisation and ReLU of one unit, whose values are contiguous.

use pulp::Simd;

use super::simd::sums;

/// How a unit is normalised: y = a z + b.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine {
    pub(super) a: f32,
    pub(super) b: f32,
}

/// The mean of a unit, and `1 / sqrt(variance + epsilon)`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UnitMoments {
    pub(super) mean: f32,
    pub(super) inverse: f32,
}

impl UnitMoments {
    /// Computes the moments of the values `z`.
    #[inline(always)]
    pub(super) fn of<S: Simd>(simd: S, z: &[f32], epsilon: f32) -> Self {
        let count = z.len() as f32;
        let mean = total(simd, z) / count;
        let minus_mean = simd.splat_f32s(-mean);
        let [squares] = sums(simd, z, z, |z, _, live, [total]| {
            let centred = simd.mul_add_e_f32s(minus_mean, live, z);
            [simd.mul_add_e_f32s(centred, centred, total)]
        });
        let inverse = 1.0 / (squares / count + epsilon).sqrt();
        Self { mean, inverse }
    }

    /// Returns the affine map that normalises, scales by `scale` and adds `shift`.
    pub(super) fn affine(self, scale: f32, shift: f32) -> Affine {
        let a = scale * self.inverse;
        let b = shift - a * self.mean;
        Affine { a, b }
    }
}

/// Writes `a z + b` to `y` (just `z` if `affine` is `None`), clamped at 0 and at the upper bound of
/// `relu` if there is one. NaN stays NaN.
#[inline(always)]
pub(super) fn apply(y: &mut [f32], z: &[f32], affine: Option<Affine>, relu: Option<f32>) {
    let pairs = y.iter_mut().zip(z);
    let positive = |y: f32| if y < 0.0 { 0.0 } else { y };
    match (affine, relu) {
        (Some(Affine { a, b }), Some(_)) => pairs.for_each(|(y, z)| *y = positive(a * z + b)),
        (Some(Affine { a, b }), None) => pairs.for_each(|(y, z)| *y = a * z + b),
        (None, Some(_)) => pairs.for_each(|(y, z)| *y = positive(*z)),
        (None, None) => y.copy_from_slice(z),
    }
    if let Some(most) = relu.filter(|most| most.is_finite()) {
        y.iter_mut()
            .for_each(|y| *y = if *y > most { most } else { *y });
    }
}

/// Writes the gradient before the ReLU with the upper bound `most` to `g`, from the gradient `dy`
/// after it.
#[inline(always)]
pub(super) fn relu_gradient(
    g: &mut [f32],
    dy: &[f32],
    z: &[f32],
    affine: Option<Affine>,
    most: f32,
) {
    let Affine { a, b } = affine.unwrap_or(Affine { a: 1.0, b: 0.0 });
    for ((g, dy), z) in g.iter_mut().zip(dy).zip(z) {
        let y = a * z + b;
        *g = if y > 0.0 && y < most { *dy } else { 0.0 };
    }
}

/// Replaces `g`, the gradient of a unit's values after batch norm, by the gradient of its values
/// `z` before it; the moments are those of the batch. Returns the gradients of scale and shift.
#[inline(always)]
pub(super) fn norm_gradient<S: Simd>(
    simd: S,
    g: &mut [f32],
    z: &[f32],
    scale: f32,
    UnitMoments { mean, inverse }: UnitMoments,
) -> (f32, f32) {
    let count = z.len() as f32;
    let means = simd.splat_f32s(mean);
    let [d_shift, d_scale] = sums(simd, g, z, |g, z, _, [shift, scale]| {
        let centred = simd.sub_f32s(z, means);
        [
            simd.add_f32s(shift, g),
            simd.mul_add_e_f32s(g, centred, scale),
        ]
    });
    let d_scale = d_scale * inverse;
    // dz = a g + b z + c.
    let a = scale * inverse;
    let b = -a * inverse * d_scale / count;
    let c = -a * d_shift / count - b * mean;
    for (g, z) in g.iter_mut().zip(z) {
        *g = a * *g + b * z + c;
    }
    (d_scale, d_shift)
}

/// Returns the sum of `x`.
#[inline(always)]
pub(super) fn total<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let [total] = sums(simd, x, x, |x, _, _, [total]| [simd.add_f32s(total, x)]);
    total
}
