//! Run folders that are none, unfinished, another's or damaged.

use std::fs;
use std::path::Path;

use crate::program::{json, refusal, says};
use crate::runs;

/// Checks that exporting `run` is refused with `words` and leaves no container, nor touches an
/// earlier one.
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
    names.retain(|name| name != "run" && name != "model.rfy");
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_folder_without_a_run_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    refused(folder, &["run holds no run", "rarefy train"]);
    fs::create_dir(folder.join("run")).unwrap();
    refused(folder, &["run holds no run", "rarefy train"]);
    fs::write(folder.join("run/run.toml"), "arch = 7").unwrap();
    refused(folder, &["run", "run.toml", "--force"]);
}

#[test]
fn an_unfinished_run_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("run"));
    fs::remove_file(folder.join("run/result.json")).unwrap();
    refused(folder, &["not finished", "rarefy train"]);
}

#[test]
fn damaged_files_of_a_run_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    for name in ["weights.safetensors", "masks.safetensors"] {
        let path = folder.join("run").join(name);
        let whole = run.file(name);
        run.lay_out(&folder.join("run"));
        for length in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            refused(folder, &[name, "not a whole safetensors file"]);
        }
        // The header's length as large as it gets.
        let mut absurd = whole.to_vec();
        absurd[..8].fill(0xff);
        fs::write(&path, &absurd).unwrap();
        refused(folder, &[name, "not a whole safetensors file"]);
        fs::remove_file(&path).unwrap();
        refused(folder, &[name, "No such file"]);
    }

    // Tensors that are not the architecture's.
    run.lay_out(&folder.join("run"));
    fs::write(
        folder.join("run/weights.safetensors"),
        run.file("masks.safetensors"),
    )
    .unwrap();
    refused(folder, &["weights.safetensors", "fc"]);
    run.lay_out(&folder.join("run"));
    fs::write(
        folder.join("run/masks.safetensors"),
        run.file("weights.safetensors"),
    )
    .unwrap();
    refused(folder, &["masks.safetensors"]);

    // A mask of something else than 0 and 1, a weight that is no number.
    run.lay_out(&folder.join("run"));
    let mut masks = run.file("masks.safetensors").to_vec();
    *masks.last_mut().unwrap() = 7;
    fs::write(folder.join("run/masks.safetensors"), masks).unwrap();
    refused(folder, &["masks.safetensors", "holds 7"]);
    run.lay_out(&folder.join("run"));
    let mut weights = run.file("weights.safetensors").to_vec();
    let last = weights.len() - 4;
    weights[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(folder.join("run/weights.safetensors"), weights).unwrap();
    refused(folder, &["weights.safetensors", "NaN"]);

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
    // Replacing it takes saying so, and leaves what is not a run's.
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
fn a_damaged_checkpoint_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    fs::remove_file(folder.join("run/result.json")).unwrap();
    let checkpoint = folder.join("run/checkpoint.safetensors");
    // Cut to nothing, cut, whole but of something else.
    let weights = run.file("weights.safetensors");
    for (damaged, words) in [
        (&b""[..], "not a whole safetensors file"),
        (&weights[..1000], "not a whole safetensors file"),
        (weights, "is missing"),
    ] {
        fs::write(&checkpoint, damaged).unwrap();
        let sentence = refusal(folder, "train --epochs 2 -o run");
        says(&sentence, &["run/checkpoint.safetensors", words]);
        assert_eq!(fs::read(&checkpoint).unwrap(), damaged);
    }
    let report = json(folder, "train --epochs 2 -o run --force");
    assert_eq!(report["accuracy"], run.trained["accuracy"]);
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
        &["masks.safetensors", "not a whole safetensors file"],
    );
    fs::write(&path, "").unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "not a whole safetensors file"],
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
