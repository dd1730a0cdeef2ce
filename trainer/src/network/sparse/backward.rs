//! The backward pass of a group, unit by unit.

use pulp::{Simd, WithSimd};

use super::group::{Group, Head};
use super::norm;
use super::operands::Operands;
use super::room::{Passed, Spare};

/// A backward pass.
pub(super) struct Backward<'a> {
    pub(super) group: &'a Group,
    pub(super) operands: &'a Operands,
    pub(super) passed: &'a Passed,
    pub(super) batch: usize,
    /// The values of the source.
    pub(super) x: &'a [f32],
    /// The gradient of the output.
    pub(super) dy: &'a [f32],
    /// Whether the sources need gradients. That of the source of a layer is left in
    /// [`Spare::source`], that of any other source in [`Spare::units`].
    pub(super) input_gradient: bool,
    pub(super) spare: &'a mut Spare,
}

impl WithSimd for Backward<'_> {
    type Output = Operands;

    /// Returns the gradients of the parameters.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Operands {
        let Self {
            group,
            operands,
            passed,
            batch,
            x,
            ..
        } = self;
        let Spare {
            unit: spare,
            unpooled,
            units: all,
            source,
            scratch,
        } = self.spare;
        let (plane, pooled) = (group.area * batch, group.output_area() * batch);
        let keeps = self.input_gradient;
        let mut gradients = Operands {
            weight: vec![0.0; operands.weight.len()],
            ..Operands::default()
        };
        all.resize(if keeps { group.units * plane } else { 0 }, 0.0);
        spare.resize(plane, 0.0);
        unpooled.resize(plane, 0.0);
        let units = Units {
            group,
            operands,
            passed,
            x,
        };
        for unit in 0..group.units {
            let dy = &self.dy[unit * pooled..][..pooled];
            let dy = match &group.pool {
                None => dy,
                Some(pool) => {
                    let origins = match pool.has_origins() {
                        true => &passed.origins[unit * pooled..][..pooled],
                        false => &[],
                    };
                    pool.backward(simd, unpooled, dy, origins);
                    &*unpooled
                }
            };
            let dz = match keeps {
                true => &mut all[unit * plane..][..plane],
                false => spare.as_mut_slice(),
            };
            units.before_norm(simd, unit, dz, dy, &mut gradients);
            if !operands.bias.is_empty() {
                gradients.bias.push(norm::total(simd, dz));
            }
            let d_weight = &mut gradients.weight;
            match &*group.head {
                Head::Dense(dense) => dense.weight_gradient(simd, unit, dz, x, d_weight),
                Head::Conv(conv) => conv.weight_gradient(simd, unit, dz, x, d_weight, scratch),
                Head::Same | Head::Sum => {}
            }
        }
        if keeps {
            source.clear();
            match &*group.head {
                Head::Dense(dense) => {
                    source.resize(x.len(), 0.0);
                    dense.input_gradient(simd, source, all, &operands.weight, batch, scratch);
                }
                Head::Conv(conv) => {
                    source.resize(x.len(), 0.0);
                    conv.input_gradient(simd, source, all, &operands.weight, batch, scratch);
                }
                Head::Same | Head::Sum => {}
            }
        }
        gradients
    }
}

/// What the gradients of a group's units are computed from.
struct Units<'a> {
    group: &'a Group,
    operands: &'a Operands,
    passed: &'a Passed,
    x: &'a [f32],
}

impl Units<'_> {
    /// Writes the gradient `dz` of the values of `unit` before batch norm, from that after the
    /// ReLU, and appends those of scale and shift to `gradients`.
    #[inline(always)]
    fn before_norm<S: Simd>(
        &self,
        simd: S,
        unit: usize,
        dz: &mut [f32],
        dy: &[f32],
        gradients: &mut Operands,
    ) {
        let Self {
            group,
            operands,
            passed,
            ..
        } = self;
        if group.norm.is_none() && group.relu.is_none() {
            dz.copy_from_slice(dy);
            return;
        }
        let kept = match *group.head {
            Head::Same => self.x,
            _ => &passed.values,
        };
        let z = &kept[unit * dz.len()..][..dz.len()];
        let moments = passed.moments.get(unit).copied();
        let affine = moments.map(|m| m.affine(operands.scale[unit], operands.shift[unit]));
        match group.relu {
            Some(most) => norm::relu_gradient(dz, dy, z, affine, most),
            None => dz.copy_from_slice(dy),
        }
        if let Some(moments) = moments {
            let scale = operands.scale[unit];
            let (d_scale, d_shift) = norm::norm_gradient(simd, dz, z, scale, moments);
            gradients.scale.push(d_scale);
            gradients.shift.push(d_shift);
        }
    }
}
