//! Batch-norm folding: a trained graph becomes a [`Network`] of weights, biases and ReLUs.
//!
//! Every node is represented by a value: a layer's output with a scale and a shift per unit. Batch
//! norms and the input's normalisation `(pixel / 255 - mean) / std` only change scale and shift: a
//! batch norm with population mean m and variance v computes `a x + b`, with
//! `a = scale / sqrt(v + eps)` and `b = shift - a m`, where `scale` and `shift` are its own (gamma
//! and beta). If nothing else reads the layer, its own weights absorb scale and shift; otherwise
//! the weights that read the value do. If neither can (a normalised identity that is added, a ReLU
//! of a layer whose other readers need the negative values), a diagonal layer (one weight per
//! unit) is inserted. An addition becomes the skip of the layer that computes one of its sources,
//! and non-overlapping pooling becomes part of the preceding convolution.
//!
//! If the weights that read a shifted map absorbed the shift, zero padding would be shifted too. So
//! a 1 x 1 layer is inserted before a convolution that pads a shifted map: it copies the map and
//! adds a constant channel, from which the convolution reads the shift at every position that is
//! not padding. This is exact. It doubles the weights of a convolution over a single channel, and
//! is not needed if inputs are normalised with a mean of 0.
//!
//! A ReLU6 becomes the ReLU of its layer with an upper bound, at which the device's activations
//! saturate. Average pooling is not fused into such a layer, since the device would clip the mean.
//!
//! A convolution in groups becomes an ordinary one, whose rows have weights only in the columns of
//! their group.
//!
//! The state and the masks must belong to the graph. Folding rejects what the device cannot
//! compute: zero padding of a signed map (whose zero is not stored as 0), means over padded
//! windows, class scores that do not come from a dense layer, and class scores that pass through a
//! ReLU.

use sprs::CsMat;

use super::DeployError;
use super::draft::{Affine, Draft, Refusal, Value, bare};
use super::network::{Layer, Network, Operation, bound, signed};
use super::sparse::from_rows;
use crate::data::Scaling;
use crate::graph::{self, Graph, Node, Pooling};
use crate::network::state::Array;
use crate::network::{EPSILON, State};
use crate::pruning::Masks;

/// Folds `state` (weights and batch-norm statistics) under `masks`. Inputs are pixels normalised
/// by `(pixel / 255 - mean) / std`, where `scaling` has one mean and deviation for all channels or
/// one of each per channel.
///
/// # Errors
/// Returns [`DeployError::Fold`] if the device could not compute the network; see the module's
/// documentation.
pub fn fold(
    graph: &Graph,
    state: &State,
    masks: &Masks,
    scaling: &Scaling,
) -> Result<Network, DeployError> {
    let error = |refusal: Refusal| DeployError::Fold {
        arch: graph.name().into(),
        layer: refusal.layer,
        reason: refusal.reason,
    };
    let &[channels, height, width] = graph.input_shape() else {
        unreachable!("an input has channels, height and width");
    };
    let draft = Draft {
        input: [channels, height, width],
        layers: Vec::new(),
        sole_reader: Vec::new(),
    };
    let mut folding = Folding { state, draft };
    let uses = uses(graph);
    let pixels = pixels(channels, scaling);
    let mut masks = masks.iter();
    let mut values: Vec<Option<Value>> = Vec::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        // Every prunable node has a mask, even one whose output is not used.
        let mask = graph.kernel_shape(index).and_then(|_| masks.next());
        if uses[index] == 0 && index + 1 < graph.nodes().len() {
            values.push(None);
            continue;
        }
        let read = node.sources.iter().map(|&source| {
            let mut value = values[source].clone().expect("a source in use has a value");
            value.sole &= uses[source] == 1;
            value
        });
        let mut read = read.collect::<Vec<_>>().into_iter();
        let value = match read.next() {
            None => Ok(pixels.clone()),
            Some(first) => folding.node(node, first, read.next(), mask.map(|mask| &mask.keep[..])),
        };
        values.push(Some(value.map_err(error)?));
    }
    let last = values.pop().flatten().expect("a graph has an input");
    let name = graph.nodes().last().map_or("", |node| &node.name);
    folding.draft.finish(last, name).map_err(error)
}

/// Returns the value of the input, whose channels are normalised by `scaling`.
fn pixels(channels: usize, scaling: &Scaling) -> Value {
    let normalisation = |channel| {
        let (mean, std) = (scaling.mean.get(channel), scaling.std.get(channel));
        let (mean, std) = (f64::from(mean), f64::from(std));
        Affine {
            scale: 1.0 / (255.0 * std),
            shift: -mean / std,
        }
    };
    Value {
        layer: None,
        units: (0..channels).map(normalisation).collect(),
        flat: false,
        sole: false,
    }
}

/// Returns, per node, how often it is read by the last node and the nodes that the last one
/// depends on.
fn uses(graph: &Graph) -> Vec<usize> {
    let nodes = graph.nodes();
    let mut uses = vec![0; nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        if uses[index] > 0 || index + 1 == nodes.len() {
            node.sources.iter().for_each(|&source| uses[source] += 1);
        }
    }
    uses
}

/// Folding in progress: the state that is read and the network that is built.
struct Folding<'a> {
    state: &'a State,
    draft: Draft,
}

impl Folding<'_> {
    /// Returns the value of `node`, which reads `value`, and `other` if it is an addition; `keep`
    /// masks its kernel.
    fn node(
        &mut self,
        node: &Node,
        mut value: Value,
        other: Option<Value>,
        keep: Option<&[bool]>,
    ) -> Result<Value, Refusal> {
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
                    return Err(Refusal::new(&node.name, "it has no mask"));
                };
                return self.weighted(node, value, keep);
            }
            graph::Operation::BatchNorm => self.normalise(node, &mut value),
            graph::Operation::Relu => return Ok(self.rectify(node, value, f32::INFINITY)),
            graph::Operation::Relu6 => return Ok(self.rectify(node, value, 6.0)),
            graph::Operation::Pool { kind, window } => {
                if window.pads() && kind == Pooling::Average {
                    let reason = "it takes means over padded windows: train it without padding";
                    return Err(Refusal::new(&node.name, reason));
                }
                // The maximum commutes with a scale only if the scale is not negative.
                if kind == Pooling::Max && value.units.iter().any(|unit| unit.scale < 0.0) {
                    value = self
                        .draft
                        .diagonal(&format!("{}.input", node.name), &value, None);
                }
                let units = std::mem::take(&mut value.units);
                let (source, sole) = (value.layer, value.sole);
                let operation = Operation::Pool { window, kind };
                let shape = shape(node);
                let layer = Layer {
                    original: (shape[0], 0),
                    ..bare(&node.name, operation, CsMat::zero((0, 0)), source, shape)
                };
                let pooled = self.draft.push(layer, sole);
                return Ok(Value { units, ..pooled });
            }
            graph::Operation::Add => {
                let other = other.expect("an addition has two sources");
                return Ok(self.add(node, [value, other]));
            }
        }
        Ok(value)
    }

    /// Appends a dense layer or a convolution that reads `value`; its weights absorb the scale and
    /// the shift of `value`.
    fn weighted(&mut self, node: &Node, mut value: Value, keep: &[bool]) -> Result<Value, Refusal> {
        let name = &node.name;
        let kernel = self.state.get(&format!("{name}.weight"));
        let (operation, groups, has_bias) = match node.operation {
            graph::Operation::Conv {
                window,
                groups,
                bias,
                ..
            } => {
                let pooling = None;
                (Operation::Conv { window, pooling }, groups, bias)
            }
            graph::Operation::Dense { bias, .. } => (Operation::Dense, 1, bias),
            _ => unreachable!("only dense layers and convolutions have weights"),
        };
        let mut layer = bare(name, operation, CsMat::zero((0, 0)), None, shape(node));
        if layer.pads() && signed(&self.draft.layers, value.layer) {
            let before = value.layer.map_or("", |at| &self.draft.layers[at].name);
            let reason = format!(
                "it pads the output of {before}, which has no ReLU: train {before} with a ReLU, or this layer without padding"
            );
            return Err(Refusal::new(name, reason));
        }
        let units = std::mem::take(&mut value.units);
        let constant = (layer.pads() && units.iter().any(|unit| unit.shift != 0.0)).then(|| {
            let constant = constant(&units);
            let name = format!("{name}.input");
            value = self.draft.with_constant(&name, &value, constant);
            constant
        });
        let (weights, mut bias) = take_in((kernel, keep), groups, &units, constant);
        if has_bias {
            let own = &self.state.get(&format!("{name}.bias")).values;
            let biases = bias.iter_mut().zip(own);
            biases.for_each(|(bias, &own)| *bias += f64::from(own));
        }
        layer.original = weights.shape();
        layer.weights = weights;
        layer.bias = bias.into_iter().map(|bias| bias as f32).collect();
        layer.source = value.layer;
        Ok(self.draft.push(layer, value.sole))
    }

    /// Applies the batch norm `node` to `value`: to the weights and biases of its layer if the
    /// layer can still be modified, otherwise to the scale and shift of `value`.
    fn normalise(&mut self, node: &Node, value: &mut Value) {
        let values = |suffix: &str| &self.state.get(&format!("{}.{suffix}", node.name)).values;
        let (scale, shift) = (values("weight"), values("bias"));
        let (mean, variance) = (values("running_mean"), values("running_var"));
        let affine = (0..scale.len()).map(|unit| {
            let variance = f64::from(variance[unit]);
            let a = f64::from(scale[unit]) / (variance + EPSILON).sqrt();
            Affine {
                scale: a,
                shift: f64::from(shift[unit]) - a * f64::from(mean[unit]),
            }
        });
        let Some(layer) = self.draft.modifiable_layer(value) else {
            for (unit, norm) in value.units.iter_mut().zip(affine) {
                *unit = Affine {
                    scale: norm.scale * unit.scale,
                    shift: norm.scale * unit.shift + norm.shift,
                };
            }
            return;
        };
        let Layer { weights, bias, .. } = &mut self.draft.layers[layer];
        let rows = weights.outer_iterator_mut().zip(bias).zip(affine);
        for ((mut row, bias), norm) in rows {
            for (_, weight) in row.iter_mut() {
                *weight = (norm.scale * f64::from(*weight)) as f32;
            }
            *bias = (norm.scale * f64::from(*bias) + norm.shift) as f32;
        }
    }

    /// Applies the ReLU `node` with the upper bound `ceiling` to `value`: as the layer's own ReLU
    /// if nothing reads the layer without one, otherwise as a diagonal layer. A layer's output
    /// that the ReLU would not change is returned as it is.
    ///
    /// A ReLU with a finite bound after an addition is a layer of its own, too: the step of the sum
    /// depends on that of the addition's skip, so it could not be chosen to saturate at the bound.
    fn rectify(&mut self, node: &Node, value: Value, ceiling: f32) -> Value {
        if value.is_plain() {
            let layers = &self.draft.layers;
            if !signed(layers, value.layer) && bound(layers, value.layer) <= ceiling {
                return value;
            }
            // A ReLU commutes with max pooling.
            let mut at = value.layer.filter(|_| value.sole);
            while let Some(layer) = at {
                let own = &mut self.draft.layers[layer];
                at = match own.operation {
                    Operation::Pool {
                        kind: Pooling::Max, ..
                    } if self.draft.sole_reader[layer] => own.source,
                    Operation::Pool { .. } => None,
                    Operation::Dense | Operation::Conv { .. }
                        if ceiling.is_finite() && own.skip.is_some() =>
                    {
                        None
                    }
                    Operation::Dense | Operation::Conv { .. } => {
                        own.relu = true;
                        own.ceiling = own.ceiling.min(ceiling);
                        return value;
                    }
                };
            }
        }
        self.draft.diagonal(&node.name, &value, Some(ceiling))
    }

    /// Applies the addition `node` to two values: one becomes the skip of the other's layer.
    fn add(&mut self, node: &Node, values: [Value; 2]) -> Value {
        let name = |source: usize| format!("{}.source{source}", node.name);
        let [mut a, mut b] = values;
        for (source, value) in [(1, &mut a), (2, &mut b)] {
            // A skip adds a layer's output unscaled.
            if !value.is_plain() || value.layer.is_none() {
                *value = self.draft.diagonal(&name(source), value, None);
            }
        }
        if self.draft.shape(&a) != self.draft.shape(&b)
            || self
                .draft
                .modifiable_layer(&a)
                .or(self.draft.modifiable_layer(&b))
                .is_none()
        {
            // A flattened map cannot be added to the output of a dense layer.
            for (source, value) in [(1, &mut a), (2, &mut b)] {
                if self.draft.shape(value)[0] < value.units.len() {
                    *value = self.draft.diagonal(&name(source), value, None);
                }
            }
        }
        let (sum, other) = match (
            self.draft.modifiable_layer(&a),
            self.draft.modifiable_layer(&b),
        ) {
            (Some(first), Some(second)) if first > second => (a, b),
            (Some(_), None) => (a, b),
            (_, Some(_)) => (b, a),
            (None, None) => (self.draft.diagonal(&name(2), &b, None), a),
        };
        let layer = sum.layer.expect("a modifiable layer exists");
        self.draft.layers[layer].skip = other.layer;
        sum
    }
}

/// Returns the output shape of `node`, with units as channels of a 1 x 1 map.
fn shape(node: &Node) -> [usize; 3] {
    let axis = |axis| node.shape.get(axis).copied().unwrap_or(1);
    [axis(0), axis(1), axis(2)]
}

/// Returns the masked `kernel` of a layer that reads `units` in `groups`, multiplied by their
/// scales, and a bias per row. The shifts go into the biases, or into weights of an additional
/// channel whose value is `constant`.
///
/// Rows have a column per unit and tap, of which a row of a group uses those of its own units.
fn take_in(
    (kernel, keep): (&Array, &[bool]),
    groups: usize,
    units: &[Affine],
    constant: Option<f64>,
) -> (CsMat<f32>, Vec<f64>) {
    let taps: usize = kernel.shape[2..].iter().product();
    let (length, columns) = (kernel.shape[1] * taps, units.len() * taps);
    let per_group = kernel.shape[0] / groups;
    let (mut rows, mut biases) = (Vec::new(), Vec::new());
    let kernels = kernel.values.chunks_exact(length);
    for (output, (weights, keep)) in kernels.zip(keep.chunks_exact(length)).enumerate() {
        let first = output / per_group * length;
        let mut row = Vec::new();
        // Per tap, the sum of its weights times the shifts that they read; `None` if none is
        // shifted.
        let mut shifts: Vec<Option<f64>> = vec![None; taps];
        let weights = weights.iter().zip(keep).enumerate();
        for (at, (&weight, _)) in weights.filter(|(_, (_, keep))| **keep) {
            let column = first + at;
            let (Affine { scale, shift }, weight) = (units[column / taps], f64::from(weight));
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

/// Returns the value for a constant channel added to `units`: the largest magnitude of a channel's
/// ratio of shift to scale, so that the weights that read the constant are not much larger than
/// the others.
fn constant(units: &[Affine]) -> f64 {
    let ratios = units.iter().map(|unit| (unit.shift / unit.scale).abs());
    let largest = ratios.filter(|ratio| ratio.is_finite()).fold(0.0, f64::max);
    if largest > 0.0 { largest } else { 1.0 }
}
