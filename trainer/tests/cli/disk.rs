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
/// KiB. The contents of the folder `given`, if it exists, are first copied to `disk`; those of
/// `disk` are copied to `left` afterwards. Returns `None` if the system does not allow private
/// mount namespaces.
fn run(folder: &Path, kilobytes: usize, arguments: &str) -> Option<Output> {
    const SCRIPT: &str = "mount -t tmpfs -o size=$0k none disk || exit 97
        test ! -e given || cp -R given/. disk || exit 98
        \"$@\"; code=$?; cp -R disk left || exit 98; exit $code";
    mounted(folder, SCRIPT, kilobytes, arguments)
}

/// Runs `script` in `folder`, which mounts a file system and then runs `rarefy` with `arguments`:
/// the command line is in `$@`, and `kilobytes` in `$0`. Returns `None` if the system does not
/// allow private mount namespaces.
fn mounted(folder: &Path, script: &str, kilobytes: usize, arguments: &str) -> Option<Output> {
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
    let mut command = inside(script);
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
fn a_full_disk_does_not_cost_the_run_that_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let given = folder.join("given/run");
    runs::pruned().lay_out(&given);
    let sizes = fs::read_dir(&given).unwrap();
    let sizes = sizes.map(|entry| entry.unwrap().metadata().unwrap().len().div_ceil(4096));
    // Room for the earlier run and, beside it, for the recipe and the metrics of the new one.
    let kilobytes = 4 * sizes.sum::<u64>() as usize + 200;
    let arguments = "train --epochs 1 --quiet -o disk/run --force";
    let Some(output) = run(folder, kilobytes, arguments) else {
        return;
    };
    says(&sentence(&output), &["disk/run", "No space left"]);
    let names = runs::pruned().names();
    assert_eq!(left(folder, "run"), names);
    for name in names {
        let found = fs::read(folder.join("left/run").join(name)).unwrap();
        assert!(found == runs::pruned().file(name), "{name}");
    }
}

#[test]
fn a_finished_run_on_a_read_only_disk_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("disk/run"));
    let script = "mount --bind disk disk && mount -o remount,ro,bind disk || exit 97
        ! touch disk/run/new 2>/dev/null || exit 98
        exec \"$@\"";
    let Some(output) = mounted(folder, script, 0, "train --epochs 2 -o disk/run") else {
        return;
    };
    let (_, stderr) = program::texts(&output);
    if output.status.code() == Some(97) {
        eprintln!("SKIPPED: no disk can be mounted read-only here: {stderr}");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    says(&stderr, &["disk/run is finished already"]);
    // A run that is not finished already has to be written.
    let line = "train --epochs 2 -o disk/run --force --quiet";
    let output = mounted(folder, script, 0, line).unwrap();
    says(&sentence(&output), &["disk/run", "choose a place"]);
}

#[test]
fn exporting_onto_a_full_disk_leaves_no_container() {
    let folder = runs::folder();
    let folder = folder.path();
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
