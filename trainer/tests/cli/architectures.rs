//! Architectures given as files wherever a name is accepted.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::program::{json, refusal, refused, run, says, texts};

/// Writes an architecture with two inputs and these `layers` into `folder`.
fn write(folder: &Path, layers: &str) {
    let text = format!("name = \"own\"\ninput = [1, 1, 2]\n\n{layers}");
    fs::write(folder.join("own.toml"), text).unwrap();
}

const DENSE: &str = "[[layer]]\ntype = \"dense\"\nunits = 2\n";

#[test]
fn a_file_stands_for_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, DENSE);
    for path in ["own.toml", "./own.toml"] {
        assert_eq!(
            json(folder, &format!("arch {path}")),
            json!({
                "arch": "own", "input": [1, 1, 2], "classes": 2, "total": 4,
                "batch_norm_epsilon": 0.001,
                "tensors": [{"name": "fc1.weight", "shape": [2, 2]}],
            })
        );
    }
    let (text, _) = texts(&run(folder, "arch own.toml"));
    says(&text, &["Batch norms add 0.001"]);
    write(folder, &format!("{DENSE}norm = false\n"));
    assert_eq!(
        json(folder, "arch own.toml")["batch_norm_epsilon"],
        json!(null)
    );
    let (text, _) = texts(&run(folder, "arch own.toml"));
    assert!(!text.contains("Batch norms"), "{text}");
    let quotas = json(
        folder,
        "quotas --arch own.toml --quota uniform --compression 2",
    );
    assert_eq!(
        (&quotas["arch"], &quotas["layers"][0]["kept"]),
        (&json!("own"), &json!(2))
    );
}

#[test]
fn a_file_that_describes_no_network_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, &format!("{DENSE}from = \"fc9\"\n"));
    for command in [
        "arch own.toml",
        "quotas --arch own.toml",
        "effective --arch own.toml --masks x",
    ] {
        let sentence = refusal(folder, command);
        says(&sentence, &["own.toml, line 7, layer fc1", "\"fc9\""]);
    }
    says(
        &refusal(folder, "arch other.toml"),
        &["cannot read other.toml"],
    );
    says(
        &refusal(folder, "arch folder/own"),
        &["cannot read folder/own"],
    );
}

#[test]
fn every_command_refuses_what_does_not_hang_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sum = |name: &str, of: [&str; 2]| {
        format!("[[layer]]\ntype = \"add\"\nname = \"{name}\"\nfrom = {of:?}\n")
    };
    for (layers, words) in [
        (
            format!(
                "{}{}{DENSE}",
                sum("a", ["b", "input"]),
                sum("b", ["a", "input"])
            ),
            ["layer a", "its own output", "<-"],
        ),
        (
            format!("{}{DENSE}", sum("a", ["input", "nowhere"])),
            ["line 7, layer a", "\"nowhere\"", "no layer has this name"],
        ),
        (
            format!("{DENSE}{}{DENSE}", sum("a", ["fc1", "input"])),
            ["layer a", "2", "1 x 1 x 2"],
        ),
        (
            format!("[[layer]]\ntype = \"conv\"\nchannels = 1\nkernel = 3\n{DENSE}"),
            ["line 4, layer conv1", "3 x 3", "1 x 2"],
        ),
    ] {
        write(folder, &layers);
        for command in [
            "arch own.toml",
            "quotas --arch own.toml",
            "prune --arch own.toml --out m",
            "effective --arch own.toml --masks x --out e",
            "effective --arch own.toml --curve c.svg --pruner lamp",
            "train --arch own.toml -o run",
        ] {
            refused(folder, command, &["own.toml, line"]);
            refused(folder, command, &words);
        }
    }
}

#[test]
fn a_network_too_deep_for_gradients_is_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let layer = "[[layer]]\ntype = \"dense\"\nunits = 10\n".repeat(4000);
    let text = format!("name = \"deep\"\ninput = [1, 28, 28]\n{layer}");
    fs::write(folder.path().join("deep.toml"), text).unwrap();
    let words = ["deep is too deep", "12001 layers", "at most 10000"];
    refused(folder.path(), "train --arch deep.toml -o run", &words);
    let snip = "prune --arch deep.toml --pruner snip --data digits --out m";
    refused(folder.path(), snip, &words);
}
