//! A training step of the whole network as one candle operator.
//!
//! candle differentiates the loss and passes on the gradient of the class scores; the groups
//! propagate it further themselves. A step takes about 100 µs, of which candle's graph of
//! operators, which clears and adds gradients, would take a large part.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::Arch;

use super::Parameters;
use super::forward::Forward;
use super::group::Group;
use super::groups::Groups;
use super::norm::Affine;
use super::operands::{Operands, Slots};
use super::room::{Passed, Room, Spare};
use super::scores::transposed;
use crate::network::operators::operand::with_slice;

/// A training step.
struct Step {
    groups: Arc<Groups>,
    slots: Vec<Slots>,
    batch: usize,
    /// The results of the forward pass.
    room: Mutex<Room>,
}

/// Computes the class scores (batch, classes) of the live inputs `x` (inputs, batch), normalising
/// with the statistics of the batch. The backward pass stores the gradients of the parameters in
/// their slots.
///
/// # Errors
/// Returns an error if a tensor is not contiguous f32 on the CPU.
pub(super) fn train(
    groups: &Arc<Groups>,
    parameters: Parameters<'_>,
    x: &Tensor,
) -> Result<Tensor> {
    let batch = x.dim(1)?;
    let mut room = groups.room(parameters)?;
    with_slice(x, |x| groups.forward(&mut room, x, batch))?;
    // candle calls the backward pass because a parameter is tracked.
    let mut nodes = groups
        .all
        .iter()
        .flat_map(|group| [group.kernel, group.norm]);
    let parameter = nodes.find_map(|node| parameters(node?).first());
    let parameter = parameter.map_or_else(|| x.detach(), |p| p.var.as_tensor().clone());
    let slots = groups.all.iter().map(|group| Slots::of(parameters, group));
    let step = Step {
        slots: slots.collect(),
        groups: groups.clone(),
        batch,
        room: Mutex::new(room),
    };
    x.apply_op2(&parameter, step)
}

/// Computes the output (live units · positions, batch) of `group` from its `sources`, which have
/// the same layout. `norm` is the normalisation of each unit if the group has a batch norm.
///
/// # Errors
/// Returns an error if a tensor is not contiguous f32 on the CPU.
pub(super) fn evaluate(
    group: &Group,
    sources: &[&Tensor],
    operands: &Operands,
    norm: &[Affine],
) -> Result<Tensor> {
    let (first, batch) = (sources[0], sources[0].dim(1)?);
    let second = sources.get(1).copied().unwrap_or(first);
    let mut passed = Passed::default();
    passed.fit(group, batch, false);
    with_slice(first, |x| {
        with_slice(second, |other| {
            Arch::new().dispatch(Forward {
                group,
                operands,
                norm: Some(norm),
                batch,
                x,
                other,
                passed: &mut passed,
                spare: &mut Spare::default(),
            });
        })
    })??;
    let rows = group.units * group.output_area();
    Tensor::from_vec(passed.output, (rows, batch), first.device())
}

impl CustomOp2 for Step {
    fn name(&self) -> &'static str {
        "sparse network"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let scores = room
            .groups
            .last()
            .map_or(&[][..], |last| &last.passed.output);
        let classes = scores.len() / self.batch;
        let scores = transposed(scores, (classes, self.batch));
        Ok((CpuStorage::F32(scores), Shape::from((self.batch, classes))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        scores: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let shape = scores.dims2()?;
        let dy = with_slice(&gradient.contiguous()?, |dy| transposed(dy, shape))?;
        if let Some(last) = room.groups.last_mut() {
            last.gradient = dy;
        }
        let gradients = with_slice(x, |x| self.groups.backward(&mut room, x, self.batch))?;
        for (slots, gradients) in self.slots.iter().zip(gradients) {
            slots.put(gradients)?;
        }
        Ok((None, None))
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let room = self.room.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.groups.take_back(std::mem::take(room));
    }
}
