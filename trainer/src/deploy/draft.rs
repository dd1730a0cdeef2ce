//! The network under construction during folding, and the values that graph nodes have in it.
//!
//! A [`Value`] is a layer's output with a scale and a shift per unit that no weights have absorbed
//! yet. [`Draft::finish`] fuses pooling into convolutions and orders the layers.

use sprs::CsMat;

use super::network::{Layer, Network, Operation, disjoint, in_order};
use super::sparse::from_rows;
use crate::graph::Pooling;

/// The largest stride that a container can store: four bits.
const STRIDE: usize = 15;

/// The largest pooling that a container can fuse into a convolution: six bits.
pub(super) const FUSED: usize = 63;

/// A scale and a shift: `scale * x + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: f64,
    pub(super) shift: f64,
}

impl Affine {
    /// The identity.
    const IDENTITY: Self = Self {
        scale: 1.0,
        shift: 0.0,
    };
}

/// The value of a graph node: a layer's output with a scale and a shift per unit.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// The layer; `None` for the input.
    pub(super) layer: Option<usize>,
    /// The scale and shift of each channel, or of each element of a flat value.
    pub(super) units: Vec<Affine>,
    /// Whether a map is read as a vector of its elements.
    pub(super) flat: bool,
    /// Whether this value is the layer's only use.
    pub(super) sole: bool,
}

impl Value {
    /// Returns the unmodified output of `layer`, which has no other use yet.
    pub(super) fn new(layer: usize, units: usize, flat: bool) -> Self {
        Self {
            layer: Some(layer),
            units: vec![Affine::IDENTITY; units],
            flat,
            sole: true,
        }
    }

    /// Returns whether the value is the layer's output itself: all scales are 1, all shifts 0.
    pub(super) fn is_plain(&self) -> bool {
        self.units.iter().all(|unit| *unit == Affine::IDENTITY)
    }
}

/// A layer that cannot be deployed, and why.
pub(super) struct Refusal {
    /// The layer's name.
    pub(super) layer: String,
    /// The reason, as a clause: "it pads a signed map: ...".
    pub(super) reason: String,
}

impl Refusal {
    /// Returns a refusal of the layer called `layer`.
    pub(super) fn new(layer: &str, reason: impl Into<String>) -> Self {
        Self {
            layer: layer.into(),
            reason: reason.into(),
        }
    }
}

/// The network built so far.
pub(super) struct Draft {
    /// The input shape, (channels, height, width).
    pub(super) input: [usize; 3],
    pub(super) layers: Vec<Layer>,
    /// Per layer, whether it is the only reader of its source.
    pub(super) sole_reader: Vec<bool>,
}

impl Draft {
    /// Returns the layer of `value` if it can still be modified for `value`: it has weights, no
    /// ReLU and no addition yet, and no other use.
    pub(super) fn modifiable_layer(&self, value: &Value) -> Option<usize> {
        let index = value.layer.filter(|_| value.sole && value.is_plain())?;
        let layer = &self.layers[index];
        let done = layer.is_pool() || layer.relu || layer.skip.is_some();
        (!done && layer.bias.len() == value.units.len()).then_some(index)
    }

    /// Appends a diagonal layer that computes `value`, with a ReLU that has an upper bound if
    /// `relu` states one; returns its output.
    pub(super) fn diagonal(&mut self, name: &str, value: &Value, relu: Option<f32>) -> Value {
        let (count, shape) = (value.units.len(), self.shape(value));
        let row = |(index, unit): (usize, &Affine)| vec![(index, unit.scale as f32)];
        let weights = from_rows(count, value.units.iter().enumerate().map(row));
        let (operation, shape) = if value.flat {
            (Operation::Dense, [count, 1, 1])
        } else {
            (pointwise(), shape)
        };
        let bias = value.units.iter().map(|unit| unit.shift as f32).collect();
        let layer = Layer {
            bias,
            relu: relu.is_some(),
            ceiling: relu.unwrap_or(f32::INFINITY),
            ..bare(name, operation, weights, value.layer, shape)
        };
        self.push(layer, value.sole)
    }

    /// Appends a layer that copies the map of `value`, which must be nonnegative, and adds a
    /// channel whose value is `constant` everywhere; returns the layer's output.
    pub(super) fn with_constant(&mut self, name: &str, value: &Value, constant: f64) -> Value {
        let [channels, height, width] = self.shape(value);
        let row = |channel| (0..channels).contains(&channel).then_some((channel, 1.0));
        let rows = (0..=channels).map(|channel| row(channel).into_iter().collect());
        let weights = from_rows(channels, rows);
        let shape = [channels + 1, height, width];
        let mut layer = bare(name, pointwise(), weights, value.layer, shape);
        layer.bias[channels] = constant as f32;
        layer.relu = true;
        self.push(layer, value.sole)
    }

    /// Appends `layer` and returns its output; `sole_reader` tells whether nothing else reads its
    /// source.
    pub(super) fn push(&mut self, layer: Layer, sole_reader: bool) -> Value {
        let flat = layer.operation == Operation::Dense;
        let value = Value::new(self.layers.len(), layer.shape[0], flat);
        self.layers.push(layer);
        self.sole_reader.push(sole_reader);
        value
    }

    /// Returns the shape of the layer of `value`, before flattening.
    pub(super) fn shape(&self, value: &Value) -> [usize; 3] {
        value
            .layer
            .map_or(self.input, |layer| self.layers[layer].shape)
    }

    /// Returns the network whose class scores are `value`, the output of node `name`.
    ///
    /// # Errors
    /// Returns a refusal if the class scores do not come from a dense layer, or if they pass
    /// through a ReLU.
    pub(super) fn finish(mut self, mut value: Value, name: &str) -> Result<Network, Refusal> {
        if !value.is_plain() {
            value = self.diagonal(&format!("{name}.output"), &value, None);
        }
        let dense = |&layer: &usize| self.layers[layer].operation == Operation::Dense;
        let Some(output) = value.layer.filter(dense) else {
            let reason = "it returns the class scores, but only a dense layer can do that: end the network with a dense layer";
            return Err(Refusal::new(name, reason));
        };
        if self.layers[output].relu {
            let reason = "the ReLU of the last layer would clip the class scores: train the network without it";
            return Err(Refusal::new(name, reason));
        }
        self.fuse_pooling();
        self.shorten_strides();
        Ok(Network {
            input: self.input,
            layers: in_order(self.layers, output),
        })
    }

    /// Sets the strides of pooling that a container could not store to 1 along axes with a single
    /// output, where they have no effect.
    fn shorten_strides(&mut self) {
        for layer in &mut self.layers {
            if let Operation::Pool { window, .. } = &mut layer.operation {
                for axis in 0..2 {
                    if layer.shape[1 + axis] == 1 && window.stride[axis] > STRIDE {
                        window.stride[axis] = 1;
                    }
                }
            }
        }
    }

    /// Fuses non-overlapping pooling into the preceding convolution if nothing else reads that
    /// convolution.
    fn fuse_pooling(&mut self) {
        for pool in 0..self.layers.len() {
            let Layer {
                operation:
                    Operation::Pool {
                        window: pooled,
                        kind,
                    },
                source: Some(source),
                shape,
                ..
            } = self.layers[pool]
            else {
                continue;
            };
            let before = &mut self.layers[source];
            match &mut before.operation {
                Operation::Conv { pooling, .. }
                    if pooling.is_none()
                        // A device averages before it clips.
                        && (kind == Pooling::Max || before.ceiling == f32::INFINITY)
                        && self.sole_reader[pool]
                        && pooled == disjoint(pooled.size[0])
                        && pooled.size[0] <= FUSED =>
                {
                    *pooling = Some((kind, pooled.size[0]));
                    before.shape = shape;
                }
                _ => continue,
            }
            for layer in &mut self.layers {
                for read in [&mut layer.source, &mut layer.skip] {
                    if *read == Some(pool) {
                        *read = Some(source);
                    }
                }
            }
        }
    }
}

/// Returns a layer with zero biases, no ReLU and no addition.
pub(super) fn bare(
    name: &str,
    operation: Operation,
    weights: CsMat<f32>,
    source: Option<usize>,
    shape: [usize; 3],
) -> Layer {
    Layer {
        name: name.into(),
        operation,
        bias: vec![0.0; weights.rows()],
        original: weights.shape(),
        weights,
        relu: false,
        ceiling: f32::INFINITY,
        source,
        skip: None,
        shape,
    }
}

/// Returns a 1 x 1 convolution.
fn pointwise() -> Operation {
    Operation::Conv {
        window: disjoint(1),
        pooling: None,
    }
}
