//! Stochastic gradient descent with momentum and l2 regularization (candle-nn has neither).
//!
//! `v <- mu v - rate (g + 2 l2 w)`, `w <- w + v`: the rate is part of the velocity, and the loss
//! has a term `l2 w^2` for kernels only, as in Keras (half of PyTorch's weight decay). Pruned
//! weights are not updated: the weight and its velocity remain zero. On the CPU, the step of a
//! tensor is one in-place pass.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor};

use crate::network::model::Parameter;
use crate::network::{Network, State};
use crate::pruning::{Mask, Masks};

/// The coefficients that are constant over a phase.
#[derive(Debug, Clone, Copy)]
pub struct Coefficients {
    /// The momentum coefficient, mu.
    pub momentum: f64,
    /// The factor of the sum of squared kernel weights in the loss.
    pub l2: f64,
}

/// The optimizer's state: one velocity per parameter.
#[derive(Debug)]
pub struct Momentum {
    coefficients: Coefficients,
    slots: Vec<Slot>,
}

/// The state of one parameter.
#[derive(Debug)]
struct Slot {
    velocity: Velocity,
    l2: f32,
}

/// A velocity: on the host for the in-place step on the CPU, otherwise on the device of its
/// parameter.
#[derive(Debug)]
enum Velocity {
    /// On the host. `alive` are the flat indices of the weights that are not pruned, if any are
    /// pruned.
    Host {
        values: Vec<f32>,
        alive: Option<Vec<u32>>,
    },
    /// On the device. `mask` is zero for pruned weights and one for the others, if any are pruned.
    Device {
        values: Tensor,
        mask: Option<Tensor>,
    },
}

impl Momentum {
    /// Creates the optimizer of `network` with velocities of zero. `masks` name the pruned
    /// weights.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn new(
        network: &Network,
        masks: Option<&Masks>,
        coefficients: Coefficients,
    ) -> Result<Self> {
        let masks: HashMap<&str, &Mask> = (masks.into_iter().flat_map(Masks::iter))
            .map(|mask| (mask.name.as_str(), mask))
            .collect();
        let slot = |parameter: &Parameter| {
            // A sparse network holds only what is kept.
            let mask = masks.get(parameter.name.as_str());
            let mask = mask.filter(|_| parameter.places.is_none());
            let velocity = if network.fused() {
                let alive = mask.map(|mask| {
                    let kept = mask.keep.iter().enumerate().filter(|&(_, &keep)| keep);
                    kept.map(|(element, _)| element as u32).collect()
                });
                Velocity::Host {
                    values: vec![0.0; parameter.var.elem_count()],
                    alive,
                }
            } else {
                let tensor = |mask: &&Mask| {
                    let values: Vec<f32> = mask
                        .keep
                        .iter()
                        .map(|&keep| f32::from(u8::from(keep)))
                        .collect();
                    Tensor::from_vec(values, mask.shape.as_slice(), network.device())?
                        .to_dtype(network.dtype())
                };
                let mask = mask.map(tensor).transpose()?;
                Velocity::Device {
                    values: parameter.var.zeros_like()?,
                    mask,
                }
            };
            let l2 = if parameter.kernel {
                coefficients.l2 as f32
            } else {
                0.0
            };
            Ok(Slot { velocity, l2 })
        };
        let slots = network
            .parameters()
            .iter()
            .map(slot)
            .collect::<Result<_>>()?;
        Ok(Self {
            coefficients,
            slots,
        })
    }

    /// Updates every parameter of `network` at the learning rate `rate`. Gradients are taken from
    /// the parameters' slots, or else from `gradients`; a parameter without one is not updated.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn step(&mut self, network: &Network, gradients: &GradStore, rate: f64) -> Result<()> {
        let momentum = self.coefficients.momentum as f32;
        for (slot, parameter) in self.slots.iter_mut().zip(network.parameters()) {
            let gradient = parameter.gradient.take();
            let Some(gradient) = gradient.as_ref().or_else(|| gradients.get(&parameter.var)) else {
                continue;
            };
            match &mut slot.velocity {
                Velocity::Host { values, alive } => {
                    let step = Step {
                        velocity: RefCell::new(values),
                        alive: alive.as_deref(),
                        momentum,
                        rate: rate as f32,
                        l2: slot.l2,
                    };
                    parameter.var.inplace_op2(&gradient.contiguous()?, &step)?;
                }
                Velocity::Device { values, mask } => {
                    let weights = parameter.var.as_detached_tensor();
                    let decay = (&weights * (2.0 * f64::from(slot.l2)))?;
                    let mut gradient = (gradient + decay)?;
                    if let Some(mask) = mask {
                        gradient = gradient.mul(mask)?;
                    }
                    let next = ((&*values * self.coefficients.momentum)? - (gradient * rate)?)?;
                    *values = next.detach();
                    parameter.var.set(&(weights + &*values)?)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the velocities as host arrays, by the names of the parameters.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn state(&self, network: &Network) -> Result<State> {
        let mut state = State::default();
        for (slot, parameter) in self.slots.iter().zip(network.parameters()) {
            let values = match &slot.velocity {
                Velocity::Host { values, .. } => values.clone(),
                Velocity::Device { values, .. } => {
                    values.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?
                }
            };
            state.insert(
                parameter.name.clone(),
                parameter.shape().to_vec(),
                parameter.spread(values),
            );
        }
        Ok(state)
    }

    /// Sets the velocities to those in `state`, which must hold all of `network`.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn restore(&mut self, network: &Network, state: &State) -> Result<()> {
        for (slot, parameter) in self.slots.iter_mut().zip(network.parameters()) {
            let array = state.get(&parameter.name);
            match &mut slot.velocity {
                Velocity::Host { values, .. } => *values = parameter.select(&array.values),
                Velocity::Device { values, .. } => {
                    *values =
                        Tensor::from_slice(&array.values, array.shape.as_slice(), values.device())?
                            .to_dtype(values.dtype())?;
                }
            }
        }
        Ok(())
    }
}

/// The in-place update of one tensor.
struct Step<'a> {
    velocity: RefCell<&'a mut Vec<f32>>,
    alive: Option<&'a [u32]>,
    momentum: f32,
    rate: f32,
    l2: f32,
}

impl Step<'_> {
    /// Updates one weight.
    #[inline]
    fn apply(&self, weight: &mut f32, velocity: &mut f32, gradient: f32) {
        *velocity = self.momentum * *velocity - self.rate * (gradient + 2.0 * self.l2 * *weight);
        *weight += *velocity;
    }
}

impl InplaceOp2 for Step<'_> {
    fn name(&self) -> &'static str {
        "momentum step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        gradients: &CpuStorage,
        gradients_layout: &Layout,
    ) -> Result<()> {
        let (CpuStorage::F32(weights), CpuStorage::F32(gradients)) = (weights, gradients) else {
            candle_core::bail!("a momentum step needs f32 weights and gradients")
        };
        let (Some((start, end)), Some((from, to))) = (
            weights_layout.contiguous_offsets(),
            gradients_layout.contiguous_offsets(),
        ) else {
            candle_core::bail!("a momentum step needs contiguous weights and gradients")
        };
        let (weights, gradients) = (&mut weights[start..end], &gradients[from..to]);
        let velocity = &mut *self.velocity.borrow_mut();
        match self.alive {
            None => {
                for ((w, v), &g) in weights.iter_mut().zip(velocity.iter_mut()).zip(gradients) {
                    self.apply(w, v, g);
                }
            }
            Some(alive) => {
                for &element in alive {
                    let at = element as usize;
                    self.apply(&mut weights[at], &mut velocity[at], gradients[at]);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::network::initial;

    #[test]
    fn plain_tensor_operations_take_the_same_steps() {
        let graph = multilayer("toy", [1, 1, 6], &[5, 3]).unwrap();
        let state = initial::state(&graph, 4);
        let masks = Masks::from_fn(&graph.prunable(), |_, element| element % 3 != 0);
        let x = Tensor::rand(-1.0_f32, 1.0, (9, 6), &Device::Cpu).unwrap();
        let classes = Tensor::new(&[0_u32, 1, 2, 0, 1, 2, 0, 1, 2], &Device::Cpu).unwrap();
        let train = |network: Network| {
            let coefficients = Coefficients {
                momentum: 0.9,
                l2: 0.01,
            };
            let mut optimizer = Momentum::new(&network, Some(&masks), coefficients).unwrap();
            for _ in 0..5 {
                let scores = network.train_forward(&x).unwrap();
                let loss = candle_nn::loss::cross_entropy(&scores, &classes).unwrap();
                optimizer
                    .step(&network, &loss.backward().unwrap(), 0.1)
                    .unwrap();
            }
            (network.state().unwrap(), optimizer.state(&network).unwrap())
        };
        let network = || Network::new(&graph, &state, &Device::Cpu).unwrap();
        let (fused, plain) = (train(network()), train(network().plain()));
        for (a, b) in [(fused.0, plain.0), (fused.1, plain.1)] {
            for (name, array) in &a.0 {
                for (a, b) in array.values.iter().zip(&b.get(name).values) {
                    assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn steps_follow_the_formula_and_pruned_weights_stay_at_zero() {
        let graph = multilayer("toy", [1, 1, 2], &[2]).unwrap();
        let mut state = initial::state(&graph, 1);
        state.insert("fc1.weight".into(), vec![2, 2], vec![1.0, 0.0, -2.0, 3.0]);
        let masks = Masks::from_fn(&graph.prunable(), |_, element| element != 1);
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        let coefficients = Coefficients {
            momentum: 0.5,
            l2: 0.25,
        };
        let mut optimizer = Momentum::new(&network, Some(&masks), coefficients).unwrap();
        let gradients = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let gradients = gradients.backward().unwrap();
        let gradient = Tensor::new(&[[1.0_f32, 9.0], [0.0, -1.0]], &Device::Cpu).unwrap();
        for _ in 0..2 {
            network.parameters()[0].gradient.put(gradient.clone());
            optimizer.step(&network, &gradients, 0.1).unwrap();
        }
        // By hand for the first weight: v = -0.1 (1 + 0.5) = -0.15, w = 0.85;
        // v = -0.075 - 0.1 (1 + 0.425) = -0.2175, w = 0.6325.
        let weights = network.state().unwrap().get("fc1.weight").values.clone();
        assert!((weights[0] - 0.6325).abs() < 1e-6, "{weights:?}");
        assert_eq!(weights[1], 0.0);
        assert!(
            (optimizer.state(&network).unwrap().get("fc1.weight").values[0] + 0.2175).abs() < 1e-6
        );
        // Without a gradient nothing moves.
        assert_eq!(network.state().unwrap().get("fc1.bias").values, [0.0, 0.0]);
    }
}
