//! Targets that are numbers: regression and autoencoders, from data to container.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{json, misused, refused, run, says, texts};
use crate::tensors::{self, Tensors, single};

/// A network from four features to two targets.
const NETWORK: &str = "name = \"force\"\ninput = [1, 1, 4]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 16\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 2\n";

/// An autoencoder of nine features.
const AUTOENCODER: &str = "name = \"tiny\"\ninput = [1, 1, 9]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 12\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 3\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 12\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 9\n";

/// The options that train on the two columns of targets.
const TRAIN: &str = "train --arch force.toml --data force.csv --targets force,heat --loss mse \
    --batch 20";

/// Returns pseudo-random numbers from -1 to 1.
fn numbers() -> impl FnMut() -> f64 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 23) - 1.0
    }
}

/// Writes 300 samples of four features and two targets in units of their own, and the networks.
fn prepare(folder: &Path) {
    let mut next = numbers();
    let mut text = String::from("a,b,heat,c,d,force\n");
    for _ in 0..300 {
        let [a, b, c, d] = [(); 4].map(|()| next());
        let force = 500.0 + 40.0 * a - 25.0 * b + 10.0 * c;
        let heat = -20.0 + 15.0 * a * b + 30.0 * d;
        text += &format!("{a},{b},{heat},{c},{d},{force}\n");
    }
    fs::write(folder.join("force.csv"), text).unwrap();
    fs::write(folder.join("force.toml"), NETWORK).unwrap();
    fs::write(folder.join("tiny.toml"), AUTOENCODER).unwrap();
}

/// Returns the number called `name` in an object.
fn number(value: &Value, name: &str) -> f64 {
    let found = name.split('.').fold(value, |value, key| &value[key]);
    found.as_f64().unwrap_or_else(|| panic!("{name}: {value}"))
}

/// Checks that two numbers differ by at most the given fraction.
fn close(a: f64, b: f64, fraction: f64) {
    assert!((a / b - 1.0).abs() < fraction, "{a} {b}");
}

#[test]
fn a_regression_is_trained_pruned_evaluated_and_exported_in_the_units_of_its_targets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let train = format!(
        "{TRAIN} --pruner magnitude/global --compression 2 --epochs 40 --learning-rate 0.05"
    );
    let report = json(folder, &format!("{train} -o r"));
    let [mse, variance] = ["mse.pruned", "mse.variance"].map(|name| number(&report, name));
    // The variance of force is about (40² + 25² + 10²) / 3, that of heat about 15² / 9 + 30² / 3.
    close(variance, (775.0 + 325.0) / 2.0, 0.25);
    assert!(mse < 0.1 * variance, "{report}");
    close(
        number(&report, "accuracy.pruned"),
        1.0 - mse / variance,
        1e-9,
    );
    assert!(number(&report, "mse.dense") < 0.1 * variance, "{report}");
    let metrics = fs::read_to_string(folder.join("r/metrics.csv")).unwrap();
    assert!(
        metrics.starts_with("phase,epoch,loss,mse,seconds\n"),
        "{metrics}"
    );
    let last = metrics.lines().last().unwrap().split(',').nth(3).unwrap();
    close(last.parse().unwrap(), mse, 1e-6);
    let recipe = fs::read_to_string(folder.join("r/run.toml")).unwrap();
    says(&recipe, &["loss = \"mse\"", "targets = \"force,heat\""]);
    // A finished run is not repeated, and two threads compute the same bits.
    assert_eq!(json(folder, &format!("{train} -o r"))["mse"], report["mse"]);
    let two = json(folder, &format!("{train} --threads 2 -o r2"));
    assert_eq!(two["mse"], report["mse"]);

    // The file of weights is a network in the targets' own units, with or without its run.
    let given = "--arch force.toml --weights r/weights.safetensors --data force.csv";
    for of in ["r".to_owned(), format!("{given} --targets force,heat")] {
        let found = json(folder, &format!("eval {of}"));
        close(number(&found, "mse"), mse, 1e-3);
        assert!(found.get("accuracy").is_none(), "{found}");
    }
    let tuned = format!("{TRAIN} --weights r/weights.safetensors --masks r/masks.safetensors");
    let output = run(
        folder,
        &format!("{tuned} --epochs 1 --learning-rate 1e-6 -o t"),
    );
    says(
        &texts(&output).1,
        &["r/weights.safetensors: mean squared error"],
    );
    close(number(&json(folder, "eval t"), "mse"), mse, 1e-2);

    let exported = json(folder, "export r -o m.rfy");
    let deployed = number(&exported, "mse.deployed");
    close(number(&exported, "mse.pruned"), mse, 1e-9);
    assert!(deployed < mse + 0.02 * variance, "{exported}");
    let found = json(folder, "eval m.rfy");
    close(number(&found, "mse"), deployed, 1e-9);
    close(number(&found, "r2"), 1.0 - deployed / variance, 1e-9);
    let (stdout, _) = texts(&run(folder, "eval m.rfy"));
    says(
        &stdout,
        &[
            "50 test samples of",
            "mean squared error",
            "% of the targets' variance",
        ],
    );
    json(folder, "export r --weights f32 -o f.rfy");
    close(number(&json(folder, "eval f.rfy"), "mse"), mse, 1e-2);
    // A project logs outputs, not a class.
    let project = json(folder, "new app --model m.rfy --board mps2-an386");
    assert!(project.get("class").is_none(), "{project}");
    assert_eq!(project["outputs"].as_array().unwrap().len(), 2);
    let program = fs::read_to_string(folder.join("app/src/main.rs")).unwrap();
    says(&program, &["dequantize(logits)", "logs its outputs"]);
    assert!(!program.contains("argmax"), "{program}");
    // The container itself states the map of its inputs and the step of its outputs.
    fs::remove_file(folder.join("m.rfy.json")).unwrap();
    let alone = json(folder, "eval m.rfy --data force.csv --targets force,heat");
    close(number(&alone, "mse"), deployed, 1e-6);
    json(folder, "export r -o never.rfy --units never");
    close(
        number(&json(folder, "eval never.rfy"), "mse"),
        deployed,
        1e-9,
    );
    fs::remove_file(folder.join("never.rfy.json")).unwrap();
    misused(
        folder,
        "eval never.rfy --data force.csv --targets force,heat --input-range -1:1",
        &["never.rfy", "what its outputs stand for", "export it again"],
    );
}

#[test]
fn an_autoencoder_is_trained_on_its_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    // Nine features of three units each, on a plane.
    let mut next = numbers();
    let mut x = Vec::new();
    for _ in 0..240 {
        let [a, b] = [next(), next()];
        x.extend((0..9).map(|at| (20.0 + (at as f64 - 4.0) * a + 3.0 * b) as f32));
    }
    let set: Tensors = [("x", single(&[240, 9], &x))].into();
    tensors::write(&folder.join("x.safetensors"), &set);
    let data = "--data x.safetensors --targets inputs";
    let train = format!("train --arch tiny.toml {data} --loss mse --batch 20 --learning-rate 0.05");
    let report = json(folder, &format!("{train} --pruner dense --epochs 40 -o r"));
    let variance = number(&report, "mse.variance");
    assert!(number(&report, "mse.pruned") < 0.1 * variance, "{report}");
    let exported = json(folder, "export r -o m.rfy");
    close(
        number(&json(folder, "eval m.rfy"), "mse"),
        number(&exported, "mse.deployed"),
        1e-9,
    );
    let shown = json(folder, &format!("data show {data}").replace("--data ", ""));
    assert_eq!(
        (&shown["targets"], &shown["classes"]),
        (&9.into(), &0.into())
    );
    // Scores that read gradients read those of the same loss.
    for pruner in ["snip", "grasp", "snip/iterative"] {
        let train = format!("{train} --pruner {pruner} --compression 2 --epochs 10");
        let report = json(folder, &format!("{train} -o {}", pruner.replace('/', "-")));
        assert!(number(&report, "mse.pruned") < 0.9 * variance, "{report}");
    }
    misused(
        folder,
        &format!("{train} --augment shift=1 -o x"),
        &["augmentation", "the targets are the inputs"],
    );
}

#[test]
fn losses_and_targets_that_do_not_go_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let columns = "train --arch force.toml --data force.csv --targets";
    for (arguments, words) in [
        (
            "train --loss mse -o x".into(),
            ["loss", "the dataset has classes"],
        ),
        (
            format!("{columns} force,heat -o x"),
            ["loss", "the targets of the dataset are numbers"],
        ),
        (
            format!("{columns} force,heat --loss mse --label-smoothing 0.1 -o x"),
            ["label", "numbers"],
        ),
    ] {
        misused(folder, &arguments, &words);
    }
    fs::write(
        folder.join("wide.toml"),
        NETWORK.replace("units = 2", "units = 3"),
    )
    .unwrap();
    misused(
        folder,
        &format!("{columns} force,heat --loss mse -o x").replace("force.toml", "wide.toml"),
        &["2 targets per sample", "force has 3 outputs"],
    );
    for (arguments, words) in [
        (
            format!("{columns} mass --loss mse -o x"),
            ["force.csv has no column \"mass\"", "heat"],
        ),
        (
            "train --data digits --targets force --loss mse -o x".into(),
            ["digits has classes", "such as force"],
        ),
    ] {
        refused(folder, &arguments, &words);
    }
}
