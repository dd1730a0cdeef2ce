//! The forward pass of a group, unit by unit.

use pulp::{Simd, WithSimd};

use super::conv::Scratch;
use super::group::{Group, Head};
use super::norm::{self, Affine, UnitMoments};
use super::operands::Operands;
use super::room::{Passed, Spare};
use crate::network::statistics::EPSILON;

/// A forward pass.
pub(super) struct Forward<'a> {
    pub(super) group: &'a Group,
    pub(super) operands: &'a Operands,
    /// The normalisation of the units; `None` to use the statistics of the batch.
    pub(super) norm: Option<&'a [Affine]>,
    pub(super) batch: usize,
    /// The values of the source.
    pub(super) x: &'a [f32],
    /// The values of the second source of an addition.
    pub(super) other: &'a [f32],
    /// The buffers for the results, which have the right sizes.
    pub(super) passed: &'a mut Passed,
    pub(super) spare: &'a mut Spare,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            group,
            operands,
            batch,
            passed,
            spare,
            ..
        } = self;
        let (plane, pooled) = (group.area * batch, group.output_area() * batch);
        let keeps = !passed.values.is_empty();
        let bare = group.norm.is_none() && group.relu.is_none();
        spare.unit.resize(plane, 0.0);
        spare.unpooled.resize(plane, 0.0);
        let source = Source {
            group,
            operands,
            x: self.x,
            other: self.other,
        };
        for unit in 0..group.units {
            let output = &mut passed.output[unit * pooled..][..pooled];
            let values = match keeps {
                true => &mut passed.values[unit * plane..][..plane],
                false => spare.unit.as_mut_slice(),
            };
            let values = source.values(simd, unit, values, &mut spare.scratch);
            let affine = group.norm.map(|_| match self.norm {
                Some(norm) => norm[unit],
                None => {
                    let moments = UnitMoments::of(simd, values, EPSILON as f32);
                    passed.moments[unit] = moments;
                    moments.affine(operands.scale[unit], operands.shift[unit])
                }
            });
            let Some(pool) = &group.pool else {
                norm::apply(output, values, affine, group.relu);
                continue;
            };
            let origins = match passed.origins.is_empty() {
                true => &mut [],
                false => &mut passed.origins[unit * pooled..][..pooled],
            };
            if bare {
                pool.forward(simd, output, values, origins);
            } else {
                norm::apply(&mut spare.unpooled, values, affine, group.relu);
                pool.forward(simd, output, &spare.unpooled, origins);
            }
        }
    }
}

/// What the values of a group's units are computed from.
struct Source<'a> {
    group: &'a Group,
    operands: &'a Operands,
    x: &'a [f32],
    other: &'a [f32],
}

impl<'a> Source<'a> {
    /// Returns the values of `unit` before batch norm, which are written to `room` unless they
    /// are those of the source.
    #[inline(always)]
    fn values<'b, S: Simd>(
        &self,
        simd: S,
        unit: usize,
        room: &'b mut [f32],
        scratch: &mut Scratch,
    ) -> &'b [f32]
    where
        'a: 'b,
    {
        let range = unit * room.len()..(unit + 1) * room.len();
        let Operands { weight, bias, .. } = self.operands;
        match &*self.group.head {
            Head::Same => return &self.x[range],
            Head::Sum => {
                let pairs = self.x[range.clone()].iter().zip(&self.other[range]);
                room.iter_mut()
                    .zip(pairs)
                    .for_each(|(sum, (x, y))| *sum = x + y);
            }
            Head::Dense(dense) => {
                room.fill(bias.get(unit).copied().unwrap_or(0.0));
                dense.forward(simd, unit, room, self.x, weight);
            }
            Head::Conv(conv) => {
                room.fill(bias.get(unit).copied().unwrap_or(0.0));
                conv.forward(simd, unit, room, self.x, weight, scratch);
            }
        }
        room
    }
}
