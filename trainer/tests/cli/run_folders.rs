//! Folders that are not a run, or hold an unfinished, different or damaged one.

use std::fs;
use std::path::Path;

use crate::program::{json, refusal, says};
use crate::runs;

/// Checks that exporting `run` fails with `words` and neither writes a container nor changes an
/// existing one.
fn refused(folder: &Path, words: &[&str]) {
    let model = folder.join("model.rfy");
    says(&refusal(folder, "export run -o new.rfy"), words);
    fs::write(&model, "an earlier model").unwrap();
    says(&refusal(folder, "export run -o model.rfy"), words);
    assert_eq!(fs::read(&model).unwrap(), b"an earlier model");
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.retain(|name| name != "run" && name != "model.rfy" && name != "model.rfy.json");
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_folder_without_a_run_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    refused(folder, &["there is no folder run", "rarefy train"]);
    fs::create_dir(folder.join("run")).unwrap();
    refused(folder, &["run holds no run", "rarefy train"]);
    fs::write(folder.join("run/run.toml"), "arch = 7").unwrap();
    refused(folder, &["run", "run.toml", "--force"]);
}

#[test]
fn an_unfinished_run_cannot_be_exported() {
    let folder = runs::folder();
    let folder = folder.path();
    fs::remove_file(folder.join("run/result.json")).unwrap();
    refused(folder, &["not finished", "rarefy train"]);
}

#[test]
fn damaged_files_of_a_run_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    let needed = [
        "run.toml",
        "masks-direct.safetensors",
        "masks.safetensors",
        "weights.safetensors",
    ];
    for name in needed {
        let path = folder.join("run").join(name);
        let whole = run.file(name);
        run.lay_out(&folder.join("run"));
        // Truncated, one bit flipped, replaced by another file of the run, a comment appended.
        let mut turned = whole.to_vec();
        turned[whole.len() / 2] ^= 1;
        let other = run.file(if name == needed[3] {
            needed[2]
        } else {
            needed[3]
        });
        let longer = [whole, b"# mine"].concat();
        for damaged in [&whole[..whole.len() - 1], &turned, other, &longer] {
            fs::write(&path, damaged).unwrap();
            refused(folder, &["run", name, "--force"]);
            says(
                &refusal(folder, "train --epochs 2 -o run"),
                &["run", name, "--force"],
            );
        }
        fs::remove_file(&path).unwrap();
        let words = if name == "run.toml" {
            ["holds no run", "rarefy train"]
        } else {
            ["lacks", name]
        };
        refused(folder, &words);
    }
}

#[test]
fn files_that_are_not_deployed_may_be_missing_but_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    // Metrics and the dense network are not deployed.
    run.lay_out(&folder.join("run"));
    for name in ["metrics.csv", "dense.safetensors"] {
        fs::write(folder.join("run").join(name), "mine").unwrap();
        refused(folder, &[name, "changed", "--force"]);
        fs::remove_file(folder.join("run").join(name)).unwrap();
    }
    fs::remove_file(folder.join("model.rfy")).unwrap();
    json(folder, "export run -o model.rfy");

    // Invalid or missing checksums.
    let sums = folder.join("run/SHA256SUMS");
    for text in ["", "none", "00  run.toml\n"] {
        fs::write(&sums, text).unwrap();
        refused(folder, &["SHA256SUMS", "--force"]);
    }
    fs::remove_file(&sums).unwrap();
    refused(folder, &["SHA256SUMS"]);

    run.lay_out(&folder.join("run"));
    fs::write(folder.join("run/result.json"), "{\"run\":").unwrap();
    refused(folder, &["result.json", "--force"]);
    fs::remove_file(folder.join("run/result.json")).unwrap();
    refused(folder, &["not finished"]);

    run.lay_out(&folder.join("run"));
    fs::remove_file(folder.join("model.rfy")).unwrap();
    json(folder, "export run -o model.rfy");
    assert_eq!(fs::read(folder.join("model.rfy")).unwrap(), run.container);
}

/// Edits `run.toml` in `folder`: the value of `key` becomes `value`.
fn set(folder: &Path, key: &str, value: &str) {
    let path = folder.join("run/run.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = |line: &str| match line.split_once(" = ") {
        Some((name, _)) if name == key => format!("{key} = {value}\n"),
        _ => format!("{line}\n"),
    };
    let edited: String = text.lines().map(line).collect();
    assert_ne!(edited, text, "{key}");
    fs::write(&path, edited).unwrap();
}

#[test]
fn a_recipe_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    // An impossible value is named; a possible one is detected by its checksum.
    for (key, value, words) in [
        ("pixel_std", "inf", ["pixel_std is inf", "--force"]),
        ("pixel_std", "-0.3", ["pixel_std is -0.3", "--force"]),
        ("pixel_mean", "nan", ["pixel_mean is NaN", "--force"]),
        (
            "batch_norm_epsilon",
            "1e-5",
            ["batch_norm_epsilon", "0.001"],
        ),
        ("learning_rate", "0.0", ["learning_rate is 0", "--force"]),
        ("epochs", "0", ["epochs is 0", "--force"]),
        ("compression", "inf", ["compression of inf", "--force"]),
        ("pixel_std", "0.5", ["run.toml", "changed"]),
        ("seed", "1", ["run.toml", "changed"]),
        ("device", "\"cuda\"", ["run.toml", "changed"]),
    ] {
        run.lay_out(&folder.join("run"));
        set(folder, key, value);
        refused(folder, &words);
        refused(folder, &["run"]);
    }
    // An older recipe without fields that are recorded now.
    run.lay_out(&folder.join("run"));
    let text = String::from_utf8(run.file("run.toml").to_vec()).unwrap();
    let old = text.lines().filter(|line| !line.starts_with("device"));
    let old: Vec<&str> = old.collect();
    fs::write(folder.join("run/run.toml"), old.join("\n")).unwrap();
    refused(
        folder,
        &["run.toml", "device", "another version", "--force"],
    );
    // The recipe records everything that determines the result.
    for line in ["batch_norm_epsilon = 0.001\n", "device = \"cpu\"\n"] {
        says(&text, &[line]);
    }
}

#[test]
fn an_architecture_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arch = "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join("small.toml"), arch).unwrap();
    let train = "train --arch small.toml --compression 2 --epochs 1 --batch 500 -o run";
    json(folder, train);
    fs::remove_file(folder.join("small.toml")).unwrap();
    let copy = folder.join("run/arch.toml");
    // The same network written differently is not the run's file either.
    for edited in [
        arch.replace("units", "norm = false\nunits"),
        format!("# mine\n{arch}"),
    ] {
        fs::write(&copy, edited).unwrap();
        refused(folder, &["arch.toml", "changed", "--force"]);
    }
    // A file arch.toml in a run of a built-in architecture.
    runs::pruned().lay_out(&folder.join("named"));
    fs::write(folder.join("named/arch.toml"), arch).unwrap();
    says(
        &refusal(folder, "export named"),
        &["named", "arch.toml", "changed"],
    );
}

#[test]
fn a_result_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    let text = String::from_utf8(run.file("result.json").to_vec()).unwrap();
    let path = folder.join("run/result.json");
    for (old, new) in [
        ("\"seed\": 0", "\"seed\": 1"),
        ("\"target\": 100", "\"target\": 101"),
    ] {
        assert!(text.contains(old));
        fs::write(&path, text.replace(old, new)).unwrap();
        refused(folder, &["result.json", "--force"]);
    }
}

#[test]
fn a_run_that_was_moved_is_told_by_its_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("moved"));
    let mut expected = runs::pruned().trained.clone();
    expected["run"] = "moved".into();
    assert_eq!(json(folder, "train --epochs 2 -o moved"), expected);
}

#[test]
fn a_folder_with_another_run_or_other_files_is_not_trained_into() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = folder.join("run");
    runs::pruned().lay_out(&run);
    for (options, words) in [
        ("--epochs 3", ["epochs 2, not 3", "--force"]),
        ("--epochs 2 --seed 1", ["seed 0, not 1", "--force"]),
        (
            "--epochs 2 --compression 50",
            ["compression 100.0, not 50.0", "--force"],
        ),
        ("--epochs 2 --pruner random/igq", ["random/igq", "--force"]),
        ("--epochs 2 --type direct", ["effective", "--force"]),
    ] {
        let sentence = refusal(folder, &format!("train {options} -o run"));
        says(&sentence, &["run holds a run with"]);
        says(&sentence, &words);
    }
    for name in runs::pruned().names() {
        assert_eq!(
            fs::read(run.join(name)).unwrap(),
            runs::pruned().file(name),
            "{name}"
        );
    }
    // Only --force replaces a run, and other files are left alone.
    fs::write(run.join("notes.txt"), "mine").unwrap();
    let report = json(
        folder,
        "train --epochs 1 --pruner random/igq -o run --force",
    );
    assert_eq!(report["pruner"], "random/igq");
    assert_eq!(fs::read(run.join("notes.txt")).unwrap(), b"mine");
    assert!(
        !run.join("dense.safetensors").exists(),
        "the replaced run's"
    );

    fs::create_dir(folder.join("photos")).unwrap();
    fs::write(folder.join("photos/cat.jpg"), "cat").unwrap();
    for force in ["", "--force"] {
        let sentence = refusal(folder, &format!("train --epochs 1 {force} -o photos"));
        says(&sentence, &["photos", "not empty", "run.toml", "-o"]);
    }
    assert_eq!(fs::read_dir(folder.join("photos")).unwrap().count(), 1);
    says(
        &refusal(folder, "train --epochs 1 -o photos/cat.jpg"),
        &["photos/cat.jpg"],
    );
    assert_eq!(fs::read(folder.join("photos/cat.jpg")).unwrap(), b"cat");
}

#[test]
fn masks_that_do_not_belong_to_the_architecture_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let masks = runs::pruned().file("masks.safetensors");
    let path = folder.join("masks.safetensors");
    let effective = "effective --masks masks.safetensors --out out.safetensors";
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "No such file"],
    );
    fs::write(&path, &masks[..masks.len() - 1]).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "not a valid safetensors file"],
    );
    fs::write(&path, "").unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "not a valid safetensors file"],
    );
    let mut three = masks.to_vec();
    *three.last_mut().unwrap() = 3;
    fs::write(&path, three).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "holds 3", "0 and 1"],
    );
    fs::write(&path, runs::pruned().file("weights.safetensors")).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "no prunable tensor called"],
    );
    assert!(!folder.join("out.safetensors").exists());
}
