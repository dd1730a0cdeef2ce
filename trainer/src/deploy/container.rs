//! Quantized layers into a `.rfy` container, and a report of what a container holds.

use std::path::Path;

use rarefy_format::{Activation, AlignedBytes, LayerSpec, Model, WeightsSpec};
use serde::Serialize;

use super::DeployError;
use super::quantize::QuantizedLayer;
use crate::artifact;

/// How weights are to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingChoice {
    /// For each layer whichever takes fewer bytes.
    Auto,
    /// Compressed sparse rows everywhere.
    Csr,
    /// Every weight, zeros included.
    Dense,
}

/// The container of `layers`.
///
/// # Errors
/// When the format cannot hold them.
pub fn write(layers: &[QuantizedLayer], encoding: EncodingChoice) -> Result<Vec<u8>, DeployError> {
    let mut specs = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let sparse = spec(layer);
        let dense = || sparse.to_dense(index).map_err(DeployError::Write);
        specs.push(match encoding {
            EncodingChoice::Csr => sparse,
            EncodingChoice::Dense => dense()?,
            EncodingChoice::Auto if smaller_dense(layer) => dense()?,
            EncodingChoice::Auto => sparse,
        });
    }
    rarefy_format::write(&specs).map_err(DeployError::Write)
}

/// Whether every weight takes fewer bytes than the nonzero ones with their positions: a byte
/// each, against three and two for each row.
fn smaller_dense(layer: &QuantizedLayer) -> bool {
    let (rows, columns) = (layer.weights.rows(), layer.weights.cols());
    rows * columns < 3 * layer.weights.nnz() + 2 * rows
}

/// The layer as the writer takes it, in compressed sparse rows.
fn spec(layer: &QuantizedLayer) -> LayerSpec {
    let weights = &layer.weights;
    // Numbers beyond 16 bits saturate here; the writer refuses the dimensions they come from.
    let narrow = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    LayerSpec {
        inputs: weights.cols(),
        outputs: weights.rows(),
        original_inputs: layer.original.1,
        original_outputs: layer.original.0,
        activation: if layer.relu {
            Activation::Relu
        } else {
            Activation::Linear
        },
        shift: layer.shift,
        bias: layer.bias.clone(),
        weights: WeightsSpec::Csr {
            row_lengths: weights
                .outer_iterator()
                .map(|row| narrow(row.nnz()))
                .collect(),
            columns: weights
                .indices()
                .iter()
                .map(|&column| narrow(column))
                .collect(),
            values: weights.data().to_vec(),
        },
    }
}

/// Reads the file `path` for [`parse`].
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<AlignedBytes, DeployError> {
    Ok(AlignedBytes::copy_from(&artifact::read(path)?))
}

/// The model in `bytes`, which came from `path`.
///
/// # Errors
/// When it is no whole and valid container.
pub fn parse<'a>(bytes: &'a AlignedBytes, path: &Path) -> Result<Model<'a>, DeployError> {
    Model::parse(bytes).map_err(|reason| DeployError::Container {
        path: path.display().to_string(),
        reason,
    })
}

/// What a container holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The file.
    pub path: String,
    /// The format's version.
    pub format: u8,
    /// Its bytes.
    pub bytes: usize,
    /// Of which header and layer records.
    pub overhead_bytes: usize,
    /// Inputs, one byte each.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Bytes of RAM that an inference needs beside its input and stack.
    pub arena_bytes: usize,
    /// Weights other than zero.
    pub nonzeros: usize,
    /// Weights of the dense network before stripping.
    pub total: usize,
    /// The layers.
    pub layers: Vec<LayerReport>,
}

/// What one layer of a container holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// Place in the network, from 1.
    pub layer: usize,
    /// Inputs and outputs as stored.
    pub inputs: usize,
    /// Outputs as stored.
    pub outputs: usize,
    /// Inputs before stripping.
    pub original_inputs: usize,
    /// Outputs before stripping.
    pub original_outputs: usize,
    /// Weights other than zero.
    pub nonzeros: usize,
    /// Of all the layer had before stripping.
    pub density: f64,
    /// How weights are stored.
    pub encoding: &'static str,
    /// What follows the sum: "relu" or "linear".
    pub activation: &'static str,
    /// Bits that requantization drops.
    pub shift: u8,
    /// Bytes, and of what.
    pub bytes: LayerBytes,
}

/// Bytes of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LayerBytes {
    /// Row lengths and columns.
    pub positions: usize,
    /// Weights.
    pub values: usize,
    /// Biases.
    pub biases: usize,
    /// All three, without padding.
    pub total: usize,
}

/// The report of `model`, which came from `path`.
pub fn report(model: &Model<'_>, path: &Path) -> ModelReport {
    let layers: Vec<LayerReport> = model
        .layers()
        .enumerate()
        .map(|(index, layer)| {
            let (positions, values, biases) = (
                layer.positions_bytes(),
                layer.values_bytes(),
                layer.bias_bytes(),
            );
            let all = layer.original_inputs() * layer.original_outputs();
            LayerReport {
                layer: index + 1,
                inputs: layer.inputs(),
                outputs: layer.outputs(),
                original_inputs: layer.original_inputs(),
                original_outputs: layer.original_outputs(),
                nonzeros: layer.nonzeros(),
                density: layer.nonzeros() as f64 / all as f64,
                encoding: layer.encoding().name(),
                activation: layer.activation().name(),
                shift: layer.shift(),
                bytes: LayerBytes {
                    positions,
                    values,
                    biases,
                    total: positions + values + biases,
                },
            }
        })
        .collect();
    let bytes = model.bytes().len();
    ModelReport {
        path: path.display().to_string(),
        format: rarefy_format::VERSION,
        bytes,
        overhead_bytes: bytes - layers.iter().map(|layer| layer.bytes.total).sum::<usize>(),
        inputs: model.inputs(),
        outputs: model.outputs(),
        arena_bytes: 4 * model.arena_words(),
        nonzeros: layers.iter().map(|layer| layer.nonzeros).sum(),
        total: layers
            .iter()
            .map(|l| l.original_inputs * l.original_outputs)
            .sum(),
        layers,
    }
}
