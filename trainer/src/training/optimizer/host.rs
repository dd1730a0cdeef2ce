//! Optimizer steps on the CPU: one in-place pass per tensor.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Storage, Tensor};

use super::rule::Rule;
use crate::network::model::Parameter;
use crate::network::{Network, State};
use crate::pruning::{Mask, Masks};

/// The moments of all parameters, `N` per weight.
#[derive(Debug)]
pub(super) struct Host<const N: usize> {
    slots: Vec<Slot<N>>,
}

/// The state of one parameter.
#[derive(Debug)]
struct Slot<const N: usize> {
    /// The moments of each weight.
    moments: Vec<[f32; N]>,
    /// The flat indices of the weights that are not pruned, if any are pruned.
    alive: Option<Vec<u32>>,
}

impl<const N: usize> Slot<N> {
    /// Returns moment `index` of `parameter`, with one element per element of the whole tensor.
    fn whole(&self, parameter: &Parameter, index: usize) -> Vec<f32> {
        let moments = self.moments.iter().map(|moments| moments[index]);
        parameter.spread(moments.collect())
    }

    /// Sets moment `index` of `parameter` from `whole`, with one element per element of the tensor.
    fn set(&mut self, parameter: &Parameter, index: usize, whole: &[f32]) {
        for (moments, value) in self.moments.iter_mut().zip(parameter.select(whole)) {
            moments[index] = value;
        }
    }
}

impl<const N: usize> Host<N> {
    /// Creates moments of zero for `network`; `masks` tell which weights are pruned.
    pub(super) fn new(network: &Network, masks: Option<&Masks>) -> Self {
        let masks: HashMap<&str, &Mask> = (masks.into_iter().flat_map(Masks::iter))
            .map(|mask| (mask.name.as_str(), mask))
            .collect();
        let slot = |parameter: &Parameter| Slot {
            moments: vec![[0.0; N]; parameter.var.elem_count()],
            // A sparse network stores no pruned weights.
            alive: match (masks.get(parameter.name.as_str()), &parameter.places) {
                (Some(mask), None) => {
                    let kept = mask.keep.iter().enumerate().filter(|&(_, &keep)| keep);
                    Some(kept.map(|(element, _)| element as u32).collect())
                }
                _ => None,
            },
        };
        Self {
            slots: network.parameters().iter().map(slot).collect(),
        }
    }

    /// Returns the factor that scales `gradients`, one per parameter, to a norm of at most `clip`;
    /// 1 if `clip` is `None`. The norm does not include the gradients of pruned weights.
    ///
    /// # Errors
    /// Returns an error if a gradient to clip is not a contiguous f32 tensor on the CPU.
    pub(super) fn scale(&self, gradients: &[Option<Tensor>], clip: Option<f64>) -> Result<f64> {
        let Some(clip) = clip else {
            return Ok(1.0);
        };
        let mut sum = 0.0;
        for (slot, gradient) in self.slots.iter().zip(gradients) {
            if let Some(gradient) = gradient {
                let (storage, layout) = gradient.storage_and_layout();
                let Storage::Cpu(storage) = &*storage else {
                    candle_core::bail!("clipping on the CPU needs gradients on the CPU")
                };
                let gradient = contiguous(storage, layout)?;
                sum += match &slot.alive {
                    None => squares(gradient.iter().copied()),
                    Some(alive) => squares(alive.iter().map(|&at| gradient[at as usize])),
                };
            }
        }
        let norm = sum.sqrt();
        Ok(if norm > clip { clip / norm } else { 1.0 })
    }

    /// Updates every parameter of `network` that has a gradient. `rule` returns the update rule of
    /// a parameter, given whether it decays.
    ///
    /// # Errors
    /// Returns an error unless all tensors are contiguous f32 on the CPU.
    pub(super) fn step<R: Rule<N>>(
        &mut self,
        network: &Network,
        gradients: &[Option<Tensor>],
        rule: impl Fn(bool) -> R,
    ) -> Result<()> {
        let parameters = network.parameters().iter().zip(gradients);
        for (slot, (parameter, gradient)) in self.slots.iter_mut().zip(parameters) {
            if let Some(gradient) = gradient {
                let pass = Pass {
                    rule: rule(parameter.kernel),
                    moments: RefCell::new(&mut slot.moments),
                    alive: slot.alive.as_deref(),
                };
                parameter.var.inplace_op2(gradient, &pass)?;
            }
        }
        Ok(())
    }

    /// Returns moment `index` of all parameters of `network`.
    pub(super) fn state(&self, network: &Network, index: usize) -> State {
        let mut state = State::default();
        for (slot, parameter) in self.slots.iter().zip(network.parameters()) {
            let shape = parameter.shape().to_vec();
            state.insert(parameter.name.clone(), shape, slot.whole(parameter, index));
        }
        state
    }

    /// Sets moment `index` of all parameters of `network` to `state`.
    pub(super) fn restore(&mut self, network: &Network, index: usize, state: &State) {
        for (slot, parameter) in self.slots.iter_mut().zip(network.parameters()) {
            slot.set(parameter, index, &state.get(&parameter.name).values);
        }
    }
}

/// Returns the sum of the squares of `values`.
fn squares(values: impl Iterator<Item = f32>) -> f64 {
    // Independent partial sums, so that no addition waits for the one before it.
    let mut sums = [0.0_f64; 8];
    for (at, value) in values.enumerate() {
        sums[at % 8] += f64::from(value) * f64::from(value);
    }
    sums.iter().sum()
}

/// Returns the elements of `storage`.
///
/// # Errors
/// Returns an error if the layout is not contiguous or the storage is not f32.
fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("an optimizer step needs contiguous f32 tensors"),
    }
}

/// The in-place update of one tensor.
struct Pass<'a, R, const N: usize> {
    rule: R,
    moments: RefCell<&'a mut Vec<[f32; N]>>,
    alive: Option<&'a [u32]>,
}

impl<R: Rule<N>, const N: usize> InplaceOp2 for Pass<'_, R, N> {
    fn name(&self) -> &'static str {
        "optimizer step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        gradients: &CpuStorage,
        gradients_layout: &Layout,
    ) -> Result<()> {
        let gradients = contiguous(gradients, gradients_layout)?;
        let (CpuStorage::F32(weights), Some((start, end))) =
            (weights, weights_layout.contiguous_offsets())
        else {
            candle_core::bail!("an optimizer step needs contiguous f32 weights")
        };
        let weights = &mut weights[start..end];
        let moments = &mut *self.moments.borrow_mut();
        match self.alive {
            None => {
                for ((w, m), &g) in weights.iter_mut().zip(moments.iter_mut()).zip(gradients) {
                    self.rule.apply(w, m, g);
                }
            }
            Some(alive) => {
                for &element in alive {
                    let at = element as usize;
                    self.rule
                        .apply(&mut weights[at], &mut moments[at], gradients[at]);
                }
            }
        }
        Ok(())
    }
}
