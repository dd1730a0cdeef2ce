//! Builds the graph of a plan.

use rarefy_trainer::graph::{Graph, Operation, Padding, Window};

use super::plan::{Plan, Shortcut, StepKind, Tail, Zeros};

/// Returns the graph of `plan`; steps that do not fit are left out.
#[must_use]
pub(crate) fn graph(plan: &Plan) -> Graph {
    let mut builder = Builder {
        graph: Graph::new("random", plan.input),
    };
    // The last node of each step.
    let mut ends = vec![0];
    for step in &plan.steps {
        let source = ends[ends.len() - 1 - step.back.min(ends.len() - 1)];
        if let Some(end) = builder.step(source, step.kind, &ends) {
            ends.push(end);
        }
    }
    let tail = Tail {
        bias: plan.classes.is_multiple_of(2),
        norm: plan.norm,
        relu: false,
    };
    builder.dense(ends[ends.len() - 1], plan.classes, tail);
    builder.graph
}

/// A graph under construction.
struct Builder {
    graph: Graph,
}

impl Builder {
    /// Appends `operation`, named after `kind` and its index, and returns the index.
    fn push(&mut self, kind: &str, operation: Operation, sources: &[usize]) -> usize {
        let name = format!("{kind}{}", self.graph.nodes().len());
        let pushed = self.graph.push_from(&name, operation, sources);
        pushed.expect("a step that fits")
    }

    /// Returns the output shape of `node` if it is a map.
    fn map(&self, node: usize) -> Option<[usize; 3]> {
        self.graph.nodes()[node].shape.as_slice().try_into().ok()
    }

    /// Appends a step that reads `source`; `ends` are the last nodes of the steps before it.
    /// Returns the step's last node, or `None` if the step does not fit.
    fn step(&mut self, source: usize, kind: StepKind, ends: &[usize]) -> Option<usize> {
        match kind {
            StepKind::Conv {
                channels,
                size,
                stride,
                zeros,
                tail,
            } => self.conv(source, (channels, size, stride), zeros, tail),
            StepKind::Pool {
                kind,
                size,
                stride,
                before,
                after,
            } => {
                let [_, height, width] = self.map(source)?;
                let window = Window {
                    size: [size; 2],
                    stride: [stride; 2],
                    before,
                    after,
                };
                let least = height.min(width);
                (least >= size)
                    .then(|| self.push("pool", Operation::Pool { kind, window }, &[source]))
            }
            StepKind::Dense { units, tail } => Some(self.dense(source, units, tail)),
            StepKind::Add { other, relu } => {
                let nodes = self.graph.nodes();
                let equal = ends
                    .iter()
                    .filter(|end| nodes[**end].shape == nodes[source].shape);
                let equal: Vec<usize> = equal.copied().collect();
                let sum = self.push("add", Operation::Add, &[source, equal[other % equal.len()]]);
                Some(self.relu_if(relu, sum))
            }
            StepKind::Block {
                channels,
                stride,
                depth,
                shortcut,
                tail,
            } => self.block(source, (channels, stride, depth), shortcut, tail),
            StepKind::Norm => Some(self.push("bn", Operation::BatchNorm, &[source])),
            StepKind::Relu => Some(self.push("relu", Operation::Relu, &[source])),
        }
    }

    fn relu_if(&mut self, relu: bool, node: usize) -> usize {
        if relu {
            self.push("relu", Operation::Relu, &[node])
        } else {
            node
        }
    }

    /// Appends the operations that follow layer `node`, and returns the last of them.
    fn tail(&mut self, mut node: usize, tail: Tail) -> usize {
        if tail.norm {
            node = self.push("bn", Operation::BatchNorm, &[node]);
        }
        self.relu_if(tail.relu, node)
    }

    fn conv(
        &mut self,
        source: usize,
        (channels, size, stride): (usize, usize, usize),
        zeros: Zeros,
        tail: Tail,
    ) -> Option<usize> {
        let [_, height, width] = self.map(source)?;
        let input = [height, width];
        let window = match zeros {
            Zeros::Valid => Window::new(size, stride, Padding::Valid, input)?,
            Zeros::Same => Window::new(size, stride, Padding::Same, input)?,
            Zeros::Around(before, after) => Window {
                size: [size; 2],
                stride: [stride; 2],
                before,
                after,
            },
        };
        let fits = |axis: usize| window.before[axis] + input[axis] + window.after[axis] >= size;
        if !fits(0) || !fits(1) {
            return None;
        }
        let bias = tail.bias;
        let operation = Operation::Conv {
            channels,
            window,
            groups: 1,
            bias,
        };
        let conv = self.push("conv", operation, &[source]);
        Some(self.tail(conv, tail))
    }

    fn dense(&mut self, mut source: usize, units: usize, tail: Tail) -> usize {
        if self.map(source).is_some() {
            source = self.push("flatten", Operation::Flatten, &[source]);
        }
        let bias = tail.bias;
        let dense = self.push("fc", Operation::Dense { units, bias }, &[source]);
        self.tail(dense, tail)
    }

    /// Appends a residual block and returns its last node.
    fn block(
        &mut self,
        source: usize,
        (channels, stride, depth): (usize, usize, usize),
        shortcut: Shortcut,
        tail: Tail,
    ) -> Option<usize> {
        let shape = self.map(source)?;
        let same = stride == 1 && shape[0] == channels;
        let mut main = source;
        for layer in 0..depth {
            let tail = Tail {
                relu: layer + 1 < depth,
                ..tail
            };
            let stride = if layer == 0 { stride } else { 1 };
            main = self.conv(main, (channels, 3, stride), Zeros::Same, tail)?;
        }
        let straight = Tail {
            relu: false,
            ..tail
        };
        let short = match shortcut {
            Shortcut::Identity if same => source,
            Shortcut::Normalised if same => self.push("bn", Operation::BatchNorm, &[source]),
            _ => self.conv(source, (channels, 1, stride), Zeros::Valid, straight)?,
        };
        let sum = self.push("add", Operation::Add, &[main, short]);
        Some(self.relu_if(tail.relu, sum))
    }
}

/// Returns `graph` as text, with a few words per node.
#[must_use]
pub(crate) fn describe(graph: &Graph) -> String {
    let window = |window: &Window| {
        let Window {
            size,
            stride,
            before,
            after,
        } = window;
        format!("{size:?}/{stride:?} padded {before:?} {after:?}")
    };
    let lines = graph.nodes().iter().map(|node| {
        let what = match &node.operation {
            Operation::Conv {
                window: of, bias, ..
            } => format!("{} bias {bias}", window(of)),
            Operation::Pool { kind, window: of } => format!("{kind:?} {}", window(of)),
            Operation::Dense { bias, .. } => format!("bias {bias}"),
            _ => String::new(),
        };
        format!(
            "    {} of {:?} -> {:?} {what}",
            node.name, node.sources, node.shape
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
