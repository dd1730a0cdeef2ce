//! The number of threads does not change results.

use std::fs;
use std::path::Path;

use crate::program::{command, run, says, texts};

/// Runs `arguments`, which must succeed, without RAYON_NUM_THREADS.
fn succeeds(folder: &Path, arguments: &str) {
    let output = command(folder, &format!("{arguments} --json --quiet"))
        .env_remove("RAYON_NUM_THREADS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
}

#[test]
fn one_two_and_three_threads_train_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut runs = Vec::new();
    for (name, threads) in [
        ("default", ""),
        ("one", "--threads 1"),
        ("two", "--threads 2"),
        ("three", "--threads 3"),
    ] {
        let options = "--pruner magnitude/global --compression 10 --epochs 1";
        succeeds(folder, &format!("train {options} {threads} -o {name}"));
        let files = [
            "dense.safetensors",
            "masks.safetensors",
            "weights.safetensors",
        ];
        let read = |file| fs::read(folder.join(name).join(file)).unwrap();
        let files = files.map(read);
        // Gradients through convolutions.
        let options = "--arch lenet-5-28 --pruner snip --samples 300 --data digits";
        succeeds(
            folder,
            &format!("prune {options} {threads} --out {name}.masks"),
        );
        let masks = fs::read(folder.join(format!("{name}.masks"))).unwrap();
        runs.push((name, files, masks));
    }
    for (name, files, masks) in &runs[1..] {
        assert!(*files == runs[0].1, "training with {name} differs");
        assert!(*masks == runs[0].2, "scores with {name} differ");
    }
}

/// Checks that numbers above the maximum are reduced with a note.
#[test]
fn more_than_there_is_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let prune = "prune --arch lenet-5-28 --pruner snip --data digits --compression 5 --out m";
    let said = |options: &str| {
        let output = run(folder, &format!("{prune} {options}"));
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        stderr
    };
    let digits = "--samples 8001 is more than the 8,000 training images of digits: using all 8,000";
    says(&said("--samples 8001"), &[digits]);
    let masks = fs::read(folder.join("m")).unwrap();
    assert!(!said("--samples 8000").contains("--samples"));
    assert_eq!(fs::read(folder.join("m")).unwrap(), masks);
    let threads = "--threads 1000000 is more than the";
    says(
        &said("--samples 100 --threads 1000000"),
        &[threads, "cores"],
    );
    assert!(!said("--samples 100 --threads 1").contains("--threads"));
}

#[test]
fn no_thread_at_all_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        "train",
        "prune --out m",
        "quickstart",
        "effective --curve c.svg --pruner lamp",
    ] {
        let output = run(folder.path(), &format!("{command} --threads 0"));
        assert_eq!(output.status.code(), Some(2), "{command}");
        let (_, stderr) = texts(&output);
        assert!(stderr.contains("--threads"), "{stderr}");
    }
}
