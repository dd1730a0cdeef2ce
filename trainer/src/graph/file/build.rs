//! Builds the graph of a file's layers: each becomes its operation, optionally followed by batch
//! norm and ReLU.
//!
//! The layers must be ordered so that each follows its sources. Shapes that do not match, an
//! output that is not dense, and sizes above the limits are rejected.

use std::collections::HashMap;

use super::numbers::{Clip, Count, InputShape, Pair, PoolSize};
use super::order::Source;
use super::table::{Kind, LayerEntry, Preamble};
use super::{Fault, LIMIT};
use crate::graph::topology::{Graph, GraphError, Operation};
use crate::graph::window::{Padding, Window};

/// Builds the graph of `layers`, in the given `order`.
pub(super) fn build(
    top: &Preamble,
    layers: &[LayerEntry],
    sources: &[Vec<Source>],
    order: &[usize],
) -> Result<Graph, Fault> {
    let InputShape(input) = *top.input.get_ref();
    let Some(elements) = product(&input) else {
        let reason = format!("the input has more than {LIMIT} elements: make it smaller");
        return Err(Fault::new(top.input.span().start, None, reason));
    };
    let Some(&output) = order.last() else {
        return Err(Fault::new(0, None, "there is no [[layer]]; add one"));
    };
    if !matches!(layers[output].kind, Kind::Dense(_)) {
        return Err(layers[output].fault(
            "no layer reads it, so it is the output, which must be a dense layer: add one after it",
        ));
    }
    let mut builder = Builder {
        graph: Graph::new(top.name.get_ref(), input),
        counts: HashMap::new(),
        elements,
        weights: 0,
    };
    // The last node of each layer, whose output is what other layers read.
    let mut ends = vec![0; layers.len()];
    for &index in order {
        let sources: Vec<usize> = sources[index]
            .iter()
            .map(|source| match source {
                Source::Input => 0,
                Source::Layer(layer) => ends[*layer],
            })
            .collect();
        let layer = &layers[index];
        let end = builder.layer(layer, &sources, index == output);
        ends[index] = end.map_err(|reason| layer.fault(reason))?;
    }
    Ok(builder.graph)
}

/// A graph under construction, with its size so far.
struct Builder {
    graph: Graph,
    /// Number of nodes so far of each kind that is named here: `flatten`, `bn` and `relu`.
    counts: HashMap<&'static str, usize>,
    /// Elements of all feature maps so far, the input included.
    elements: usize,
    weights: usize,
}

impl Builder {
    /// Appends the nodes of `layer`, which reads the nodes `sources`. Returns its last node.
    fn layer(
        &mut self,
        layer: &LayerEntry,
        sources: &[usize],
        is_output: bool,
    ) -> Result<usize, String> {
        let mut source = sources[0];
        let node = match &layer.kind {
            Kind::Conv(conv) => {
                let (Pair(size), stride) = (conv.kernel, conv.stride.map_or([1; 2], |pair| pair.0));
                let window = self.window(source, size, stride, conv.padding)?;
                let operation = Operation::Conv {
                    channels: conv.channels.0,
                    window,
                    groups: conv.groups.map_or(1, |Count(groups)| groups),
                    bias: conv.bias.unwrap_or(true),
                };
                self.push(&layer.name, operation, sources)?
            }
            Kind::Dense(dense) => {
                if self.graph.nodes()[source].shape.len() > 1 {
                    // The first one, which is usually the only one, has no number.
                    let name = self.next("flatten");
                    let name = if name == "flatten1" { "flatten" } else { &name };
                    source = self.push(name, Operation::Flatten, &[source])?;
                }
                let operation = Operation::Dense {
                    units: dense.units.0,
                    bias: dense.bias.unwrap_or(true),
                };
                self.push(&layer.name, operation, &[source])?
            }
            Kind::Pool(kind, pool) => {
                let size = match pool.size {
                    PoolSize::Map if pool.stride.is_some() || pool.padding != Padding::Valid => {
                        return Err("its window is the whole map, so that `stride` and `padding` have no meaning: remove them".into());
                    }
                    PoolSize::Map => self.map(source)?,
                    PoolSize::Of(Pair(size)) => size,
                };
                let stride = pool.stride.map_or(size, |pair| pair.0);
                let window = self.window(source, size, stride, pool.padding)?;
                let kind = *kind;
                self.push(&layer.name, Operation::Pool { kind, window }, sources)?
            }
            Kind::Add(_) => self.push(&layer.name, Operation::Add, sources)?,
        };
        let (norm, relu) = norm_and_relu(&layer.kind, is_output);
        if is_output && relu != Clip::Nothing {
            return Err(
                "it computes the class scores, which a ReLU would clip: remove `relu`".into(),
            );
        }
        let mut end = node;
        for (wanted, kind, operation) in [
            (norm, "bn", Operation::BatchNorm),
            (relu == Clip::Relu, "relu", Operation::Relu),
            (relu == Clip::Relu6, "relu", Operation::Relu6),
        ] {
            if wanted {
                let name = self.next(kind);
                end = self.push(&name, operation, &[end])?;
            }
        }
        Ok(end)
    }

    /// Appends a node unless it exceeds the limits.
    fn push(
        &mut self,
        name: &str,
        operation: Operation,
        sources: &[usize],
    ) -> Result<usize, String> {
        let pushed = self.graph.push_from(name, operation, sources);
        let node = pushed.map_err(|GraphError { reason, .. }| reason)?;
        let sum = |sum: usize, shape: &[usize]| Some(sum + product(shape)?).filter(|&n| n <= LIMIT);
        self.elements = sum(self.elements, &self.graph.nodes()[node].shape).ok_or_else(|| {
            format!("with it, feature maps have more than {LIMIT} elements in all: make it smaller")
        })?;
        if let Some(shape) = self.graph.kernel_shape(node) {
            self.weights = sum(self.weights, &shape).ok_or_else(|| {
                format!("with it, the network has more than {LIMIT} weights: make it smaller")
            })?;
        }
        Ok(node)
    }

    /// Returns the (height, width) of the output of node `source`, which must be a feature map.
    fn map(&self, source: usize) -> Result<[usize; 2], String> {
        match *self.graph.nodes()[source].shape.as_slice() {
            [_, height, width] => Ok([height, width]),
            ref shape => Err(format!(
                "it needs a feature map as input, not {} units",
                shape[0]
            )),
        }
    }

    /// Returns the window of `size` over the output of node `source`.
    fn window(
        &self,
        source: usize,
        size: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Window, String> {
        let map = self.map(source)?;
        Window::rectangular(size, stride, padding, map).ok_or_else(|| {
            format!(
                "its window of {} x {} does not fit a feature map of {} x {}",
                size[0], size[1], map[0], map[1]
            )
        })
    }

    /// Returns the next name of a kind: `bn1`, `bn2`, …
    fn next(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}{count}")
    }
}

/// Returns whether a layer of `kind` has a batch norm, and its ReLU.
fn norm_and_relu(kind: &Kind, is_output: bool) -> (bool, Clip) {
    let hidden = if is_output { Clip::Nothing } else { Clip::Relu };
    match kind {
        Kind::Conv(conv) => (conv.norm.unwrap_or(true), conv.relu.unwrap_or(Clip::Relu)),
        Kind::Dense(dense) => (dense.norm.unwrap_or(true), dense.relu.unwrap_or(hidden)),
        Kind::Pool(..) => (false, Clip::Nothing),
        Kind::Add(add) => (false, add.relu.unwrap_or(Clip::Relu)),
    }
}

/// Returns the number of elements of an array of `shape`, or `None` if it exceeds [`LIMIT`].
fn product(shape: &[usize]) -> Option<usize> {
    let product = |product: usize, &n: &usize| product.checked_mul(n).filter(|&n| n <= LIMIT);
    shape.iter().try_fold(1, product)
}
