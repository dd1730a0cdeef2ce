//! A network as folding makes it: layers that grow, and what the nodes of the graph read of them.
//!
//! A [`Value`] is what a node gives: a layer's output with a scale and a shift for each unit that no
//! weights have taken in yet. [`Draft::finish`] makes pooling part of convolutions and puts the
//! layers in order.

use sprs::CsMat;

use super::network::{Layer, Network, Operation, disjoint, in_order};
use super::sparse::from_rows;

/// What a node gives: the output of a layer, for each unit times a scale plus a shift.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// None for the input.
    pub(super) layer: Option<usize>,
    /// Scale and shift of each channel, of a flat value of each element.
    pub(super) units: Vec<[f64; 2]>,
    /// Whether a map is taken as its elements in a row.
    pub(super) flat: bool,
    /// Whether nothing else reads the layer.
    pub(super) sole: bool,
}

impl Value {
    /// The output of `layer` as it is, read by nothing else yet.
    pub(super) fn new(layer: usize, units: usize, flat: bool) -> Self {
        Self {
            layer: Some(layer),
            units: vec![[1.0, 0.0]; units],
            flat,
            sole: true,
        }
    }

    /// Whether it is what the layer gives, without scale or shift.
    pub(super) fn is_plain(&self) -> bool {
        self.units.iter().all(|unit| *unit == [1.0, 0.0])
    }
}

/// A layer and why it is refused.
pub(super) type Refusal = (String, String);

/// The layers so far.
pub(super) struct Draft {
    /// The input's shape, (channels, height, width).
    pub(super) input: [usize; 3],
    pub(super) layers: Vec<Layer>,
    /// For each layer whether it is the only one to read its source.
    pub(super) alone: Vec<bool>,
}

impl Draft {
    /// The layer of `value`, where it has weights, nothing but this value reads it, and it is not done
    /// yet: no ReLU and no addition.
    pub(super) fn open(&self, value: &Value) -> Option<usize> {
        let index = value.layer.filter(|_| value.sole && value.is_plain())?;
        let layer = &self.layers[index];
        let done = layer.is_pool() || layer.relu || layer.skip.is_some();
        (!done && layer.bias.len() == value.units.len()).then_some(index)
    }

    /// A layer that gives `value` as its output: each unit from itself alone.
    pub(super) fn diagonal(&mut self, name: &str, value: &Value, relu: bool) -> Value {
        let (count, shape) = (value.units.len(), self.shape(value));
        let row = |(index, &[scale, _]): (usize, &[f64; 2])| vec![(index, scale as f32)];
        let weights = from_rows(count, value.units.iter().enumerate().map(row));
        let (operation, shape) = if value.flat {
            (Operation::Dense, [count, 1, 1])
        } else {
            (pointwise(), shape)
        };
        let bias = value.units.iter().map(|unit| unit[1] as f32).collect();
        let layer = Layer {
            bias,
            relu,
            ..bare(name, operation, weights, value.layer, shape)
        };
        self.push(layer, value.sole, value.flat)
    }

    /// A layer that gives the map of `value`, which must not be signed, and one more channel of `constant`.
    pub(super) fn with_constant(&mut self, name: &str, value: &Value, constant: f64) -> Value {
        let [channels, height, width] = self.shape(value);
        let row = |channel| (0..channels).contains(&channel).then_some((channel, 1.0));
        let rows = (0..=channels).map(|channel| row(channel).into_iter().collect());
        let weights = from_rows(channels, rows);
        let shape = [channels + 1, height, width];
        let mut layer = bare(name, pointwise(), weights, value.layer, shape);
        layer.bias[channels] = constant as f32;
        layer.relu = true;
        self.push(layer, value.sole, false)
    }

    /// Appends a layer; `alone` says whether nothing else reads its source, `flat` whether it gives units
    /// in a row.
    pub(super) fn push(&mut self, layer: Layer, alone: bool, flat: bool) -> Value {
        let value = Value::new(self.layers.len(), layer.shape[0], flat);
        self.layers.push(layer);
        self.alone.push(alone);
        value
    }

    /// The shape of what the layer of `value` gives.
    pub(super) fn shape(&self, value: &Value) -> [usize; 3] {
        value
            .layer
            .map_or(self.input, |layer| self.layers[layer].shape)
    }

    /// The network whose class scores are `value`, that of node `name`; refused where they come from
    /// no dense layer or a ReLU cuts them.
    pub(super) fn finish(mut self, mut value: Value, name: &str) -> Result<Network, Refusal> {
        if !value.is_plain() {
            value = self.diagonal(&format!("{name}.output"), &value, false);
        }
        let dense = |&layer: &usize| self.layers[layer].operation == Operation::Dense;
        let Some(output) = value.layer.filter(dense) else {
            let reason = "it gives the class scores, but only a dense layer can: train it with one at the end";
            return Err((name.into(), reason.into()));
        };
        if self.layers[output].relu {
            let reason = "the ReLU of the last layer cuts class scores: train it without";
            return Err((name.into(), reason.into()));
        }
        self.fuse();
        Ok(Network {
            input: self.input,
            layers: in_order(self.layers, output),
        })
    }

    /// Makes pooling without overlap part of the convolution before it, where nothing else reads that.
    fn fuse(&mut self) {
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
                    if pooling.is_none() && self.alone[pool] && pooled == disjoint(pooled.size) =>
                {
                    *pooling = Some((kind, pooled.size));
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

/// A layer with no bias, ReLU nor addition.
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
        source,
        skip: None,
        shape,
    }
}

/// A convolution of one tap.
fn pointwise() -> Operation {
    Operation::Conv {
        window: disjoint(1),
        pooling: None,
    }
}
