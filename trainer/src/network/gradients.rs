//! Gradients of a loss with bounded peak memory.
//!
//! Backpropagation through a whole graph stores the values of all its nodes. If these are large,
//! the graph is divided into `segments`: the forward pass keeps only what later segments read,
//! and the backward pass computes each segment again (gradient checkpointing; Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost"). The operators see the same values, so the
//! gradients have the same bits.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage};
use candle_core::{Result, Shape, Tensor, Var};

use super::forward::{Values, all_readers};
use super::model::Network;
use super::segments::{self, Cost};

/// The number of values that backpropagation through plain tensor operations stores for each value
/// of a node; most of them are what windows gather.
const PLAIN: usize = 9;

/// A loss and its gradients.
#[derive(Debug)]
pub struct Gradients {
    /// The loss, a scalar.
    pub loss: Tensor,
    /// The gradient with respect to each of the [parameters](Network::parameters), or `None` if the
    /// loss does not depend on it.
    pub of_parameters: Vec<Option<Tensor>>,
}

impl Network {
    /// Computes the `loss` of the class scores (batch, classes) of `x` (batch, pixels),
    /// normalising with the statistics of the batch, and its gradients with respect to the
    /// parameters.
    ///
    /// It takes less memory than a backward pass from [`train_forward`](Self::train_forward), but
    /// computes large graphs twice.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub fn gradients(
        &self,
        x: &Tensor,
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Gradients> {
        let nodes = self.graph().nodes().len();
        if self.plan().is_some() {
            return self.gradients_in(std::slice::from_ref(&(0..nodes)), x, loss);
        }
        let kept = x.dim(0)? * self.dtype().size_in_bytes();
        let tracked = match self.fused() {
            true => kept,
            false => PLAIN * kept,
        };
        let segments = segments::of(self.graph(), Cost { kept, tracked });
        self.gradients_in(&segments, x, loss)
    }

    /// Computes the loss and its gradients in the given `segments`.
    pub(super) fn gradients_in(
        &self,
        segments: &[Range<usize>],
        x: &Tensor,
        loss: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Gradients> {
        let mut pass = Pass {
            network: self,
            readers: all_readers(self.graph()),
            x,
            kept: BTreeMap::new(),
            gradients: BTreeMap::new(),
            of_parameters: BTreeMap::new(),
        };
        let (last, others) = segments.split_last().expect("a graph has nodes");
        for segment in others {
            pass.forward(segment)?;
        }
        let value = match others {
            [] => loss(&self.train_forward(x)?)?,
            _ => {
                let values = pass.compute(last)?;
                loss(values.get(last.end - 1))?
            }
        };
        pass.collect(last, value.backward()?)?;
        let loss = value.detach();
        drop(value);
        for segment in others.iter().rev() {
            pass.backward(segment)?;
        }
        Ok(Gradients {
            loss,
            of_parameters: pass.of_parameters.into_values().flatten().collect(),
        })
    }
}

/// The state of the computation.
struct Pass<'a> {
    network: &'a Network,
    /// The last reader of each node.
    readers: Vec<Option<usize>>,
    x: &'a Tensor,
    /// The values that later segments read, by node, as variables, so that these segments compute
    /// gradients with respect to them.
    kept: BTreeMap<usize, Var>,
    /// The gradients of kept values that are known so far, by node.
    gradients: BTreeMap<usize, Tensor>,
    /// The gradients of the parameters of each node.
    of_parameters: BTreeMap<usize, Vec<Option<Tensor>>>,
}

impl Pass<'_> {
    /// Computes the nodes of `segment` and returns the values that later segments read, and that
    /// of the last node of all.
    fn compute(&self, segment: &Range<usize>) -> Result<Values> {
        let mut values = Values::default();
        for (&node, value) in self.kept.range(..segment.start) {
            values.put(node, value.as_tensor().clone());
        }
        let nodes = self.readers.len();
        let is_read = |&node: &usize| self.readers[node].is_some() || node + 1 == nodes;
        for index in segment.clone().filter(is_read) {
            let value = self.network.node(index, Some(self.x), &values, None)?;
            values.put(index, value);
            values.drop_read(self.network.graph(), index, &self.readers);
        }
        Ok(values)
    }

    /// Computes `segment` and keeps what later segments read.
    fn forward(&mut self, segment: &Range<usize>) -> Result<()> {
        for (node, value) in self.compute(segment)?.range(segment) {
            self.kept.insert(node, Var::from_tensor(&value.detach())?);
        }
        Ok(())
    }

    /// Computes `segment` again, and the gradients of its parameters and of the values that it
    /// reads.
    fn backward(&mut self, segment: &Range<usize>) -> Result<()> {
        self.kept.split_off(&segment.start);
        let mut sum: Option<Tensor> = None;
        for (node, value) in self.compute(segment)?.range(segment) {
            if let Some(gradient) = self.gradients.remove(&node) {
                let seed = value.apply_op1(Seed(Mutex::new(Some(gradient))))?;
                sum = Some(match sum {
                    Some(sum) => (sum + seed)?,
                    None => seed,
                });
            }
        }
        let store = sum.map(|sum| sum.backward()).transpose()?;
        self.collect(segment, store.unwrap_or_default())
    }

    /// Takes the gradients of the parameters of `segment` and of the values that it reads.
    fn collect(&mut self, segment: &Range<usize>, mut store: GradStore) -> Result<()> {
        for node in segment.clone() {
            let parameters = self.network.parameters_of(node).iter();
            let gradients = parameters.map(|parameter| {
                let slot = parameter.gradient.take();
                slot.or_else(|| store.remove(&parameter.var))
            });
            self.of_parameters.insert(node, gradients.collect());
        }
        for (&node, value) in self.kept.range(..segment.start) {
            if let Some(gradient) = store.remove(value) {
                let sum = match self.gradients.remove(&node) {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                };
                self.gradients.insert(node, sum);
            }
        }
        Ok(())
    }
}

/// An operator whose result is always 0 and whose gradient with respect to its operand is given:
/// backpropagation from it continues that of later segments.
struct Seed(Mutex<Option<Tensor>>);

impl Seed {
    /// Returns 0 on any device.
    fn zero<S: BackendStorage>(x: &S) -> Result<(S, Shape)>
    where
        S::Device: BackendDevice<Storage = S>,
    {
        let shape = Shape::from(());
        Ok((x.device().zeros_impl(&shape, x.dtype())?, shape))
    }
}

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, x: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Self::zero(x)
    }

    fn cuda_fwd(&self, x: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        Self::zero(x)
    }

    fn metal_fwd(&self, x: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        Self::zero(x)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}
