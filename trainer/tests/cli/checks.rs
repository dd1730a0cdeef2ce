//! `rarefy import` checks its own result, and keeps what a network expects of its input.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor as Values};
use rarefy_trainer::import;
use rarefy_trainer::network::{Network, Statistics};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::file;
use crate::program::{json, misused, refused, run, says, texts};
use crate::tensors::{self, Tensors, tensor};

/// Writes a fixture of `tests/onnx` to `net.onnx` in `folder`, and returns its inputs,
/// channel-first, and the class scores that onnxruntime computed.
fn fixture(folder: &Path, name: &str) -> [Vec<f32>; 2] {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    fs::copy(from.join(format!("{name}.onnx")), folder.join("net.onnx")).unwrap();
    let bytes = fs::read(from.join(format!("{name}.safetensors"))).unwrap();
    let values = SafeTensors::deserialize(&bytes).unwrap();
    ["x", "y"].map(|name| {
        let values = values.tensor(name).unwrap();
        let numbers = values.data().chunks_exact(4);
        numbers
            .map(|it| f32::from_le_bytes(it.try_into().unwrap()))
            .collect()
    })
}

/// Writes a test vector to the folder `test_data_set_N` in `folder`.
fn vector(folder: &Path, number: usize, x: &[f32], y: &[f32]) {
    let set = folder.join(format!("test_data_set_{number}"));
    fs::create_dir_all(&set).unwrap();
    for (name, values) in [("input_0.pb", x), ("output_0.pb", y)] {
        let tensor = file::floats("", &[values.len() as i64], values);
        fs::write(set.join(name), tensor).unwrap();
    }
}

#[test]
fn an_import_is_compared_with_the_test_vectors_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The file ends with log-softmax, which the network lacks.
    let [x, y] = fixture(folder, "torch-old-lenet-5");
    let log_softmax = |scores: &[f32]| -> Vec<f32> {
        let sum: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
        scores
            .iter()
            .map(|&score| (f64::from(score) - sum.ln()) as f32)
            .collect()
    };
    let mut y: Vec<f32> = y.chunks_exact(10).flat_map(log_softmax).collect();
    vector(folder, 0, &x, &y);
    vector(folder, 1, &x[..784], &y[..10]);
    let imported = json(folder, "import net.onnx -o a");
    let found = &imported["test_vectors"];
    assert_eq!(found["sets"], 2);
    assert!(found["difference"].as_f64().unwrap() < 1e-4, "{found}");
    let largest = y.iter().fold(0.0_f32, |most, y| most.max(y.abs()));
    y[3] += largest / 2.0;
    vector(folder, 1, &x, &y);
    let (stdout, _) = texts(&run(folder, "import net.onnx -o b"));
    says(
        &stdout,
        &["difference from the 2 test vectors beside the file: "],
    );
    let imported = json(folder, "import net.onnx -o c");
    let found = imported["test_vectors"]["difference"].as_f64().unwrap();
    assert!(found > 0.3 && found < 0.51, "{found}");
    vector(folder, 1, &x[1..], &y);
    refused(
        folder,
        "import net.onnx -o d",
        &["test_data_set_1/input_0.pb", "6271 values", "784"],
    );
}

/// Arranges the inputs of a file with channels last as the file has them.
#[test]
fn test_vectors_may_have_channels_last() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [x, y] = fixture(folder, "keras-cnn");
    let imported = json(folder, "import net.onnx -o a");
    assert!(imported.get("test_vectors").is_none());
    let shape: Vec<usize> = serde_json::from_value(imported["input"].clone()).unwrap();
    let [channels, area] = [shape[0], shape[1] * shape[2]];
    assert!(channels > 1);
    let last = |sample: &[f32]| -> Vec<f32> {
        let places = (0..area).flat_map(|at| (0..channels).map(move |channel| (channel, at)));
        places
            .map(|(channel, at)| sample[channel * area + at])
            .collect()
    };
    let x: Vec<f32> = x.chunks_exact(channels * area).flat_map(last).collect();
    vector(folder, 0, &x, &y);
    let imported = json(folder, "import net.onnx -o b");
    let difference = imported["test_vectors"]["difference"].as_f64().unwrap();
    assert!(difference < 1e-4, "{difference}");
}

/// Returns the number of samples that the network in `net.onnx` gets right if signed bytes become
/// `(x - 83) / 1.7`.
fn right(folder: &Path, x: &[i8], y: &[i64]) -> usize {
    let network = import::read(&folder.join("net.onnx")).unwrap();
    let statistics = Statistics::of_state(&network.graph, &network.state).unwrap();
    let inputs: Vec<f32> = x.iter().map(|&x| (f32::from(x) - 83.0) / 1.7).collect();
    let inputs = Values::from_vec(inputs, (y.len(), 784), &Device::Cpu).unwrap();
    let network = Network::new(&network.graph, &network.state, &Device::Cpu).unwrap();
    let classes = network.classify(&inputs, &statistics).unwrap();
    classes
        .iter()
        .zip(y)
        .filter(|(found, class)| i64::from(**found) == **class)
        .count()
}

/// Normalises signed bytes, as quantized networks read them, in their own units, which the
/// architecture's file keeps.
#[test]
fn what_a_network_expects_is_said_in_the_units_of_the_data_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder, "torch-old-lenet-5");
    let x: Vec<i8> = (0..60 * 784)
        .map(|at: u32| (at * 7919 % 251) as u8 as i8)
        .collect();
    let y: Vec<i64> = (0..60).map(|at| at % 10).collect();
    let set = |name: &'static str, labels: &'static str| {
        [
            (
                name,
                tensor(Dtype::I8, &[60, 28, 28], x.iter().map(|x| x.to_le_bytes())),
            ),
            (
                labels,
                tensor(Dtype::I64, &[60], y.iter().map(|y| y.to_le_bytes())),
            ),
        ]
    };
    let set: Tensors = [set("x_train", "y_train"), set("x_test", "y_test")]
        .concat()
        .into_iter()
        .collect();
    tensors::write(&folder.join("d.safetensors"), &set);
    let right = right(folder, &x, &y);

    let imported = json(
        folder,
        "import net.onnx -o net --mean 83 --std 1.7 --data d.safetensors",
    );
    let checked = &imported["checked"];
    assert_eq!(checked["samples"], 60);
    let accuracy = right as f64 / 60.0;
    assert!(
        (checked["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-9,
        "{checked}"
    );
    let arch = fs::read_to_string(folder.join("net/arch.toml")).unwrap();
    says(&arch, &["[normalisation]\nmean = 83.0\nstd = 1.7"]);
    json(folder, "arch net");

    // Later commands need not repeat it.
    assert_eq!(
        json(folder, "eval net --data d.safetensors")["correct"],
        right
    );
    let doubled = "--mean 166 --std 3.4 --divide 0.5";
    assert_eq!(
        json(folder, &format!("eval net --data d.safetensors {doubled}"))["correct"],
        right
    );
    json(
        folder,
        "export net --data d.safetensors --weights int8 --allow-loss -o m.rfy",
    );
    let companion = fs::read(folder.join("m.rfy.json")).unwrap();
    let companion: serde_json::Value = serde_json::from_slice(&companion).unwrap();
    let close = |field: &str, expected: f64| {
        let found = companion["data"][field].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-6, "{field}: {found}");
    };
    // x = pixel - 128, so (x - 83) / 1.7 = (pixel / 255 - 211 / 255) / (1.7 / 255).
    close("pixel_mean", 211.0 / 255.0);
    close("pixel_std", 1.7 / 255.0);
    let train =
        "train --arch net --weights net --pruner dense --after finetune --epochs 1 --batch 20";
    json(
        folder,
        &format!("{train} --learning-rate 1e-6 --data d.safetensors -o run"),
    );
    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    says(&recipe, &["pixel_mean = 0.82745", "pixel_std = 0.00666"]);
    json(folder, "train --recipe run/run.toml -o again");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("run/run.toml"), read("again/run.toml"));
    assert_eq!(read("run/arch.toml"), arch);
}

#[test]
fn a_normalisation_that_cannot_be_applied_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder, "torch-old-lenet-5");
    for (options, words) in [
        ("--mean 1,2", &["--mean is [1, 2]", "channels"][..]),
        ("--std 0", &["--std is 0", "positive"]),
        ("--divide -1", &["--divide is -1", "from 1e-30 to 1e30"]),
        ("--input-range all", &["--input-range", "add --data"]),
    ] {
        misused(folder, &format!("import net.onnx -o net {options}"), words);
    }
    json(folder, "import net.onnx -o net");
    let eval = |options: &str| {
        let output = run(folder, &format!("eval net --data digits {options}"));
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        (stdout.lines().next().unwrap().to_owned(), stderr)
    };
    // The published numbers, as PyTorch writes them.
    let own = eval("");
    assert_eq!(eval("--divide 255 --mean 0.1307 --std 0.3081").0, own.0);
    let raw = eval("--divide 1 --mean 127.5 --std 127.5");
    assert_eq!(raw.0, eval("--mean 0.5 --std 0.5").0);
    assert!(!raw.1.contains("warning"), "{}", raw.1);
    says(
        &eval("--mean 127.5 --std 127.5").1,
        &["divided by 255", "--divide 1"],
    );

    // A table's columns have a range each.
    let row = |label: usize| {
        let values: Vec<String> = (0..784)
            .map(|at| (at * (label + 1) % 97).to_string())
            .collect();
        format!("{},{label}\n", values.join(","))
    };
    let rows: String = (0..40).map(|row_of| row(row_of % 10)).collect();
    fs::write(folder.join("t.csv"), rows).unwrap();
    let table = "eval net --data t.csv --shape 1x28x28 --mean 3";
    misused(
        folder,
        &format!("{table} --input-range feature"),
        &["t.csv", "a range each", "--input-range"],
    );
    json(folder, &format!("{table} --input-range 0:96"));
    let arch = fs::read_to_string(folder.join("net/arch.toml")).unwrap();
    let arch = arch.replacen("\n[[layer]]", "\n[normalisation]\nstd = -1\n\n[[layer]]", 1);
    fs::write(folder.join("bad.toml"), arch).unwrap();
    refused(
        folder,
        "arch bad.toml",
        &["bad.toml, line 4: normalisation: std is -1, but must be a positive number"],
    );
}
