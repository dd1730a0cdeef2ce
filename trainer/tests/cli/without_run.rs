//! Networks without a run folder, and data that is not bytes: exported, evaluated, trained further.

use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;

use crate::program::{json, misused, run, says, texts};
use crate::tensors::{self, Tensors, single, tensor};

/// Writes a fixture of `tests/onnx` to `net.onnx` in `folder` and imports it into `net`.
fn imported(folder: &Path, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/onnx")
        .join(name);
    fs::copy(from, folder.join("net.onnx")).unwrap();
    json(folder, "import net.onnx -o net");
}

/// Writes a dataset of `count` samples of 28 x 28 features from -1 to 1 in ten classes.
fn features(folder: &Path, count: usize) {
    let value = |at: usize| (at * 7919 % 2001) as f32 / 1000.0 - 1.0;
    let x: Vec<f32> = (0..count * 784).map(value).collect();
    let y = (0..count).map(|at| (at as i64 % 10).to_le_bytes());
    let set: Tensors = [
        ("x", single(&[count, 28, 28], &x)),
        ("y", tensor(Dtype::I64, &[count], y)),
    ]
    .into();
    tensors::write(&folder.join("d.safetensors"), &set);
}

#[test]
fn an_export_without_a_run_reads_its_data_as_the_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-dynamo-lenet-5.onnx");
    features(folder, 40);
    let options = "--data d.safetensors --input-range -1:1 --test-share 1/2";
    let export = format!("export net {options} --mean 0.5 --std 0.25 --weights int8 --allow-loss");
    json(folder, &format!("{export} -o model.rfy"));
    let companion = fs::read(folder.join("model.rfy.json")).unwrap();
    let companion: serde_json::Value = serde_json::from_slice(&companion).unwrap();
    let reading = &companion["data"]["reading"];
    assert_eq!(reading["input_range"], "-1:1", "{companion}");
    assert_eq!(reading["test_share"], 0.5);

    // It was calibrated on these data, but trained elsewhere.
    let score = json(folder, "eval model.rfy");
    assert_eq!(score["samples"], 20);
    assert!(score["trained_on"].is_null(), "{score}");
    let (_, stderr) = texts(&run(folder, "eval model.rfy"));
    says(&stderr, &["the training images of model.rfy are unknown"]);
    assert!(!stderr.contains("trained on"), "{stderr}");

    // The range is recorded; what else the files leave open can be said anew.
    misused(
        folder,
        "eval model.rfy --data d.safetensors --input-range 0:1",
        &["--input-range", "model.rfy", "recorded"],
    );
    misused(
        folder,
        "eval model.rfy --test-share 1/2",
        &["--test-share", "model.rfy", "add --data"],
    );
    let some = json(
        folder,
        "eval model.rfy --data d.safetensors --test-share 1/4",
    );
    assert_eq!(some["samples"], 10);
}

#[test]
fn features_have_no_range_of_their_own_for_a_container_of_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-dynamo-lenet-5.onnx");
    features(folder, 20);
    json(
        folder,
        "export net --data digits --mean 0 --std 1 --weights int8 --allow-loss -o model.rfy",
    );
    let words = ["d.safetensors", "not bytes", "model.rfy"];
    let eval = "eval model.rfy --data d.safetensors";
    misused(folder, eval, &[&words[..], &["--input-range"]].concat());
    misused(
        folder,
        "measure model.rfy --board mps2-an386 --data d.safetensors",
        &words,
    );
    let score = json(folder, &format!("{eval} --input-range -1:1"));
    assert_eq!(score["samples"], 10);
    fs::remove_file(folder.join("model.rfy.json")).unwrap();
    misused(folder, eval, &words);
    json(folder, &format!("{eval} --input-range -1:1"));
}

#[test]
fn options_for_reading_need_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (command, option) in [
        ("prune --pruner snip", "--input-range all"),
        ("prune", "--test-share 1/3"),
        (
            "effective --curve c.svg --pruner magnitude/igq",
            "--label a",
        ),
        ("effective --curve c.svg --pruner snip", "--resize 4x4"),
    ] {
        let words = [option.split(' ').next().unwrap(), "add --data"];
        misused(folder, &format!("{command} {option}"), &words);
    }
    misused(
        folder,
        "effective --masks m --shape 1x28x28",
        &["--shape", "--curve"],
    );
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/run.toml"), "").unwrap();
    misused(
        folder,
        "export run --input-range all -o other.rfy",
        &["--input-range", "recorded", "run"],
    );
}
