//! Folding: a trained graph becomes a [`Network`] of weights, biases and ReLUs alone.
//!
//! Every node gives a value: a layer's output times a scale plus a shift for each unit. Batch norms
//! and the input's `(pixel / 255 - mean) / std` only change scale and shift (with population mean m and
//! variance v, `a = scale / sqrt(v + eps)`, `b = shift - a m`), and the next weights take them in; where
//! a layer is read by nothing else, its own weights do. What neither takes (a normalised identity
//! that is added, a ReLU of what others read without) becomes a diagonal layer. An addition is part of
//! one of its sources, a pooling without overlap of the convolution before it.
//!
//! Zeros around a map would have to be shifted too. So before a convolution that pads, a layer of
//! 1 x 1 passes the map on with one more channel, a constant, from which the convolution takes the
//! shift wherever it reads a real position: exact, for twice the weights where the map has one
//! channel, and not needed where inputs were normalised by a mean of 0.
//!
//! Assumes a state and masks of the graph. Refuses what the device cannot do: zeros around a map
//! without ReLU (its bytes are not zero there), means over padded windows, class scores that no dense
//! layer gives or that a ReLU cuts.

use sprs::CsMat;

use super::DeployError;
use super::draft::{Draft, Refusal, Value, bare};
use super::network::{Layer, Network, Operation, signed};
use super::sparse::from_rows;
use crate::graph::{self, Graph, Node, Pooling};
use crate::network::state::Array;
use crate::network::{EPSILON, State};
use crate::pruning::Masks;

/// Folds `state` (weights with statistics) under `masks`; inputs are pixels normalised by
/// `(pixel / 255 - mean) / std`.
///
/// # Errors
/// When the device could not compute the network; see above.
pub fn fold(
    graph: &Graph,
    state: &State,
    masks: &Masks,
    (mean, std): (f32, f32),
) -> Result<Network, DeployError> {
    let refuse = |(layer, reason): Refusal| DeployError::Fold {
        arch: graph.name().into(),
        layer,
        reason,
    };
    let &[channels, height, width] = graph.input_shape() else {
        unreachable!("an input has channels, height and width");
    };
    let draft = Draft {
        input: [channels, height, width],
        layers: Vec::new(),
        alone: Vec::new(),
    };
    let mut folder = Folder { state, draft };
    let edges = edges(graph);
    let (mean, std) = (f64::from(mean), f64::from(std));
    let pixels = Value {
        layer: None,
        units: vec![[1.0 / (255.0 * std), -mean / std]; channels],
        flat: false,
        sole: false,
    };
    let mut masks = masks.iter();
    let mut values: Vec<Option<Value>> = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        // Every prunable node has a mask, also one that nothing needs.
        let mask = graph.kernel_shape(index).and_then(|_| masks.next());
        if edges[index] == 0 && index + 1 < graph.nodes().len() {
            values.push(None);
            continue;
        }
        let read = node.sources.iter().map(|&source| {
            let mut value = values[source].clone().expect("what is read is needed");
            value.sole &= edges[source] == 1;
            value
        });
        let mut read = read.collect::<Vec<_>>().into_iter();
        let value = match read.next() {
            None => Ok(pixels.clone()),
            Some(first) => folder.node(node, first, read.next(), mask.map(|mask| &mask.keep[..])),
        };
        values.push(Some(value.map_err(refuse)?));
    }
    let last = values.pop().flatten().expect("a graph has an input");
    let name = graph.nodes().last().map_or("", |node| &node.name);
    folder.draft.finish(last, name).map_err(refuse)
}

/// How many of a graph's nodes that its last one needs read each node, counted once a source.
fn edges(graph: &Graph) -> Vec<usize> {
    let nodes = graph.nodes();
    let mut edges = vec![0; nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        if edges[index] > 0 || index + 1 == nodes.len() {
            node.sources.iter().for_each(|&source| edges[source] += 1);
        }
    }
    edges
}

/// The walk over a graph.
struct Folder<'a> {
    state: &'a State,
    draft: Draft,
}

impl Folder<'_> {
    /// The value of `node`, which reads `value` and, an addition, `other`; `keep` masks its kernel.
    fn node(
        &mut self,
        node: &Node,
        mut value: Value,
        other: Option<Value>,
        keep: Option<&[bool]>,
    ) -> Result<Value, Refusal> {
        let refuse = |reason: String| Err((node.name.clone(), reason));
        match node.operation {
            graph::Operation::Input => {}
            graph::Operation::Flatten => {
                let repeat = node.shape[0] / value.units.len();
                let spread = |unit| std::iter::repeat_n(unit, repeat);
                value.units = value.units.into_iter().flat_map(spread).collect();
                value.flat = true;
            }
            graph::Operation::Dense { .. } | graph::Operation::Conv { .. } => {
                let Some(keep) = keep else {
                    return refuse("it has no mask".into());
                };
                return self.weighted(node, value, keep);
            }
            graph::Operation::BatchNorm => self.normalise(node, &mut value),
            graph::Operation::Relu => return Ok(self.rectify(node, value)),
            graph::Operation::Pool { kind, window } => {
                let padded = [window.before, window.after] != [[0; 2]; 2];
                if padded && kind == Pooling::Average {
                    return refuse(
                        "it takes means over windows that reach beyond the map: train it without padding"
                            .into(),
                    );
                }
                // The largest is still the largest behind a scale that is not negative.
                if kind == Pooling::Max && value.units.iter().any(|unit| unit[0] < 0.0) {
                    value = self
                        .draft
                        .diagonal(&format!("{}.input", node.name), &value, false);
                }
                let units = std::mem::take(&mut value.units);
                let (source, alone) = (value.layer, value.sole);
                let operation = Operation::Pool { window, kind };
                let shape = shape(node);
                let layer = Layer {
                    original: (shape[0], 0),
                    ..bare(&node.name, operation, CsMat::zero((0, 0)), source, shape)
                };
                let pooled = self.draft.push(layer, alone, false);
                return Ok(Value { units, ..pooled });
            }
            graph::Operation::Add => {
                let other = other.expect("an addition reads two");
                return Ok(self.add(node, [value, other]));
            }
        }
        Ok(value)
    }

    /// A dense layer or a convolution of `value`, whose scale and shift it takes in.
    fn weighted(&mut self, node: &Node, mut value: Value, keep: &[bool]) -> Result<Value, Refusal> {
        let name = &node.name;
        let kernel = self.state.get(&format!("{name}.weight"));
        let (operation, has_bias) = match node.operation {
            graph::Operation::Conv { window, bias, .. } => {
                let pooling = None;
                (Operation::Conv { window, pooling }, bias)
            }
            graph::Operation::Dense { bias, .. } => (Operation::Dense, bias),
            _ => unreachable!("only these have weights"),
        };
        let mut layer = bare(name, operation, CsMat::zero((0, 0)), None, shape(node));
        if layer.pads() && signed(&self.draft.layers, value.layer) {
            let before = value.layer.map_or("", |at| &self.draft.layers[at].name);
            let reason = format!(
                "it pads what {before} gives without a ReLU: train it with a ReLU there or without padding here"
            );
            return Err((name.clone(), reason));
        }
        let units = std::mem::take(&mut value.units);
        let constant = (layer.pads() && units.iter().any(|unit| unit[1] != 0.0)).then(|| {
            let constant = constant(&units);
            let name = format!("{name}.input");
            value = self.draft.with_constant(&name, &value, constant);
            constant
        });
        let (weights, mut bias) = take_in(kernel, keep, &units, constant);
        if has_bias {
            let own = &self.state.get(&format!("{name}.bias")).values;
            let biases = bias.iter_mut().zip(own);
            biases.for_each(|(bias, &own)| *bias += f64::from(own));
        }
        layer.original = weights.shape();
        layer.weights = weights;
        layer.bias = bias.into_iter().map(|bias| bias as f32).collect();
        layer.source = value.layer;
        let flat = node.shape.len() == 1;
        Ok(self.draft.push(layer, value.sole, flat))
    }

    /// Batch norm `node` of `value`.
    fn normalise(&mut self, node: &Node, value: &mut Value) {
        let values = |suffix: &str| &self.state.get(&format!("{}.{suffix}", node.name)).values;
        let (scale, shift) = (values("weight"), values("bias"));
        let (mean, variance) = (values("running_mean"), values("running_var"));
        let affine: Vec<[f64; 2]> = (0..scale.len())
            .map(|unit| {
                let variance = f64::from(variance[unit]);
                let a = f64::from(scale[unit]) / (variance + EPSILON).sqrt();
                [a, f64::from(shift[unit]) - a * f64::from(mean[unit])]
            })
            .collect();
        let Some(layer) = self.draft.open(value) else {
            for ([scale, shift], [a, b]) in value.units.iter_mut().zip(affine) {
                (*scale, *shift) = (a * *scale, a * *shift + b);
            }
            return;
        };
        let Layer { weights, bias, .. } = &mut self.draft.layers[layer];
        let rows = weights.outer_iterator_mut().zip(bias).zip(affine);
        for ((mut row, bias), [a, b]) in rows {
            for (_, weight) in row.iter_mut() {
                *weight = (a * f64::from(*weight)) as f32;
            }
            *bias = (a * f64::from(*bias) + b) as f32;
        }
    }

    /// ReLU `node` of `value`: that of the layer itself where nothing reads it without.
    fn rectify(&mut self, node: &Node, value: Value) -> Value {
        if value.is_plain() {
            if !signed(&self.draft.layers, value.layer) {
                return value;
            }
            // Through a maximum: the ReLU may come first.
            let mut at = value.layer.filter(|_| value.sole);
            while let Some(layer) = at {
                at = match self.draft.layers[layer].operation {
                    Operation::Pool {
                        kind: Pooling::Max, ..
                    } if self.draft.alone[layer] => self.draft.layers[layer].source,
                    Operation::Pool { .. } => None,
                    Operation::Dense | Operation::Conv { .. } => {
                        self.draft.layers[layer].relu = true;
                        return value;
                    }
                };
            }
        }
        self.draft.diagonal(&node.name, &value, true)
    }

    /// Addition `node` of two values: the skip of a layer that gives one of them.
    fn add(&mut self, node: &Node, values: [Value; 2]) -> Value {
        let name = |source: usize| format!("{}.source{source}", node.name);
        let [mut a, mut b] = values;
        for (source, value) in [(1, &mut a), (2, &mut b)] {
            // What is added must be there as it is.
            if !value.is_plain() || value.layer.is_none() {
                *value = self.draft.diagonal(&name(source), value, false);
            }
        }
        if self.draft.shape(&a) != self.draft.shape(&b)
            || self.draft.open(&a).or(self.draft.open(&b)).is_none()
        {
            // What is added to a layer of units is one too, not a map taken as its elements.
            for (source, value) in [(1, &mut a), (2, &mut b)] {
                if self.draft.shape(value)[0] < value.units.len() {
                    *value = self.draft.diagonal(&name(source), value, false);
                }
            }
        }
        let (sum, other) = match (self.draft.open(&a), self.draft.open(&b)) {
            (Some(first), Some(second)) if first > second => (a, b),
            (Some(_), None) => (a, b),
            (_, Some(_)) => (b, a),
            (None, None) => (self.draft.diagonal(&name(2), &b, false), a),
        };
        let layer = sum.layer.expect("an open value is a layer's");
        self.draft.layers[layer].skip = other.layer;
        sum
    }
}

/// The shape that `node` gives, units as channels of one position.
fn shape(node: &Node) -> [usize; 3] {
    let axis = |axis| node.shape.get(axis).copied().unwrap_or(1);
    [axis(0), axis(1), axis(2)]
}

/// The masked `kernel` of a layer that reads `units`, with their scales taken in, and a bias for each row.
/// The shifts become biases, or weights of one more channel that gives `constant`.
fn take_in(
    kernel: &Array,
    keep: &[bool],
    units: &[[f64; 2]],
    constant: Option<f64>,
) -> (CsMat<f32>, Vec<f64>) {
    let taps: usize = kernel.shape[2..].iter().product();
    let columns = kernel.shape[1] * taps;
    let (mut rows, mut biases) = (Vec::new(), Vec::new());
    let kernels = kernel.values.chunks_exact(columns);
    for (weights, keep) in kernels.zip(keep.chunks_exact(columns)) {
        let mut row = Vec::new();
        // Of each tap that reads a shifted unit.
        let mut shifts: Vec<Option<f64>> = vec![None; taps];
        let weights = weights.iter().zip(keep).enumerate();
        for (column, (&weight, _)) in weights.filter(|(_, (_, keep))| **keep) {
            let ([scale, shift], weight) = (units[column / taps], f64::from(weight));
            row.push((column, (weight * scale) as f32));
            if shift != 0.0 {
                *shifts[column % taps].get_or_insert(0.0) += weight * shift;
            }
        }
        let shifts = shifts.into_iter().enumerate();
        let shifts = shifts.filter_map(|(tap, shift)| Some((tap, shift?)));
        biases.push(match constant {
            None => shifts.map(|(_, shift)| shift).sum(),
            Some(constant) => {
                row.extend(shifts.map(|(tap, shift)| (columns + tap, (shift / constant) as f32)));
                0.0
            }
        });
        rows.push(row);
    }
    let columns = columns + if constant.is_some() { taps } else { 0 };
    (from_rows(columns, rows.into_iter()), biases)
}

/// What a constant channel beside `units` gives: the shift of largest size, in steps of its channel, so
/// that no weight that reads the constant is much larger than those that read the map.
fn constant(units: &[[f64; 2]]) -> f64 {
    let steps = units.iter().map(|[scale, shift]| (shift / scale).abs());
    let largest = steps.filter(|step| step.is_finite()).fold(0.0, f64::max);
    if largest > 0.0 { largest } else { 1.0 }
}
