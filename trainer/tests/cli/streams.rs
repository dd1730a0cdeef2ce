//! Standard output and standard error: closed pipes, full disks, control characters.

use std::fs::{self, File};
use std::io;

use crate::program::{command, object, says, sentence, texts};
use crate::runs;

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        "arch lenet-300-100",
        "quotas --json",
        "--help",
        "train --help",
        "--version",
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = command(folder.path(), arguments)
            .stdout(writer)
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), texts(&output).1.as_str()),
            (Some(0), ""),
            "{arguments}"
        );
    }
}

#[test]
fn nobody_listening_on_stderr_changes_no_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        ("inspect missing.rfy", 1),
        ("train --no-such-option", 2),
        (
            "train --pruner random/igq --compression 10 --epochs 1 -o run",
            0,
        ),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = command(folder.path(), arguments)
            .stderr(writer)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        "arch lenet-300-100",
        "data list --json",
        "--help",
        "train --help",
        "--version",
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(folder.path(), arguments)
            .stdout(full)
            .output()
            .unwrap();
        says(&sentence(&output), &["standard output", "No space left"]);
    }
}

/// Checks that control characters in names never reach the terminal.
#[test]
fn control_characters_of_names_are_escaped() {
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let evil = "\u{1b}[2J\u{9b}31m\u{7f}";
    let tensors = [(evil, crate::tensors::single(&[1], &[0.0]))].into();
    crate::tensors::write(&folder.join("w"), &tensors);
    let network = "name = \"own\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join(format!("{evil}.toml")), network).unwrap();
    let said = |arguments: &[&str]| {
        let mut command = command(folder, "");
        let output = command.args(arguments).output().unwrap();
        let shown = [output.stdout.as_slice(), &output.stderr].concat();
        let shown = String::from_utf8(shown).unwrap();
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!shown.contains(obeyed), "{arguments:?}: {shown:?}");
        shown
    };
    let escaped = r"\u{1b}[2J\u{9b}31m\u{7f}";
    let network = format!("{evil}.toml");
    for arguments in [
        &["inspect", evil][..],
        &["train", "--data", evil],
        &["arch", evil],
        &["prune", "--weights", "w", "--pruner", "lamp"],
        &["effective", "--masks", evil],
    ] {
        says(&said(arguments), &[escaped]);
    }
    for arguments in [["export", "run", evil], ["train", "--type", evil]] {
        // clap drops most of the control characters.
        says(&said(&arguments), &[r"\u{9b}31m"]);
    }
    // A command that cannot be pasted is not printed as the next one.
    let prune = ["prune", "--pruner", "random/igq", "-o", evil];
    says(&said(&prune), &["No next command"]);
    says(&said(&["arch", &network]), &["No next command"]);
    says(&said(&["data", "list"]), &["Next: rarefy train"]);
    // JSON has its own escapes.
    fs::remove_file(folder.join(evil)).unwrap();
    let mut prune = command(folder, "effective --pruner random/igq --json --quiet");
    let output = prune.args(["--curve", evil]).output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(stderr, "");
    assert!(!stdout.trim_end().contains(char::is_control), "{stdout:?}");
    assert_eq!(object(&stdout)["svg"], evil);
    assert!(
        folder
            .join(std::ffi::OsStr::from_bytes(evil.as_bytes()))
            .exists()
    );
}

/// Checks that errors, notes, results and clap show a line break of a name in the same way.
#[test]
fn line_breaks_of_names_are_escaped_everywhere() {
    let folder = runs::folder();
    let folder = folder.path();
    let name = "a\nNext: b.rfy";
    let shown = r"a\nNext: b";
    let said = |arguments: &[&str]| {
        let output = command(folder, "").args(arguments).output().unwrap();
        texts(&output)
    };
    let (_, error) = said(&["inspect", name]);
    says(&error, &[shown, "check its path"]);
    let (result, _) = said(&["export", "run", "-o", name]);
    says(&result, &[shown, "No next command"]);
    // The names of the companion and of the CSV file are derived from given names.
    let (_, note) = said(&["eval", name]);
    fs::write(folder.join(format!("{name}.json")), "{}").unwrap();
    let (_, ignored) = said(&["eval", name, "--data", "digits"]);
    says(&ignored, &[&format!("{shown}.rfy.json is not a companion")]);
    let curve = [
        "effective",
        "--pruner",
        "random/igq",
        "--most",
        "10",
        "--curve",
        "a\nb.svg",
    ];
    let (curve, _) = said(&curve);
    says(&curve, &[r"a\nb.svg and a\nb.csv"]);
    let (_, clap) = said(&["quotas", "--quota", "igq", name]);
    says(&clap, &[shown]);
    for text in [error, result, note, ignored, curve, clap] {
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("Next: ") || line.starts_with("b."))
        );
    }
}
