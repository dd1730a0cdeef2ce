//! A full disk: no partial files, and an error that says what to do.
//!
//! The disk is a small tmpfs in a private mount namespace, which needs no root. On systems that do
//! not allow such namespaces, these tests say so and pass.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::program::{self, says, sentence};
use crate::runs;
use rarefy_test_support::mirror::{FIRST, Fault, Mirror};

/// Runs `rarefy` with `arguments` in `folder`, in which `disk` is a file system of `kilobytes`
/// KiB; its contents are then copied to `left`. Returns `None` if the system does not allow such
/// namespaces.
fn run(folder: &Path, kilobytes: usize, arguments: &str) -> Option<Output> {
    const SCRIPT: &str = "mount -t tmpfs -o size=$0k none disk || exit 97
        \"$@\"; code=$?; cp -R disk left || exit 98; exit $code";
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["-r", "-m", "sh", "-c", script])
            .current_dir(folder);
        command
    };
    fs::create_dir_all(folder.join("disk")).unwrap();
    let probe = inside("mount -t tmpfs none disk")
        .stderr(Stdio::null())
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: no full disk can be made here: `unshare -r -m` or mounting a tmpfs fails"
        );
        return None;
    }
    let _ = fs::remove_dir_all(folder.join("left"));
    let rarefy = program::command(folder, arguments);
    let mut command = inside(SCRIPT);
    command
        .arg(kilobytes.to_string())
        .arg(rarefy.get_program())
        .args(rarefy.get_args());
    for (name, value) in rarefy.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(command.output().unwrap())
}

/// Returns the names of the files left on the disk.
fn left(folder: &Path, run: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.join("left").join(run)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn training_onto_a_full_disk_stops_with_whole_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Room for the recipe alone; also for the metrics; also for the dense checkpoint (2.1 MB), but
    // not for the dense network (1.1 MB).
    for (kilobytes, names) in [
        (4, &["run.toml"][..]),
        (200, &["metrics.csv", "run.toml"]),
        (2900, &["checkpoint.safetensors", "metrics.csv", "run.toml"]),
    ] {
        let arguments = "train --epochs 1 --quiet --json -o disk/run";
        let Some(output) = run(folder, kilobytes, arguments) else {
            return;
        };
        let sentence = sentence(&output);
        says(&sentence, &["disk/run", "No space left", "free some space"]);
        assert!(output.stdout.is_empty());
        assert_eq!(left(folder, "run"), names, "{kilobytes}: {sentence}");
        if names.contains(&"checkpoint.safetensors") {
            // The files left are whole: with more space, the run resumes from them.
            fs::rename(folder.join("left/run"), folder.join("run")).unwrap();
            let output = program::run(folder, "train --epochs 1 -o run");
            says(
                &program::texts(&output).1,
                &["resuming after epoch 1 of the dense phase"],
            );
            assert!(output.status.success());
        }
    }
}

#[test]
fn exporting_onto_a_full_disk_leaves_no_container() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("run"));
    let Some(output) = run(folder, 4, "export run --quiet -o disk/model.rfy") else {
        return;
    };
    says(
        &sentence(&output),
        &["disk/model.rfy", "No space left", "free some space"],
    );
    assert_eq!(left(folder, ""), [""; 0]);
    // The same command works with enough space.
    let output = run(folder, 64, "export run --quiet -o disk/model.rfy").unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        fs::read(folder.join("left/model.rfy")).unwrap(),
        runs::pruned().container
    );
}

#[test]
fn masks_written_onto_a_full_disk_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(folder);
    let arguments = "effective --quiet --masks masks-direct.safetensors --out disk/out.safetensors";
    let Some(output) = run(folder, 100, arguments) else {
        return;
    };
    says(
        &sentence(&output),
        &["disk/out.safetensors", "No space left", "free some space"],
    );
    assert!(output.stdout.is_empty());
    assert_eq!(left(folder, ""), [""; 0]);
}

#[test]
fn fetching_onto_a_full_disk_ends_with_advice_and_no_final_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = vec![7; 200_000];
    let mirror = Mirror::start(&[(FIRST.into(), file)], Fault::None);
    let arguments = format!(
        "data fetch mnist --quiet -o disk/mnist --mirror {}",
        mirror.url
    );
    let Some(output) = run(folder, 100, &arguments) else {
        return;
    };
    says(
        &sentence(&output),
        &["disk/mnist", FIRST, "No space left", "free some space"],
    );
    assert_eq!(left(folder, "mnist"), [format!("{FIRST}.part")]);
    // Neither another mirror nor a retry would help.
    assert_eq!(mirror.seen().len(), 1);
}
