//! Builds programs and libraries of the firmware's workspace for devices.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root};

/// Path of Debian's compiler.
const DEBIAN: &str = "/usr/bin/rustc";

/// Returns the command that builds in the firmware's workspace for `target`, by rustup's compiler
/// or else by Debian's.
pub(crate) fn build(target: &str) -> Result<Command, String> {
    let mut build = cargo();
    build.current_dir(root().join("firmware"));
    build.args(["build", "--quiet", "--target", target]);
    if !installed(target) {
        let lld = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld";
        let linker = sysroot("rustc")?.join(lld.replace("x86_64-unknown-linux-gnu", &host()?));
        if !Path::new(DEBIAN).is_file() || !linker.is_file() {
            return Err(format!(
                "no compiler for {target}: run `rarefy setup`, or `rustup target add {target}`"
            ));
        }
        let triple = target.to_uppercase().replace(['-', '.'], "_");
        build.env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
        build.env("RUSTC", DEBIAN).env("RUSTC_BOOTSTRAP", "1");
        build.arg("-Zbuild-std=core");
    }
    Ok(build)
}

/// Returns `true` if the core library of `target` is installed. Rustc prints the folder even if it
/// does not exist.
pub(crate) fn installed(target: &str) -> bool {
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    asked.is_ok_and(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Returns the sysroot of the compiler `rustc`.
fn sysroot(rustc: &str) -> Result<PathBuf, String> {
    Ok(asked(rustc, &["--print", "sysroot"])?.trim().into())
}

/// Returns the host's target triple.
fn host() -> Result<String, String> {
    let version = asked("rustc", &["--version", "--verbose"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or("rustc does not report its host".into())
}

/// Runs `program` and returns its output.
fn asked(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|e| format!("cannot run {program}: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
