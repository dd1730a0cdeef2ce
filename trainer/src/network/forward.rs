//! Forward passes over the nodes of a graph, in order.
//!
//! Training normalises with the statistics of the batch and tracks gradients; evaluation normalises
//! with population statistics and tracks none. Both compute only the nodes that the requested node
//! depends on, and drop a value after its last reader.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use super::model::Network;
use super::operators::{Operand, batch_norm, conv, linear, pool, relu};
use super::plain;
use super::statistics::{EPSILON, Moments, Statistics};
use crate::graph::{Graph, Operation, Pooling, Window};
use crate::threads;
use crate::transfer::read;

/// Maximum number of values per image, summed over the batches that are evaluated at once: a few
/// hundred MiB in total for batches of a hundred images.
const MOST_VALUES: usize = 1 << 20;

impl Network {
    /// Computes the class scores (batch, classes) of `x` (batch, pixels), normalising with the
    /// statistics of the batch and tracking gradients. A sparse network takes only the
    /// [`inputs`](Self::inputs) that it reads, as (inputs, batch).
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub fn train_forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(self.graph().nodes().len() - 1, x, None)
    }

    /// Computes the values (batch, shape of the node) of node `last` for `x` (batch, pixels),
    /// normalising with population `statistics` as in deployment. Statistics of nodes after `last`
    /// are not read. A sparse network takes only the [`inputs`](Self::inputs) that it reads, as
    /// (inputs, batch), and computes only the last node of the graph.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match, if the device fails, or if a sparse network is
    /// asked for a node other than the last.
    pub fn forward_to(&self, last: usize, x: &Tensor, statistics: &Statistics) -> Result<Tensor> {
        self.forward(last, x, Some(statistics))
    }

    /// Returns the predicted class of each image of `x` (batch, pixels), with population
    /// `statistics`.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub fn classify(&self, x: &Tensor, statistics: &Statistics) -> Result<Vec<u32>> {
        let scores = self.forward_to(self.graph().nodes().len() - 1, x, statistics)?;
        read(&scores.argmax(1)?.to_dtype(DType::U32)?)
    }

    /// Returns the number of batches to evaluate at once, one per thread. It is 1 without the
    /// fused operators, as on a GPU, and if the values of several batches would take too much
    /// memory; matrix products are then split over the threads instead.
    pub fn batches_at_once(&self) -> usize {
        let nodes = self.graph().nodes().iter();
        let values: usize = nodes.map(|node| node.shape.iter().product::<usize>()).sum();
        let threads = threads::count();
        match self.fused() && threads.saturating_mul(values) <= MOST_VALUES {
            true => threads,
            false => 1,
        }
    }

    /// Applies `of` to each of the `batches`, [several at once](Self::batches_at_once), and
    /// returns the results in order.
    pub fn map_batches<T: Send, R: Send>(
        &self,
        batches: Vec<T>,
        of: impl Fn(T) -> R + Send + Sync,
    ) -> Vec<R> {
        match self.batches_at_once() {
            1 => batches.into_iter().map(of).collect(),
            _ => threads::map(batches, of),
        }
    }

    /// Computes the values of node `last`: for evaluation if `population` is given, otherwise for
    /// training.
    fn forward(&self, last: usize, x: &Tensor, population: Option<&Statistics>) -> Result<Tensor> {
        if let Some(plan) = self.plan() {
            if last + 1 < self.graph().nodes().len() {
                candle_core::bail!("a sparse network computes logits only")
            }
            return plan.scores(&|node| self.parameters_of(node), x, population);
        }
        let readers = last_readers(self.graph(), last);
        let mut values = Values::default();
        for index in (0..=last).filter(|&index| readers[index].is_some()) {
            let value = self.node(index, Some(x), &values, population)?;
            if index == last {
                return Ok(value);
            }
            values.put(index, value);
            values.drop_read(self.graph(), index, &readers);
        }
        unreachable!("the last node is its own reader")
    }

    /// Evaluates nodes `from..to` with the statistics `population`.
    ///
    /// `values` must contain the values of earlier nodes that these nodes read; afterwards it
    /// contains those that nodes from `to` on read. `x` is required if the input is among the
    /// nodes. `readers` are the last readers in the whole graph.
    pub(super) fn advance(
        &self,
        values: &mut Values,
        (from, to): (usize, usize),
        x: Option<&Tensor>,
        population: &Statistics,
        readers: &[Option<usize>],
    ) -> Result<()> {
        for index in (from..to).filter(|&index| readers[index].is_some()) {
            let value = self.node(index, x, values, Some(population))?;
            values.put(index, value);
            values.drop_read(self.graph(), index, readers);
        }
        Ok(())
    }

    /// Computes the value of node `index` from those of its sources: for evaluation if `population`
    /// is given, otherwise for training. Only the input node reads `x`.
    pub(super) fn node(
        &self,
        index: usize,
        x: Option<&Tensor>,
        values: &Values,
        population: Option<&Statistics>,
    ) -> Result<Tensor> {
        let node = &self.graph().nodes()[index];
        let source = |at: usize| values.get(node.sources[at]);
        if let (Some(plan), Some(population)) = (self.plan(), population) {
            let sources: Vec<&Tensor> = (0..node.sources.len()).map(source).collect();
            return plan.node(
                &|node| self.parameters_of(node),
                index,
                x,
                &sources,
                population,
            );
        }
        let parameters = self.parameters_of(index).iter();
        let operands: Vec<Operand<'_>> = parameters
            .map(|parameter| Operand {
                values: match population {
                    None => parameter.var.as_tensor().clone(),
                    Some(_) => parameter.var.as_detached_tensor(),
                },
                gradient: &parameter.gradient,
            })
            .collect();
        let training = population.is_none();
        match (node.operation, operands.as_slice()) {
            (Operation::Input, _) => {
                let x = x.expect("the input node is computed only with a batch");
                let mut shape = node.shape.clone();
                shape.insert(0, x.dim(0)?);
                x.to_dtype(self.dtype())?.reshape(shape)
            }
            (Operation::Flatten, _) => source(0).flatten_from(1),
            (Operation::Dense { .. }, [weight, bias @ ..]) => {
                self.dense(source(0), weight, bias.first())
            }
            (Operation::Conv { window, .. }, [weight, bias @ ..]) => {
                self.conv(source(0), weight, bias.first(), window)
            }
            (Operation::Pool { kind, window }, _) => self.pool(source(0), kind, window),
            (Operation::BatchNorm, [scale, shift]) => match population {
                None if self.takes_relu(index) => {
                    batch_norm::batch_norm_relu(source(0), scale, shift, EPSILON)
                }
                None => self.normalise(source(0), scale, shift),
                Some(statistics) => {
                    let (moments, values) = (statistics.of(index), [&scale.values, &shift.values]);
                    self.population_norm(source(0), values, moments)
                }
            },
            (Operation::Relu, _) if training && self.takes_relu(node.source()) => {
                Ok(source(0).clone())
            }
            (Operation::Relu, _) if self.fused() => relu::relu(source(0)),
            (Operation::Relu, _) => plain::relu(source(0)),
            (Operation::Relu6, _) => plain::relu6(source(0)),
            (Operation::Add, _) if training && self.takes_relu(index) => {
                relu::relu_of_sum(source(0), source(1))
            }
            (Operation::Add, _) => source(0) + source(1),
            (operation, _) => unreachable!("{operation:?} has all its parameters"),
        }
    }

    /// Computes x Wᵀ + b.
    fn dense(
        &self,
        x: &Tensor,
        weight: &Operand<'_>,
        bias: Option<&Operand<'_>>,
    ) -> Result<Tensor> {
        if self.fused() {
            return linear::linear(x, weight, bias);
        }
        plain::linear(x, &weight.values, bias.map(|bias| &bias.values))
    }

    /// Convolves the feature maps `x` with `weight`.
    fn conv(
        &self,
        x: &Tensor,
        weight: &Operand<'_>,
        bias: Option<&Operand<'_>>,
        window: Window,
    ) -> Result<Tensor> {
        if self.fused() {
            return conv::conv(x, weight, bias, window);
        }
        plain::conv(x, &weight.values, bias.map(|bias| &bias.values), window)
    }

    /// Pools each window to its maximum or mean.
    fn pool(&self, x: &Tensor, kind: Pooling, window: Window) -> Result<Tensor> {
        if self.fused() {
            return pool::pool(x, kind, window);
        }
        plain::pool(x, kind, window)
    }

    /// Normalises with the statistics of the batch.
    fn normalise(&self, x: &Tensor, scale: &Operand<'_>, shift: &Operand<'_>) -> Result<Tensor> {
        if self.fused() {
            return batch_norm::batch_norm(x, scale, shift, EPSILON);
        }
        plain::batch_norm(x, &scale.values, &shift.values)
    }

    /// Normalises with the population `moments`.
    fn population_norm(
        &self,
        x: &Tensor,
        [scale, shift]: [&Tensor; 2],
        moments: &Moments,
    ) -> Result<Tensor> {
        if self.fused() {
            return batch_norm::population_norm(x, scale, shift, moments, EPSILON);
        }
        plain::population_norm(x, scale, shift, moments)
    }
}

/// The values of one batch that nodes have yet to read, by node.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<usize, Tensor>);

impl Values {
    /// Returns the value of node `index`.
    ///
    /// # Panics
    /// Panics if the value was never computed or was dropped.
    pub(super) fn get(&self, index: usize) -> &Tensor {
        self.0.get(&index).expect("the value is still to be read")
    }

    /// Returns the values of the nodes in `range`, by node.
    pub(super) fn range(&self, range: &Range<usize>) -> impl Iterator<Item = (usize, &Tensor)> {
        let values = self.0.range(range.clone());
        values.map(|(&index, value)| (index, value))
    }

    /// Stores the value of node `index`.
    pub(super) fn put(&mut self, index: usize, value: Tensor) {
        self.0.insert(index, value);
    }

    /// Drops the values whose last reader is node `reader`.
    pub(super) fn drop_read(&mut self, graph: &Graph, reader: usize, readers: &[Option<usize>]) {
        for &source in &graph.nodes()[reader].sources {
            if readers[source] == Some(reader) {
                self.0.remove(&source);
            }
        }
    }
}

/// Returns, for each node up to `last`, the last node that reads it and on which `last` depends, or
/// `None` if `last` does not depend on the node. `last` counts as its own reader.
fn last_readers(graph: &Graph, last: usize) -> Vec<Option<usize>> {
    let mut readers = vec![None; last + 1];
    readers[last] = Some(last);
    for index in (0..=last).rev() {
        if readers[index].is_some() {
            for &source in &graph.nodes()[index].sources {
                // The walk is backwards, so the first reader found is the last one.
                readers[source].get_or_insert(index);
            }
        }
    }
    readers
}

/// Returns the last reader of every node, or `None` for a node without readers.
pub(super) fn all_readers(graph: &Graph) -> Vec<Option<usize>> {
    let mut readers = vec![None; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        for &source in &node.sources {
            readers[source] = Some(index);
        }
    }
    readers
}
