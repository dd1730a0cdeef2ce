//! Containers that are damaged, cut, empty, none at all, or for other data.

use std::fs;
use std::path::Path;

use rarefy_format::{Encoding, LayerSpec, NetworkSpec, Shape, write};

use crate::program::{json, refusal, says};
use crate::runs;

/// The commands that read a container. Measuring refuses it before it looks for tools.
const READERS: [&str; 3] = [
    "inspect model.rfy",
    "eval model.rfy",
    "measure model.rfy --board microbit",
];

/// Checks that every command of `readers` refuses a file of `bytes` with one same sentence.
fn refused(folder: &Path, readers: &[&str], bytes: &[u8]) -> String {
    fs::write(folder.join("model.rfy"), bytes).unwrap();
    let sentences: Vec<String> = readers
        .iter()
        .map(|reader| refusal(folder, reader))
        .collect();
    says(
        &sentences[0],
        &["model.rfy", "container", "export the model again"],
    );
    assert!(
        sentences.iter().all(|sentence| *sentence == sentences[0]),
        "{sentences:?}"
    );
    sentences[0].clone()
}

#[test]
fn a_container_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = &runs::pruned().container;
    says(&refused(folder.path(), &READERS, b""), &["0 bytes"]);
    for (index, length) in (1..80)
        .chain((80..whole.len()).step_by(311))
        .chain([whole.len() - 1])
        .enumerate()
    {
        let readers = if index % 8 == 0 {
            &READERS[..]
        } else {
            &READERS[..1]
        };
        refused(folder.path(), readers, &whole[..length]);
    }
    let longer = [&whole[..], &[0; 4]].concat();
    says(&refused(folder.path(), &READERS, &longer), &["length"]);
}

#[test]
fn a_container_with_any_byte_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = &runs::pruned().container;
    // Every byte of the header and the layer records, a sample of the rest, the last.
    let places = (0..64)
        .chain((64..whole.len()).step_by(101))
        .chain([whole.len() - 1]);
    for (index, place) in places.enumerate() {
        let mut bytes = whole.clone();
        bytes[place] ^= [0x01, 0x80, 0xff][index % 3];
        let readers = if index % 8 == 0 {
            &READERS[..]
        } else {
            &READERS[..1]
        };
        refused(folder.path(), readers, &bytes);
    }
    fs::write(folder.path().join("model.rfy"), whole).unwrap();
    json(folder.path(), "inspect model.rfy");
}

#[test]
fn what_is_no_container_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for bytes in [
        &b"PK\x03\x04, a zip file perhaps, longer than a header"[..],
        &[0; 4096],
        &[0xff; 64],
    ] {
        says(
            &refused(folder, &READERS, bytes),
            &["not a .rfy container", "RFY"],
        );
    }
    fs::remove_file(folder.join("model.rfy")).unwrap();
    for reader in READERS {
        says(&refusal(folder, reader), &["model.rfy", "No such file"]);
    }
    fs::create_dir(folder.join("model.rfy")).unwrap();
    for reader in READERS {
        says(&refusal(folder, reader), &["model.rfy", "directory"]);
    }
}

/// A container of one dense layer.
fn one_layer(inputs: u16, outputs: usize) -> Vec<u8> {
    let row = (0..inputs).map(|column| (column, 1)).collect();
    let layer = LayerSpec::dense(Encoding::Dense, 0, vec![1; outputs], vec![row; outputs]);
    let input = Shape {
        channels: 1,
        height: 1,
        width: inputs,
    };
    write(&NetworkSpec {
        input,
        layers: vec![layer],
    })
    .unwrap()
}

#[test]
fn a_model_for_other_data_is_refused_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), one_layer(64, 10)).unwrap();
    assert_eq!(json(folder, "inspect model.rfy")["inputs"], 64);
    says(
        &refusal(folder, "eval model.rfy"),
        &["784 pixels", "64 inputs", "--data"],
    );
    fs::write(folder.join("model.rfy"), one_layer(784, 4)).unwrap();
    says(
        &refusal(folder, "eval model.rfy"),
        &["labels up to 9", "4 classes", "--data"],
    );
}
