//! The options of `rarefy export`: weight types, objectives, encodings.

use std::fs;

use crate::program::{json, misuse, refusal, refused, run, says, texts};
use crate::runs;

/// A small network for the digits, with convolutions and a residual addition.
const MAPS: &str = "name = \"maps\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"average-pool\"\nsize = 2\n\
    [[layer]]\ntype = \"conv\"\nname = \"stem\"\nchannels = 4\nkernel = 3\npadding = \"same\"\n\
    [[layer]]\ntype = \"conv\"\nname = \"branch\"\nchannels = 4\nkernel = 3\npadding = \"same\"\nrelu = false\n\
    [[layer]]\ntype = \"add\"\nfrom = [\"branch\", \"stem\"]\n\
    [[layer]]\ntype = \"max-pool\"\nsize = 2\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

#[test]
fn units_of_images_are_stated_on_request() {
    let folder = runs::folder();
    let folder = folder.path();
    let plain = json(folder, "export run -o plain.rfy");
    assert!(plain.get("units").is_none());
    let stated = json(folder, "export run --units always -o stated.rfy");
    assert_eq!(
        stated["units"]["maps"],
        serde_json::json!([{"minimum": 0.0, "factor": 1.0}])
    );
    assert_eq!(stated["accuracy"], plain["accuracy"]);
    let [plain, stated] =
        ["plain.rfy", "stated.rfy"].map(|name| fs::read(folder.join(name)).unwrap());
    // Nothing else changes but the checksum and the bit that announces them.
    assert_eq!(plain[9..], stated[9..plain.len()]);
    assert_eq!(plain[8] | 0x80, stated[8]);
    let (stdout, _) = texts(&run(folder, "inspect stated.rfy"));
    says(
        &stdout,
        &["units (16 bytes): an output is its logit *", "x itself"],
    );
    // Without a companion, too, images are images.
    fs::remove_file(folder.join("stated.rfy.json")).unwrap();
    json(folder, "eval stated.rfy --data digits");
}

#[test]
fn fewer_bits_are_fewer_bytes_and_eight_cost_no_accuracy() {
    let folder = runs::folder();
    let folder = folder.path();
    let mut bytes = Vec::new();
    for weights in ["f32", "int8", "int6", "int4", "int3", "int2", "ternary"] {
        let goal = if weights == "f32" {
            ""
        } else {
            "--optimize size"
        };
        let report = json(
            folder,
            &format!("export run {goal} --weights {weights} -o {weights}.rfy"),
        );
        assert_eq!(report["weights"], weights);
        let lost = report["accuracy"]["pruned"].as_f64().unwrap()
            - report["accuracy"]["deployed"].as_f64().unwrap();
        let most = match weights {
            "f32" => 0.0005,
            "int8" | "int6" => 0.005,
            _ => 1.0,
        };
        assert!(lost <= most, "{weights}: {lost}");
        bytes.push(report["bytes"].as_u64().unwrap());
    }
    assert!(bytes.is_sorted_by(|a, b| a > b), "{bytes:?}");
    // The accuracy lost by ternary weights is noted.
    let (_, stderr) = texts(&run(folder, "export run --weights ternary --optimize size"));
    says(&stderr, &["quantization to ternary cost", "--weights int6"]);
}

#[test]
fn the_goal_and_the_board_decide_how_layers_are_stored() {
    let folder = runs::folder();
    let folder = folder.path();
    let figures = |options: &str| {
        let report = json(folder, &format!("export run -o m.rfy {options}"));
        let layers = report["layers"].as_array().unwrap();
        let instructions = layers.iter().map(|layer| layer["instructions"].as_u64());
        let instructions = instructions.sum::<Option<u64>>().unwrap();
        (report["bytes"].as_u64().unwrap(), instructions)
    };
    let (small, _) = figures("--optimize size");
    let (large, fast) = figures("--optimize speed");
    let (middle, slower) = figures("");
    assert!(small < middle && middle <= large && fast <= slower);
    let (_, on_m0) = figures("--optimize speed --board microbit");
    assert!(on_m0 > fast);
}

/// Checks that emitted code is rejected for exceeding its own limit, not a limit of the container
/// with which it is compared.
#[test]
fn too_many_weights_for_code_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let layers =
        "[[layer]]\ntype = \"dense\"\nunits = 84\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    let network = format!("name = \"wide\"\ninput = [1, 28, 28]\n{layers}");
    fs::write(folder.join("wide.toml"), network).unwrap();
    json(
        folder,
        "train --arch wide.toml --pruner dense --epochs 1 -o run",
    );
    // 784 x 84 + 84 x 10 weights are more than a layer of csr holds.
    let sentence = refusal(folder, "export run --emit rust");
    says(
        &sentence,
        &["weights are more than the 65536", "use a container"],
    );
    assert!(!sentence.contains("csr"), "{sentence}");
    json(folder, "export run");
}

#[test]
fn networks_with_maps_are_exported_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("maps.toml"), MAPS).unwrap();
    json(
        folder,
        "train --arch maps.toml --pruner magnitude/igq --compression 3 --epochs 2 -o run",
    );
    let report = json(folder, "export run -o model.rfy");
    let (pruned, deployed) = (
        report["accuracy"]["pruned"].as_f64().unwrap(),
        report["accuracy"]["deployed"].as_f64().unwrap(),
    );
    assert!((pruned - deployed).abs() < 0.01, "{pruned} {deployed}");
    let score = json(folder, "eval model.rfy");
    assert_eq!(score["accuracy"], report["accuracy"]["deployed"]);
    says(
        &refusal(folder, "export run --weights f32 -o f.rfy"),
        &["only chains of dense layers", "--weights int8"],
    );
    says(
        &refusal(folder, "export run --encoding columns -o c.rfy"),
        &[
            "cannot be stored as columns",
            "only dense layers",
            "--encoding auto",
        ],
    );
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let folder = runs::folder();
    let folder = folder.path();
    for (wrong_usage, options, words) in [
        (
            true,
            "--weights f32 --encoding csr",
            ["--encoding", "--weights int8"],
        ),
        // No --encoding was given.
        (
            true,
            "--emit rust --weights f32",
            ["--emit rust", "--weights int8 instead"],
        ),
        (
            true,
            "--emit c --weights f32",
            ["--emit c", "--weights int8 instead"],
        ),
        // Only encoding the layer shows that it is too wide.
        (
            false,
            "--weights int8 --encoding words",
            ["layer fc1", "--encoding auto"],
        ),
        (true, "--board abacus", ["abacus", "rarefy boards"]),
    ] {
        let sentence = if wrong_usage { misuse } else { refusal };
        says(
            &sentence(folder, &format!("export run {options} -o m.rfy")),
            &words,
        );
        assert!(!folder.join("m.rfy").exists());
    }
}

#[test]
fn a_file_that_was_not_named_is_not_replaced() {
    let folder = runs::folder();
    let folder = folder.path();
    for (name, options) in [
        ("model.rfy", ""),
        ("model.rs", "--emit rust"),
        ("model.h", "--emit c"),
    ] {
        fs::write(folder.join(name), "another run's").unwrap();
        refused(
            folder,
            &format!("export run {options}"),
            &[name, "exists already", &format!("-o {name}")],
        );
    }
    // A container may be replaced by another, but only if it is named.
    fs::write(folder.join("model.rfy"), "RFY, another run's").unwrap();
    refused(folder, "export run", &["exists already", "-o model.rfy"]);
    let report = json(folder, "export run -o model.rfy");
    assert_eq!(report["path"], "model.rfy");
    assert_eq!(
        fs::read(folder.join("model.rfy")).unwrap(),
        runs::pruned().container
    );
}
