//! The normalisation that a network without a run expects: assumed with a warning, stated in part,
//! or stated per feature of a table.

use std::fs;
use std::path::Path;

use crate::program::{json, misused, run, says, texts};
use crate::tables::{ARCH, table};
use crate::without_run::imported;

/// Returns what a command that succeeds prints on stderr.
fn notes(folder: &Path, command: &str) -> String {
    let output = run(folder, command);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{command}: {stderr}");
    stderr
}

#[test]
fn an_unstated_normalisation_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-dynamo-lenet-5.onnx");
    let assumed = |weights: &str| {
        format!(
            "warning: assuming that the weights in {weights} were trained with the normalisation of digits"
        )
    };
    let one = "warning: --mean is stated without --std, which is that of digits, 0.3081";
    for command in [
        "eval net --data digits",
        "export net --data digits --weights int8 --allow-loss -o m.rfy",
    ] {
        says(
            &notes(folder, command),
            &[&assumed("net/weights.safetensors")],
        );
        let stderr = notes(folder, &format!("{command} --mean 0.1307"));
        says(&stderr, &[one]);
        assert!(!stderr.contains("assuming"), "{stderr}");
        let stderr = notes(folder, &format!("{command} --mean 0.1307 --std 0.3081"));
        assert!(!stderr.contains("warning: --"), "{stderr}");
        assert!(!stderr.contains("assuming"), "{stderr}");
    }
    let import = "import net.onnx --data digits";
    says(
        &notes(folder, &format!("{import} -o a")),
        &[&assumed("net.onnx")],
    );
    says(&notes(folder, &format!("{import} --mean 0.1 -o b")), &[one]);
    let stderr = notes(folder, "import net.onnx --std 0.3 -o c");
    says(&stderr, &["warning: --std is stated without --mean"]);
}

#[test]
fn a_divisor_beyond_single_precision_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    misused(
        folder,
        "train --divide 1e-300 -o run",
        &["--divide is 0.000", "must be from 1e-30 to 1e30"],
    );
}

#[test]
fn a_table_has_a_mean_and_a_deviation_per_column() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let scale = "--mean 1100,-0.0009,0.5,0.5 --std 820,0.0008,0.3,0.3";
    fs::write(folder.join("tiny.toml"), ARCH).unwrap();
    fs::write(folder.join("a.csv"), table(180, 1.0)).unwrap();
    let train = "train --arch tiny.toml --data a.csv --pruner dense --epochs 30 --batch 10 --learning-rate 0.05";
    json(folder, &format!("{train} {scale} -o run"));
    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    let recipe: toml::Table = recipe.parse().unwrap();
    let number = |key: &str| recipe[key].as_float().unwrap();
    let (mean, std) = (number("pixel_mean"), number("pixel_std"));
    let map = recipe["reading"]["map"].as_table().unwrap();
    // A byte of 255 is the input (1 - mean) / std of the network, for each column.
    let columns = [(1100.0, 820.0), (-0.0009, 0.0008), (0.5, 0.3), (0.5, 0.3)];
    for (end, byte) in [("minimum", 0.0), ("maximum", 1.0)] {
        for (value, (m, s)) in map[end].as_array().unwrap().iter().zip(columns) {
            let expected = (value.as_float().unwrap() - m) / s;
            let input = (byte - mean) / std;
            assert!((input - expected).abs() < 1e-4, "{input} {expected}");
        }
    }
    let accuracy = |command: &str| json(folder, command)["accuracy"].as_f64().unwrap();
    let own = accuracy("eval run");
    assert!(own > 0.9, "{own}");
    // The same network without its run, and as a container.
    let given = "--arch tiny.toml --weights run/weights.safetensors --data a.csv";
    assert_eq!(accuracy(&format!("eval {given} {scale}")), own);
    json(
        folder,
        &format!("export {given} {scale} --weights int8 -o m.rfy"),
    );
    assert!(accuracy("eval m.rfy") > own - 0.05);
    // The architecture's file can state it, too.
    let stated = ARCH.replacen(
        "\n[[layer]]",
        "\n[normalisation]\nmean = [1100, -0.0009, 0.5, 0.5]\nstd = [820, 0.0008, 0.3, 0.3]\n\n[[layer]]",
        1,
    );
    fs::write(folder.join("stated.toml"), stated).unwrap();
    let given = given.replace("tiny.toml", "stated.toml");
    assert_eq!(accuracy(&format!("eval {given}")), own);
    misused(
        folder,
        &format!("{train} --mean 1,2,3,4 -o none"),
        &["--std is not stated"],
    );
    misused(
        folder,
        &format!("{train} --mean 1,2,3 --std 1 -o none"),
        &["--mean is [1, 2, 3]"],
    );
}
