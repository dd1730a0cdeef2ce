//! The memory of a training step: the values of every group, what backward passes need, and
//! gradients. It is reused by later steps, which would otherwise spend much of their time on
//! allocating and clearing memory.

use super::conv::Scratch;
use super::group::Group;
use super::norm::UnitMoments;
use super::operands::Operands;

/// The memory of a step.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) groups: Vec<GroupRoom>,
    pub(super) spare: Spare,
}

/// The memory of one group.
#[derive(Debug, Default)]
pub(super) struct GroupRoom {
    pub(super) operands: Operands,
    pub(super) passed: Passed,
    /// The gradient of the output.
    pub(super) gradient: Vec<f32>,
}

/// The results of the forward pass of a group.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The output (live units · positions, batch).
    pub(super) output: Vec<f32>,
    /// The values before batch norm and ReLU, if the backward pass needs them.
    pub(super) values: Vec<f32>,
    /// The moments of each unit, if the backward pass needs them.
    pub(super) moments: Vec<UnitMoments>,
    /// The position that each maximum came from, if the backward pass needs it.
    pub(super) origins: Vec<u32>,
}

/// Buffers for intermediate results.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// The values of a unit before batch norm, and its gradient.
    pub(super) unit: Vec<f32>,
    /// The values of a unit before pooling, and their gradient.
    pub(super) unpooled: Vec<f32>,
    /// The gradients of all units before batch norm.
    pub(super) units: Vec<f32>,
    /// The gradient of the source of a dense layer or convolution.
    pub(super) source: Vec<f32>,
    pub(super) scratch: Scratch,
}

impl Passed {
    /// Resizes the buffers for the passes of `group` over `batch` samples: both passes if the
    /// network `trains`, otherwise only the forward pass. The passes overwrite all contents.
    pub(super) fn fit(&mut self, group: &Group, batch: usize, trains: bool) {
        let (plane, pooled) = (group.area * batch, group.output_area() * batch);
        let keeps = trains && group.keeps_values();
        let norms = trains && group.norm.is_some();
        let origins = trains && group.pool.as_ref().is_some_and(|pool| pool.has_origins());
        let units = |is_needed: bool| if is_needed { group.units } else { 0 };
        self.output.resize(group.units * pooled, 0.0);
        self.values.resize(units(keeps) * plane, 0.0);
        self.moments.resize(units(norms), UnitMoments::default());
        self.origins.resize(units(origins) * pooled, 0);
    }
}
