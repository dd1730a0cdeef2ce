//! The parameters of a group as its passes read them, or their gradients.

use candle_core::{Device, Result, Tensor};

use super::Parameters;
use super::group::Group;
use crate::network::operators::GradientSlot;
use crate::network::operators::operand::with_slice;
use crate::network::parameter::Parameter;

/// For each parameter, one value per kept weight or live unit; empty if the group lacks it.
#[derive(Debug, Default)]
pub(super) struct Operands {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

/// The slots of the gradients of a group's parameters.
#[derive(Debug)]
pub(super) struct Slots([Option<GradientSlot>; 4]);

/// Returns the parameters of `group`: weight, bias, scale and shift.
fn of_group<'a>(parameters: Parameters<'a>, group: &Group) -> [Option<&'a Parameter>; 4] {
    let parameter = |node: Option<usize>, at: usize| parameters(node?).get(at);
    [
        parameter(group.kernel, 0),
        parameter(group.kernel, 1),
        parameter(group.norm, 0),
        parameter(group.norm, 1),
    ]
}

impl Operands {
    /// Copies the values of the parameters of `group`.
    pub(super) fn load(&mut self, parameters: Parameters<'_>, group: &Group) -> Result<()> {
        let fields = self.fields();
        for (values, parameter) in fields.into_iter().zip(of_group(parameters, group)) {
            values.clear();
            if let Some(parameter) = parameter {
                with_slice(&parameter.var, |new| values.extend_from_slice(new))?;
            }
        }
        Ok(())
    }

    /// Returns weight, bias, scale and shift.
    fn fields(&mut self) -> [&mut Vec<f32>; 4] {
        let Self {
            weight,
            bias,
            scale,
            shift,
        } = self;
        [weight, bias, scale, shift]
    }
}

impl Slots {
    /// Returns the slots of the parameters of `group`.
    pub(super) fn of(parameters: Parameters<'_>, group: &Group) -> Self {
        let slot = |parameter: Option<&Parameter>| Some(parameter?.gradient.clone());
        Self(of_group(parameters, group).map(slot))
    }

    /// Stores `gradients`.
    pub(super) fn put(&self, mut gradients: Operands) -> Result<()> {
        for (slot, gradient) in self.0.iter().zip(gradients.fields()) {
            if let Some(slot) = slot {
                let length = gradient.len();
                let gradient = Tensor::from_vec(std::mem::take(gradient), length, &Device::Cpu)?;
                slot.put(gradient);
            }
        }
        Ok(())
    }
}
