//! The bytes that `SPEC.md` shows, and the golden container, are what writer and reader mean.
//!
//! A change of the format makes these fail. If it is meant, raise `VERSION` when the format is no
//! draft, and write the golden files again with `RAREFY_BLESS=1 cargo test -p rarefy-format`.

use std::path::PathBuf;

use rarefy_format::{
    Activation, AlignedBytes, Encoding, LayerSpec, Model, Weights, WeightsSpec, write,
};

/// The model of the test vector in `SPEC.md`.
fn example() -> Vec<LayerSpec> {
    vec![
        LayerSpec {
            inputs: 6,
            outputs: 3,
            original_inputs: 6,
            original_outputs: 4,
            activation: Activation::Relu,
            shift: 5,
            bias: vec![100, 640, -300],
            weights: WeightsSpec::Csr {
                row_lengths: vec![2, 0, 3],
                columns: vec![1, 4, 0, 2, 5],
                values: vec![7, -7, 1, -128, 127],
            },
        },
        LayerSpec {
            inputs: 3,
            outputs: 2,
            original_inputs: 4,
            original_outputs: 2,
            activation: Activation::Linear,
            shift: 0,
            bias: vec![-5, 1000],
            weights: WeightsSpec::Dense {
                values: vec![1, -2, 3, 4, 0, -6],
            },
        },
    ]
}

/// The bytes of the block marked `hex` in `SPEC.md`; what follows a bar is comment.
fn specified_bytes() -> Vec<u8> {
    let text = include_str!("../SPEC.md");
    let block = text
        .split("```hex\n")
        .nth(1)
        .expect("SPEC.md shows a test vector");
    let block = block.split("```").next().unwrap();
    let digits = block
        .lines()
        .flat_map(|line| line.split('|').next().unwrap().split_whitespace());
    digits
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

#[test]
fn the_specified_bytes_are_those_written() {
    let written = write(&example()).unwrap();
    assert_eq!(specified_bytes(), written, "written: {written:02x?}");
}

#[test]
fn the_specified_bytes_mean_the_specified_model() {
    let bytes = AlignedBytes::copy_from(&specified_bytes());
    let model = Model::parse(&bytes).unwrap();
    assert_eq!(
        (model.inputs(), model.outputs(), model.arena_words()),
        (6, 2, 3)
    );
    let layers: Vec<_> = model.layers().collect();
    assert_eq!(layers[0].encoding(), Encoding::Csr);
    let Weights::Csr(csr) = layers[0].weights() else {
        panic!("layer 0 is sparse")
    };
    assert_eq!(
        csr.rows().nth(2),
        Some((&[0, 2, 5][..], &[1, -128, 127][..]))
    );
    assert_eq!((layers[0].shift(), layers[0].original_outputs()), (5, 4));
    let Weights::Dense(dense) = layers[1].weights() else {
        panic!("layer 1 is dense")
    };
    assert_eq!(dense.values(), [1, -2, 3, 4, 0, -6]);
    assert_eq!(layers[1].bias(), [-5, 1000]);
}

/// A network large enough for rows of every kind, from a generator that will not change.
fn golden() -> Vec<LayerSpec> {
    let mut state = 1u32;
    let mut next = |bound: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % bound
    };
    let widths = [64, 33, 14, 9, 10];
    let last = widths.len() - 2;
    let mut layers = Vec::new();
    for (index, pair) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let density = [25, 40, 100, 50][index];
        let values = (0..inputs * outputs)
            .map(|_| {
                if next(100) < density {
                    (next(256) as u8).cast_signed()
                } else {
                    0
                }
            })
            .collect();
        let bias = (0..outputs)
            .map(|_| next(20_000).cast_signed() - 5_000)
            .collect();
        let layer = LayerSpec {
            inputs,
            outputs,
            original_inputs: inputs,
            original_outputs: outputs + index,
            activation: if index == last {
                Activation::Linear
            } else {
                Activation::Relu
            },
            shift: if index == last { 0 } else { 7 + index as u8 },
            bias,
            weights: WeightsSpec::Dense { values },
        };
        layers.push(if index == 2 {
            layer
        } else {
            layer.to_csr(index).unwrap()
        });
    }
    layers
}

#[test]
fn the_golden_container_is_still_written_and_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixed-v0.rfy");
    let written = write(&golden()).unwrap();
    if std::env::var_os("RAREFY_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let committed = std::fs::read(&path).unwrap();
    assert!(
        committed == written,
        "the writer no longer gives the bytes of {}",
        path.display()
    );
    let bytes = AlignedBytes::copy_from(&committed);
    let read = Model::parse(&bytes)
        .unwrap()
        .layers()
        .map(|layer| LayerSpec::from_layer(&layer));
    assert_eq!(read.collect::<Vec<_>>(), golden());
}
