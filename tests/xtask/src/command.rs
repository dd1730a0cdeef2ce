//! Running programs, each announced on stderr, from the workspace's root.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// How a chore ends: well, or with one line that says why not.
pub(crate) type Outcome = Result<(), String>;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command
}

/// The program `rarefy`, built for release the first time it is asked for.
pub(crate) fn rarefy() -> Result<Command, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let mut command = Command::new(BUILT.get_or_init(build).as_ref().map_err(String::clone)?);
    command.current_dir(root());
    Ok(command)
}

/// Builds `rarefy`; its path.
fn build() -> Result<PathBuf, String> {
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "rarefy-trainer",
        "--bin",
        "rarefy",
    ]);
    run(
        "building rarefy (the first time this takes minutes)",
        &mut build,
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(root().join(target).join("release").join("rarefy"))
}

/// Runs `command`, saying `what` on stderr first.
pub(crate) fn run(what: &str, command: &mut Command) -> Outcome {
    eprintln!("== {what}");
    let status = command.status().map_err(|e| {
        format!(
            "cannot run {}: {e}",
            command.get_program().to_string_lossy()
        )
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what}: failed, see above"))
    }
}
