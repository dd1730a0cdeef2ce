//! Computes sums over all paths through each connection, in one forward and one backward pass.
//!
//! A [`Semiring`] defines the value of a path and how alternative paths combine. Over (min, max)
//! on births, the sum is the budget at which a connection becomes effective
//! ([`super::effective`]); over (+, x) on magnitudes, it is the synaptic flow through the
//! connection, which tests compare [`super::score::synflow`] with. Batch normalisation, ReLU and
//! biases do not matter to paths; max and average pooling combine the elements of their window in
//! the same way, and an addition combines its branches. A kernel weight is shared by all output
//! positions, so its value combines those of the positions at which its tap reads the feature map
//! rather than padding.
//!
//! Connections are sparse lists: the cost depends on the number of unpruned weights, not on that of
//! all weights.

use super::units::{Edge, Extent, Mode};
use crate::graph::{Graph, Node, Operation};

/// The algebra of path values: multiplication along a path, addition over alternative paths.
pub trait Semiring {
    /// The value of a connection, a unit or a path.
    type Value: Copy;
    /// The neutral element of addition: no path.
    const ZERO: Self::Value;
    /// The neutral element of multiplication: the empty path.
    const ONE: Self::Value;
    /// Combines two alternative paths.
    fn add(a: Self::Value, b: Self::Value) -> Self::Value;
    /// Combines two consecutive parts of a path.
    fn multiply(a: Self::Value, b: Self::Value) -> Self::Value;
    /// Returns the contribution of one element to the output of a pooling window of `area`
    /// elements.
    fn pool(value: Self::Value, area: usize) -> Self::Value;
}

/// An unpruned weight with a value, such as its birth or its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection<T> {
    /// The weight's flat index in its tensor, row-major.
    pub element: u32,
    /// The value.
    pub value: T,
}

/// Path sums at the units of each node: over the paths from the input, and to the output.
#[derive(Debug)]
pub struct Flow<T> {
    /// One value per unit, by slot.
    from_input: Vec<Vec<T>>,
    /// One value per unit, by slot.
    to_output: Vec<Vec<T>>,
    /// The index of each node's values in these lists.
    slots: Vec<usize>,
}

impl<T> Flow<T> {
    /// Returns, for each unit of `node`, the sum over the paths from the input to it.
    pub fn from_input(&self, node: usize) -> &[T] {
        &self.from_input[self.slots[node]]
    }

    /// Returns, for each unit of `node`, the sum over the paths from it to the output.
    pub fn to_output(&self, node: usize) -> &[T] {
        &self.to_output[self.slots[node]]
    }
}

/// Replaces the value of each connection by the sum over all input-to-output paths through it.
///
/// `connections` holds one list per prunable tensor of `graph`.
pub fn sum_over_paths<S: Semiring>(
    graph: &Graph,
    connections: &mut [Vec<Connection<S::Value>>],
    mode: Mode,
) -> Flow<S::Value> {
    let walk = Walk::new(graph, mode);
    let from_input = walk.forward::<S>(connections);
    let to_output = walk.backward::<S>(connections, &from_input);
    Flow {
        from_input,
        to_output,
        slots: walk.slots,
    }
}

/// What both passes need to know about the nodes of a graph.
struct Walk<'a> {
    nodes: &'a [Node],
    mode: Mode,
    /// The units of each node.
    extents: Vec<Extent>,
    /// The index of each node's prunable tensor, if it has one.
    tensors: Vec<Option<usize>>,
    /// The slot that holds each node's values. A node that maps units one to one shares the slot
    /// of its source.
    slots: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Prepares the passes over `graph`.
    fn new(graph: &'a Graph, mode: Mode) -> Self {
        let nodes = graph.nodes();
        let extents: Vec<Extent> = nodes.iter().map(|node| Extent::of(node, mode)).collect();
        let mut tensors = vec![None; nodes.len()];
        for (index, tensor) in graph.prunable().iter().enumerate() {
            tensors[tensor.node] = Some(index);
        }
        let mut slots = Vec::with_capacity(nodes.len());
        let mut used = 0;
        for (index, node) in nodes.iter().enumerate() {
            let is_identity = match node.operation {
                Operation::BatchNorm | Operation::Relu | Operation::Relu6 => true,
                Operation::Flatten => extents[index].units() == extents[node.source()].units(),
                _ => false,
            };
            if is_identity {
                slots.push(slots[node.source()]);
            } else {
                slots.push(used);
                used += 1;
            }
        }
        Self {
            nodes,
            mode,
            extents,
            tensors,
            slots,
        }
    }

    /// Returns how the units of `source` are connected to those of node `index`.
    fn edge(&self, source: usize, index: usize) -> Edge {
        let (node, extents) = (&self.nodes[index], &self.extents);
        Edge::new(node, extents[source], extents[index], self.mode)
    }

    /// Returns the sums over the paths from the input to each unit, by slot.
    fn forward<S: Semiring>(
        &self,
        connections: &[Vec<Connection<S::Value>>],
    ) -> Vec<Vec<S::Value>> {
        let mut from_input: Vec<Vec<S::Value>> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if self.slots[index] < from_input.len() {
                continue;
            }
            let mut after = vec![S::ZERO; self.extents[index].units()];
            for &source in &node.sources {
                let before = &from_input[self.slots[source]];
                let edge = self.edge(source, index);
                match self.tensors[index] {
                    None => edge.pairs(|from, to| {
                        after[to] = S::add(after[to], S::pool(before[from], edge.area));
                    }),
                    Some(tensor) => forward::<S>(&edge, &connections[tensor], before, &mut after),
                }
            }
            if node.operation == Operation::Input {
                after.fill(S::ONE);
            }
            from_input.push(after);
        }
        from_input
    }

    /// Returns the sums over the paths from each unit to the output, by slot. Replaces the value
    /// of each connection by the sum over the paths through it. `from_input` is the result of the
    /// forward pass.
    fn backward<S: Semiring>(
        &self,
        connections: &mut [Vec<Connection<S::Value>>],
        from_input: &[Vec<S::Value>],
    ) -> Vec<Vec<S::Value>> {
        let mut to_output: Vec<Vec<S::Value>> = from_input
            .iter()
            .map(|units| vec![S::ZERO; units.len()])
            .collect();
        if let Some(&last) = self.slots.last() {
            to_output[last].fill(S::ONE);
        }
        for (index, node) in self.nodes.iter().enumerate().rev() {
            for &source in &node.sources {
                let (from, to) = (self.slots[source], self.slots[index]);
                if from == to {
                    continue;
                }
                // Only later nodes read a node, so its slot comes before theirs.
                let (earlier, later) = to_output.split_at_mut(to);
                let (before, after) = (&mut earlier[from], &later[0]);
                let edge = self.edge(source, index);
                match self.tensors[index] {
                    None => edge.pairs(|from, to| {
                        before[from] = S::add(before[from], S::pool(after[to], edge.area));
                    }),
                    Some(tensor) => {
                        let connections = &mut connections[tensor];
                        backward::<S>(&edge, connections, &from_input[from], before, after);
                    }
                }
            }
        }
        to_output
    }
}

/// Extends the paths from the input by the connections of one layer: updates `after`, the sums at
/// the layer's outputs, from `before`, the sums at its inputs.
fn forward<S: Semiring>(
    edge: &Edge,
    connections: &[Connection<S::Value>],
    before: &[S::Value],
    after: &mut [S::Value],
) {
    if edge.is_dense() {
        for &Connection { element, value } in connections {
            let (output, input, _) = edge.locate(element);
            after[output] = S::add(after[output], S::multiply(before[input], value));
        }
        return;
    }
    let (from, to) = (edge.source.plane(), edge.target.plane());
    for &Connection { element, value } in connections {
        let (output, input, tap) = edge.locate(element);
        let before = &before[input * from..][..from];
        let after = &mut after[output * to..][..to];
        edge.runs(tap, |from, to, count| {
            let (before, after) = (&before[from..], &mut after[to..to + count]);
            let extend = |(after, &before): (&mut S::Value, &S::Value)| {
                *after = S::add(*after, S::multiply(before, value));
            };
            // The compiler vectorizes only contiguous runs.
            match edge.step() {
                1 => after.iter_mut().zip(&before[..count]).for_each(extend),
                step => after
                    .iter_mut()
                    .zip(before.iter().step_by(step))
                    .for_each(extend),
            }
        });
    }
}

/// Extends the paths to the output by the connections of one layer: updates `before`, the sums at
/// the layer's inputs, from `after`, the sums at its outputs. Replaces the value of each connection
/// by the sum over the paths through it; `reached` holds the sums over the paths from the input to
/// the layer's inputs.
fn backward<S: Semiring>(
    edge: &Edge,
    connections: &mut [Connection<S::Value>],
    reached: &[S::Value],
    before: &mut [S::Value],
    after: &[S::Value],
) {
    if edge.is_dense() {
        for Connection { element, value } in connections {
            let (output, input, _) = edge.locate(*element);
            let onward = S::multiply(*value, after[output]);
            before[input] = S::add(before[input], onward);
            *value = S::multiply(reached[input], onward);
        }
        return;
    }
    let (from, to) = (edge.source.plane(), edge.target.plane());
    for Connection { element, value } in connections {
        let (output, input, tap) = edge.locate(*element);
        let reached = &reached[input * from..][..from];
        let before = &mut before[input * from..][..from];
        let after = &after[output * to..][..to];
        let (own, mut through) = (*value, S::ZERO);
        edge.runs(tap, |from, to, count| {
            let after = &after[to..to + count];
            let (reached, before) = (&reached[from..], &mut before[from..]);
            let extend = |((before, &reached), &after): ((&mut S::Value, &S::Value), &S::Value)| {
                *before = S::add(*before, S::multiply(own, after));
                through = S::add(through, S::multiply(reached, after));
            };
            match edge.step() {
                1 => before[..count]
                    .iter_mut()
                    .zip(&reached[..count])
                    .zip(after)
                    .for_each(extend),
                step => before
                    .iter_mut()
                    .step_by(step)
                    .zip(reached.iter().step_by(step))
                    .zip(after)
                    .for_each(extend),
            }
        });
        *value = S::multiply(own, through);
    }
}
