//! A compiler for the device's target, however this workstation can have one.
//!
//! Two ways, in this order:
//! 1. the compiler on the path has the target's `core` (rustup's `target add`): plain cargo;
//! 2. Debian's packages `rustc-web` and `rust-web-src`: that compiler builds its own `core`
//!    (`-Zbuild-std`), and the linker is the `rust-lld` of the active toolchain.
//!
//! Each has a target folder of its own, so that the two never rebuild each other's work.
//! Refuses, naming both remedies, when neither is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::Machine;

/// What compiles for the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// The compiler on the path, which has the target.
    Installed,
    /// Debian's compiler, which builds `core` first.
    Debian {
        /// The compiler.
        rustc: PathBuf,
        /// The linker.
        linker: PathBuf,
    },
}

/// A compiler and the target it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Target triple.
    pub target: String,
    /// The program cargo.
    pub cargo: PathBuf,
    /// What it calls.
    pub compiler: Compiler,
    /// Tells this compiler's version and build from any other's.
    pub build: String,
}

/// Why nothing can be compiled for a target.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// There is no cargo.
    #[error("cargo is not on the PATH; install Rust from https://rustup.rs")]
    NoCargo,
    /// Neither way is open.
    #[error(
        "no compiler for {target} here ({why}); run `rarefy setup`, or by hand `rustup target add {target}`, or on Debian as root `apt-get install --no-install-recommends rustc-web rust-web-src`"
    )]
    NoTarget {
        /// Target triple.
        target: String,
        /// What was missing on Debian's way.
        why: &'static str,
    },
}

impl Toolchain {
    /// Looks for a way to compile for `target`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(machine: &Machine, target: &str) -> Result<Self, ToolchainError> {
        let cargo = machine.find("cargo").ok_or(ToolchainError::NoCargo)?;
        let (compiler, build) = match installed(machine, target) {
            Some(core) => (Compiler::Installed, core),
            None => debian(machine).map_err(|why| ToolchainError::NoTarget {
                target: target.to_owned(),
                why,
            })?,
        };
        Ok(Self {
            target: target.to_owned(),
            cargo,
            compiler,
            build,
        })
    }

    /// Name of the folder for what it builds.
    #[must_use]
    pub fn target_folder(&self) -> &'static str {
        match self.compiler {
            Compiler::Installed => "target-rustup",
            Compiler::Debian { .. } => "target-debian",
        }
    }

    /// What compiles, in a line: "rustc 1.95.0 (59807616e 2026-04-14)".
    #[must_use]
    pub fn version(&self, machine: &Machine) -> Option<String> {
        let rustc = match &self.compiler {
            Compiler::Installed => machine.find("rustc")?,
            Compiler::Debian { rustc, .. } => rustc.clone(),
        };
        machine.ask(rustc, &["--version"])
    }

    /// `cargo build --target ...`, ready for more arguments.
    #[must_use]
    pub fn build(&self, machine: &Machine) -> Command {
        let mut command = machine.command(&self.cargo);
        command.args(["build", "--target", &self.target]);
        if let Compiler::Debian { rustc, linker } = &self.compiler {
            let triple = self.target.to_uppercase().replace(['-', '.'], "_");
            // The linker comes by this variable: changing RUSTFLAGS would rebuild `core`.
            command
                .env(format!("CARGO_TARGET_{triple}_LINKER"), linker)
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=core");
        }
        command
    }
}

/// The library `core` that the compiler on the path has for `target`: its path, whose last part the compiler
/// chooses by version. The compiler names a folder even for a target that it lacks, so look inside.
fn installed(machine: &Machine, target: &str) -> Option<String> {
    let rustc = machine.find("rustc")?;
    let folder = machine.ask(rustc, &["--print", "target-libdir", "--target", target])?;
    let mut names = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        let is_core = name.starts_with("libcore-") && name.ends_with(".rlib");
        is_core.then(|| path.display().to_string())
    });
    names.next()
}

/// Debian's compiler with sources of its own version and somebody's `rust-lld`; and what tells its version.
fn debian(machine: &Machine) -> Result<(Compiler, String), &'static str> {
    let rustc = machine.debian_rustc.clone();
    let version = machine
        .ask(&rustc, &["--version", "--verbose"])
        .ok_or("rustup lacks the target and Debian's rustc-web is not installed")?;
    let sysroot = machine
        .ask(&rustc, &["--print", "sysroot"])
        .unwrap_or_default();
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    if !sources.join("library/core/Cargo.toml").is_file() {
        return Err("Debian's rustc-web is there, its rust-web-src is not");
    }
    // The folder's real name ends in its version, as in /usr/src/rustc-1.96.0.
    let release = field(&version, "release: ").unwrap_or_default();
    let real = fs::canonicalize(sources.join("library")).unwrap_or_default();
    let sources_version = real
        .components()
        .filter_map(|part| part.as_os_str().to_str()?.strip_prefix("rustc-"))
        .next_back();
    if sources_version.is_some_and(|found| found != release) {
        return Err("Debian's rustc-web and rust-web-src have different versions");
    }
    let host = field(&version, "host: ").unwrap_or_default();
    let active = machine
        .find("rustc")
        .and_then(|rustc| machine.ask(rustc, &["--print", "sysroot"]))
        .unwrap_or_default();
    let linker = [active, sysroot]
        .iter()
        .map(|root| {
            Path::new(root)
                .join("lib/rustlib")
                .join(host)
                .join("bin/rust-lld")
        })
        .find(|candidate| candidate.is_file())
        .or_else(|| machine.find("rust-lld"))
        .ok_or("Debian's rustc-web is there, but no rust-lld is; rustup's toolchain brings one")?;
    Ok((Compiler::Debian { rustc, linker }, version))
}

/// The rest of the line that begins with `key`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_tools_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = folder.path().join("nothing");
        let machine = Machine {
            path: nothing.clone().into(),
            debian_rustc: nothing.clone(),
        };
        let error = Toolchain::find(&machine, "thumbv6m-none-eabi").unwrap_err();
        assert!(matches!(error, ToolchainError::NoCargo), "{error}");

        // With cargo alone, both remedies are named.
        let cargo = Machine::default().find("cargo").unwrap();
        let machine = Machine {
            path: cargo.parent().unwrap().into(),
            debian_rustc: nothing,
        };
        if installed(&machine, "thumbv6m-none-eabi").is_some() {
            return; // rustup has the target on this machine: nothing is missing
        }
        let error = Toolchain::find(&machine, "thumbv6m-none-eabi")
            .unwrap_err()
            .to_string();
        for remedy in [
            "rarefy setup",
            "rustup target add thumbv6m-none-eabi",
            "rust-web-src",
        ] {
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_target_folder_without_core_is_no_target() {
        // Every rustc knows this target by name; hardly any has its library.
        assert_eq!(installed(&Machine::default(), "thumbv4t-none-eabi"), None);
    }
}
