//! Optimizers: stochastic gradient descent with momentum, Adam and AdamW, with decay and clipping.
//! Those of candle-nn cannot restrict an l2 decay to kernels, apply masks, or save their state.
//!
//! Pruned weights are not updated: they and their moments remain zero. On the CPU, the step of
//! a tensor is one in-place pass over it (`host`); elsewhere all parameters are one flat tensor
//! (`device`), so that the number of layers changes only the number of copies. A step never waits
//! for the device.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

use super::hyperparameters::{Adam, Decay, DecayKind, Hyperparameters, OptimizerKind, Sgd};
use crate::network::{Network, State};
use crate::pruning::Masks;

mod device;
mod host;
mod rule;
#[cfg(test)]
mod tests;

use device::Flat;
use host::Host;
use rule::{AdamRule, SgdRule};

/// The optimizer of one network.
#[derive(Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    decay: Decay,
    clip: Option<f64>,
    /// The number of steps taken.
    steps: u64,
    moments: Moments,
}

/// The moments of all parameters, stored where steps are computed.
#[derive(Debug)]
enum Moments {
    /// On the CPU, the velocity.
    Sgd(Sgd, Host<1>),
    /// On the CPU, the mean gradient and the mean squared gradient.
    Adam(Adam, Host<2>),
    /// On another device.
    Device(Flat),
}

/// The state of an optimizer, from which it resumes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OptimizerState {
    /// The number of steps taken.
    pub steps: u64,
    /// The moments by their names from [`OptimizerKind::moments`]: one array per parameter, with
    /// its name and shape.
    pub moments: BTreeMap<String, State>,
}

/// The inputs of a step other than gradients and moments.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: OptimizerKind,
    decay: Decay,
    clip: Option<f64>,
    /// The learning rate.
    rate: f64,
    /// The step's number, from 1.
    number: u64,
}

impl Step {
    /// Returns the multiple of a weight that an l2 decay adds to its gradient.
    fn l2(&self) -> f64 {
        match self.decay.kind {
            DecayKind::L2 => 2.0 * self.decay.amount,
            DecayKind::Decoupled => 0.0,
        }
    }

    /// Returns the share of a weight that a decoupled decay subtracts from it.
    fn shrinkage(&self) -> f64 {
        match self.decay.kind {
            DecayKind::L2 => 0.0,
            DecayKind::Decoupled => self.rate * self.decay.amount,
        }
    }
}

impl OptimizerKind {
    /// Returns the names of the moments per parameter.
    #[must_use]
    pub fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(_) => &["velocity"],
            Self::Adam(_) => &["mean", "square"],
        }
    }
}

impl Optimizer {
    /// Creates the optimizer of `network` with moments of zero; `masks` tell which weights are
    /// pruned.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn new(
        network: &Network,
        masks: Option<&Masks>,
        hyperparameters: &Hyperparameters,
    ) -> Result<Self> {
        let kind = hyperparameters.optimizer;
        let moments = match kind {
            _ if !network.fused() => {
                Moments::Device(Flat::new(network, masks, kind.moments().len())?)
            }
            OptimizerKind::Sgd(sgd) => Moments::Sgd(sgd, Host::new(network, masks)),
            OptimizerKind::Adam(adam) => Moments::Adam(adam, Host::new(network, masks)),
        };
        Ok(Self {
            kind,
            decay: hyperparameters.decay,
            clip: hyperparameters.clip,
            steps: 0,
            moments,
        })
    }

    /// Updates every parameter of `network` at the learning rate `rate`. Each gradient is taken
    /// from the parameter's gradient slot, or else from `gradients`; a parameter without a
    /// gradient is not updated.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn step(&mut self, network: &Network, gradients: &GradStore, rate: f64) -> Result<()> {
        let gradients: Vec<Option<Tensor>> = (network.parameters().iter())
            .map(|parameter| {
                let slot = parameter.gradient.take();
                slot.or_else(|| gradients.get(&parameter.var).cloned())
                    .map(|gradient| gradient.contiguous())
                    .transpose()
            })
            .collect::<Result<_>>()?;
        self.steps += 1;
        let step = Step {
            kind: self.kind,
            decay: self.decay,
            clip: self.clip,
            rate,
            number: self.steps,
        };
        match &mut self.moments {
            Moments::Sgd(sgd, host) => {
                let scale = host.scale(&gradients, self.clip)?;
                let rule = |decays| SgdRule::new(sgd, &step, scale, decays);
                host.step(network, &gradients, rule)
            }
            Moments::Adam(adam, host) => {
                let scale = host.scale(&gradients, self.clip)?;
                let rule = |decays| AdamRule::new(adam, &step, scale, decays);
                host.step(network, &gradients, rule)
            }
            Moments::Device(flat) => flat.step(network, &gradients, &step),
        }
    }

    /// Returns the state, copied to the host.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn state(&self, network: &Network) -> Result<OptimizerState> {
        let mut moments = BTreeMap::new();
        for (index, &name) in self.kind.moments().iter().enumerate() {
            let state = match &self.moments {
                Moments::Sgd(_, host) => host.state(network, index),
                Moments::Adam(_, host) => host.state(network, index),
                Moments::Device(flat) => flat.state(network, index)?,
            };
            moments.insert(name.into(), state);
        }
        Ok(OptimizerState {
            steps: self.steps,
            moments,
        })
    }

    /// Sets the state to `state`, which must contain all moments of `network`.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    ///
    /// # Panics
    /// Panics if a moment is missing: a state is used only with the network and the kind of
    /// optimizer that it was created or checked for.
    pub fn restore(&mut self, network: &Network, state: &OptimizerState) -> Result<()> {
        self.steps = state.steps;
        for (index, &name) in self.kind.moments().iter().enumerate() {
            let moments = &state.moments[name];
            match &mut self.moments {
                Moments::Sgd(_, host) => host.restore(network, index, moments),
                Moments::Adam(_, host) => host.restore(network, index, moments),
                Moments::Device(flat) => flat.restore(network, index, moments)?,
            }
        }
        Ok(())
    }
}
