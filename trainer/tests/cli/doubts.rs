//! What may not be meant as it is read, and is said: columns, labels, shapes, files of other kinds.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::program::{json, misused, refusal, refused, run, says, texts};
use crate::tables::ARCH;
use crate::tensors::{self, Tensors, bytes, single};

/// Returns what `command` prints on stderr.
fn notes(folder: &Path, command: &str) -> String {
    texts(&run(folder, command)).1
}

#[test]
fn columns_that_may_be_no_features_are_named_and_left_out_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = ",a,class,label\n".to_owned();
    for row in 0..24 {
        writeln!(text, "{row},{},{},{}", row * 5 % 7, row % 2, 1 + row % 3).unwrap();
    }
    fs::write(folder.join("a.csv"), text).unwrap();
    let stderr = notes(folder, "data show a.csv");
    says(
        &stderr,
        &[
            "warning: column 1, which has no name, of a.csv counts the rows",
            "(--drop 1)",
            "warning: column class of a.csv has the name of labels",
            "(--drop class)",
            "warning: a.csv: no sample has the label 0, so labels up to 3 give 4 classes",
        ],
    );
    let dropped = json(folder, "data show a.csv --drop 1,class");
    assert_eq!(dropped["shape"], serde_json::json!([1, 1, 1]));
    assert_eq!(
        dropped["reading"]["drop"],
        serde_json::json!(["1", "class"])
    );
    let stderr = notes(folder, "data show a.csv --drop 1,class");
    assert!(!stderr.contains("--drop"), "{stderr}");
    refused(
        folder,
        "data show a.csv --drop b",
        &["a.csv", "no column \"b\""],
    );
}

#[test]
fn a_series_with_few_columns_may_have_channels() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let values: Vec<u8> = (0..24 * 64 * 3).map(|at| (at * 31 % 251) as u8).collect();
    let labels: Vec<u8> = (0..24).map(|row| row % 2).collect();
    let set: Tensors = [
        ("x", bytes(&[24, 64, 3], &values)),
        ("y", bytes(&[24], &labels)),
    ]
    .into();
    tensors::write(&folder.join("x.safetensors"), &set);
    says(
        &notes(folder, "data show x.safetensors"),
        &["samples are read as 1 x 64 x 3", "--shape 3x1x64"],
    );
    let shown = json(folder, "data show x.safetensors --shape 3x1x64");
    assert_eq!(shown["shape"], serde_json::json!([3, 1, 64]));
    refused(
        folder,
        "data show x.safetensors --shape 6x4x8",
        &["x of x.safetensors", "[64, 3]", "6x4x8"],
    );
}

#[test]
fn a_disconnected_network_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(
        folder.join("zero.toml"),
        "name = \"zero\"\ninput = [1, 28, 28]\n\n[[layer]]\ntype = \"dense\"\nname = \"a\"\nunits = 10\nnorm = false\n",
    )
    .unwrap();
    let zero: Tensors = [
        ("a.weight", single(&[10, 784], &[0.0; 7840])),
        ("a.bias", single(&[10], &[0.5; 10])),
    ]
    .into();
    tensors::write(&folder.join("zero.safetensors"), &zero);
    let network = "--arch zero.toml --weights zero.safetensors --data digits --mean 0 --std 1";
    let words = "connects an input with an output: every sample gets the same outputs";
    says(
        &notes(folder, &format!("eval {network}")),
        &["zero.safetensors", words],
    );
    let export = notes(folder, &format!("export {network} --allow-loss -o m.rfy"));
    says(&export, &["warning: no kept weight of m.rfy", words]);
    says(
        &notes(folder, "eval m.rfy"),
        &["warning: no kept weight of m.rfy", words],
    );
}

#[test]
fn files_of_another_kind_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), ARCH).unwrap();
    fs::write(folder.join("net.onnx"), "x").unwrap();
    fs::write(folder.join("w.safetensors"), "x").unwrap();
    misused(
        folder,
        "eval tiny.toml",
        &["tiny.toml is an architecture", "--arch"],
    );
    misused(
        folder,
        "inspect tiny.toml",
        &["tiny.toml is an architecture", "export"],
    );
    misused(
        folder,
        "inspect net.onnx",
        &["net.onnx is a network in ONNX", "rarefy import"],
    );
    misused(
        folder,
        "eval w.safetensors",
        &["w.safetensors is a file of weights", "--arch"],
    );
    refused(
        folder,
        "data show ./moved.csv",
        &["there is no file or folder ./moved.csv"],
    );
    refused(
        folder,
        "export nowhere --mean 0",
        &["there is no folder nowhere"],
    );
    refused(folder, "eval nowhere --test-share 1", &["No such file"]);
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.unwrap().success());
    let sentence = refusal(folder, "data show ./pipe");
    says(&sentence, &["pipe is not a regular file or a folder"]);
}
