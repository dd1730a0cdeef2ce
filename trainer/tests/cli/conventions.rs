//! Conventions of every command: help, exit codes, results on stdout, notes on stderr.

use std::fs;

use serde_json::Value;

use crate::program::{json, object, refusal, run, says, sentence, texts};
use crate::runs;

/// Each command with words that its help must contain.
const COMMANDS: [(&str, &[&str]); 18] = [
    (
        "quickstart",
        &["--board", "--out", "--compression", "--seed"],
    ),
    ("data", &["list", "fetch"]),
    ("arch", &["[ARCH]", "lenet-300-100", "TOML"]),
    ("import", &["<MODEL>", "--out", "ONNX"]),
    ("quotas", &["--quota", "igq", "--compression"]),
    (
        "train",
        &[
            "--pruner",
            "magnitude/igq",
            "--type",
            "--epochs",
            "--data",
            "--force",
            "--seed",
            "--after",
            "--loss",
            "--weights",
            "--mean",
            "--std",
        ],
    ),
    (
        "prune",
        &["--pruner", "random/synflow", "--type", "--samples", "--out"],
    ),
    (
        "effective",
        &["--masks", "--out", "--mode", "graph", "--curve", "--most"],
    ),
    (
        "export",
        &[
            "[RUN]",
            "--arch",
            "--weights",
            "--masks",
            "int8",
            "ternary",
            "--encoding",
            "--optimize",
            "--board",
            "--chip",
            "--emit",
            "--report",
            "--allow-loss",
        ],
    ),
    ("inspect", &["<MODEL>"]),
    (
        "eval",
        &["[MODEL]", "--data", "--arch", "--weights", "--masks"],
    ),
    ("boards", &["--json"]),
    ("chips", &["[FILTER]", "--flash", "--ram", "--core"]),
    ("fits", &["<MODEL>", "--chip", "--weights"]),
    (
        "measure",
        &[
            "--board",
            "--chip",
            "--samples",
            "--no-dense",
            "--all",
            "--calibrate",
        ],
    ),
    (
        "new",
        &[
            "<FOLDER>", "--model", "--board", "--chip", "--labels", "--sample",
        ],
    ),
    ("run", &["<PROGRAM>", "--board"]),
    ("setup", &["--dry-run"]),
];

/// Checks that `value` has all of `keys`, none of them null. A key may be a path such as `a/b`.
fn has(value: &Value, keys: &[&str]) {
    for key in keys {
        let found = value.pointer(&format!("/{key}"));
        assert!(
            found.is_some_and(|found| !found.is_null()),
            "{key} in {value}"
        );
    }
}

#[test]
fn the_help_of_every_command_tells_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = texts(&run(folder.path(), "--help"));
    for (name, words) in COMMANDS {
        assert!(all.contains(&format!("\n  {name} ")), "{name} in {all}");
        let output = run(folder.path(), &format!("{name} --help"));
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            (output.status.code(), stderr.as_str()),
            (Some(0), ""),
            "{name}"
        );
        says(&stdout, &["Usage: rarefy", "--json", "--quiet"]);
        says(&stdout, words);
        // Every option is explained, beside its name or on the line below.
        let mut lines = stdout.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            let beside = || line.split_once("  ").is_some();
            let below = lines
                .peek()
                .is_some_and(|below| !below.is_empty() && !below.starts_with('-'));
            assert!(
                !line.starts_with("--") || beside() || below,
                "{name}: {line}"
            );
        }
    }
    let version = texts(&run(folder.path(), "--version")).0;
    assert_eq!(
        version.trim(),
        format!("rarefy {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_is_exit_code_2_with_nothing_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        "",
        "nonsense",
        "train --no-such-option",
        "train --compression many",
        "train --epochs -1",
        "train --type sideways",
        "train --device abacus",
        "export",
        "export run --weights float3",
        "export run --optimize beauty",
        "import",
        "import net.onnx",
        "inspect",
        "inspect a b",
        "eval",
        "measure model.rfy",
        "effective",
        "effective --masks a --mode sideways",
        "effective --masks a --most 10",
        "effective --curve c.svg",
        "effective --pruner lamp",
        "effective --curve c.svg --pruner lamp --masks a",
        "effective --curve c.svg --pruner lamp --out b",
        "prune --type sideways",
        "prune --loss hinge",
        "prune --seed -1",
        "prune --samples some",
        "train --after all",
        "data",
        "data fetch",
        "arch a b",
    ] {
        let output = run(folder.path(), wrong);
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            (output.status.code(), stdout.as_str()),
            (Some(2), ""),
            "{wrong}: {stderr}"
        );
        says(&stderr, &["--help"]);
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn commands_that_show_something_print_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();

    let arch = json(folder, "arch lenet-300-100");
    assert_eq!(
        (&arch["arch"], &arch["total"]),
        (&"lenet-300-100".into(), &266_200.into())
    );
    assert_eq!(arch["tensors"][2]["name"], "fc3.weight");
    assert_eq!(arch["tensors"][0]["shape"], serde_json::json!([300, 784]));

    let all = json(folder, "arch");
    assert_eq!(all["architectures"][0]["arch"], "lenet-300-100");
    assert_eq!(all["architectures"][0]["total"], 266_200);

    let quotas = json(folder, "quotas --quota igq --compression 100");
    has(&quotas, &["force", "layers/2/density", "layers/0/kept"]);
    let kept: u64 = (0..3)
        .map(|i| quotas["layers"][i]["kept"].as_u64().unwrap())
        .sum();
    assert!(kept.abs_diff(2662) <= 3, "{quotas}");

    let data = json(folder, "data list");
    assert_eq!(data["datasets"][0]["name"], "digits");
    assert_eq!(data["datasets"][0]["found"], "embedded");
    assert_eq!(data["datasets"][1]["name"], "mnist");
    assert_eq!(
        data["datasets"][1]["found"], "missing",
        "only the test's own folders count"
    );

    let boards = json(folder, "boards");
    let names: Vec<&Value> = boards["boards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["board"])
        .collect();
    assert!(
        names.contains(&&"microbit".into()) && names.contains(&&"mps2-an386".into()),
        "{boards}"
    );

    let setup = json(folder, "setup --dry-run");
    assert_eq!(
        setup["complete"],
        setup["steps"].as_array().unwrap().is_empty()
    );
    assert_eq!(
        folder.read_dir().unwrap().count(),
        0,
        "nothing is written by looking"
    );
}

#[test]
fn training_prints_what_it_made() {
    let run = runs::pruned();
    let trained = &run.trained;
    has(
        trained,
        &[
            "run",
            "seconds",
            "dataset",
            "arch",
            "pruner",
            "accuracy/dense",
        ],
    );
    assert_eq!(trained["run"], "run");
    assert_eq!(trained["weights"]["total"], 266_200);
    assert_eq!(trained["weights"]["effective"], 2662);
    assert_eq!(trained["compression"]["target"], 100.0);
    let number = |pointer: &str| trained.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(
        (number("/compression/effective") - 100.0).abs() < 0.5,
        "{trained}"
    );
    assert!(
        number("/compression/direct") <= number("/compression/effective"),
        "{trained}"
    );
    assert!(
        number("/accuracy/pruned") > 0.8 && number("/accuracy/pruned") < 1.0,
        "{trained}"
    );
    assert!(number("/accuracy/dense") > 0.85, "{trained}");
    // Trained weights are all different.
    assert_eq!(trained["kept_by_index"], 0);
    assert_eq!(trained["type"], "effective");
    let result: Value = serde_json::from_slice(run.file("result.json")).unwrap();
    assert_eq!(
        &result, trained,
        "the same figures are kept in the run's folder"
    );
    assert_eq!(
        run.names(),
        [
            "SHA256SUMS",
            "dense.safetensors",
            "masks-direct.safetensors",
            "masks.safetensors",
            "metrics.csv",
            "result.json",
            "run.toml",
            "weights.safetensors"
        ]
    );
    let metrics = String::from_utf8(run.file("metrics.csv").to_vec()).unwrap();
    let heads: Vec<&str> = metrics
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(heads, ["phase", "dense", "dense", "pruned", "pruned"]);
}

#[test]
fn exporting_prints_what_it_made() {
    let run = runs::pruned();
    let exported = &run.exported;
    has(
        exported,
        &[
            "path",
            "layers",
            "accuracy/pruned",
            "accuracy/deployed",
            "stripping_error",
            "fidelity/0/snr_db",
            "wider",
        ],
    );
    assert_eq!(
        exported["accuracy"]["pruned"],
        run.trained["accuracy"]["pruned"]
    );
    assert_eq!(exported["bytes"], run.container.len());
}

#[test]
fn inspecting_and_evaluating_agree_with_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    fs::write(folder.join("model.rfy"), &run.container).unwrap();
    let inspected = json(folder, "inspect model.rfy");
    for (key, value) in inspected.as_object().unwrap() {
        // Layer inputs are unknown without the companion that `export` wrote.
        let only_here = ["layers", "instructions", "core", "at_most", "features"];
        if !only_here.contains(&key.as_str()) {
            assert_eq!(value, &run.exported[key], "{key}");
        }
    }
    assert_eq!(inspected["features"], serde_json::json!(["dense", "words"]));
    has(
        &inspected,
        &[
            "nonzeros",
            "arena_bytes",
            "inputs",
            "outputs",
            "layers/0/bytes/total",
        ],
    );
    let layers = inspected["layers"].as_array().unwrap();
    let sum = |key: &str| -> u64 {
        layers
            .iter()
            .map(|layer| layer.pointer(key).unwrap().as_u64().unwrap())
            .sum()
    };
    assert_eq!(sum("/nonzeros"), inspected["nonzeros"].as_u64().unwrap());
    let overhead = inspected["overhead_bytes"].as_u64().unwrap();
    assert_eq!(sum("/bytes/total") + overhead, run.container.len() as u64);
    // Quantization rounds a few weights to zero, which are not stored.
    assert!((2500..=2662).contains(&sum("/nonzeros")), "{inspected}");

    let score = json(folder, "eval model.rfy --data digits");
    assert_eq!(score["samples"], 2000);
    let accuracy = score["correct"].as_f64().unwrap() / 2000.0;
    assert_eq!(score["accuracy"].as_f64().unwrap(), accuracy);
    assert_eq!(score["accuracy"], run.exported["accuracy"]["deployed"]);
}

#[test]
fn the_truth_about_a_runs_masks_is_what_the_run_reported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (run, apart) in [(runs::pruned(), 0), (runs::direct(), 1000)] {
        run.lay_out(folder);
        let truth = json(
            folder,
            "effective --masks masks-direct.safetensors --out connected.safetensors",
        );
        let weights = &run.trained["weights"];
        assert_eq!(truth["direct"]["nonzeros"], weights["direct"]);
        assert_eq!(truth["effective"]["nonzeros"], weights["effective"]);
        assert_eq!(
            truth["effective"]["compression"],
            run.trained["compression"]["effective"]
        );
        let count = |kind: &str| weights[kind].as_u64().unwrap();
        assert!(count("direct") > count("effective") + apart, "{weights}");
        let written = fs::read(folder.join("connected.safetensors")).unwrap();
        assert_eq!(written, run.file("masks.safetensors"));
        // The connected part of a connected mask is the mask itself.
        let again = json(folder, "effective --masks masks.safetensors");
        assert_eq!(again["direct"], again["effective"]);
    }
}

#[test]
fn without_json_people_are_told_on_stdout_and_progress_goes_to_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = "train --pruner random/igq --epochs 1 --compression 50 -o run";
    let output = run(folder, train);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(&stdout, &["266,200", "rarefy export run"]);
    says(&stderr, &["random/igq keeps"]);
    assert!(
        !stderr.contains(['\r', '\x1b']),
        "no bar where there is no terminal: {stderr:?}"
    );

    // A finished run is not repeated; with --json that note still goes to stderr.
    let output = run(folder, &format!("{train} --json"));
    let (stdout, stderr) = texts(&output);
    assert_eq!(object(&stdout)["compression"]["target"], 50.0);
    says(&stderr, &["finished already"]);
    assert_eq!(
        texts(&run(folder, &format!("{train} --json --quiet"))).1,
        ""
    );

    fs::create_dir(folder.join("deep")).unwrap();
    let (stdout, _) = texts(&run(folder, "export run -o deep/model.rfy"));
    says(
        &stdout,
        &["deep/model.rfy", "rarefy measure deep/model.rfy", "words"],
    );
    for (show, words) in [
        ("inspect deep/model.rfy", ["784 inputs", "stripped to"]),
        (
            "eval deep/model.rfy --data digits",
            ["2,000 test images", "%"],
        ),
        ("arch lenet-300-100", ["fc2.weight", "235,200"]),
        ("arch", ["resnet-18", "20,070,080"]),
        ("quotas", ["fc3.weight", "igq"]),
        ("data list", ["digits", "built in"]),
        ("boards", ["microbit", "262,144"]),
        ("chips stm32f4", ["STM32F411CE", "Cortex-M4F"]),
        (
            "effective --masks run/masks-direct.safetensors",
            ["connected", "50.00x"],
        ),
    ] {
        let output = run(folder, show);
        assert_eq!(output.status.code(), Some(0), "{show}");
        let (stdout, stderr) = texts(&output);
        says(&stdout, &words);
        assert_eq!(stderr, "", "{show}");
        assert!(!stdout.contains('\x1b'), "{stdout:?}");
    }
}

#[test]
fn errors_are_one_line_with_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    says(
        &refusal(folder, "inspect missing.rfy"),
        &["missing.rfy", "No such file"],
    );
    // The same without --json.
    let output = run(folder, "inspect missing.rfy");
    assert_eq!(texts(&output).0, "");
    says(&sentence(&output), &["missing.rfy"]);
}
