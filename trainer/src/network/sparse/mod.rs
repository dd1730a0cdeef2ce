//! Sparse networks, which store and compute only the kept weights and the values of [`live`] units,
//! so that the cost of training is proportional to what is kept.
//!
//! Values are stored batch-innermost, (live units · positions, batch), so that each kept weight of
//! a [`dense`] layer or a [`conv`]olution multiplies a contiguous run. Nodes are computed in
//! [`group`]s, unit by unit; a training step of all [`groups`] is one [`operator`], which candle
//! differentiates like any other. A sparse network computes the same function as the masked dense
//! network, which is the oracle of the tests.

mod backward;
mod conv;
mod dense;
mod forward;
mod group;
mod groups;
mod live;
mod norm;
mod operands;
mod operator;
mod pool;
mod room;
mod scores;
mod simd;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{Result, Tensor};

use self::group::{Group, unflattened};
use self::groups::Groups;
use self::live::LiveUnits;
use self::norm::Affine;
use self::operands::Operands;
use super::parameter::{Parameter, Places, suffixes};
use super::state::State;
use super::statistics::{EPSILON, Moments, Statistics};
use crate::graph::{Graph, Operation};
use crate::masks::{Mask, Masks};

/// The parameters of each node: weight, then bias, if it has them.
pub(super) type Parameters<'a> = &'a dyn Fn(usize) -> &'a [Parameter];

/// The plan by which a network computes with its kept weights only.
#[derive(Debug)]
pub(super) struct Plan {
    graph: Graph,
    /// The live units of each node.
    live: Vec<LiveUnits>,
    /// The elements of the input that are read, in ascending order.
    inputs: Arc<[u32]>,
    /// Per node, the group of this node alone; `None` for the input and for flattening.
    nodes: Vec<Option<Arc<Group>>>,
    /// The groups of all nodes that the class scores depend on, in order.
    groups: Arc<Groups>,
    /// The node whose value is the class scores.
    last: usize,
    /// Per group, the sources that no later group reads.
    last_read: Vec<Vec<usize>>,
    /// The arrays from which the network was created, with pruned weights set to zero.
    rest: State,
}

impl Plan {
    /// Plans the network of `graph` that keeps the weights that `masks` keep.
    pub(super) fn new(graph: &Graph, state: &State, masks: &Masks) -> Self {
        let live = live::units(graph, masks);
        let tensors = graph.prunable();
        let mask = |index: usize| -> Option<&Mask> {
            let tensor = tensors.iter().position(|tensor| tensor.node == index)?;
            Some(masks.get(tensor))
        };
        let single = |index| Group::of_node(graph, index, &live, mask(index)).map(Arc::new);
        let nodes: Vec<_> = (0..graph.nodes().len()).map(single).collect();
        let groups = fuse(graph, &nodes, &live);
        let mut last_read = vec![Vec::new(); groups.len()];
        for (at, group) in groups.iter().enumerate() {
            for &source in &group.sources {
                let mut later = groups[at + 1..].iter();
                if !later.any(|later| later.sources.contains(&source)) {
                    last_read[at].push(source);
                }
            }
        }
        let area = live[0].area();
        let elements = live[0].units.iter();
        let elements =
            elements.flat_map(|&unit| (0..area).map(move |at| unit as usize * area + at));
        let mut rest = State::default();
        for (name, array) in expected_arrays(graph, state) {
            rest.0.insert(name, array);
        }
        for mask in masks.iter() {
            if let Some(array) = rest.0.get_mut(&mask.name) {
                let pruned = array
                    .values
                    .iter_mut()
                    .zip(&mask.keep)
                    .filter(|(_, keep)| !**keep);
                pruned.for_each(|(value, _)| *value = 0.0);
            }
        }
        Self {
            graph: graph.clone(),
            inputs: elements.map(|element| element as u32).collect(),
            live,
            last: unflattened(graph, nodes.len() - 1),
            nodes,
            groups: Arc::new(Groups::new(groups)),
            last_read,
            rest,
        }
    }

    /// Returns the elements of the input that are read, in ascending order.
    pub(super) fn inputs(&self) -> &Arc<[u32]> {
        &self.inputs
    }

    /// Returns the arrays from which the network was created, with pruned weights set to zero.
    pub(super) fn rest(&self) -> &State {
        &self.rest
    }

    /// Returns the places of a parameter of node `index` in its array of shape `shape`: those of
    /// the weights that `mask` keeps if it is a kernel, otherwise those of the live units.
    pub(super) fn places(&self, index: usize, shape: &[usize], mask: Option<&Mask>) -> Places {
        let indices = match mask {
            Some(mask) => {
                let kept = mask.keep.iter().enumerate().filter(|&(_, &keep)| keep);
                kept.map(|(element, _)| element as u32).collect()
            }
            None => self.live[index].units.clone(),
        };
        Places {
            shape: shape.to_vec(),
            indices,
        }
    }

    /// Checks that `x` has as many inputs per image as the network reads.
    fn check_input(&self, x: &Tensor) -> Result<()> {
        let (rows, _) = x.dims2()?;
        if rows != self.inputs.len() {
            candle_core::bail!(
                "the sparse network reads {} inputs per image, not {rows}",
                self.inputs.len()
            );
        }
        Ok(())
    }

    /// Computes the class scores (batch, classes) of the live inputs `x` (inputs, batch): with the
    /// statistics `population` if they are given, otherwise with those of the batch and with
    /// gradients.
    pub(super) fn scores(
        &self,
        parameters: Parameters<'_>,
        x: &Tensor,
        population: Option<&Statistics>,
    ) -> Result<Tensor> {
        self.check_input(x)?;
        let Some(population) = population else {
            return operator::train(&self.groups, parameters, x);
        };
        let mut values: Vec<Option<Tensor>> = vec![None; self.nodes.len()];
        values[0] = Some(x.clone());
        for (group, last_read) in self.groups.all.iter().zip(&self.last_read) {
            let value = {
                let source = |&at: &usize| values[at].as_ref().expect("sources come first");
                let sources: Vec<&Tensor> = group.sources.iter().map(source).collect();
                self.compute(parameters, group, &sources, population)?
            };
            for &source in last_read {
                values[source] = None;
            }
            values[group.output] = Some(value);
        }
        let last = self.last;
        let scores = values[last]
            .take()
            .expect("the last group computes the scores");
        scores::batch_first(&scores)
    }

    /// Computes the value of node `index` alone from those of its `sources`, with `population`
    /// statistics. The value of the input is `x`.
    pub(super) fn node(
        &self,
        parameters: Parameters<'_>,
        index: usize,
        x: Option<&Tensor>,
        sources: &[&Tensor],
        population: &Statistics,
    ) -> Result<Tensor> {
        match (&self.nodes[index], sources) {
            (Some(group), _) => self.compute(parameters, group, sources, population),
            // Flattening does not change the order of values.
            (None, [source]) => Ok((*source).clone()),
            (None, _) => {
                let x = x.expect("the input node is computed only with a batch");
                self.check_input(x)?;
                Ok(x.clone())
            }
        }
    }

    /// Computes the output of `group` with `population` statistics.
    fn compute(
        &self,
        parameters: Parameters<'_>,
        group: &Group,
        sources: &[&Tensor],
        population: &Statistics,
    ) -> Result<Tensor> {
        let mut operands = Operands::default();
        operands.load(parameters, group)?;
        let norm = match group.norm {
            None => Vec::new(),
            Some(node) => {
                let (scale, shift) = (&operands.scale, &operands.shift);
                affines(scale, shift, population.of(node), &self.live[node])
            }
        };
        operator::evaluate(group, sources, &operands, &norm)
    }

    /// Returns the number of live units of node `index`, and the number of positions of each.
    pub(super) fn live_units(&self, index: usize) -> (usize, usize) {
        (self.live[index].units.len(), self.live[index].area())
    }

    /// Returns the moments of the input of batch norm `norm` for all units, from those of the live
    /// ones, `moments`. Dead units are constant: no kept weight writes them.
    pub(super) fn spread(
        &self,
        parameters: Parameters<'_>,
        norm: usize,
        moments: &Moments,
    ) -> Moments {
        let live = &self.live[norm];
        let mut mean = self.constants(parameters, self.graph.nodes()[norm].source());
        let mut variance = vec![0.0; live.all()];
        for (place, &unit) in live.units.iter().enumerate() {
            mean[unit as usize] = moments.mean[place];
            variance[unit as usize] = moments.variance[place];
        }
        Moments::new(mean, variance)
    }

    /// Returns the constant value of each dead unit of node `index`; 0 for live units and for
    /// pixels.
    fn constants(&self, parameters: Parameters<'_>, index: usize) -> Vec<f32> {
        let (node, all) = (&self.graph.nodes()[index], self.live[index].all());
        let array = |at: usize| match parameters(index).get(at) {
            None => vec![0.0; all],
            Some(parameter) => self.rest.get(&parameter.name).values.clone(),
        };
        let source = |at: usize| self.constants(parameters, node.sources[at]);
        let mut constants = match node.operation {
            Operation::Input => vec![0.0; all],
            Operation::Dense { .. } | Operation::Conv { .. } | Operation::BatchNorm => array(1),
            Operation::Pool { .. } => source(0),
            Operation::Relu => source(0).iter().map(|&value| value.max(0.0)).collect(),
            Operation::Relu6 => source(0)
                .iter()
                .map(|&value| value.clamp(0.0, 6.0))
                .collect(),
            Operation::Flatten => {
                let channels = source(0);
                let area = all / channels.len();
                (0..all).map(|unit| channels[unit / area]).collect()
            }
            Operation::Add => {
                let (first, second) = (source(0), source(1));
                first.iter().zip(second).map(|(x, y)| x + y).collect()
            }
        };
        for &unit in &self.live[index].units {
            constants[unit as usize] = 0.0;
        }
        constants
    }
}

/// Returns the arrays of `state` that are parameters of `graph`.
fn expected_arrays(
    graph: &Graph,
    state: &State,
) -> impl Iterator<Item = (String, super::state::Array)> {
    let names = graph.nodes().iter().flat_map(|node| {
        let kinds = suffixes(node.operation).iter();
        kinds.map(|kind| format!("{}.{kind}", node.name))
    });
    names.map(|name| {
        let array = state.get(&name).clone();
        (name, array)
    })
}

/// Returns the normalisation of the `live` units with population `moments`.
fn affines(scale: &[f32], shift: &[f32], moments: &Moments, live: &LiveUnits) -> Vec<Affine> {
    let parameters = scale.iter().zip(shift).zip(&live.units);
    parameters
        .map(|((&scale, &shift), &unit)| {
            let (mean, variance) = (moments.mean[unit as usize], moments.variance[unit as usize]);
            let a = scale / (variance + EPSILON as f32).sqrt();
            let b = shift - a * mean;
            Affine { a, b }
        })
        .collect()
}

/// Returns the groups of the nodes that the last node depends on: each node together with the
/// operations after it, while each is the only reader of the one before it.
fn fuse(graph: &Graph, nodes: &[Option<Arc<Group>>], live: &[LiveUnits]) -> Vec<Arc<Group>> {
    let mut readers = vec![Vec::new(); nodes.len()];
    let mut needed = vec![false; nodes.len()];
    needed[nodes.len() - 1] = true;
    for index in (0..nodes.len()).rev().filter(|&index| index > 0) {
        if needed[index] {
            for &source in &graph.nodes()[index].sources {
                needed[source] = true;
                readers[source].push(index);
            }
        }
    }
    let mut taken = vec![false; nodes.len()];
    let mut groups: Vec<Arc<Group>> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let Some(group) = node.as_ref().filter(|_| needed[index] && !taken[index]) else {
            continue;
        };
        let mut group = Group::clone(group);
        while let [reader] = readers[group.output][..] {
            if graph.nodes()[reader].operation == Operation::Add
                || !group.append(graph, reader, live)
            {
                break;
            }
            taken[reader] = true;
        }
        groups.push(Arc::new(group));
    }
    // In this order, each group comes after those that it reads.
    groups.sort_by_key(|group| group.output);
    groups
}
