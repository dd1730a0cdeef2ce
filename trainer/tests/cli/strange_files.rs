//! Paths that are not regular files, huge files, and machines with too little memory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{self, says, sentence};
use crate::runs;

/// Every command that reads a file given by the user; `FILE` stands for the file.
const READERS: [&str; 9] = [
    "inspect FILE",
    "eval FILE --data digits",
    "measure FILE --board microbit",
    "arch FILE",
    "effective --arch lenet-300-100 --masks FILE",
    "prune --arch lenet-300-100 --pruner lamp --compression 2 --weights FILE",
    "train --pruner lamp --compression 2 --weights FILE -o run",
    "quotas --arch FILE --quota igq --compression 2",
    "effective --arch FILE --masks masks.safetensors",
];

/// Runs `arguments`, which must fail within a minute, and returns the error.
fn soon(folder: &Path, arguments: &str) -> String {
    let mut child = program::command(folder, &format!("{arguments} --quiet"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("`rarefy {arguments}` never ends");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    sentence(&child.wait_with_output().unwrap())
}

#[test]
fn devices_and_pipes_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status();
    assert!(made.unwrap().success());
    for reader in READERS {
        for file in ["/dev/zero", "./pipe"] {
            let sentence = soon(folder, &reader.replace("FILE", file));
            says(&sentence, &[file, "not a regular file"]);
        }
    }
    assert!(!folder.join("run").exists());
}

#[test]
fn a_file_longer_than_any_container_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A sparse file takes no disk space.
    let file = fs::File::create(folder.join("long.rfy")).unwrap();
    file.set_len(1 << 40).unwrap();
    for reader in &READERS[..3] {
        let sentence = soon(folder, &reader.replace("FILE", "long.rfy"));
        says(&sentence, &["long.rfy", "a container has at most"]);
    }
}

/// Runs `rarefy` with its address space limited to `kilobytes`.
fn limited(folder: &Path, kilobytes: usize, arguments: &str) -> std::process::Output {
    let program = program::command(folder, arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {kilobytes}; exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(folder)
        .stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_said_in_one_sentence() {
    let folder = runs::folder();
    let folder = folder.path();
    for (arguments, kilobytes) in [
        ("train --epochs 1 -o new", 30_000),
        ("export run", 30_000),
        (
            "prune --arch lenet-5 --pruner synflow --compression 2",
            30_000,
        ),
        // Enough to start, but not for batches of 8,000 images.
        ("train --epochs 1 --batch 8000 -o new", 120_000),
    ] {
        let sentence = sentence(&limited(folder, kilobytes, &format!("{arguments} --quiet")));
        says(&sentence, &["MiB of memory", "ulimit -v"]);
        assert!(!folder.join("new").exists());
    }
}
