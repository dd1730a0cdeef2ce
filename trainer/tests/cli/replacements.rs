//! Runs that replace another: the earlier one is kept until the new one is finished.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::interrupts::{signal, start, wait_until};
use crate::program::{self, json, refusal, says, sentence, texts};
use crate::runs;

/// A run whose pruner, after dense training, proves unable to reach the compression.
const REFUSED: &str =
    "train --pruner magnitude/uniform --type direct --compression 1900 --epochs 1";

/// Returns the files of `run`, without those of folders in it.
fn files(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(run).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_replacement_that_fails_for_good_costs_nothing() {
    let folder = runs::folder();
    let folder = folder.path();
    for (options, words) in [
        (
            "--pruner dense --learning-rate 1e30",
            ["diverged", "epoch 1"],
        ),
        // A pruner that is known to disconnect the network only once it has run.
        (
            "--pruner random/uniform --type direct --compression 2000",
            ["disconnects the network", "compression that it reaches is"],
        ),
    ] {
        let line = format!("train {options} --epochs 2 -o run --force");
        program::refused(folder, &line, &words);
        let (_, stderr) = texts(&program::run(folder, &line));
        says(&stderr, &["the run that was to be replaced is back in run"]);
    }
    // Nor does a failed run leave a folder of its own.
    refusal(folder, "train --learning-rate 1e30 -o new/run --force");
    assert!(!folder.join("new").exists());
}

#[test]
fn the_earlier_run_is_kept_until_the_new_one_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (run, kept) = (folder.join("run"), folder.join("run/replaced-run"));
    runs::pruned().lay_out(&run);
    let earlier = files(&run);
    let (_, stderr) = texts(&program::run(folder, &format!("{REFUSED} -o run --force")));
    says(
        &stderr,
        &["the run that was to be replaced is kept in run/replaced-run"],
    );
    assert!(files(&kept) == earlier);
    assert!(run.join("dense.safetensors").exists());
    json(folder, "export run/replaced-run -o model.rfy");
    assert_eq!(
        fs::read(folder.join("model.rfy")).unwrap(),
        runs::pruned().container
    );
    // The new run must not read what it removes in the end.
    let line = "train --weights run/replaced-run/dense.safetensors --epochs 1 -o run --force";
    says(
        &program::misuse(folder, line),
        &["run/replaced-run/dense.safetensors", "copy it elsewhere"],
    );
    // Another replacement does not cost the earlier run either.
    let train = "train --epochs 1000 --pruner random/igq --batch 2 -o run";
    let mut child = start(program::command(
        folder,
        &format!("{train} --force --quiet"),
    ));
    wait_until(&mut child, || {
        !run.join("dense.safetensors").exists() && run.join("masks.safetensors").exists()
    });
    signal("INT", child.id().into());
    let sentence = sentence(&child.wait_with_output().unwrap());
    says(&sentence, &["interrupted", "without --force"]);
    assert!(files(&kept) == earlier);
    let report = json(
        folder,
        "train --epochs 1 --pruner random/igq -o run --force",
    );
    assert_eq!(report["pruner"], "random/igq");
    assert!(!kept.exists());
}

#[test]
fn a_run_that_was_refused_is_told_from_an_interrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    refusal(folder, &format!("{REFUSED} -o run"));
    let told = refusal(folder, "export run");
    says(
        &told,
        &[
            "run holds a run that cannot be finished",
            "magnitude/uniform at direct compression 1900 disconnects",
            "another run",
            "--weights",
        ],
    );
    assert!(!told.contains("again"), "{told}");
    // What the refusal advises works, and so does replacing the run.
    let line = REFUSED.replace("1900", "100");
    json(
        folder,
        &format!("{line} --weights run/dense.safetensors -o other"),
    );
    json(folder, &format!("{line} -o run --force"));
    json(folder, "export run");
    assert!(!folder.join("run/refusal.txt").exists());
}
