//! Containers that are damaged, truncated, empty, missing, or made for other data.

use std::fs;
use std::path::Path;

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, Window, write,
};

use crate::program::{self, json, misuse, refusal, says, texts};
use crate::runs;

/// The commands that read a container. `measure` reads it before it looks for tools.
const READERS: [&str; 3] = [
    "inspect model.rfy",
    "eval model.rfy",
    "measure model.rfy --board microbit",
];

/// Checks that every command of `readers` rejects a file of `bytes` with the same error, and
/// returns that error.
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
    says(
        &refused(folder.path(), &READERS, &longer),
        &["bytes, but its parts take"],
    );
}

#[test]
fn a_container_with_any_byte_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = &runs::pruned().container;
    // Every byte of the header and the layer records, a sample of the rest, and the last.
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
    says(&refusal(folder, READERS[0]), &["model.rfy", "directory"]);
    // `eval` accepts the folder of a run, whose network it computes in floats.
    says(&refusal(folder, READERS[1]), &["model.rfy holds no run"]);
    // `measure` accepts a folder only with `--all`: that of a run, whose containers it compares.
    program::misused(folder, READERS[2], &["model.rfy is a folder", "--all"]);
}

/// Returns a container of one dense layer.
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
        &misuse(folder, "eval model.rfy --data digits"),
        &["784 values", "64 inputs", "--data"],
    );
    fs::write(folder.join("model.rfy"), one_layer(784, 4)).unwrap();
    says(
        &misuse(folder, "eval model.rfy --data digits"),
        &["labels up to 9", "4 classes", "--data"],
    );
}

/// Returns a container of a strided, padded and pooled convolution, with four of its six channels
/// left, and a dense layer.
fn convolution() -> Vec<u8> {
    let padding = Margin {
        top: 1,
        left: 1,
        bottom: 1,
        right: 1,
    };
    let window = Window::square(3, 2, padding);
    let pooling = Some((Pooling::Max, 2));
    let rows = vec![vec![(0, 3), (4, -5), (17, 7)]; 4];
    let conv = LayerSpec {
        operation: Operation::Conv { window, pooling },
        original_outputs: 6,
        ..LayerSpec::dense(Encoding::Csr, 4, vec![9; 4], rows)
    };
    let row = (0..36).map(|column| (column, 1)).collect();
    let dense = LayerSpec::dense(Encoding::Dense, 0, vec![1; 3], vec![row; 3]);
    let input = Shape {
        channels: 2,
        height: 12,
        width: 12,
    };
    write(&NetworkSpec {
        input,
        layers: vec![conv, dense],
    })
    .unwrap()
}

#[test]
fn inspecting_tells_and_draws_where_the_bytes_go() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let container = convolution();
    fs::write(folder.join("model.rfy"), &container).unwrap();

    fs::create_dir(folder.join("pictures")).unwrap();
    let report = json(folder, "inspect model.rfy --svg pictures/bytes.svg");
    assert_eq!(report["bytes"], container.len());
    assert_eq!(report["svg"], "pictures/bytes.svg");
    let conv = &report["layers"][0];
    assert_eq!(conv["operation"], "conv 3x3, stride 2, padding 1, max 2");
    assert_eq!(conv["window"], serde_json::json!([3, 3]));
    let dimensions = ["original_outputs", "original_inputs", "outputs", "inputs"];
    assert_eq!(
        dimensions.map(|key| conv[key].as_u64().unwrap()),
        [6, 18, 4, 18]
    );
    // Two bytes per row length and per column, one per weight, four per bias, and the geometry.
    let parts = ["positions", "values", "biases", "parameters", "total"];
    let bytes = parts.map(|part| conv["bytes"][part].as_u64().unwrap());
    assert_eq!(bytes, [8 + 24, 12, 16, 8, 68]);
    // 12 of 72 weights: C(72, 12) is 15,363,284,301,456.
    let limit = conv["limit"]["positions"].as_f64().unwrap();
    assert!(
        (limit - 15_363_284_301_456_f64.log2() / 8.0).abs() < 1e-9,
        "{limit}"
    );
    assert_eq!(conv["limit"]["values"], 12.0);
    // The dense network has two more channels: 54 inputs instead of 36.
    assert_eq!(report["layers"][1]["original_inputs"], 54);
    assert_eq!(report["total"], 6 * 18 + 3 * 54);

    let svg = fs::read_to_string(folder.join("pictures/bytes.svg")).unwrap();
    let title = format!("model.rfy: {} bytes", container.len());
    says(
        &svg,
        &["<svg", &title, "conv 3x3, stride 2", "4 x 2 x 3 x 3", "68"],
    );

    let (table, stderr) = texts(&program::run(folder, "inspect model.rfy"));
    assert_eq!(stderr, "");
    let total = report["overhead_bytes"].as_u64().unwrap() + 68 + 120;
    assert_eq!(total, container.len() as u64);
    let words = [
        "6 x 2 x 3 x 3",
        "4 x 2 x 3 x 3",
        "3 x 54",
        "at least",
        "188",
    ];
    says(&table, &words);

    fs::create_dir(folder.join("taken.svg")).unwrap();
    says(
        &refusal(folder, "inspect model.rfy --svg taken.svg"),
        &["taken.svg"],
    );
}
