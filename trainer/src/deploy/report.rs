//! Describes a container layer by layer: dimensions, operations, and what its bytes are for.
//!
//! Every byte of a layer is counted once, as [`BlockParts`] assigns it: to positions, values,
//! biases or parameters. Packed words and entropy-coded streams are split by bits, to the nearest
//! byte.
//!
//! The information limit is given for comparison: if k of a layer's n weights are nonzero and every
//! choice is equally likely, no code stores their positions in fewer than log2 C(n, k) bits on
//! average, nor their values in fewer bits than a value has. Where choices are not equally likely
//! (weights cluster, small ones are more frequent, units were reordered), an encoding may be
//! smaller.

mod operation;
mod origin;
mod units;

use std::path::Path;

use rarefy_format::{BlockParts, HEADER_BYTES, Layer, Model, Operation, RECORD_BYTES};
use serde::Serialize;

use super::activity::Activity;
use super::costs::{self, Core, Prediction};
use operation::{number_of, operation};
pub use origin::{LayerOrigin, origins};
pub use units::{MapReport, UnitsReport};

/// The contents of a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The path of the file.
    pub path: String,
    /// The version of the format.
    pub format: u8,
    /// The size of the container.
    pub bytes: usize,
    /// Bytes of the header, the layer records, the units, and the padding between blocks.
    pub overhead_bytes: usize,
    /// Bytes of that padding.
    pub padding_bytes: usize,
    /// Inputs, one byte each.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Bytes of RAM that an inference needs in addition to its input and stack.
    pub arena_bytes: usize,
    /// Nonzero weights, excluding those known to be inserted.
    pub nonzeros: usize,
    /// Nonzero weights that deployment inserted; 0 if that is unknown, as for a container without
    /// its companion.
    pub inserted_nonzeros: usize,
    /// Weights of the dense network before stripping, excluding those known to be inserted.
    pub total: usize,
    /// Predicted instructions of an inference, from the input's bytes to the class.
    pub instructions: Option<u64>,
    /// Whether this prediction is an upper bound, because that of some layer is.
    pub at_most: bool,
    /// What input bytes and logits stand for, if the container states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<UnitsReport>,
    /// The layers.
    pub layers: Vec<LayerReport>,
}

impl ModelReport {
    /// Returns the bytes of the units; 0 if the container states none.
    #[must_use]
    pub fn units_bytes(&self) -> usize {
        self.units.as_ref().map_or(0, |units| units.bytes)
    }

    /// Replaces the predicted instructions of each layer, and of a whole inference, by ones that
    /// were predicted from measured activity. Does nothing if the number of layers differs.
    pub fn predicted(&mut self, layers: &[u64], all: u64) {
        if layers.len() == self.layers.len() {
            for (layer, &instructions) in self.layers.iter_mut().zip(layers) {
                (layer.instructions, layer.at_most) = (Some(instructions), false);
            }
            (self.instructions, self.at_most) = (Some(all), false);
        }
    }
}

/// The contents of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// The layer's number, from 1.
    pub layer: usize,
    /// The layer's name in the architecture, if known; inserted layers are named after the layer
    /// that needs them.
    pub name: Option<String>,
    /// Whether deployment is known to have inserted the layer.
    pub inserted: bool,
    /// The operation: "dense", "conv 5x5, padding 2, max 2", "max 2x2, stride 2".
    pub operation: String,
    /// The height and width of the window; `None` for a dense layer.
    pub window: Option<[u8; 2]>,
    /// Stored columns: inputs of a dense layer, channels times taps of a convolution.
    pub inputs: usize,
    /// Stored rows: units or channels.
    pub outputs: usize,
    /// Columns before stripping.
    pub original_inputs: usize,
    /// Whether the layer is known to be a convolution in groups, of which `original_inputs` are the
    /// columns of one; the other stored columns of a row are structural zeros.
    pub grouped: bool,
    /// Rows before stripping.
    pub original_outputs: usize,
    /// Nonzero weights.
    pub nonzeros: usize,
    /// Nonzero weights known to be inserted: all of an inserted layer, and those that read a
    /// constant channel.
    pub inserted_nonzeros: usize,
    /// Nonzero weights as a fraction of the weights before stripping, both excluding inserted ones
    /// unless the layer itself is inserted; 0 if the layer has no weights.
    pub density: f64,
    /// The name of the encoding.
    pub encoding: &'static str,
    /// The number of bits that requantization drops.
    pub shift: u8,
    /// Bytes by purpose.
    pub bytes: LayerBytes,
    /// The minimum bytes, by information theory.
    pub limit: Limit,
    /// Predicted instructions per inference.
    pub instructions: Option<u64>,
    /// Whether this prediction is an upper bound: zeros cost less, and their number is unknown.
    pub at_most: bool,
}

impl LayerReport {
    /// Returns the stored dimensions: "98 x 195", "6 x 1 x 5 x 5", "16" for pooling; of a
    /// convolution in groups, with the channels that a group had before stripping.
    #[must_use]
    pub fn shape(&self) -> String {
        let inputs = match self.grouped {
            true => self.inputs.min(self.original_inputs),
            false => self.inputs,
        };
        self.dimensions(self.outputs, inputs)
    }

    /// Returns the dimensions before stripping.
    #[must_use]
    pub fn original_shape(&self) -> String {
        self.dimensions(self.original_outputs, self.original_inputs)
    }

    /// Formats dimensions.
    fn dimensions(&self, outputs: usize, inputs: usize) -> String {
        match self.window {
            Some(_) if inputs == 0 => outputs.to_string(),
            Some([height, width]) => {
                let channels = inputs / (usize::from(height) * usize::from(width));
                format!("{outputs} x {channels} x {height} x {width}")
            }
            None => format!("{outputs} x {inputs}"),
        }
    }
}

/// The bytes of a layer's block by purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LayerBytes {
    /// Columns, row lengths, starts, runs, padding.
    pub positions: usize,
    /// Weights.
    pub values: usize,
    /// Biases.
    pub biases: usize,
    /// Geometry, links, the head of the block.
    pub parameters: usize,
    /// The whole block.
    pub total: usize,
}

impl From<BlockParts> for LayerBytes {
    fn from(parts: BlockParts) -> Self {
        Self {
            positions: parts.positions,
            values: parts.values,
            biases: parts.biases,
            parameters: parts.parameters,
            total: parts.bytes(),
        }
    }
}

/// The minimum bytes of positions and values, by information theory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Limit {
    /// Bytes of log2 C(n, k) bits, if k of n stored weights are nonzero.
    pub positions: f64,
    /// Bytes of k values.
    pub values: f64,
}

/// Returns the report of `model`, which was read from `path`, with the instructions predicted for
/// `core`. `activity` is that of each layer's source; without it, layers whose cost depends on
/// zeros get an upper bound.
///
/// # Panics
/// Panics if `activity` does not match the model's layers.
pub fn report(
    model: &Model<'_>,
    path: &Path,
    core: Core,
    activity: Option<&[Activity]>,
) -> ModelReport {
    let mut layers: Vec<LayerReport> = Vec::with_capacity(model.layer_count());
    for layer in model.layers() {
        let source = number_of(&layer, layer.links().map_or(1, |links| links.source));
        let channels = match source {
            0 => usize::from(model.input().channels),
            number => layers[number - 1].original_outputs,
        };
        let activity = activity.map(|activity| &activity[layer.index()]);
        let predicted = costs::predict(&layer, core, activity);
        layers.push(layer_report(&layer, channels, predicted));
    }
    let around = costs::overhead(model, core).round() as u64;
    let predicted: Option<u64> = layers.iter().map(|layer| layer.instructions).sum();
    let bytes = model.bytes().len();
    let units = model.units().map(|units| UnitsReport::new(&units));
    let overhead = bytes - layers.iter().map(|layer| layer.bytes.total).sum::<usize>();
    ModelReport {
        path: path.display().to_string(),
        format: rarefy_format::VERSION,
        bytes,
        overhead_bytes: overhead,
        padding_bytes: overhead
            - HEADER_BYTES
            - RECORD_BYTES * layers.len()
            - units.as_ref().map_or(0, |units| units.bytes),
        inputs: model.inputs(),
        outputs: model.outputs(),
        arena_bytes: 4 * model.arena_words(),
        nonzeros: layers.iter().map(|layer| layer.nonzeros).sum(),
        inserted_nonzeros: 0,
        total: layers
            .iter()
            .map(|layer| layer.original_inputs * layer.original_outputs)
            .sum(),
        instructions: predicted.map(|predicted| predicted + around),
        at_most: layers.iter().any(|layer| layer.at_most),
        units,
        layers,
    }
}

/// Returns the report of one layer, whose source had the given number of `channels` before
/// stripping.
fn layer_report(layer: &Layer<'_>, channels: usize, predicted: Prediction) -> LayerReport {
    let source = layer.source().shape;
    let (window, original_inputs) = match layer.operation() {
        Operation::Dense => {
            let plane = usize::from(source.height) * usize::from(source.width);
            (None, channels * plane)
        }
        Operation::Conv { window, .. } => (Some(window.size), channels * window.area()),
        Operation::Pool { window, .. } => (Some(window.size), 0),
    };
    let nonzeros = layer.weights().nonzeros();
    let stored = layer.outputs() * layer.columns();
    let original = layer.original_outputs() * original_inputs;
    let parts = layer.parts();
    LayerReport {
        layer: layer.index() + 1,
        name: None,
        inserted: false,
        operation: operation(layer),
        window,
        inputs: layer.columns(),
        outputs: layer.outputs(),
        original_inputs,
        grouped: false,
        original_outputs: layer.original_outputs(),
        nonzeros,
        inserted_nonzeros: 0,
        density: nonzeros as f64 / original.max(1) as f64,
        encoding: layer.encoding().name(),
        shift: layer.shift(),
        bytes: parts.into(),
        limit: Limit {
            positions: choices(stored, nonzeros) / 8.0,
            values: (nonzeros * parts.value_bits) as f64 / 8.0,
        },
        instructions: Some(predicted.instructions.round() as u64),
        at_most: predicted.at_most,
    }
}

/// Returns log2 C(n, k): the number of bits that select `k` of `n` elements.
fn choices(n: usize, k: usize) -> f64 {
    let k = k.min(n - k);
    (1..=k)
        .map(|i| ((n - k + i) as f64 / i as f64).log2())
        .sum::<f64>()
}

#[cfg(test)]
mod tests;
