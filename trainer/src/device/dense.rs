//! The same network without pruning's savings: every layer dense, in its original dimensions.
//!
//! What is left of each layer comes first; units that were stripped come back as rows and
//! columns of zeros. Every logit stays the same, bit for bit, so whatever the two networks
//! cost differently is the price of the zeros.

use rarefy_format::{LayerSpec, Model, Weights, WeightsSpec, WriteError, write};

/// A network that has no dense twin.
#[derive(Debug, thiserror::Error)]
pub enum DenseError {
    /// It is too large for a container.
    #[error("the same network dense cannot be written: {0}")]
    Write(WriteError),
    /// A layer's weights cannot be read.
    #[error(
        "layer {layer} is stored as {encoding}, which cannot be made dense yet; measure without the dense network"
    )]
    Encoding {
        /// The layer, from 0.
        layer: usize,
        /// How its weights are stored.
        encoding: &'static str,
    },
}

/// The container of `model`'s network with every weight stored.
///
/// # Errors
/// When a layer in its original dimensions exceeds what a container can hold, or its encoding
/// is unknown here.
pub fn dense(model: &Model<'_>) -> Result<Vec<u8>, DenseError> {
    let last = model.layers().len() - 1;
    let mut inputs = model.inputs();
    let mut layers = Vec::with_capacity(last + 1);
    for (index, layer) in model.layers().enumerate() {
        // A network's outputs are its answer: none is added.
        let outputs = if index == last {
            layer.outputs()
        } else {
            layer.original_outputs()
        };
        let mut values = vec![0; outputs * inputs];
        match layer.weights() {
            Weights::Csr(csr) => {
                let mut weights = csr.columns().iter().zip(csr.values());
                for (row, &count) in values.chunks_exact_mut(inputs).zip(csr.row_lengths()) {
                    for (&column, &value) in weights.by_ref().take(usize::from(count)) {
                        row[usize::from(column)] = value;
                    }
                }
            }
            Weights::Dense(dense) => {
                let rows = dense.values().chunks_exact(layer.inputs());
                for (row, stored) in values.chunks_exact_mut(inputs).zip(rows) {
                    row[..stored.len()].copy_from_slice(stored);
                }
            }
            _ => {
                let encoding = layer.encoding().name();
                return Err(DenseError::Encoding {
                    layer: index,
                    encoding,
                });
            }
        }
        let mut bias = layer.bias().to_vec();
        bias.resize(outputs, 0);
        layers.push(LayerSpec {
            inputs,
            outputs,
            original_inputs: inputs,
            original_outputs: outputs,
            activation: layer.activation(),
            shift: layer.shift(),
            bias,
            weights: WeightsSpec::Dense { values },
        });
        inputs = outputs;
    }
    write(&layers).map_err(DenseError::Write)
}
