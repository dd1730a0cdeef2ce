//! A group as a candle operator: forward and backward passes over its live units.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use pulp::{Arch, Simd, WithSimd};

use super::conv::Scratch;
use super::group::{Group, Head};
use super::norm::{self, Affine, UnitMoments};
use crate::network::operators::operand::with_slice;
use crate::network::operators::{GradientSlot, Operand};
use crate::network::statistics::EPSILON;

/// The parameters of a group, one value per kept weight or live unit.
#[derive(Debug, Default)]
pub(super) struct Operands {
    pub(super) weight: Option<Held>,
    pub(super) bias: Option<Held>,
    pub(super) scale: Option<Held>,
    pub(super) shift: Option<Held>,
}

impl Operands {
    /// Returns the scale and shift of the batch norm; they are empty without one.
    pub(super) fn norm(&self) -> (&[f32], &[f32]) {
        (values(self.scale.as_ref()), values(self.shift.as_ref()))
    }
}

/// A parameter as an operator keeps it.
#[derive(Debug)]
pub(super) struct Held {
    tensor: Tensor,
    values: Vec<f32>,
    gradient: GradientSlot,
}

impl Held {
    /// Copies the values of `operand`.
    pub(super) fn new(operand: &Operand<'_>) -> Result<Self> {
        Ok(Self {
            values: with_slice(&operand.values, <[f32]>::to_vec)?,
            tensor: operand.values.clone(),
            gradient: operand.gradient.clone(),
        })
    }

    /// Stores the gradient.
    fn put(&self, gradient: Vec<f32>) -> Result<()> {
        let length = gradient.len();
        self.gradient
            .put(Tensor::from_vec(gradient, length, &Device::Cpu)?);
        Ok(())
    }
}

/// Returns the values of a parameter, or none.
fn values(held: Option<&Held>) -> &[f32] {
    held.map_or(&[], |held| held.values.as_slice())
}

/// The operator of one application.
struct Application {
    group: Arc<Group>,
    operands: Operands,
    batch: usize,
    /// The output, computed in advance, and what the backward pass needs.
    passed: Mutex<Passed>,
    /// Whether the sources need gradients.
    input_gradient: bool,
}

/// What a forward pass leaves.
#[derive(Default)]
struct Passed {
    output: Vec<f32>,
    /// The values before batch norm and ReLU, if they are needed again.
    values: Vec<f32>,
    moments: Vec<UnitMoments>,
    /// The position that each maximum came from.
    origins: Vec<u32>,
}

/// Computes the output (live units · positions, batch) of `group` for its `sources` of the same
/// layout, normalising by the statistics of the batch. The backward pass stores the gradients of
/// the parameters in their slots.
pub(super) fn train(group: &Arc<Group>, sources: &[&Tensor], operands: Operands) -> Result<Tensor> {
    let (first, batch) = (sources[0], sources[0].dim(1)?);
    let second = sources
        .get(1)
        .map_or_else(|| first.detach(), |&second| second.clone());
    let passed = forward(group, [first, &second], &operands, None, batch)?;
    // A tracked parameter lets candle call the backward pass if no source is tracked.
    let parameter = operands.weight.as_ref().or(operands.scale.as_ref());
    let parameter = parameter.map_or_else(|| first.detach(), |held| held.tensor.clone());
    let operator = Application {
        group: group.clone(),
        operands,
        batch,
        passed: Mutex::new(passed),
        input_gradient: sources.iter().any(|source| source.track_op()),
    };
    first.apply_op3(&second, &parameter, operator)
}

/// Computes the output of `group` as [`train`] does, but with the given normalisation of each
/// unit, if the group has a batch norm, and without gradients.
pub(super) fn evaluate(
    group: &Group,
    sources: &[&Tensor],
    operands: &Operands,
    norm: &[Affine],
) -> Result<Tensor> {
    let (first, batch) = (sources[0], sources[0].dim(1)?);
    let second = sources.get(1).copied().unwrap_or(first);
    let passed = forward(group, [first, second], operands, Some(norm), batch)?;
    let rows = group.units * group.output_area();
    Tensor::from_vec(passed.output, (rows, batch), first.device())
}

/// Runs the forward pass. The batch is normalised by its own statistics unless `norm` is given.
fn forward(
    group: &Group,
    [first, second]: [&Tensor; 2],
    operands: &Operands,
    norm: Option<&[Affine]>,
    batch: usize,
) -> Result<Passed> {
    with_slice(first, |x| {
        with_slice(second, |other| {
            Arch::new().dispatch(Forward {
                group,
                operands,
                norm,
                batch,
                x,
                other,
            })
        })
    })?
}

/// A forward pass.
struct Forward<'a> {
    group: &'a Group,
    operands: &'a Operands,
    norm: Option<&'a [Affine]>,
    batch: usize,
    x: &'a [f32],
    other: &'a [f32],
}

impl WithSimd for Forward<'_> {
    type Output = Passed;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Passed {
        let Self { group, batch, .. } = self;
        let (plane, pooled) = (group.area * batch, group.output_area() * batch);
        let trains = self.norm.is_none();
        let keeps = trains && group.keeps_values();
        let bare = group.norm.is_none() && !group.relu;
        let mut passed = Passed {
            output: vec![0.0; group.units * pooled],
            ..Passed::default()
        };
        if keeps {
            passed.values = vec![0.0; group.units * plane];
        }
        if trains && group.norm.is_some() {
            passed.moments = vec![UnitMoments::default(); group.units];
        }
        if trains && group.pool.as_ref().is_some_and(|pool| pool.has_origins()) {
            passed.origins = vec![0; group.units * pooled];
        }
        let (mut spare, mut mapped) = (vec![0.0; plane], vec![0.0; plane]);
        let mut scratch = Scratch::default();
        for unit in 0..group.units {
            let output = &mut passed.output[unit * pooled..][..pooled];
            let values = match keeps {
                true => &mut passed.values[unit * plane..][..plane],
                false => spare.as_mut_slice(),
            };
            let values = self.head(simd, unit, values, &mut scratch);
            let affine = group.norm.map(|_| match self.norm {
                Some(norm) => norm[unit],
                None => {
                    let moments = UnitMoments::of(simd, values, EPSILON as f32);
                    passed.moments[unit] = moments;
                    let [scale, shift] = [&self.operands.scale, &self.operands.shift]
                        .map(|held| self::values(held.as_ref())[unit]);
                    moments.affine(scale, shift)
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
                norm::apply(&mut mapped, values, affine, group.relu);
                pool.forward(simd, output, &mapped, origins);
            }
        }
        passed
    }
}

impl<'a> Forward<'a> {
    /// Returns the values of `unit` before batch norm, which are written to `room` unless they
    /// are those of the source.
    #[inline(always)]
    fn head<'b, S: Simd>(
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
        let weights = values(self.operands.weight.as_ref());
        let bias = values(self.operands.bias.as_ref());
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
                dense.forward(simd, unit, room, self.x, weights);
            }
            Head::Conv(conv) => {
                room.fill(bias.get(unit).copied().unwrap_or(0.0));
                conv.forward(simd, unit, room, self.x, weights, scratch);
            }
        }
        room
    }
}

/// The gradients that a backward pass computes.
#[derive(Default)]
struct Gradients {
    /// Of the source, or of both sources of an addition.
    source: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// A backward pass.
struct Backward<'a> {
    application: &'a Application,
    passed: &'a Passed,
    x: &'a [f32],
    dy: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = Gradients;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Gradients {
        let Application {
            group,
            operands,
            batch,
            ..
        } = self.application;
        let (plane, pooled) = (group.area * batch, group.output_area() * batch);
        let has_kernel = matches!(*group.head, Head::Dense(_) | Head::Conv(_));
        let keeps = self.application.input_gradient;
        let mut gradients = Gradients {
            weight: vec![0.0; values(operands.weight.as_ref()).len()],
            ..Gradients::default()
        };
        let mut all = vec![0.0; if keeps { group.units * plane } else { 0 }];
        let (mut spare, mut unpooled) = (vec![0.0; plane], vec![0.0; plane]);
        let mut scratch = Scratch::default();
        for unit in 0..group.units {
            let dy = &self.dy[unit * pooled..][..pooled];
            let dy = match &group.pool {
                None => dy,
                Some(pool) => {
                    let origins = match pool.has_origins() {
                        true => &self.passed.origins[unit * pooled..][..pooled],
                        false => &[],
                    };
                    pool.backward(simd, &mut unpooled, dy, origins);
                    &unpooled
                }
            };
            let dz = match keeps {
                true => &mut all[unit * plane..][..plane],
                false => spare.as_mut_slice(),
            };
            self.unit(simd, unit, dz, dy, &mut gradients);
            if operands.bias.is_some() {
                gradients.bias.push(norm::total(simd, dz));
            }
            let d_weight = &mut gradients.weight;
            match &*group.head {
                Head::Dense(dense) => dense.weight_gradient(simd, unit, dz, self.x, d_weight),
                Head::Conv(conv) => {
                    conv.weight_gradient(simd, unit, dz, self.x, d_weight, &mut scratch);
                }
                Head::Same | Head::Sum => {}
            }
        }
        if keeps && has_kernel {
            let mut dx = vec![0.0; self.x.len()];
            let weights = values(operands.weight.as_ref());
            match &*group.head {
                Head::Dense(dense) => dense.input_gradient(simd, &mut dx, &all, weights, *batch),
                Head::Conv(conv) => {
                    conv.input_gradient(simd, &mut dx, &all, weights, *batch, &mut scratch);
                }
                Head::Same | Head::Sum => {}
            }
            gradients.source = dx;
        } else if keeps {
            gradients.source = all;
        }
        gradients
    }
}

impl Backward<'_> {
    /// Writes the gradient `dz` of the values of `unit` before batch norm, from that after the
    /// ReLU, and appends those of scale and shift.
    #[inline(always)]
    fn unit<S: Simd>(
        &self,
        simd: S,
        unit: usize,
        dz: &mut [f32],
        dy: &[f32],
        gradients: &mut Gradients,
    ) {
        let Application {
            group, operands, ..
        } = self.application;
        if group.norm.is_none() && !group.relu {
            dz.copy_from_slice(dy);
            return;
        }
        let kept = match *group.head {
            Head::Same => self.x,
            _ => &self.passed.values,
        };
        let z = &kept[unit * dz.len()..][..dz.len()];
        let [scale, shift] = [&operands.scale, &operands.shift]
            .map(|held| values(held.as_ref()).get(unit).copied().unwrap_or(0.0));
        let moments = self.passed.moments.get(unit).copied();
        let affine = moments.map(|moments| moments.affine(scale, shift));
        match group.relu {
            true => norm::relu_gradient(dz, dy, z, affine),
            false => dz.copy_from_slice(dy),
        }
        if let Some(moments) = moments {
            let (d_scale, d_shift) = norm::norm_gradient(simd, dz, z, scale, moments);
            gradients.scale.push(d_scale);
            gradients.shift.push(d_shift);
        }
    }
}

impl CustomOp3 for Application {
    fn name(&self) -> &'static str {
        "sparse layer"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = self.group.units * self.group.output_area();
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let output = std::mem::take(&mut passed.output);
        Ok((CpuStorage::F32(output), Shape::from((rows, self.batch))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        other: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let gradients = with_slice(x, |x| {
            with_slice(&gradient, |dy| {
                Arch::new().dispatch(Backward {
                    application: self,
                    passed: &passed,
                    x,
                    dy,
                })
            })
        })??;
        let Gradients {
            source,
            weight,
            bias,
            scale,
            shift,
        } = gradients;
        let Operands {
            weight: to_weight,
            bias: to_bias,
            scale: to_scale,
            shift: to_shift,
        } = &self.operands;
        let pairs = [
            (to_weight, weight),
            (to_bias, bias),
            (to_scale, scale),
            (to_shift, shift),
        ];
        for (held, gradient) in pairs {
            if let Some(held) = held {
                held.put(gradient)?;
            }
        }
        if !self.input_gradient {
            return Ok((None, None, None));
        }
        let source = Tensor::from_vec(source, x.shape(), x.device())?;
        let both = matches!(*self.group.head, Head::Sum) && other.track_op();
        Ok((Some(source.clone()), both.then_some(source), None))
    }
}
