//! Groups of nodes that are computed together, unit by unit: a layer or an addition, and the batch
//! norm, ReLU and pooling that follow it. The values of a unit stay in the cache throughout.

use std::sync::Arc;

use super::conv::{Conv, Tap};
use super::dense::Dense;
use super::live::LiveUnits;
use super::pool::Pool;
use crate::graph::{Graph, KernelLayout, Operation, Window};
use crate::masks::Mask;

/// How a group computes its values from those of its sources.
#[derive(Debug)]
pub(super) enum Head {
    /// The values of the source, unchanged.
    Same,
    /// The sums of the values of two sources.
    Sum,
    /// The kept weights of a dense layer.
    Dense(Dense),
    /// The kept weights of a convolution.
    Conv(Conv),
}

/// A group of nodes.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The nodes that it reads, none of which is a flattening.
    pub(super) sources: Vec<usize>,
    /// The node whose value it computes: its last one.
    pub(super) output: usize,
    pub(super) head: Arc<Head>,
    /// The number of live units.
    pub(super) units: usize,
    /// The number of positions per unit before pooling.
    pub(super) area: usize,
    /// The node with the kernel and bias, if there is one.
    pub(super) kernel: Option<usize>,
    /// The node of the batch norm, if there is one.
    pub(super) norm: Option<usize>,
    /// The upper bound of its ReLU, if there is one; infinite if it only clips at 0.
    pub(super) relu: Option<f32>,
    pub(super) pool: Option<Arc<Pool>>,
}

impl Group {
    /// Returns the number of positions per unit of the output.
    pub(super) fn output_area(&self) -> usize {
        self.pool.as_ref().map_or(self.area, |pool| pool.outputs())
    }

    /// Returns whether the group must store its values before batch norm and ReLU, because the
    /// backward pass needs them and they differ from those of the source.
    pub(super) fn keeps_values(&self) -> bool {
        (self.norm.is_some() || self.relu.is_some()) && !matches!(*self.head, Head::Same)
    }

    /// Creates the group of node `index` alone; returns `None` for the input and for flattening.
    pub(super) fn of_node(
        graph: &Graph,
        index: usize,
        live: &[LiveUnits],
        mask: Option<&Mask>,
    ) -> Option<Self> {
        let node = &graph.nodes()[index];
        let source = &live[node.source()];
        let size = source.size;
        let head = match node.operation {
            Operation::Input | Operation::Flatten => return None,
            Operation::Add => Head::Sum,
            Operation::Dense { .. } => Head::Dense(dense(&live[index], source, mask?)),
            Operation::Conv { window, .. } => {
                let channels = [source.units.len(), live[index].units.len()];
                let layout = graph.kernel_layout(index)?;
                let taps = taps([source, &live[index]], layout, window, mask?);
                Head::Conv(Conv::new(window, channels, size, &taps))
            }
            Operation::Pool { .. } | Operation::BatchNorm | Operation::Relu | Operation::Relu6 => {
                Head::Same
            }
        };
        let area = match head {
            Head::Dense(_) | Head::Conv(_) => live[index].area(),
            Head::Same | Head::Sum => source.area(),
        };
        let mut group = Self {
            sources: node
                .sources
                .iter()
                .map(|&at| unflattened(graph, at))
                .collect(),
            output: index,
            kernel: mask.map(|_| index),
            head: Arc::new(head),
            units: live[index].units.len(),
            area,
            norm: None,
            relu: None,
            pool: None,
        };
        group.append(graph, index, live);
        Some(group)
    }

    /// Appends node `index` if it is a batch norm, ReLU or pooling that the group can compute
    /// next. Returns whether it was appended.
    pub(super) fn append(&mut self, graph: &Graph, index: usize, live: &[LiveUnits]) -> bool {
        let node = &graph.nodes()[index];
        match node.operation {
            Operation::BatchNorm
                if self.norm.is_none() && self.relu.is_none() && self.pool.is_none() =>
            {
                self.norm = Some(index);
            }
            Operation::Relu if self.relu.is_none() && self.pool.is_none() => {
                self.relu = Some(f32::INFINITY);
            }
            Operation::Relu6 if self.relu.is_none() && self.pool.is_none() => {
                self.relu = Some(6.0);
            }
            Operation::Pool { kind, window } if self.pool.is_none() => {
                let size = live[node.source()].size;
                self.pool = Some(Arc::new(Pool::new(kind, window, size)));
            }
            _ => return false,
        }
        self.output = index;
        true
    }
}

/// Returns the node whose value node `index` flattens, or `index` if it flattens none.
pub(super) fn unflattened(graph: &Graph, index: usize) -> usize {
    let node = &graph.nodes()[index];
    match node.operation {
        Operation::Flatten => unflattened(graph, node.source()),
        _ => index,
    }
}

/// Returns the weights that `mask` keeps of a dense layer from units `input` to units `output`.
fn dense(output: &LiveUnits, input: &LiveUnits, mask: &Mask) -> Dense {
    let kept = mask.keep.iter().enumerate().filter(|&(_, &keep)| keep);
    let weights: Vec<(usize, usize)> = kept
        .map(|(element, _)| {
            let (unit, source) = (element / input.all(), element % input.all());
            live_pair(output.place(unit), input.place(source))
        })
        .collect();
    Dense::new(output.units.len(), input.rows(), &weights)
}

/// Returns the weights that `mask` keeps of a convolution from channels `input` to channels
/// `output`, whose kernel has this `layout`.
fn taps(
    [input, output]: [&LiveUnits; 2],
    layout: KernelLayout,
    window: Window,
    mask: &Mask,
) -> Vec<Tap> {
    let kept = mask.keep.iter().enumerate().filter(|&(_, &keep)| keep);
    kept.enumerate()
        .map(|(weight, (element, _))| {
            let (channel, source, tap) = layout.locate(element);
            let (channel, source) = live_pair(output.place(channel), input.place(source));
            Tap {
                output: channel as u32,
                input: source as u32,
                at: window.place(tap).map(|at| at as u32),
                weight: weight as u32,
            }
        })
        .collect()
}

/// Returns the places of the two units that a kept weight connects.
fn live_pair(output: Option<usize>, input: Option<usize>) -> (usize, usize) {
    let pair = output.zip(input);
    pair.expect("units that a kept weight connects are live")
}
