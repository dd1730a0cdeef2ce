//! Compares the engine with the reference implementation on whole networks, and tests what the
//! engine rejects.

use proptest::prelude::*;
use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
use rarefy_runtime::{Arena, Engine, InferError, Misaligned, argmax};
use rarefy_test_support::networks::{self, Random};

/// Returns the logits of the engine, or `None` if the network cannot be written.
fn infer(network: &NetworkSpec, input: &[u8], spare_words: usize) -> Option<Vec<i32>> {
    let bytes = AlignedBytes::copy_from(&write(network).ok()?);
    let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
    // The content of the arena must not matter.
    let mut arena = vec![0xDEAD_BEEF; engine.model().arena_words() + spare_words];
    let logits = engine.infer(input, &mut arena).unwrap().to_vec();
    let spare = &arena[engine.model().arena_words()..];
    assert!(spare.iter().all(|&word| word == 0xDEAD_BEEF));
    Some(logits)
}

fn check(network: &NetworkSpec, seed: u64) -> Result<(), TestCaseError> {
    let mut random = Random::new(seed ^ 0x5EED);
    for spare_words in [0, 1, 5] {
        let input = random.bytes(network.input.len());
        if let Some(logits) = infer(network, &input, spare_words) {
            prop_assert_eq!(logits, network.infer(&input));
        }
    }
    Ok(())
}

macro_rules! suite {
    ($($name:ident: $network:expr;)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(600))]

            #[test]
            fn $name(seed in any::<u64>()) {
                let mut random = Random::new(seed);
                check(&$network(&mut random), seed)?;
            }
        }
    )*};
}

suite! {
    dense_layers: |random| networks::multilayer(random, &[Encoding::Dense]);
    csr_layers: |random| networks::multilayer(random, &[Encoding::Csr]);
    words_layers: |random| networks::multilayer(random, &[Encoding::Words]);
    columns_layers: |random| networks::multilayer(random, &[Encoding::Columns]);
    rice_layers: |random| networks::multilayer(random, &[Encoding::Rice]);
    mixed_layers: |random| networks::multilayer(random, &networks::DENSE);
    float_layers: networks::floats;
    convolutions: networks::convolutional;
    residual_networks: networks::residual;
    joined_networks: networks::joined;
    selective_layers: networks::selective;
}

#[test]
fn columns_with_sections_of_every_length() {
    let network = networks::sections(80);
    for seed in 0..20 {
        let input = Random::new(seed).bytes(network.input.len());
        assert_eq!(infer(&network, &input, 0).unwrap(), network.infer(&input));
    }
}

/// Returns a layer of three inputs and two outputs.
fn network() -> NetworkSpec {
    let rows = vec![vec![(0, 5), (2, -7)], vec![(1, 127)]];
    NetworkSpec {
        input: Shape::flat(3),
        layers: vec![LayerSpec::dense(Encoding::Csr, 0, vec![1, -2], rows)],
    }
}

#[test]
fn wrong_lengths_are_rejected() {
    let bytes = AlignedBytes::copy_from(&write(&network()).unwrap());
    let engine = Engine::new(Model::parse(&bytes).unwrap()).unwrap();
    let mut arena = Arena::<2>::new();
    for found in [0, 2, 4] {
        let input = vec![1; found];
        let refused = engine.infer(&input, arena.as_mut_words());
        assert_eq!(refused, Err(InferError::InputLength { expected: 3, found }));
    }
    let mut small = [0];
    let refused = engine.infer(&[1, 2, 3], &mut small);
    let too_small = InferError::ArenaTooSmall {
        needed: 2,
        found: 1,
    };
    assert_eq!(refused, Err(too_small));
    assert_eq!(
        engine.infer(&[1, 2, 3], arena.as_mut_words()),
        Ok(&[-15, 252][..])
    );
}

#[test]
fn a_misaligned_container_is_rejected() {
    let bytes = write(&network()).unwrap();
    for offset in 1..4 {
        let mut shifted = vec![0; offset];
        shifted.extend(&bytes);
        let shifted = AlignedBytes::copy_from(&shifted);
        let model = Model::parse(&shifted[offset..]).unwrap();
        assert_eq!(Engine::new(model).unwrap_err(), Misaligned { offset });
    }
}

#[test]
fn a_model_is_verified_by_the_compiler() {
    // One dense layer of one input and one output, 3 * x - 1.
    const BYTES: &[u8] = &[
        b'R', b'F', b'Y', 1, 0x98, 0xe0, 0x48, 0x38, 1, 1, 0, 0, 1, 0, 1, 1, 0x00, 0, 1, 0, 1, 0,
        5, 0, 255, 255, 255, 255, 3,
    ];
    const MODEL: Result<Model<'static>, rarefy_format::ParseError> = Model::parse(BYTES);
    let model = MODEL.unwrap();
    assert_eq!((model.inputs(), model.outputs()), (1, 1));
}

#[test]
fn the_first_of_the_largest_wins() {
    assert_eq!(argmax(&[]), 0);
    assert_eq!(argmax(&[i32::MIN, i32::MIN]), 0);
    assert_eq!(argmax(&[-5, 7, 7]), 1);
}
