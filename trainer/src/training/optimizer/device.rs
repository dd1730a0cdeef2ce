//! Optimizer steps in tensor operations, on any device and in any precision, over all parameters
//! at once.
//!
//! The parameters, their gradients and each of their moments are one flat tensor each, in the order
//! of the network's parameters. A step copies each gradient in and each parameter out; in between,
//! it computes a fixed number of operations. None of them waits for the device.

use candle_core::{DType, Result, Tensor};

use super::rule::corrections;
use super::{DecayKind, Step};
use crate::network::{Network, State};
use crate::pruning::Masks;
use crate::training::hyperparameters::{Adam, OptimizerKind, Sgd};

/// All parameters and their moments, flat.
#[derive(Debug)]
pub(super) struct Flat {
    /// The parameters.
    weights: Tensor,
    /// The buffer into which each step copies the gradients.
    gradients: Tensor,
    moments: Vec<Tensor>,
    /// 0 for pruned weights and 1 for all others; `None` if none are pruned.
    mask: Option<Tensor>,
    /// 1 for weights that decay (those of kernels, unless pruned) and 0 for all others.
    decaying: Tensor,
}

impl Flat {
    /// Creates the flat parameters of `network`, with `moments` moments of zero; `masks` tell
    /// which weights are pruned.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn new(network: &Network, masks: Option<&Masks>, moments: usize) -> Result<Self> {
        let mut weights = Vec::new();
        let (mut keep, mut decaying) = (Vec::new(), Vec::new());
        for parameter in network.parameters() {
            weights.push(parameter.var.as_detached_tensor().flatten_all()?);
            let mask =
                (masks.into_iter().flat_map(Masks::iter)).find(|mask| mask.name == parameter.name);
            for element in 0..parameter.var.elem_count() {
                let kept = mask.is_none_or(|mask| mask.keep[element]);
                keep.push(f32::from(u8::from(kept)));
                decaying.push(f32::from(u8::from(kept && parameter.kernel)));
            }
        }
        let weights = Tensor::cat(&weights, 0)?;
        let flat = |values: Vec<f32>| {
            Tensor::from_vec(values, weights.dims1()?, network.device())?.to_dtype(network.dtype())
        };
        Ok(Self {
            gradients: weights.zeros_like()?,
            moments: (0..moments)
                .map(|_| weights.zeros_like())
                .collect::<Result<_>>()?,
            mask: masks.map(|_| flat(keep)).transpose()?,
            decaying: flat(decaying)?,
            weights,
        })
    }

    /// Updates every parameter of `network` that has a gradient.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn step(
        &mut self,
        network: &Network,
        gradients: &[Option<Tensor>],
        step: &Step,
    ) -> Result<()> {
        let mut offset = 0;
        for (parameter, gradient) in network.parameters().iter().zip(gradients) {
            let gradient = match gradient {
                Some(gradient) => gradient.flatten_all()?,
                None => parameter.var.zeros_like()?.flatten_all()?,
            };
            self.gradients.slice_set(&gradient, 0, offset)?;
            offset += parameter.var.elem_count();
        }
        let gradient = self.gradient(step)?;
        let change = match &step.kind {
            OptimizerKind::Sgd(sgd) => self.descend(&gradient, sgd, step)?,
            OptimizerKind::Adam(adam) => self.adapt(&gradient, adam, step)?,
        };
        let mut weights = (&self.weights + change)?;
        if step.decay.kind == DecayKind::Decoupled {
            let decaying = (&self.weights * &self.decaying)?;
            weights = (weights - (decaying * step.shrinkage())?)?;
        }
        self.weights = weights;
        let mut offset = 0;
        for (parameter, gradient) in network.parameters().iter().zip(gradients) {
            let count = parameter.var.elem_count();
            if gradient.is_some() {
                let values = self.weights.narrow(0, offset, count)?;
                parameter.var.set(&values.reshape(parameter.var.shape())?)?;
            } else {
                let values = parameter.var.as_detached_tensor().flatten_all()?;
                self.weights.slice_set(&values, 0, offset)?;
            }
            offset += count;
        }
        Ok(())
    }

    /// Returns the gradients of the weights that are not pruned, clipped, plus that of an l2 decay.
    fn gradient(&self, step: &Step) -> Result<Tensor> {
        let mut gradient = match &self.mask {
            Some(mask) => (&self.gradients * mask)?,
            None => self.gradients.clone(),
        };
        if let Some(clip) = step.clip {
            let norm = gradient.sqr()?.sum_all()?.sqrt()?;
            // The larger of norm and clip, computed without copying a constant to the device.
            let divisor = ((norm - clip)?.relu()? + clip)?;
            gradient = gradient.broadcast_mul(&(divisor.recip()? * clip)?)?;
        }
        if step.l2() != 0.0 {
            let decaying = (&self.weights * &self.decaying)?;
            gradient = (gradient + (decaying * step.l2())?)?;
        }
        Ok(gradient)
    }

    /// Updates the velocity and returns the change of the weights.
    fn descend(&mut self, gradient: &Tensor, sgd: &Sgd, step: &Step) -> Result<Tensor> {
        let change = (gradient * step.rate)?;
        let [velocity] = self.moments.as_mut_slice() else {
            candle_core::bail!("gradient descent has one moment")
        };
        *velocity = ((&*velocity * sgd.momentum)? - &change)?;
        match sgd.nesterov {
            true => (&*velocity * sgd.momentum)? - change,
            false => Ok(velocity.clone()),
        }
    }

    /// Updates the means of gradients and of their squares, and returns the change of the weights.
    fn adapt(&mut self, gradient: &Tensor, adam: &Adam, step: &Step) -> Result<Tensor> {
        let [mean, square] = self.moments.as_mut_slice() else {
            candle_core::bail!("Adam has two moments")
        };
        *mean = ((&*mean * adam.beta1)? + (gradient * (1.0 - adam.beta1))?)?;
        *square = ((&*square * adam.beta2)? + (gradient.sqr()? * (1.0 - adam.beta2))?)?;
        let [of_mean, of_square] = corrections(adam, step.number);
        let root = ((square.sqrt()? * of_square.sqrt())? + adam.epsilon)?;
        (&*mean / root)? * (-step.rate * of_mean)
    }

    /// Returns moment `index` of all parameters of `network`.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn state(&self, network: &Network, index: usize) -> Result<State> {
        let values: Vec<f32> = self.moments[index].to_dtype(DType::F32)?.to_vec1()?;
        let mut rest = values.as_slice();
        let mut state = State::default();
        for parameter in network.parameters() {
            let (values, others) = rest.split_at(parameter.var.elem_count());
            let shape = parameter.var.dims().to_vec();
            state.insert(parameter.name.clone(), shape, values.to_vec());
            rest = others;
        }
        Ok(state)
    }

    /// Sets moment `index` of all parameters of `network` to `state`.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn restore(&mut self, network: &Network, index: usize, state: &State) -> Result<()> {
        let arrays = network.parameters().iter();
        let values: Vec<f32> = arrays
            .flat_map(|parameter| state.get(&parameter.name).values.iter().copied())
            .collect();
        let count = values.len();
        self.moments[index] =
            Tensor::from_vec(values, count, network.device())?.to_dtype(network.dtype())?;
        Ok(())
    }
}
