//! Samples without labels, as autoencoders have them: containers are compared with floats.

use std::fs;
use std::path::Path;

use crate::program::{json, misused, refused, run, says, texts};
use crate::tensors::{self, Tensors, single};

/// Writes the network of a fixture of `tests/onnx` to the folder `name` in `folder`.
fn imported(folder: &Path, fixture: &str, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    fs::copy(from.join(fixture), folder.join("net.onnx")).unwrap();
    json(
        folder,
        &format!("import net.onnx -o {name} --mean 0 --std 1"),
    );
}

/// Writes 60 samples of 14 x 14 features from -1 to 1, without labels.
fn samples(folder: &Path) {
    let value = |at: usize| (at * 7919 % 2001) as f32 / 1000.0 - 1.0;
    let x: Vec<f32> = (0..60 * 196).map(value).collect();
    let set: Tensors = [("x", single(&[60, 14, 14], &x))].into();
    tensors::write(&folder.join("x.safetensors"), &set);
}

#[test]
fn outputs_are_compared_where_there_are_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-old-lenet-300-100.onnx", "net");
    imported(folder, "torch-dynamo-lenet-300-100.onnx", "same");
    samples(folder);
    let data = "--data x.safetensors --label none --input-range -1:1 --test-share 1/3";
    let exported = json(
        folder,
        &format!("export net {data} --weights int8 -o m.rfy"),
    );
    assert!(exported["accuracy"]["deployed"].is_null(), "{exported}");
    let (stdout, _) = texts(&run(
        folder,
        &format!("export net {data} --weights int8 -o m.rfy"),
    ));
    says(&stdout, &["relative mean squared error of its outputs 0."]);

    let against = &json(folder, "eval m.rfy --against net")["against"];
    assert_eq!(
        (&against["samples"], &against["network"]),
        (&20.into(), &"net".into())
    );
    let error = against["relative_mse"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.01, "{error}");
    // Fewer bits have a larger error, and another network is another function.
    json(
        folder,
        &format!("export net {data} --weights int3 -o m3.rfy"),
    );
    let coarse = &json(folder, "eval m3.rfy --against net")["against"]["relative_mse"];
    assert!(coarse.as_f64().unwrap() > 4.0 * error, "{coarse}");
    let arch = fs::read_to_string(folder.join("net/arch.toml")).unwrap();
    assert!(arch.contains("[normalisation]"));
    let other = fs::read(folder.join("same/weights.safetensors")).unwrap();
    let same = fs::read(folder.join("net/weights.safetensors")).unwrap();
    let found = &json(folder, "eval m.rfy --against same")["against"]["relative_mse"];
    assert_eq!(found.as_f64().unwrap() < 0.01, other == same, "{found}");
    let (stdout, _) = texts(&run(folder, "eval m.rfy --against net"));
    says(
        &stdout,
        &[
            "Outputs against those of net in floats",
            "Next: rarefy measure m.rfy",
        ],
    );

    misused(
        folder,
        "eval m.rfy",
        &["x.safetensors has no labels", "--against"],
    );
    misused(
        folder,
        &format!("eval net {data}"),
        &["x.safetensors has no labels"],
    );
    misused(folder, "eval net --against net", &["--against", ".rfy"]);
    let train = "train --arch net --pruner dense --epochs 1 --batch 10 -o none";
    refused(
        folder,
        &format!("{train} {data}"),
        &["x.safetensors has no labels", "training"],
    );
    misused(
        folder,
        &format!("prune --arch net --pruner snip --compression 2 {data}"),
        &["x.safetensors has no labels", "snip"],
    );
    refused(
        folder,
        "data show x.safetensors",
        &["only the array x", "name the arrays x and y"],
    );
}
