//! Whole networks through the engine, against a naive oracle; and what the engine refuses.

use proptest::prelude::*;
use rarefy_format::{Activation, AlignedBytes, LayerSpec, Model, WeightsSpec, requantize, write};
use rarefy_runtime::{Arena, Engine, InferError, argmax};

/// A network with these widths: dense values, biases, shifts.
fn network() -> impl Strategy<Value = (Vec<LayerSpec>, Vec<u8>)> {
    let widths = proptest::collection::vec(1..30usize, 2..7);
    widths.prop_flat_map(|widths| {
        let last = widths.len() - 2;
        let layers: Vec<_> = widths
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                let (inputs, outputs) = (pair[0], pair[1]);
                let weight = prop_oneof![2 => Just(0i8), 1 => any::<i8>()];
                let values = proptest::collection::vec(weight, inputs * outputs);
                let bias = proptest::collection::vec(-40_000..40_000i32, outputs);
                (values, bias, 0..10u8).prop_map(move |(values, bias, shift)| LayerSpec {
                    inputs,
                    outputs,
                    original_inputs: inputs,
                    original_outputs: outputs,
                    activation: if index == last {
                        Activation::Linear
                    } else {
                        Activation::Relu
                    },
                    shift: if index == last { 0 } else { shift },
                    bias,
                    weights: WeightsSpec::Dense { values },
                })
            })
            .collect();
        (layers, proptest::collection::vec(any::<u8>(), widths[0]))
    })
}

/// The network as the specification defines it, on plain vectors.
fn naive(layers: &[LayerSpec], input: &[u8]) -> Vec<i32> {
    let mut activations = input.to_vec();
    for layer in layers {
        let WeightsSpec::Dense { values } = &layer.weights else {
            panic!("networks are dense")
        };
        let sums: Vec<i32> = values
            .chunks_exact(layer.inputs)
            .zip(&layer.bias)
            .map(|(row, &bias)| {
                let products = row
                    .iter()
                    .zip(&activations)
                    .map(|(&w, &x)| i64::from(w) * i64::from(x));
                i32::try_from(i64::from(bias) + products.sum::<i64>()).unwrap()
            })
            .collect();
        if layer.activation == Activation::Linear {
            return sums;
        }
        activations = sums
            .iter()
            .map(|&sum| requantize(sum, layer.shift))
            .collect();
    }
    panic!("no linear layer")
}

fn infer(layers: &[LayerSpec], input: &[u8], spare_words: usize) -> Vec<i32> {
    let bytes = AlignedBytes::copy_from(&write(layers).unwrap());
    let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
    // What an earlier inference left must not matter.
    let mut arena = vec![0xDEAD_BEEF; engine.model().arena_words() + spare_words];
    let logits = engine.infer(input, &mut arena).unwrap().to_vec();
    assert!(
        arena[engine.model().arena_words()..]
            .iter()
            .all(|&word| word == 0xDEAD_BEEF)
    );
    logits
}

/// `layers`, those whose bit of `sparse` is set as compressed sparse rows.
fn mixed(layers: &[LayerSpec], sparse: u8) -> Vec<LayerSpec> {
    let encode = |(index, layer): (usize, &LayerSpec)| match sparse >> index & 1 {
        0 => layer.clone(),
        _ => layer.to_csr(index).unwrap(),
    };
    layers.iter().enumerate().map(encode).collect()
}

proptest! {
    #[test]
    fn every_mixture_of_encodings_computes_the_same(
        (layers, input) in network(),
        sparse in any::<u8>(),
        spare_words in 0..3usize,
    ) {
        let expected = naive(&layers, &input);
        prop_assert_eq!(&infer(&layers, &input, spare_words), &expected);
        let mixed = mixed(&layers, sparse);
        prop_assert_eq!(&infer(&mixed, &input, spare_words), &expected);
    }

    #[test]
    fn a_forged_container_is_refused_or_harmless(
        (layers, _) in network(),
        sparse in any::<u8>(),
        forgeries in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mixed = mixed(&layers, sparse);
        let mut bytes = write(&mixed).unwrap();
        for (place, byte) in forgeries {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        parse_and_infer(bytes);
    }

    #[test]
    fn random_bytes_are_refused_or_harmless(
        mut bytes in proptest::collection::vec(prop_oneof![Just(0), 0..4u8, any::<u8>()], 16..200),
    ) {
        bytes[..4].copy_from_slice(b"RFY\0");
        let length = (bytes.len() as u32).to_le_bytes();
        bytes[4..8].copy_from_slice(&length);
        parse_and_infer(bytes);
    }
}

/// Repairs the checksum and runs whatever is accepted.
fn parse_and_infer(mut bytes: Vec<u8>) {
    let checksum = rarefy_format::container_checksum(&bytes);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    let bytes = AlignedBytes::copy_from(&bytes);
    let Ok(model) = Model::parse(&bytes) else {
        return;
    };
    let engine = Engine::new(model).unwrap();
    let mut arena = vec![0; model.arena_words()];
    for pixel in [0, 255, 77] {
        let logits = engine
            .infer(&vec![pixel; model.inputs()], &mut arena)
            .unwrap();
        assert_eq!(logits.len(), model.outputs());
    }
}

fn small() -> AlignedBytes {
    let layer = |inputs, outputs, activation| LayerSpec {
        inputs,
        outputs,
        original_inputs: inputs,
        original_outputs: outputs,
        activation,
        shift: 0,
        bias: vec![1; outputs],
        weights: WeightsSpec::Dense {
            values: vec![1; inputs * outputs],
        },
    };
    let layers = [
        layer(4, 5, Activation::Relu),
        layer(5, 3, Activation::Linear),
    ];
    AlignedBytes::copy_from(&write(&layers).unwrap())
}

#[test]
fn wrong_lengths_are_refused() {
    let bytes = small();
    let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
    let mut arena = Arena::<5>::new();
    for found in [0, 3, 5] {
        let error = engine
            .infer(&vec![0; found], arena.as_mut_words())
            .unwrap_err();
        assert_eq!(error, InferError::InputLength { expected: 4, found });
    }
    let error = engine
        .infer(&[0; 4], &mut arena.as_mut_words()[..4])
        .unwrap_err();
    assert_eq!(
        error,
        InferError::ArenaTooSmall {
            needed: 5,
            found: 4
        }
    );
    assert_eq!(
        engine.infer(&[1, 2, 3, 4], arena.as_mut_words()),
        Ok(&[56, 56, 56][..])
    );
    assert!(error.to_string().contains("4 words"));
}

#[test]
fn the_largest_logit_wins_and_the_first_of_equals() {
    assert_eq!(argmax(&[]), 0);
    assert_eq!(argmax(&[i32::MIN, i32::MIN]), 0);
    assert_eq!(argmax(&[-5, -4, -4]), 1);
    assert_eq!(argmax(&[0, i32::MAX, 7]), 1);
}
