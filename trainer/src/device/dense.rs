//! The same network without pruning's savings: every layer dense, in its original dimensions.
//!
//! What is left of each layer comes first; units that were stripped come back as rows and
//! columns of zeros. Every logit stays the same, bit for bit, so whatever the two networks
//! cost differently is the price of the zeros.

use rarefy_format::{LayerSpec, Model, WeightsSpec, WriteError, write};

/// The container of `model`'s network with every weight stored.
///
/// # Errors
/// When a layer in its original dimensions exceeds what a container can hold.
pub fn dense(model: &Model<'_>) -> Result<Vec<u8>, WriteError> {
    let layers = model.layers();
    // A small container can state enormous layers: nothing is laid out that cannot be written.
    let stated = layers
        .clone()
        .map(|l| l.original_inputs() * l.original_outputs())
        .sum();
    if u32::try_from(stated).is_err() {
        return Err(WriteError::TooLong { found: stated });
    }
    let last = layers.len() - 1;
    // Inputs of the network were never stripped, nor were its outputs: they are its meaning.
    let mut inputs = model.inputs();
    let mut dense = Vec::with_capacity(last + 1);
    for (index, layer) in model.layers().enumerate() {
        let left = LayerSpec::from_layer(&layer).to_dense(index)?;
        let outputs = if index == last {
            left.outputs
        } else {
            left.original_outputs
        };
        let mut values = vec![0; outputs * inputs];
        if let WeightsSpec::Dense { values: stored } = &left.weights {
            let rows = stored.chunks_exact(left.inputs);
            for (row, stored) in values.chunks_exact_mut(inputs).zip(rows) {
                row[..stored.len()].copy_from_slice(stored);
            }
        }
        let mut bias = left.bias;
        bias.resize(outputs, 0);
        dense.push(LayerSpec {
            inputs,
            outputs,
            original_inputs: inputs,
            original_outputs: outputs,
            activation: left.activation,
            shift: left.shift,
            bias,
            weights: WeightsSpec::Dense { values },
        });
        inputs = outputs;
    }
    write(&dense)
}

#[cfg(test)]
mod tests {
    use rarefy_format::{Activation, AlignedBytes};
    use rarefy_runtime::Engine;

    use super::*;

    #[test]
    fn stripped_units_come_back_as_zeros_and_change_no_logit() {
        let hidden = LayerSpec {
            inputs: 3,
            outputs: 2,
            original_inputs: 3,
            original_outputs: 5,
            activation: Activation::Relu,
            shift: 3,
            bias: vec![40, -9],
            weights: WeightsSpec::Csr {
                row_lengths: vec![2, 1],
                columns: vec![0, 2, 1],
                values: vec![7, -3, 100],
            },
        };
        let output = LayerSpec {
            inputs: 2,
            outputs: 2,
            original_inputs: 5,
            original_outputs: 2,
            activation: Activation::Linear,
            shift: 0,
            bias: vec![-100, 12],
            weights: WeightsSpec::Dense {
                values: vec![5, -6, 0, 127],
            },
        };
        let sparse = AlignedBytes::copy_from(&write(&[hidden, output]).unwrap());
        let sparse = Model::parse(&sparse).unwrap();
        let twin = AlignedBytes::copy_from(&dense(&sparse).unwrap());
        let twin = Model::parse(&twin).unwrap();
        let sizes: Vec<_> = twin
            .layers()
            .map(|l| (l.inputs(), l.outputs(), l.nonzeros()))
            .collect();
        assert_eq!(sizes, [(3, 5, 3), (5, 2, 3)]);
        for input in [[0, 0, 0], [255, 255, 255], [200, 3, 90], [1, 250, 4]] {
            let logits = |model: Model<'_>| {
                let mut arena = vec![0; model.arena_words()];
                Engine::new(model)
                    .unwrap()
                    .infer(&input, &mut arena)
                    .unwrap()
                    .to_vec()
            };
            assert_eq!(logits(sparse), logits(twin));
        }
    }
}
