//! The graph itself: nodes in topological order, and the shapes of their outputs.

use std::collections::HashMap;

use super::kernel::KernelLayout;
use super::window::Window;

/// An operation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The input: a feature map (channels, height, width).
    Input,
    /// Flattening of a feature map to units, channel-first.
    Flatten,
    /// A fully connected layer. Its weight (units, inputs) is prunable.
    Dense {
        /// Number of output units.
        units: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// A convolution of a feature map (strictly, a cross-correlation). Its weight (channels, input
    /// channels / groups, rows, columns) is prunable.
    Conv {
        /// Number of output channels.
        channels: usize,
        /// The sliding window with its padding.
        window: Window,
        /// The number of groups into which input and output channels are divided: an output
        /// channel reads the input channels of its own group. A depthwise convolution has as many
        /// groups as input channels, an ordinary one has 1.
        groups: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Pooling of each channel of a feature map. Padding is ignored: an average is over the
    /// positions inside the input.
    Pool {
        /// The value computed from each window.
        kind: Pooling,
        /// The sliding window with its padding.
        window: Window,
    },
    /// Batch normalisation with scale and shift, per unit or, for a feature map, per channel.
    BatchNorm,
    /// max(0, x).
    Relu,
    /// min(max(0, x), 6).
    Relu6,
    /// The sum of two sources of the same shape: a residual connection.
    Add,
}

/// The value that pooling computes from each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// An operation, the nodes that it reads, and the shape of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique name. The node's parameters are called `NAME.weight` and `NAME.bias`.
    pub name: String,
    /// The operation.
    pub operation: Operation,
    /// Indices of the nodes that this node reads: none for the input, two for an addition,
    /// otherwise one.
    pub sources: Vec<usize>,
    /// Shape of the output per sample: `[units]` or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

impl Node {
    /// Returns the index of the first node that this node reads, or 0 for the input itself.
    pub fn source(&self) -> usize {
        self.sources.first().copied().unwrap_or(0)
    }
}

/// A prunable tensor: the kernel of a layer. Biases and batch norms are neither pruned nor
/// counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Prunable {
    /// Name of the tensor, such as `fc1.weight`.
    pub name: String,
    /// Shape: (out, in) or (out, in / groups, height, width).
    pub shape: Vec<usize>,
    /// Index of the node whose kernel this is.
    #[serde(skip)]
    pub node: usize,
}

impl Prunable {
    /// Returns the number of weights.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether there are no weights, which is never the case in a valid graph.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a node cannot be added to a graph.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("layer {layer}: {reason}")]
pub struct GraphError {
    /// Name of the node at fault.
    pub layer: String,
    /// What is wrong with the node.
    pub reason: String,
}

/// The architecture of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    /// Index of each node by its name.
    names: HashMap<String, usize>,
}

impl Graph {
    /// Creates a graph with only an input of shape (channels, height, width).
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        let node = Node {
            name: "input".into(),
            operation: Operation::Input,
            sources: Vec::new(),
            shape: input.to_vec(),
        };
        Self {
            name: name.into(),
            names: HashMap::from([(node.name.clone(), 0)]),
            nodes: vec![node],
        }
    }

    /// Appends a node that applies `operation` to the last node. Returns its index.
    ///
    /// # Errors
    /// Returns an error if the name is taken, or if the operation is invalid or does not accept
    /// the shapes of its sources.
    pub fn push(&mut self, name: &str, operation: Operation) -> Result<usize, GraphError> {
        self.push_from(name, operation, &[self.nodes.len() - 1])
    }

    /// Appends a node that applies `operation` to the existing nodes `sources`. Returns its index.
    ///
    /// # Errors
    /// Returns an error if the name is taken, or if the operation is invalid or does not accept
    /// the shapes of its sources.
    pub fn push_from(
        &mut self,
        name: &str,
        operation: Operation,
        sources: &[usize],
    ) -> Result<usize, GraphError> {
        let shape = self.output_shape(name, operation, sources);
        let shape = shape.map_err(|reason| GraphError {
            layer: name.into(),
            reason,
        })?;
        self.names.insert(name.into(), self.nodes.len());
        self.nodes.push(Node {
            name: name.into(),
            operation,
            sources: sources.to_vec(),
            shape,
        });
        Ok(self.nodes.len() - 1)
    }

    /// Returns the output shape of `operation` on the nodes `sources`, or why it cannot be
    /// appended under `name`.
    fn output_shape(
        &self,
        name: &str,
        operation: Operation,
        sources: &[usize],
    ) -> Result<Vec<usize>, String> {
        if self.names.contains_key(name) {
            return Err("an earlier layer has the same name; choose another".into());
        }
        let wanted = if operation == Operation::Add { 2 } else { 1 };
        if sources.len() != wanted || sources.iter().any(|&source| source >= self.nodes.len()) {
            return Err(format!(
                "the number of earlier layers that it reads must be {wanted}"
            ));
        }
        let before = &self.nodes[sources[0]].shape;
        let map = || match before.as_slice() {
            &[channels, height, width] => Ok((channels, [height, width])),
            _ => Err(format!(
                "it needs a feature map as input, not {} units",
                before[0]
            )),
        };
        match operation {
            Operation::Input => Err("a network has exactly one input".into()),
            Operation::Flatten => Ok(vec![before.iter().product()]),
            Operation::Dense { units: 0, .. } => {
                Err("it has no units; give it at least one".into())
            }
            Operation::Dense { units, .. } if before.len() == 1 => Ok(vec![units]),
            Operation::Dense { .. } => Err(format!(
                "it needs a flat input, not a feature map of {}; flatten it first",
                dimensions(before)
            )),
            Operation::Conv { channels: 0, .. } => {
                Err("it has no channels; give it at least one".into())
            }
            Operation::Conv {
                channels,
                window,
                groups,
                ..
            } => map().and_then(|(inputs, input)| {
                let divides = |channels: usize| groups > 0 && channels.is_multiple_of(groups);
                if !(divides(channels) && divides(inputs)) {
                    return Err(format!(
                        "its {groups} groups must divide both its {inputs} input channels and its {channels} channels: change one of the numbers"
                    ));
                }
                windowed(channels, window, input)
            }),
            Operation::Pool { window, .. }
                if (0..2).any(|axis| {
                    window.before[axis].max(window.after[axis]) >= window.size[axis]
                }) =>
            {
                Err("some of its windows contain only padding; reduce the padding".into())
            }
            Operation::Pool { window, .. } => {
                map().and_then(|(channels, input)| windowed(channels, window, input))
            }
            Operation::BatchNorm | Operation::Relu | Operation::Relu6 => Ok(before.clone()),
            Operation::Add if self.nodes[sources[1]].shape == *before => Ok(before.clone()),
            Operation::Add => Err(format!(
                "it adds {} to {}, but both must have the same shape",
                dimensions(before),
                dimensions(&self.nodes[sources[1]].shape)
            )),
        }
    }

    /// Returns the name of the architecture.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns all nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node called `name`, if there is one.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.names.get(name).map(|&index| &self.nodes[index])
    }

    /// Returns the shape of the input: (channels, height, width).
    pub fn input_shape(&self) -> &[usize] {
        &self.nodes[0].shape
    }

    /// Returns the number of elements per input sample.
    pub fn input_len(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// Returns the number of classes: the units of the last node.
    pub fn classes(&self) -> usize {
        self.nodes
            .last()
            .map_or(0, |node| node.shape.iter().product())
    }

    /// Returns the shape of the first source of node `index`.
    pub fn source_shape(&self, index: usize) -> &[usize] {
        &self.nodes[self.nodes[index].source()].shape
    }

    /// Returns the shape of the kernel of node `index` in PyTorch's layout, (out, in) or (out, in /
    /// groups, height, width), or `None` if it has no kernel.
    pub fn kernel_shape(&self, index: usize) -> Option<Vec<usize>> {
        let inputs = self.source_shape(index)[0];
        match self.nodes[index].operation {
            Operation::Dense { units, .. } => Some(vec![units, inputs]),
            Operation::Conv {
                channels,
                window,
                groups,
                ..
            } => {
                let [height, width] = window.size;
                Some(vec![channels, inputs / groups, height, width])
            }
            _ => None,
        }
    }

    /// Returns how the kernel of node `index` connects channels, or `None` if it has no kernel.
    pub fn kernel_layout(&self, index: usize) -> Option<KernelLayout> {
        let shape = self.kernel_shape(index)?;
        let groups = self.source_shape(index)[0] / shape[1];
        Some(KernelLayout {
            outputs: shape[0] / groups,
            inputs: shape[1],
            taps: shape[2..].iter().product(),
        })
    }

    /// Returns the prunable tensors in topological order.
    pub fn prunable(&self) -> Vec<Prunable> {
        let kernel = |(node, Node { name, .. }): (usize, &Node)| {
            let shape = self.kernel_shape(node)?;
            let name = format!("{name}.weight");
            Some(Prunable { name, shape, node })
        };
        self.nodes.iter().enumerate().filter_map(kernel).collect()
    }

    /// Returns the smallest number of prunable weights on a path from the input to an output.
    pub fn shortest_path(&self) -> usize {
        let mut lengths: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let sources = node.sources.iter().map(|&source| lengths[source]);
            let own = usize::from(self.kernel_shape(index).is_some());
            lengths.push(sources.min().unwrap_or(0) + own);
        }
        lengths.last().copied().unwrap_or(0)
    }

    /// Returns the index of the last prunable tensor without weights if no path from input to
    /// output remains, or `None` if one may remain. `kept` is the number of weights that each
    /// tensor keeps.
    pub fn blocked(&self, kept: &[usize]) -> Option<usize> {
        let mut kept = kept.iter().enumerate();
        let mut last = None;
        let mut reached: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let mut open = true;
            if self.kernel_shape(index).is_some()
                && let Some((tensor, &kept)) = kept.next()
                && kept == 0
            {
                (open, last) = (false, Some(tensor));
            }
            let mut sources = node.sources.iter();
            let sourced = node.sources.is_empty() || sources.any(|&source| reached[source]);
            reached.push(open && sourced);
        }
        if reached.last() == Some(&true) {
            None
        } else {
            last
        }
    }

    /// Returns the number of prunable weights, N.
    pub fn total(&self) -> usize {
        self.prunable().iter().map(Prunable::len).sum()
    }
}

/// Returns the output shape (channels, height, width) of `window` over `input` (height, width), or
/// why the window does not fit.
fn windowed(channels: usize, window: Window, input: [usize; 2]) -> Result<Vec<usize>, String> {
    let fits = |axis: usize| {
        let padded = window.before[axis] + input[axis] + window.after[axis];
        (1..=padded).contains(&window.size[axis]) && window.stride[axis] > 0
    };
    if !(fits(0) && fits(1)) {
        return Err(format!(
            "its window of {} does not fit a feature map of {}",
            dimensions(&window.size),
            dimensions(&input)
        ));
    }
    let [height, width] = window.outputs(input);
    Ok(vec![channels, height, width])
}

/// Formats a shape as "6 x 14 x 14".
fn dimensions(shape: &[usize]) -> String {
    let numbers: Vec<String> = shape.iter().map(usize::to_string).collect();
    numbers.join(" x ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Padding;

    #[test]
    fn mismatched_shapes_are_rejected_by_layer() {
        let mut graph = Graph::new("toy", [1, 2, 2]);
        let error = graph
            .push(
                "fc1",
                Operation::Dense {
                    units: 3,
                    bias: true,
                },
            )
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("layer fc1: it needs a flat input"),
            "{error}"
        );
        graph.push("flatten", Operation::Flatten).unwrap();
        graph
            .push(
                "fc1",
                Operation::Dense {
                    units: 3,
                    bias: true,
                },
            )
            .unwrap();
        assert!(graph.push("fc1", Operation::Relu).is_err());
        assert!(
            graph
                .push(
                    "fc2",
                    Operation::Dense {
                        units: 0,
                        bias: true
                    }
                )
                .is_err()
        );
        assert_eq!(graph.prunable()[0].shape, [3, 4]);
    }

    #[test]
    fn groups_divide_input_and_output_channels() {
        let conv = |channels, groups| {
            let mut graph = Graph::new("toy", [6, 5, 4]);
            let window = Window::new(3, 1, Padding::Same, [5, 4]).unwrap();
            let operation = Operation::Conv {
                channels,
                window,
                groups,
                bias: false,
            };
            graph.push("conv", operation).map(|_| graph)
        };
        for (channels, groups, shape) in [
            (6, 6, [6, 1, 3, 3]),
            (12, 6, [12, 1, 3, 3]),
            (4, 2, [4, 3, 3, 3]),
            (5, 1, [5, 6, 3, 3]),
        ] {
            let graph = conv(channels, groups).unwrap();
            assert_eq!(graph.prunable()[0].shape, shape);
            assert_eq!(graph.total(), shape.iter().product::<usize>());
            let layout = graph.kernel_layout(1).unwrap();
            assert_eq!((layout.outputs, layout.taps), (channels / groups, 9));
        }
        for (channels, groups) in [(6, 4), (4, 6), (5, 2), (6, 0)] {
            let error = conv(channels, groups).unwrap_err().to_string();
            let words = format!("layer conv: its {groups} groups must divide");
            assert!(error.starts_with(&words), "{error}");
        }
    }
}
