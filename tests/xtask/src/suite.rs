//! The tests of the workspace, and the checks that run beside them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{self, CHECKS, cargo, root};
use crate::jobs::{self, Ended, Job};

/// The test programs that take longest. They start first.
const LONGEST: &[&str] = &["device", "cli", "fuzz-device"];

/// Chores that run beside the tests.
const CHORES: &[&[&str]] = &[
    &["bench", "kernels", "--check", "short"],
    &["bare"],
    &["fuzz", "containers", "--seconds", "15"],
];

/// Arguments of cargo for all tests.
const TESTS: [&str; 4] = ["test", "--profile", CHECKS, "--workspace"];

/// A compiled test program.
struct Program {
    name: String,
    path: PathBuf,
    /// Folder of the package, where cargo runs its tests.
    package: PathBuf,
}

/// Compiles all tests, and what the chores and the check of the pages need.
pub(crate) fn compile() -> command::Outcome {
    command::run("compiling the tests", cargo().args(TESTS).arg("--no-run"))?;
    let mut bench = cargo();
    bench.arg("bench").args(command::profile());
    bench.args(["--package", "rarefy-trainer", "--no-run"]);
    command::run(
        "compiling the benchmarks",
        bench.args(["--bench", "kernels", "--bench", "pruning"]),
    )?;
    let mut fuzzer = cargo();
    fuzzer.arg("build").args(command::profile());
    command::run(
        "compiling the fuzzer of containers",
        fuzzer.args(["--package", "rarefy-tests", "--bin", "fuzz"]),
    )
}

/// Runs all tests and the chores beside them. `arguments`, if there are any, are passed to `cargo
/// test`, which then runs the tests. Returns how each program ended.
pub(crate) fn run(arguments: &[String]) -> Result<Vec<Ended>, String> {
    let mut jobs = if arguments.is_empty() {
        let mut documentation = cargo();
        documentation.args(TESTS).arg("--doc");
        let mut jobs: Vec<Job> = programs()?.iter().map(job).collect();
        jobs.push(Job::new("documentation's tests", documentation));
        jobs
    } else {
        let mut tests = cargo();
        tests.args(TESTS).args(arguments);
        vec![Job::new("tests", tests)]
    };
    let chore = std::env::current_exe().map_err(|e| format!("no path of this program: {e}"))?;
    for arguments in CHORES {
        let mut command = Command::new(&chore);
        command.args(*arguments).current_dir(root());
        command.env(command::PROFILE, command::profile()[1]);
        jobs.push(Job::new(arguments.join(" "), command));
    }
    for job in &mut jobs {
        // Makes tests that need an emulator fail if there is none, instead of being skipped.
        job.command.env("RAREFY_REQUIRE_DEVICE", "1");
    }
    Ok(jobs::run(jobs))
}

/// Returns the job that runs `program` where cargo would.
fn job(program: &Program) -> Job {
    let mut command = Command::new(&program.path);
    command
        .current_dir(&program.package)
        .env("CARGO_MANIFEST_DIR", &program.package);
    Job::new(format!("tests of {}", program.name), command)
}

/// Compiles the tests and returns the test programs, those that take longest first.
fn programs() -> Result<Vec<Program>, String> {
    let mut build = cargo();
    build
        .args(TESTS)
        .args(["--no-run", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    let messages = command::output(&mut build)?;
    let mut programs: Vec<Program> = messages.lines().filter_map(program).collect();
    if programs.is_empty() {
        return Err("cargo names no program of tests".into());
    }
    let rank = |program: &Program| LONGEST.iter().position(|name| *name == program.name);
    programs.sort_by_key(|program| rank(program).unwrap_or(LONGEST.len()));
    Ok(programs)
}

/// Returns the test program that cargo's `message` reports, if it reports one.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
        package: Path::new(message["manifest_path"].as_str()?)
            .parent()?
            .to_path_buf(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_told_from_other_artifacts() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/a b/Cargo.toml",
                "target":{{"name":"cli"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let found = program(&message(true, r#""/t/cli-1""#)).unwrap();
        assert_eq!(found.name, "cli");
        assert_eq!(found.path, Path::new("/t/cli-1"));
        assert_eq!(found.package, Path::new("/a b"));
        assert!(program(&message(false, r#""/t/cli-1""#)).is_none());
        assert!(program(&message(true, "null")).is_none());
        assert!(program("not JSON").is_none());
    }
}
