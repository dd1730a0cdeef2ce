//! Runs programs from the root of the workspace, each announced on stderr.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Result of a chore; the error is one sentence.
pub(crate) type Outcome = Result<(), String>;

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Returns a command for the cargo that runs this program. Chores that it runs build in the same
/// [`profile`].
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root());
    // Cargo describes this program's package in environment variables. Some dependencies' build
    // scripts watch these: if they were passed on, calls of cargo from here and from a shell would
    // rerun those scripts in turn, and compile the trainer each time.
    for (name, _) in std::env::vars_os() {
        let of_package = name.to_string_lossy();
        if of_package.starts_with("CARGO_PKG_") || of_package.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.env(PROFILE, profile()[1]);
    command
}

/// Profile that compiles fast, in which `cargo xtask test` builds all programs for the workstation.
pub(crate) const CHECKS: &str = "checks";

/// Variable of the environment that passes the profile on to chores that run beside the tests.
pub(crate) const PROFILE: &str = "RAREFY_XTASK_PROFILE";

/// Returns the arguments of cargo that select the profile for programs of the workstation, which
/// [`build_for_checks`] changes.
pub(crate) fn profile() -> [&'static str; 2] {
    let given = || std::env::var(PROFILE).unwrap_or_else(|_| "release".to_owned());
    ["--profile", BUILT_IN.get_or_init(given)]
}

/// Selects the profile [`CHECKS`] for all programs of the workstation.
pub(crate) fn build_for_checks() {
    BUILT_IN.get_or_init(|| CHECKS.to_owned());
}

/// The profile for programs of the workstation.
static BUILT_IN: OnceLock<String> = OnceLock::new();

/// Returns a command for git.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(root());
    command
}

/// Returns a command for `rarefy`, which the first call builds optimized.
pub(crate) fn rarefy() -> Result<Command, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let mut command = Command::new(BUILT.get_or_init(build).as_ref().map_err(String::clone)?);
    command.current_dir(root());
    Ok(command)
}

/// Builds `rarefy` and returns its path.
fn build() -> Result<PathBuf, String> {
    let mut build = cargo();
    build
        .arg("build")
        .args(profile())
        .args(["--package", "rarefy-trainer", "--bin", "rarefy"]);
    run(
        "building rarefy (the first time this takes minutes)",
        &mut build,
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let name = format!("rarefy{}", std::env::consts::EXE_SUFFIX);
    Ok(root().join(target).join(profile()[1]).join(name))
}

/// Runs `command` and announces it as `what` on stderr.
pub(crate) fn run(what: &str, command: &mut Command) -> Outcome {
    eprintln!("== {what}");
    let status = command.status().map_err(|e| cannot_run(command, &e))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what}: failed, see above"))
    }
}

/// Runs `command` and returns its stdout; stderr is inherited.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| cannot_run(command, &e))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed, see above"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns `true` if `command` runs and succeeds; its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Returns the error for a command that could not be started.
fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    format!("cannot run {program}: {error}")
}
