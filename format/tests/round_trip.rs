//! What is written is what is read, for networks of any shape, in both encodings.

use proptest::prelude::*;
use rarefy_format::{
    Activation, AlignedBytes, Encoding, LayerSpec, Model, Weights, WeightsSpec, arena_words,
    arena_words_of, write,
};

/// A dense layer of this shape, most of its weights zero.
fn layer(inputs: usize, outputs: usize, last: bool) -> impl Strategy<Value = LayerSpec> {
    let weight = prop_oneof![3 => Just(0i8), 1 => any::<i8>()];
    let values = proptest::collection::vec(weight, inputs * outputs);
    let bias = proptest::collection::vec(-1_000_000..1_000_000i32, outputs);
    let shift = if last { 0..=0u8 } else { 0..=20u8 };
    (values, bias, shift, 0..50usize, 0..50usize).prop_map(
        move |(values, bias, shift, stripped_inputs, stripped_outputs)| LayerSpec {
            inputs,
            outputs,
            original_inputs: inputs + stripped_inputs,
            original_outputs: outputs + stripped_outputs,
            activation: if last {
                Activation::Linear
            } else {
                Activation::Relu
            },
            shift,
            bias,
            weights: WeightsSpec::Dense { values },
        },
    )
}

/// One to four layers that chain, each dense or sparse.
fn network() -> impl Strategy<Value = Vec<LayerSpec>> {
    proptest::collection::vec(1..24usize, 2..6).prop_flat_map(|widths| {
        let last = widths.len() - 2;
        let layers: Vec<_> = widths
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                (layer(pair[0], pair[1], index == last), any::<bool>()).prop_map(
                    move |(layer, sparse)| {
                        if sparse {
                            layer.to_csr(index).unwrap()
                        } else {
                            layer
                        }
                    },
                )
            })
            .collect();
        layers
    })
}

proptest! {
    #[test]
    fn layers_come_back_as_they_were_written(layers in network()) {
        let bytes = AlignedBytes::copy_from(&write(&layers).unwrap());
        let model = Model::parse(&bytes).unwrap();
        let read: Vec<_> = model.layers().map(|layer| LayerSpec::from_layer(&layer)).collect();
        prop_assert_eq!(&read, &layers);
        prop_assert_eq!(model.layers().len(), layers.len());
        prop_assert_eq!(model.inputs(), layers[0].inputs);
        prop_assert_eq!(model.outputs(), layers[layers.len() - 1].outputs);
        prop_assert_eq!(model.bytes(), &bytes[..]);
        // Writing what was read gives the same bytes.
        prop_assert_eq!(&write(&read).unwrap()[..], &bytes[..]);
    }

    #[test]
    fn an_encoding_changes_no_weight(layers in network()) {
        for (index, layer) in layers.iter().enumerate() {
            let dense = layer.to_dense(index).unwrap();
            let sparse = dense.to_csr(index).unwrap();
            prop_assert_eq!(sparse.weights.encoding(), Encoding::Csr);
            prop_assert_eq!(sparse.to_dense(index).unwrap(), dense);
        }
    }

    #[test]
    fn every_statement_of_the_arena_is_the_same(layers in network()) {
        let bytes = AlignedBytes::copy_from(&write(&layers).unwrap());
        let model = Model::parse(&bytes).unwrap();
        // The rule of SPEC.md, written out once more.
        let words: Vec<usize> = (0..layers.len())
            .map(|k| {
                let outputs = layers[k].outputs;
                if k + 1 == layers.len() { outputs } else { outputs.div_ceil(4) }
            })
            .collect();
        let pairs = (0..words.len()).map(|k| words[k] + if k > 0 { words[k - 1] } else { 0 });
        let expected = pairs.max().unwrap();
        prop_assert_eq!(model.arena_words(), expected);
        prop_assert_eq!(arena_words(&bytes), expected);
        prop_assert_eq!(arena_words_of(layers.iter().map(|layer| layer.outputs)), expected);
        let by_layer: Vec<usize> = model.layers().map(|layer| layer.buffer_words()).collect();
        prop_assert_eq!(by_layer, words);
    }

    #[test]
    fn every_byte_is_accounted_for(layers in network()) {
        let bytes = AlignedBytes::copy_from(&write(&layers).unwrap());
        let model = Model::parse(&bytes).unwrap();
        let counted: usize = model
            .layers()
            .map(|layer| {
                let stored = match layer.weights() {
                    Weights::Csr(csr) => csr.rows().map(|(columns, _)| columns.len()).sum(),
                    Weights::Dense(dense) => dense.values().len(),
                    _ => unreachable!("two encodings are written here"),
                };
                assert_eq!(layer.stored(), stored);
                assert!(layer.nonzeros() <= stored);
                layer.record_bytes()
                    + layer.bias_bytes()
                    + layer.positions_bytes()
                    + layer.values_bytes()
            })
            .sum();
        prop_assert_eq!(counted + rarefy_format::HEADER_BYTES, bytes.len());
    }
}
