//! Classifies an input on the host, with the same result as on a device.
//!
//! ```text
//! cargo run --release --package rarefy-runtime --example classify
//! cargo run --release --package rarefy-runtime --example classify -- model.rfy input.bin
//! ```
//!
//! The input file contains one byte per input of the model. Without arguments, the example builds a
//! small network and classifies an input for it.

use std::error::Error;
use std::{env, fs};

use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, Shape, write};
use rarefy_runtime::{Engine, argmax};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (container, input) = match arguments.as_slice() {
        [] => (network()?, vec![200, 10, 30]),
        [model, input] => (read(model)?, read(input)?),
        _ => return Err("pass a container and a file with its input, or no arguments".into()),
    };
    let container = AlignedBytes::copy_from(&container);
    let (class, logits) = classify(&container, &input)?;
    println!("class {class} of logits {logits:?}");
    Ok(())
}

/// Returns the class of `input`, and its logits.
fn classify(container: &AlignedBytes, input: &[u8]) -> Result<(usize, Vec<i32>), Box<dyn Error>> {
    let engine = Engine::new(Model::parse(container)?)?;
    let mut arena = vec![0; engine.model().arena_words()];
    let logits = engine.infer(input, &mut arena)?;
    Ok((argmax(logits), logits.to_vec()))
}

/// Returns the container of a network of three inputs, two hidden units and two classes.
fn network() -> Result<Vec<u8>, Box<dyn Error>> {
    // Per unit: the (input, weight) pairs that pruning has kept.
    let hidden = vec![vec![(0, 3), (2, -2)], vec![(1, 5)]];
    let classes = vec![vec![(0, 1)], vec![(0, -1), (1, 2)]];
    let network = NetworkSpec {
        input: Shape::flat(3),
        layers: vec![
            // The hidden activations are the sums shifted right by 1 and clamped to a byte.
            LayerSpec::dense(Encoding::Csr, 1, vec![10, 0], hidden),
            LayerSpec::dense(Encoding::Dense, 0, vec![0, 40], classes),
        ],
    };
    Ok(write(&network)?)
}

/// Reads a file.
fn read(path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::read(path).map_err(|error| format!("cannot read {path}: {error}").into())
}

#[test]
fn classifies_the_network() {
    let container = AlignedBytes::copy_from(&network().unwrap());
    // Hidden: (3 * 200 - 2 * 30 + 10) >> 1 = 275, clamped to 255, and (5 * 10) >> 1 = 25.
    let expected = (0, vec![255, -255 + 2 * 25 + 40]);
    assert_eq!(classify(&container, &[200, 10, 30]).unwrap(), expected);
}
