//! The graph itself: nodes in topological order, and the shapes that they compute.

use std::collections::HashMap;

use super::window::Window;

/// An operation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The input, channels x height x width.
    Input,
    /// Rows of a feature map one after the other, channel first.
    Flatten,
    /// A fully connected layer; its weight is prunable, (units, inputs).
    Dense {
        /// Output units.
        units: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// A convolution of a map (strictly, a correlation, as everywhere); its weight is prunable,
    /// (channels, input channels, size, size).
    Conv {
        /// Output channels.
        channels: usize,
        /// The window and its padding.
        window: Window,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Pooling of each channel of a map; padding is left out, of means too.
    Pool {
        /// What is kept of a window.
        kind: Pooling,
        /// The window.
        window: Window,
    },
    /// Batch normalisation over the units (of a map: over the channels), with scale and shift.
    BatchNorm,
    /// max(0, x).
    Relu,
    /// The sum of two sources of one shape: a residual connection.
    Add,
}

/// What pooling keeps of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The mean.
    Average,
}

/// One node: an operation, what it reads, and the shape of what it gives for one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique; parameters are called `NAME.weight`, `NAME.bias`.
    pub name: String,
    /// What it does.
    pub operation: Operation,
    /// The nodes it reads: none for the input, two for an addition, else one.
    pub sources: Vec<usize>,
    /// The shape of its output for one sample: `[units]` or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

impl Node {
    /// The node it reads first; 0, the input, where it reads none.
    pub fn source(&self) -> usize {
        self.sources.first().copied().unwrap_or(0)
    }
}

/// A prunable tensor: the kernel of a layer. Biases and batch norms are never pruned nor counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Prunable {
    /// The tensor's name, such as `fc1.weight`.
    pub name: String,
    /// Its shape, (out, in) or (out, in, height, width).
    pub shape: Vec<usize>,
    /// The node it belongs to.
    #[serde(skip)]
    pub node: usize,
}

impl Prunable {
    /// Number of weights.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no weight at all (never, in a valid graph).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An architecture that does not chain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("layer {layer}: {reason}")]
pub struct GraphError {
    /// The name of the node at fault.
    pub layer: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A network's architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    /// The index of each node by its name.
    names: HashMap<String, usize>,
}

impl Graph {
    /// A graph that holds only an input of shape (channels, height, width).
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

    /// Appends `operation` reading the last node.
    ///
    /// # Errors
    /// When the name is taken or the shapes do not chain.
    pub fn push(&mut self, name: &str, operation: Operation) -> Result<usize, GraphError> {
        self.push_from(name, operation, &[self.nodes.len() - 1])
    }

    /// Appends `operation` reading the nodes `sources`, which must be there already.
    ///
    /// # Errors
    /// When the name is taken or the shapes do not chain.
    pub fn push_from(
        &mut self,
        name: &str,
        operation: Operation,
        sources: &[usize],
    ) -> Result<usize, GraphError> {
        let refuse = |reason: String| {
            Err(GraphError {
                layer: name.into(),
                reason,
            })
        };
        if self.names.contains_key(name) {
            return refuse("the name is used twice".into());
        }
        let wanted = if operation == Operation::Add { 2 } else { 1 };
        if sources.len() != wanted || sources.iter().any(|&source| source >= self.nodes.len()) {
            return refuse(format!("it must read {wanted} of the layers before it"));
        }
        let before = &self.nodes[sources[0]].shape;
        let map = || match before.as_slice() {
            &[channels, height, width] => Ok((channels, [height, width])),
            _ => Err(format!("it needs a map, not {} units in a row", before[0])),
        };
        let shape = match operation {
            Operation::Input => Err("a network has one input".into()),
            Operation::Flatten => Ok(vec![before.iter().product()]),
            Operation::Dense { units: 0, .. } => Err("it has no units".into()),
            Operation::Dense { units, .. } if before.len() == 1 => Ok(vec![units]),
            Operation::Dense { .. } => Err(format!(
                "it needs a flat input, not a map of {}; flatten it first",
                dimensions(before)
            )),
            Operation::Conv { channels: 0, .. } => Err("it has no channels".into()),
            Operation::Conv {
                channels, window, ..
            } => map().and_then(|(_, input)| windowed(channels, window, input)),
            Operation::Pool { window, .. }
                if [window.before, window.after].concat().iter().max() >= Some(&window.size) =>
            {
                Err("some of its windows would hold nothing but padding".into())
            }
            Operation::Pool { window, .. } => {
                map().and_then(|(channels, input)| windowed(channels, window, input))
            }
            Operation::BatchNorm | Operation::Relu => Ok(before.clone()),
            Operation::Add if self.nodes[sources[1]].shape == *before => Ok(before.clone()),
            Operation::Add => Err(format!(
                "it adds {} to {}, which do not match",
                dimensions(before),
                dimensions(&self.nodes[sources[1]].shape)
            )),
        };
        let shape = match shape {
            Ok(shape) => shape,
            Err(reason) => return refuse(reason),
        };
        self.names.insert(name.into(), self.nodes.len());
        self.nodes.push(Node {
            name: name.into(),
            operation,
            sources: sources.to_vec(),
            shape,
        });
        Ok(self.nodes.len() - 1)
    }

    /// The architecture's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node called `name`, if there is one.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.names.get(name).map(|&index| &self.nodes[index])
    }

    /// The input's shape, (channels, height, width).
    pub fn input_shape(&self) -> &[usize] {
        &self.nodes[0].shape
    }

    /// Elements of one input sample.
    pub fn input_len(&self) -> usize {
        self.input_shape().iter().product()
    }

    /// Number of classes: the units of the last node.
    pub fn classes(&self) -> usize {
        self.nodes
            .last()
            .map_or(0, |node| node.shape.iter().product())
    }

    /// The shape of what node `index` reads (first).
    pub fn source_shape(&self, index: usize) -> &[usize] {
        &self.nodes[self.nodes[index].source()].shape
    }

    /// The shape of the kernel of node `index`, PyTorch's: (out, in) or (out, in, height, width);
    /// none where it has no kernel.
    pub fn kernel_shape(&self, index: usize) -> Option<Vec<usize>> {
        let inputs = self.source_shape(index)[0];
        match self.nodes[index].operation {
            Operation::Dense { units, .. } => Some(vec![units, inputs]),
            Operation::Conv {
                channels, window, ..
            } => Some(vec![channels, inputs, window.size, window.size]),
            _ => None,
        }
    }

    /// The prunable tensors in order, from input to output.
    pub fn prunable(&self) -> Vec<Prunable> {
        let kernel = |(node, Node { name, .. }): (usize, &Node)| {
            let shape = self.kernel_shape(node)?;
            let name = format!("{name}.weight");
            Some(Prunable { name, shape, node })
        };
        self.nodes.iter().enumerate().filter_map(kernel).collect()
    }

    /// The fewest prunable weights on a path from the input to an output.
    pub fn shortest_path(&self) -> usize {
        let mut lengths: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let sources = node.sources.iter().map(|&source| lengths[source]);
            let own = usize::from(self.kernel_shape(index).is_some());
            lengths.push(sources.min().unwrap_or(0) + own);
        }
        lengths.last().copied().unwrap_or(0)
    }

    /// Returns the prunable tensor at which the last path from input to output ends when each keeps
    /// `kept` of its weights, none while there may be a path.
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

    /// The number of prunable weights, N.
    pub fn total(&self) -> usize {
        self.prunable().iter().map(Prunable::len).sum()
    }
}

/// The shape that `window` gives over `channels` maps of `input`.
fn windowed(channels: usize, window: Window, input: [usize; 2]) -> Result<Vec<usize>, String> {
    let padded = [0, 1].map(|axis| window.before[axis] + input[axis] + window.after[axis]);
    if window.size == 0 || window.stride == 0 || padded.iter().any(|&n| n < window.size) {
        return Err(format!(
            "its window of {0} x {0} does not fit a map of {1}",
            window.size,
            dimensions(&input)
        ));
    }
    let [height, width] = window.outputs(input);
    Ok(vec![channels, height, width])
}

/// "6 x 14 x 14".
fn dimensions(shape: &[usize]) -> String {
    let numbers: Vec<String> = shape.iter().map(usize::to_string).collect();
    numbers.join(" x ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_do_not_chain_are_refused_with_the_layer_named() {
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
}
