//! One sweep over a network: the synaptic flow through every connection.
//!
//! The sums over the paths from the input are computed once per place. The backward pass is the
//! derivative of that computation: the sum at a place is over the paths to the output from all
//! positions of its class.

use super::layer::Layer;
use super::places::{PADDING, Places, Reads};
use crate::graph::{Graph, Operation};
use crate::pruning::score::rounds::Remaining;

/// What one node computes from one of its sources.
#[derive(Debug)]
enum Edge {
    /// Products with the connections of a tensor, by its index.
    Weighted { layer: Layer, tensor: usize },
    /// Pooling, addition or flattening.
    Pooled(Pooled),
}

/// Sums of what taps read, divided by the area of their window, in each channel.
#[derive(Debug)]
struct Pooled {
    reads: Reads,
    area: f64,
    /// Places of a channel of the source.
    before: usize,
}

impl Pooled {
    /// Adds to `after` what the taps read from `before`.
    fn forward(&self, before: &[f64], after: &mut [f64]) {
        let targets = after.chunks_exact_mut(self.reads[0].len());
        for (after, before) in targets.zip(before.chunks_exact(self.before)) {
            for reads in &self.reads {
                for (after, &place) in after.iter_mut().zip(reads) {
                    if place != PADDING {
                        *after += before[place as usize] / self.area;
                    }
                }
            }
        }
    }

    /// Adds `after` to the values of `before` that the taps read.
    fn backward(&self, before: &mut [f64], after: &[f64]) {
        let targets = after.chunks_exact(self.reads[0].len());
        for (after, before) in targets.zip(before.chunks_exact_mut(self.before)) {
            for reads in &self.reads {
                for (after, &place) in after.iter().zip(reads) {
                    if place != PADDING {
                        before[place as usize] += after / self.area;
                    }
                }
            }
        }
    }
}

/// An edge between the values in two slots.
#[derive(Debug)]
struct Step {
    edge: Edge,
    from: usize,
    to: usize,
}

/// The computation of a network.
#[derive(Debug)]
pub(super) struct Sweep {
    /// All steps, in the order of the nodes.
    steps: Vec<Step>,
    /// The number of values of each slot. Nodes that keep the values of their source share its
    /// slot.
    lengths: Vec<usize>,
    /// The slot of the output.
    output: usize,
}

impl Sweep {
    /// Prepares sweeps over `graph`.
    pub(super) fn new(graph: &Graph) -> Self {
        let tensors = graph.prunable();
        let tensor = |index: usize| tensors.iter().position(|tensor| tensor.node == index);
        let (mut places, mut slots): (Vec<Places>, Vec<usize>) = (Vec::new(), Vec::new());
        let (mut steps, mut lengths) = (Vec::new(), Vec::new());
        for (index, node) in graph.nodes().iter().enumerate() {
            let sources: Vec<&Places> = node.sources.iter().map(|&at| &places[at]).collect();
            let target = Places::of(node, &sources);
            if matches!(
                node.operation,
                Operation::BatchNorm | Operation::Relu | Operation::Relu6
            ) {
                slots.push(slots[node.source()]);
                places.push(target);
                continue;
            }
            for (&source, before) in node.sources.iter().zip(sources) {
                let edge = match (node.operation, tensor(index)) {
                    (_, Some(tensor)) => Edge::Weighted {
                        layer: Layer::new(node, before, &target),
                        tensor,
                    },
                    (operation, None) => Edge::Pooled(Pooled {
                        reads: before.read_by(node, &target),
                        area: match operation {
                            Operation::Pool { window, .. } => window.taps() as f64,
                            _ => 1.0,
                        },
                        before: before.count(),
                    }),
                };
                let (from, to) = (slots[source], lengths.len());
                steps.push(Step { edge, from, to });
            }
            slots.push(lengths.len());
            lengths.push(target.values());
            places.push(target);
        }
        let output = slots.last().copied().unwrap_or_default();
        Self {
            steps,
            lengths,
            output,
        }
    }

    /// Sets the score of each connection to the sum over all paths through it, and returns the sum
    /// over all paths. `connections` are those of each prunable tensor.
    pub(super) fn run(&self, connections: &mut [Remaining]) -> f64 {
        let empty = || -> Vec<Vec<f64>> { self.lengths.iter().map(|&n| vec![0.0; n]).collect() };
        let (mut from_input, mut to_output) = (empty(), empty());
        from_input[0].fill(1.0);
        for Step { edge, from, to } in &self.steps {
            // Only later nodes read a node, so its slot comes before theirs.
            let (earlier, later) = from_input.split_at_mut(*to);
            let (before, after) = (&earlier[*from], &mut later[0]);
            match edge {
                Edge::Weighted { layer, tensor } => {
                    layer.forward(&connections[*tensor], before, after);
                }
                Edge::Pooled(pooled) => pooled.forward(before, after),
            }
        }
        to_output[self.output].fill(1.0);
        for Step { edge, from, to } in self.steps.iter().rev() {
            let (earlier, later) = to_output.split_at_mut(*to);
            let (before, after) = (&mut earlier[*from], &later[0]);
            match edge {
                Edge::Weighted { layer, tensor } => {
                    let reached = &from_input[*from];
                    layer.backward(&mut connections[*tensor], reached, before, after);
                }
                Edge::Pooled(pooled) => pooled.backward(before, after),
            }
        }
        from_input[self.output].iter().sum()
    }
}
