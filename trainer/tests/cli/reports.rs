//! The JSON of `arch`, `quotas`, `prune` and `effective`: keys and types that other programs rely
//! on.

use std::fs;

use serde_json::{Value, json};

use crate::program::{self, json, object, refused, says, texts};
use crate::tensors::{bytes, double, masks, write};

/// Checks that `value` has every key of `example` with the same type. Elements of a list have the
/// type of the example's first element, and a whole number is not of the same type as a fraction.
fn like(value: &Value, example: &Value) {
    let same = match (value, example) {
        (Value::Object(found), Value::Object(keys)) => {
            for (key, example) in keys {
                let value = found.get(key);
                let value = value.unwrap_or_else(|| panic!("no {key} in {found:?}"));
                like(value, example);
            }
            true
        }
        (Value::Array(values), Value::Array(example)) => {
            values.iter().for_each(|value| like(value, &example[0]));
            !values.is_empty()
        }
        (Value::Number(value), Value::Number(example)) => value.is_u64() == example.is_u64(),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => true,
        _ => false,
    };
    assert!(same, "{value} is not like {example}");
}

/// Returns the counts that both `prune` and `effective` print.
fn counts() -> Value {
    json!({
        "arch": "", "total": 1,
        "direct": {"nonzeros": 1, "compression": 1.5},
        "effective": {"nonzeros": 1, "compression": 1.5},
        "layers": [{"name": "", "total": 1, "direct": 1, "effective": 1}],
    })
}

/// Checks that the layers of `report` add up to its totals.
fn adds_up(report: &Value) {
    let sum = |key: &str| -> u64 {
        let layers = report["layers"].as_array().unwrap().iter();
        layers.map(|layer| layer[key].as_u64().unwrap()).sum()
    };
    assert_eq!(report["total"], sum("total"));
    for kind in ["direct", "effective"] {
        assert_eq!(report[kind]["nonzeros"], sum(kind), "{report}");
        if let Some(compression) = report[kind]["compression"].as_f64() {
            assert_eq!(compression, sum("total") as f64 / sum(kind) as f64);
        }
    }
}

#[test]
fn every_architecture_lists_its_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let all = json(folder.path(), "arch");
    let mut seen = Vec::new();
    for summary in all["architectures"].as_array().unwrap() {
        let name = summary["arch"].as_str().unwrap();
        let arch = json(folder.path(), &format!("arch {name}"));
        like(
            &arch,
            &json!({
                "arch": "", "input": [1], "classes": 1, "total": 1,
                "tensors": [{"name": "", "shape": [1]}],
            }),
        );
        let sizes = arch["tensors"].as_array().unwrap().iter().map(|tensor| {
            let shape = tensor["shape"].as_array().unwrap().iter();
            shape.map(|size| size.as_u64().unwrap()).product::<u64>()
        });
        assert_eq!(arch["total"], sizes.sum::<u64>(), "{name}");
        for key in ["input", "classes", "total"] {
            assert_eq!(arch[key], summary[key], "{name}");
        }
        seen.push((name.to_owned(), arch["total"].as_u64().unwrap()));
        if name == "vgg-16" {
            assert_eq!(
                arch["tensors"][0],
                json!({"name": "conv1.weight", "shape": [64, 3, 3, 3]})
            );
            assert_eq!(
                (&arch["input"], &arch["classes"]),
                (&json!([3, 32, 32]), &json!(10))
            );
        }
    }
    let expected = [
        ("lenet-300-100", 266_200),
        ("lenet-5", 61_770),
        ("lenet-5-28", 44_190),
        ("lenet-5-caffe", 430_500),
        ("vgg-16", 14_715_584),
        ("vgg-19", 20_070_080),
        ("resnet-18", 11_261_632),
    ];
    assert_eq!(seen, expected.map(|(name, total)| (name.to_owned(), total)));
}

#[test]
fn quotas_share_the_budget_among_the_layers() {
    let folder = tempfile::tempdir().unwrap();
    for arch in ["lenet-5", "vgg-16", "resnet-18"] {
        for quota in ["uniform", "uniform+", "erk", "igq"] {
            let arguments = format!("quotas --arch {arch} --quota {quota} --compression 80");
            let report = json(folder.path(), &arguments);
            like(
                &report,
                &json!({
                    "arch": "", "quota": "", "compression": 100.0,
                    "layers": [{"name": "", "total": 1, "density": 0.5, "sparsity": 0.5}],
                }),
            );
            assert_eq!(
                (&report["arch"], &report["quota"]),
                (&arch.into(), &quota.into())
            );
            assert_eq!(report["force"].is_f64(), quota == "igq", "{report}");
            let (mut total, mut kept) = (0.0, 0.0);
            for layer in report["layers"].as_array().unwrap() {
                let number = |key: &str| layer[key].as_f64().unwrap();
                total += number("total");
                kept += number("total") * number("density");
                assert!((number("density") + number("sparsity") - 1.0).abs() < 1e-12);
            }
            assert!((kept - total / 80.0).abs() < 1e-6 * total, "{report}");
        }
    }
}

#[test]
fn pruning_and_asking_print_the_same_counts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for kind in ["direct", "effective"] {
        let pruned = json(
            folder,
            &format!(
                "prune --arch lenet-5 --pruner random/uniform --compression 20 --type {kind} --out m"
            ),
        );
        like(&pruned, &counts());
        like(
            &pruned,
            &json!({
                "pruner": "", "type": "", "target": 1.5,
                "seconds": {"scores": 0.5, "search": 0.5}, "collapsed": false,
                "kept_by_index": 1,
            }),
        );
        assert_eq!(pruned["arch"], "lenet-5");
        assert_eq!(pruned["pruner"], "random/uniform");
        assert_eq!(pruned["type"], kind);
        assert_eq!(pruned["target"], 20.0);
        assert_eq!(pruned["collapsed"], false);
        adds_up(&pruned);

        for mode in ["exact", "graph"] {
            let told = json(
                folder,
                &format!("effective --arch lenet-5 --masks m --mode {mode}"),
            );
            like(&told, &counts());
            adds_up(&told);
            assert_eq!(told["mode"], mode);
            assert_eq!(told["direct"], pruned["direct"]);
            let count = |report: &Value| report["effective"]["nonzeros"].as_u64().unwrap();
            if mode == "exact" {
                assert_eq!(told["effective"], pruned["effective"]);
                assert_eq!(told["layers"], pruned["layers"]);
            } else {
                assert!(count(&told) >= count(&pruned), "{told}");
            }
        }
    }
}

/// A network of 18 weights.
const TINY: &str = "name = \"tiny\"\ninput = [1, 1, 4]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 3\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 2\n";

#[test]
fn a_network_that_is_cut_through_has_no_compression_and_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), TINY).unwrap();
    // Weights lead into the first unit and out of the second.
    let tensors = [
        (
            "fc1.weight",
            bytes(&[3, 4], &[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("fc2.weight", bytes(&[2, 3], &[0, 1, 0, 0, 1, 0])),
    ];
    write(&folder.join("m"), &tensors.into());
    for mode in ["exact", "graph"] {
        let arguments = format!("effective --arch tiny.toml --masks m --mode {mode} --out e");
        let output = program::run(folder, &format!("{arguments} --json"));
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let report = object(&stdout);
        assert_eq!(report["direct"], json!({"nonzeros": 6, "compression": 3.0}));
        assert_eq!(
            report["effective"],
            json!({"nonzeros": 0, "compression": null})
        );
        says(&stderr, &["disconnected"]);
        let (stdout, _) = texts(&program::run(folder, &arguments));
        says(&stdout, &["disconnected"]);
        let left = masks(&folder.join("e"));
        assert!(left.values().flatten().all(|&keep| keep == 0));
    }
    // Direct pruning may leave such a network too.
    let prune = "prune --pruner magnitude/igq --type direct --compression 50000 --json";
    let (stdout, stderr) = texts(&program::run(folder, prune));
    says(&stderr, &["disconnected"]);
    let report = object(&stdout);
    assert_eq!(
        report["effective"],
        json!({"nonzeros": 0, "compression": null})
    );
    assert_eq!(report["collapsed"], true);
}

#[test]
fn a_pruner_that_falls_apart_before_the_target_leaves_its_last_connected_masks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), TINY).unwrap();
    // The second layer is pruned before the first: the last connected network is the first layer
    // with one weight of the second.
    let first: Vec<f64> = (0..12).map(|i| 1.0 + f64::from(i)).collect();
    let tensors = [
        ("fc1.weight", double(&[3, 4], &first)),
        (
            "fc2.weight",
            double(&[2, 3], &[0.1, 0.2, 0.6, -0.5, 0.4, 0.3]),
        ),
    ];
    write(&folder.join("w"), &tensors.into());
    let prune = "prune --arch tiny.toml --pruner magnitude/global --weights w --out m";
    let output = program::run(folder, &format!("{prune} --compression 6 --json"));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(
        &stderr,
        &["magnitude/global", "disconnects the network", "6", "3.6x"],
    );
    let report = object(&stdout);
    assert_eq!(report["collapsed"], true);
    assert_eq!(
        report["effective"],
        json!({"nonzeros": 5, "compression": 3.6})
    );
    let left = masks(&folder.join("m"));
    assert_eq!(left["fc1.weight"], [1; 12]);
    assert_eq!(left["fc2.weight"], [0, 0, 1, 0, 0, 0]);

    let report = json(folder, &format!("{prune} --compression 3.6"));
    assert_eq!(
        (&report["collapsed"], &report["effective"]["nonzeros"]),
        (&json!(false), &json!(5))
    );
    refused(
        folder,
        &format!("{prune} --compression 1e9"),
        &[
            "magnitude/global",
            "1000000000",
            "the highest effective compression that it reaches is 3.6",
        ],
    );
}
