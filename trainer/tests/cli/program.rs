//! Runs the program and checks how it ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Returns the command `rarefy` with `arguments` (split at spaces), to be run in `folder` without
/// access to the user's own data.
pub(crate) fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    command
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env("RAREFY_DATA", folder.join("no-data"))
        .env("XDG_CACHE_HOME", folder.join("no-cache"))
        .env("RUST_BACKTRACE", "1")
        .env_remove("RAREFY_FIRMWARE")
        .stdin(Stdio::null());
    command
}

/// Runs `rarefy` with `arguments` in `folder` to its end.
pub(crate) fn run(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Returns standard output and standard error as text.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Returns the result of a command that succeeds: one JSON object, nothing else on stdout, and,
/// with `--quiet`, nothing on stderr.
pub(crate) fn json(folder: &Path, arguments: &str) -> Value {
    let output = run(folder, &format!("{arguments} --json --quiet"));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {stderr}");
    assert_eq!(stderr, "", "{arguments}");
    object(&stdout)
}

/// Parses `stdout` as one line with a JSON object.
pub(crate) fn object(stdout: &str) -> Value {
    assert!(
        stdout.ends_with('\n') && stdout.lines().count() == 1,
        "{stdout:?}"
    );
    let value: Value = serde_json::from_str(stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
    assert!(value.is_object(), "{stdout}");
    value
}

/// Returns the error of a command that fails: exit code 1, nothing on stdout, one line on stderr.
pub(crate) fn refusal(folder: &Path, arguments: &str) -> String {
    let output = run(folder, &format!("{arguments} --json --quiet"));
    assert_eq!(texts(&output).0, "", "{arguments}");
    sentence(&output)
}

/// Returns the error of wrong usage: exit code 2, nothing on stdout, one line on stderr.
pub(crate) fn misuse(folder: &Path, arguments: &str) -> String {
    let output = run(folder, &format!("{arguments} --json --quiet"));
    assert_eq!(texts(&output).0, "", "{arguments}");
    sentence_of(&output, 2)
}

/// Checks that `arguments` fail with an error that contains `words` and change no file in
/// `folder`.
pub(crate) fn refused(folder: &Path, arguments: &str, words: &[&str]) {
    unchanged(folder, arguments, words, refusal);
}

/// Checks that `arguments` are wrong usage with an error that contains `words` and change no file
/// in `folder`.
pub(crate) fn misused(folder: &Path, arguments: &str, words: &[&str]) {
    unchanged(folder, arguments, words, misuse);
}

fn unchanged(folder: &Path, arguments: &str, words: &[&str], sentence: fn(&Path, &str) -> String) {
    let before = contents(folder);
    says(&sentence(folder, arguments), words);
    let after = contents(folder);
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{arguments}");
    assert!(before == after, "{arguments} changed a file");
}

/// Files and folders by path; a folder has no contents.
type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Reads everything below `folder`.
fn contents(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut contents(&path));
            files.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, Some(bytes));
        }
    }
    files
}

/// Returns the one line of a command that failed with exit code 1, without its `error: `.
pub(crate) fn sentence(output: &Output) -> String {
    sentence_of(output, 1)
}

/// Returns the one line of a command that ended with exit code `code`, without its `error: `.
fn sentence_of(output: &Output, code: i32) -> String {
    let (_, stderr) = texts(output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}: {stderr}",
        output.status
    );
    assert!(
        stderr.ends_with('\n') && stderr.lines().count() == 1,
        "{stderr}"
    );
    for word in ["panicked", "backtrace", "RUST_BACKTRACE", "Error {", "Os {"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
    let line = stderr
        .trim_end()
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("{stderr}"));
    line.to_owned()
}

/// Checks that `sentence` contains all of `words`.
pub(crate) fn says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}
