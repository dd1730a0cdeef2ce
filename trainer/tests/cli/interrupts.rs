//! Ctrl-C and other signals during a run: a one-line error, whole files, and the same bits after
//! resuming.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{self, says, sentence, texts};

/// A run long enough to interrupt.
const TRAIN: &str = "train --epochs 3 --seed 5 -o run";

/// Files that must have the same bits whatever happened during the run.
const FILES: [&str; 4] = [
    "dense.safetensors",
    "masks-direct.safetensors",
    "masks.safetensors",
    "weights.safetensors",
];

/// Returns the files of an undisturbed run, and its lines of metrics without the time.
fn undisturbed() -> &'static (Vec<Vec<u8>>, Vec<String>) {
    static FILES_OF: OnceLock<(Vec<Vec<u8>>, Vec<String>)> = OnceLock::new();
    FILES_OF.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        program::json(folder.path(), TRAIN);
        files(folder.path())
    })
}

fn files(folder: &Path) -> (Vec<Vec<u8>>, Vec<String>) {
    let read = |name: &str| fs::read(folder.join("run").join(name)).unwrap();
    let metrics = String::from_utf8(read("metrics.csv")).unwrap();
    let rows = metrics
        .lines()
        .map(|line| line.rsplit_once(',').unwrap().0.to_owned());
    (
        FILES.iter().map(|name| read(name)).collect(),
        rows.collect(),
    )
}

/// Starts `command` with its output captured.
pub(crate) fn start(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until `ready` returns true. Fails if `child` ends first, or after ten minutes (the
/// firmware may have to be built first).
pub(crate) fn wait_until(child: &mut Child, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it ended before it could be interrupted"
        );
        assert!(
            start.elapsed() < Duration::from_secs(600),
            "nothing happened"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// Sends the signal `name` to the process `target`, or to the process group `-target` if `target`
/// is negative.
pub(crate) fn signal(name: &str, target: i64) {
    let script = format!("kill -s {name} -- {target}");
    assert!(
        Command::new("sh")
            .args(["-c", &script])
            .status()
            .unwrap()
            .success()
    );
}

/// Returns whether the process `pid` exists.
fn is_alive(pid: &str) -> bool {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("kill -0 {}", pid.trim())])
        .stderr(Stdio::null());
    command.status().unwrap().success()
}

/// Waits until none of the processes `pids` runs. Fails if one still runs after five seconds;
/// zombies do not count.
pub(crate) fn wait_until_dead(pids: &str) {
    let runs = |pid: &str| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        is_alive(pid) && !state.contains(") Z ")
    };
    let start = Instant::now();
    while pids.split_whitespace().any(runs) {
        assert!(start.elapsed() < Duration::from_secs(5), "{pids} still run");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Trains in `folder` and sends the signal `name` once the metrics have a line that begins with
/// `line`.
fn disturb(folder: &Path, name: &str, line: &str) -> Output {
    let mut child = start(program::command(folder, &format!("{TRAIN} --quiet")));
    let metrics = folder.join("run/metrics.csv");
    wait_until(&mut child, || {
        fs::read_to_string(&metrics)
            .is_ok_and(|text| text.lines().any(|found| found.starts_with(line)))
    });
    signal(name, child.id().into());
    child.wait_with_output().unwrap()
}

/// Runs the same command again and checks that it ends with the same files as an undisturbed run.
fn ends_the_same(folder: &Path, note: &str) {
    let output = program::run(folder, &format!("{TRAIN} --json"));
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    says(&stderr, &[note]);
    program::object(&stdout);
    let (found, expected) = (files(folder), undisturbed());
    assert_eq!(found.1, expected.1);
    for (name, (found, expected)) in FILES.iter().zip(found.0.iter().zip(&expected.0)) {
        assert!(found == expected, "{name} differs");
    }
    assert!(!folder.join("run/checkpoint.safetensors").exists());
}

#[test]
fn ctrl_c_in_the_middle_of_training_can_be_gone_on_from_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = disturb(folder, "INT", "dense,1,");
    says(
        &sentence(&output),
        &["interrupted after", "of 6 epochs", "resumes from run"],
    );
    assert!(output.stdout.is_empty());
    // An unfinished run cannot be exported; the error says what to do.
    says(
        &program::refusal(folder, "export run"),
        &["not finished", "rarefy train"],
    );

    let output = disturb(folder, "TERM", "pruned,1,");
    says(&sentence(&output), &["interrupted after", "of 6 epochs"]);
    ends_the_same(folder, "of the pruned phase");
}

#[test]
fn a_killed_run_can_be_gone_on_from_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = disturb(folder, "KILL", "dense,2,");
    assert_eq!(output.status.code(), None, "{output:?}");
    let output = disturb(folder, "KILL", "pruned,2,");
    assert_eq!(output.status.code(), None, "{output:?}");
    ends_the_same(folder, "of the pruned phase");
}

#[test]
fn an_interruption_says_truly_what_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (command, run, promise) in [
        (
            "train --epochs 3 -o forced --force",
            "forced",
            "the same command resumes from forced, without --force",
        ),
        (
            "quickstart --epochs 3 -o quick",
            "quick",
            "the same command resumes from quick",
        ),
    ] {
        let stop = |epoch: &str| {
            let mut child = start(program::command(folder, &format!("{command} --quiet")));
            let metrics = folder.join(run).join("metrics.csv");
            wait_until(&mut child, || {
                fs::read_to_string(&metrics)
                    .is_ok_and(|text| text.lines().any(|line| line.starts_with(epoch)))
            });
            signal("INT", child.id().into());
            sentence(&child.wait_with_output().unwrap())
        };
        let sentence = stop("dense,1,");
        assert!(sentence.ends_with(promise), "{sentence}");
        if run == "quick" {
            let kept = fs::read(folder.join("quick/metrics.csv")).unwrap();
            says(&stop("dense,2,"), &["interrupted after"]);
            let now = fs::read(folder.join("quick/metrics.csv")).unwrap();
            assert!(now.starts_with(&kept), "the first epoch was repeated");
        }
    }
}

/// A run of [`SMALL`] with epochs of many steps.
const LONG: &str = "train --arch small.toml --pruner lamp --type direct --compression 4 --epochs 1 \
    --batch 2 --seed 5 -o run";

/// An architecture whose steps are short.
const SMALL: &str = "name = \"small\"
input = [1, 28, 28]
[[layer]]
type = \"dense\"
units = 60
[[layer]]
type = \"dense\"
units = 10
";

#[test]
fn a_run_stopped_in_the_middle_of_an_epoch_goes_on_from_there_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("small.toml"), SMALL).unwrap();
        folder
    };
    let whole = create("whole");
    program::json(&whole, LONG);
    for (name, options) in [
        // A request to stop writes a checkpoint at once; a kill leaves the last one that was due.
        ("INT", ""),
        ("TERM", ""),
        ("KILL", " --checkpoint-minutes 1e-9"),
    ] {
        let folder = create(name);
        let mut child = start(program::command(
            &folder,
            &format!("{LONG}{options} --quiet"),
        ));
        let run = folder.join("run");
        wait_until(&mut child, || run.join("run.toml").exists());
        if name == "KILL" {
            // The first checkpoint may be due before the first step, the second one is not.
            let written = || {
                let file = fs::metadata(run.join("checkpoint.safetensors"));
                file.and_then(|file| file.modified()).ok()
            };
            let first = Cell::new(None);
            wait_until(&mut child, || {
                first.set(first.get().or_else(written));
                first.get().is_some() && written() != first.get()
            });
        } else {
            // Some steps of the first epoch.
            thread::sleep(Duration::from_millis(50));
        }
        signal(name, child.id().into());
        let output = child.wait_with_output().unwrap();
        if name != "KILL" {
            says(&sentence(&output), &["interrupted after 0 of 2 epochs"]);
        }
        assert!(run.join("checkpoint.safetensors").exists(), "{name}");
        assert!(!run.join("metrics.csv").exists(), "{name}: the epoch ended");
        let output = program::run(&folder, LONG);
        let (_, stderr) = texts(&output);
        assert!(output.status.success(), "{stderr}");
        says(&stderr, &["resuming "]);
        if name == "KILL" {
            says(
                &stderr,
                &["resuming after step ", " in epoch 1 of the dense phase"],
            );
        }
        assert!(files(&folder) == files(&whole), "{name}");
    }
}
