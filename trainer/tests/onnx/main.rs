//! Imports files of real exporters, and compares the class scores with those of onnxruntime.
//!
//! `make.py` writes the fixtures: `NAME.onnx`, and `NAME.safetensors` with inputs `x` (channels
//! first) and the class scores `y` that onnxruntime computed.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, safetensors};
use rarefy_trainer::graph;
use rarefy_trainer::import::{self, Imported};
use rarefy_trainer::network::{Network, Statistics};

/// The relative error that f32 allows for.
const TOLERANCE: f32 = 1e-4;

/// The fixtures: name, number of weights, and words of the import's notes.
const FIXTURES: [(&str, usize, &[&str]); 24] = [
    ("torch-old-lenet-300-100", 196 * 30 + 300 + 100, &[]),
    ("torch-dynamo-lenet-300-100", 196 * 30 + 300 + 100, &[]),
    ("torch-old-lenet-5", LENET_5, &["LogSoftmax"]),
    ("torch-dynamo-lenet-5", LENET_5, &["LogSoftmax"]),
    ("torch-old-ds-cnn", DS_CNN, &[]),
    ("torch-dynamo-ds-cnn", DS_CNN, &[]),
    ("torch-old-mobile", MOBILE, &[]),
    ("torch-dynamo-mobile", MOBILE, &[]),
    ("torch-old-resnet-8", RESNET_8, &[]),
    ("torch-dynamo-resnet-8", RESNET_8, &[]),
    ("torch-old-resnet-8-norms", RESNET_8, &[]),
    ("torch-old-mlp-norms", 64 * 20 + 80, &["Softmax"]),
    ("tf2onnx-mlp", 144 * 30 + 300, &["Softmax"]),
    ("keras-mlp", 144 * 30 + 300, &["Softmax"]),
    ("tf2onnx-cnn", KERAS_CNN, &[]),
    ("keras-cnn", KERAS_CNN, &[]),
    ("tf2onnx-ds-cnn", KERAS_DS_CNN, &["Softmax"]),
    ("keras-ds-cnn", KERAS_DS_CNN, &["Softmax"]),
    ("tf2onnx-mobile", KERAS_MOBILE, &[]),
    ("keras-mobile", KERAS_MOBILE, &[]),
    ("tf2onnx-resnet", KERAS_RESNET, &["Softmax"]),
    ("keras-resnet", KERAS_RESNET, &["Softmax"]),
    ("written-first", 9 * (2 * 4 + 4 * 5) + 15, &[]),
    ("written-last", 16 * 3 * 6 + 24, &[]),
];
const LENET_5: usize = 4 * 25 + 8 * 4 * 25 + 200 * 24 + 24 * 16 + 160;
// Depthwise kernels and those of groups have no weights for the channels that they do not read.
const DS_CNN: usize = 8 * 40 + 8 * 9 + 8 * 8 + 16 * 3 + 12 * 4 + 120;
const MOBILE: usize = 9 * 6 + 6 * 12 + 9 * 12 + 12 * 6 + 150 * 10;
const RESNET_8: usize = 9 * (3 * 4 + 4 * 4 * 2 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 32 + 128 + 160;
const KERAS_CNN: usize = 9 * (3 * 4 + 4 * 8) + 128 * 12 + 12 * 5;
const KERAS_DS_CNN: usize = 8 * 40 + 8 * 9 + 8 * 8 + 16 * 9 + 16 * 3 + 16 * 12 + 120;
const KERAS_MOBILE: usize = 9 * 2 * 4 + 9 * 4 + 144 * 10;
const KERAS_RESNET: usize = 9 * (3 * 4 + 4 * 8 + 8 * 8) + 4 * 8 + 80;

/// Returns the path of a fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/onnx")
        .join(name)
}

/// Returns the class scores of `imported` for the inputs `x`, by fused or plain operators.
fn scores(imported: &Imported, x: &Tensor, plain: bool) -> Tensor {
    let network = Network::new(&imported.graph, &imported.state, &Device::Cpu).unwrap();
    let network = if plain { network.plain() } else { network };
    let statistics = Statistics::of_state(&imported.graph, &imported.state).unwrap();
    let last = imported.graph.nodes().len() - 1;
    network.forward_to(last, x, &statistics).unwrap()
}

#[test]
fn imported_networks_compute_what_onnxruntime_does() {
    for (name, weights, said) in FIXTURES {
        let imported = import::read(&fixture(&format!("{name}.onnx"))).unwrap();
        assert_eq!(imported.graph.total(), weights, "{name}");
        let notes = imported.notes.join("\n");
        assert_eq!(imported.notes.len(), said.len(), "{name}: {notes}");
        assert!(
            said.iter().all(|word| notes.contains(word)),
            "{name}: {notes}"
        );
        let values = fixture(&format!("{name}.safetensors"));
        let values = safetensors::load(values, &Device::Cpu).unwrap();
        let expected = values["y"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let largest = expected.iter().fold(0.0_f32, |most, y| most.max(y.abs()));
        for plain in [false, true] {
            let found = scores(&imported, &values["x"], plain)
                .flatten_all()
                .unwrap();
            let found = found.to_vec1::<f32>().unwrap();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs() / largest;
                assert!(error <= TOLERANCE, "{name}: {found} instead of {expected}");
            }
        }
    }
}

#[test]
fn every_fixture_is_tested_and_small() {
    let folder = fixture("");
    let mut names: Vec<String> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    names.sort();
    let mut expected: Vec<String> = FIXTURES
        .iter()
        .map(|(name, ..)| format!("{name}.onnx"))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    for name in names {
        assert!(
            fs::metadata(fixture(&name)).unwrap().len() < 100_000,
            "{name}"
        );
    }
}

#[test]
fn the_architecture_file_describes_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ..) in FIXTURES {
        let imported = import::read(&fixture(&format!("{name}.onnx"))).unwrap();
        let path = folder.path().join("arch.toml");
        fs::write(&path, &imported.toml).unwrap();
        let read = graph::load(path.to_str().unwrap()).unwrap();
        assert_eq!(read, imported.graph, "{name}");
    }
}

/// Layers keep the names of their weights, where the file has usable ones.
#[test]
fn layers_keep_their_names() {
    let names = |name: &str| -> Vec<String> {
        let imported = import::read(&fixture(name)).unwrap();
        imported
            .graph
            .prunable()
            .into_iter()
            .map(|tensor| tensor.name)
            .collect()
    };
    let lenet = [
        "conv1.weight",
        "conv2.weight",
        "fc1.weight",
        "fc2.weight",
        "fc3.weight",
    ];
    assert_eq!(names("torch-old-lenet-5.onnx"), lenet);
    assert_eq!(names("torch-dynamo-lenet-5.onnx"), lenet);
    assert_eq!(names("torch-old-mlp-norms.onnx"), ["1.weight", "4.weight"]);
    assert_eq!(names("keras-mlp.onnx"), ["fc1.weight", "fc2.weight"]);
}
