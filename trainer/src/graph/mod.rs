//! The architecture: a network as a graph of named operations with known shapes.
//!
//! A [`Graph`] holds no weights. Its nodes stand in topological order (every node after what it
//! reads), the first is the input and the last gives the class scores; [`Graph::push`] keeps it
//! so and refuses what does not chain. Everything that walks a network (reachability, training,
//! folding) walks these nodes and matches on [`Operation`], so a new kind of layer is one more
//! arm in each walk. Tensor names and layouts are PyTorch's: `fc1.weight` is (out, in).

pub mod architecture;

/// An operation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The input, channels x height x width.
    Input,
    /// Rows of a feature map one after the other, channel first.
    Flatten,
    /// A fully connected layer with a bias; its weight is prunable, (units, inputs).
    Dense {
        /// Output units.
        units: usize,
    },
    /// Batch normalisation over the units, with scale and shift.
    BatchNorm,
    /// max(0, x).
    Relu,
}

/// One node: an operation, what it reads, and the shape of what it gives for one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique; parameters are called `NAME.weight`, `NAME.bias`.
    pub name: String,
    /// What it does.
    pub operation: Operation,
    /// The node it reads (none for the input).
    pub source: Option<usize>,
    /// The shape of its output for one sample: `[units]` or `[channels, height, width]`.
    pub shape: Vec<usize>,
}

/// A prunable tensor: the kernel of a layer. Biases and batch norms are never pruned nor counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Prunable {
    /// The tensor's name, such as `fc1.weight`.
    pub name: String,
    /// Its shape, (out, in).
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
}

impl Graph {
    /// A graph that holds only an input of shape (channels, height, width).
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        let node = Node {
            name: "input".into(),
            operation: Operation::Input,
            source: None,
            shape: input.to_vec(),
        };
        Self {
            name: name.into(),
            nodes: vec![node],
        }
    }

    /// Appends `operation` reading the last node.
    ///
    /// # Errors
    /// When the name is taken or the shapes do not chain.
    pub fn push(&mut self, name: &str, operation: Operation) -> Result<usize, GraphError> {
        let refuse = |reason: String| GraphError {
            layer: name.into(),
            reason,
        };
        if self.nodes.iter().any(|node| node.name == name) {
            return Err(refuse("the name is used twice".into()));
        }
        let source = self.nodes.len() - 1;
        let before = &self.nodes[source].shape;
        let shape = match operation {
            Operation::Input => return Err(refuse("a network has one input".into())),
            Operation::Flatten => vec![before.iter().product()],
            Operation::Dense { units: 0 } => return Err(refuse("it has no units".into())),
            Operation::Dense { units } if before.len() == 1 => vec![units],
            Operation::Dense { .. } => {
                return Err(refuse(format!(
                    "it needs a flat input, not one of shape {before:?}"
                )));
            }
            Operation::BatchNorm | Operation::Relu => before.clone(),
        };
        let source = Some(source);
        self.nodes.push(Node {
            name: name.into(),
            operation,
            source,
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

    /// The shape of what node `index` reads.
    pub fn source_shape(&self, index: usize) -> &[usize] {
        let source = self.nodes[index].source.unwrap_or(0);
        &self.nodes[source].shape
    }

    /// The prunable tensors in order, from input to output.
    pub fn prunable(&self) -> Vec<Prunable> {
        let mut tensors = Vec::new();
        for (
            node,
            Node {
                name, operation, ..
            },
        ) in self.nodes.iter().enumerate()
        {
            match *operation {
                Operation::Dense { units } => tensors.push(Prunable {
                    name: format!("{name}.weight"),
                    shape: vec![units, self.source_shape(node)[0]],
                    node,
                }),
                Operation::Input | Operation::Flatten | Operation::BatchNorm | Operation::Relu => {}
            }
        }
        tensors
    }

    /// The number of prunable weights, N.
    pub fn total(&self) -> usize {
        self.prunable().iter().map(Prunable::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_do_not_chain_are_refused_with_the_layer_named() {
        let mut graph = Graph::new("toy", [1, 2, 2]);
        let error = graph
            .push("fc1", Operation::Dense { units: 3 })
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("layer fc1: it needs a flat input"),
            "{error}"
        );
        graph.push("flatten", Operation::Flatten).unwrap();
        graph.push("fc1", Operation::Dense { units: 3 }).unwrap();
        assert!(graph.push("fc1", Operation::Relu).is_err());
        assert!(graph.push("fc2", Operation::Dense { units: 0 }).is_err());
        assert_eq!(graph.prunable()[0].shape, [3, 4]);
    }
}
