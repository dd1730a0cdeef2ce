//! Finds a compiler for the device's target.
//!
//! Two compilers are supported and tried in this order:
//! 1. The compiler on the path, if it has the target's `core` (`rustup target add`).
//! 2. On Debian, the compiler of the packages `rustc-web` and `rust-web-src`. It builds `core`
//!    first (`-Zbuild-std`) and links with the `rust-lld` of the active toolchain.
//!
//! Each compiler has its own target folder, so that neither rebuilds the other's work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::Machine;

/// The compiler that builds for the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// The compiler on the path, which supports the target.
    Installed,
    /// Debian's compiler, which builds `core` first.
    Debian {
        /// Path of the compiler.
        rustc: PathBuf,
        /// Path of the linker.
        linker: PathBuf,
    },
}

/// A compiler for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Target triple.
    pub target: String,
    /// Path of cargo.
    pub cargo: PathBuf,
    /// Compiler that cargo calls.
    pub compiler: Compiler,
    /// Text that identifies the compiler's version and build.
    pub build: String,
}

/// Why no compiler for a target was found.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// Cargo is not installed.
    #[error("cargo is not on the PATH; install Rust from https://rustup.rs")]
    NoCargo,
    /// No installed compiler supports the target.
    #[error(
        "no compiler for {target} is installed ({why}); run `rarefy setup`, or `rustup target add {target}`{}",
        by_packages()
    )]
    NoTarget {
        /// Target triple.
        target: String,
        /// Missing part.
        why: &'static str,
    },
}

/// Returns the part of an error message that offers Debian's packages, on Linux.
fn by_packages() -> &'static str {
    if cfg!(target_os = "linux") {
        ", or on Debian, as root, `apt-get install --no-install-recommends rustc-web rust-web-src`"
    } else {
        ""
    }
}

impl Toolchain {
    /// Finds a compiler for `target`.
    ///
    /// # Errors
    ///
    /// Returns an error, which says what to install, if there is none.
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

    /// Returns the name of the folder for build outputs.
    #[must_use]
    pub fn target_folder(&self) -> &'static str {
        match self.compiler {
            Compiler::Installed => "target-rustup",
            Compiler::Debian { .. } => "target-debian",
        }
    }

    /// Returns the compiler's version, such as `rustc 1.95.0 (59807616e 2026-04-14)`.
    #[must_use]
    pub fn version(&self, machine: &Machine) -> Option<String> {
        let rustc = match &self.compiler {
            Compiler::Installed => machine.find("rustc")?,
            Compiler::Debian { rustc, .. } => rustc.clone(),
        };
        machine.ask(rustc, &["--version"])
    }

    /// Returns the command `cargo build --target ...`, to which arguments may be added.
    #[must_use]
    pub fn build(&self, machine: &Machine) -> Command {
        let mut command = machine.command(&self.cargo);
        command.args(["build", "--target", &self.target]);
        if let Compiler::Debian { rustc, linker } = &self.compiler {
            let triple = self.target.to_uppercase().replace(['-', '.'], "_");
            // Setting the linker through RUSTFLAGS would rebuild `core`.
            command
                .env(format!("CARGO_TARGET_{triple}_LINKER"), linker)
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=core");
        }
        command
    }
}

/// Returns the path of the `core` library that the compiler on the path has for `target`. Its file
/// name identifies the compiler's version.
fn installed(machine: &Machine, target: &str) -> Option<String> {
    let rustc = machine.find("rustc")?;
    // The compiler prints a folder even for a target that is not installed.
    let folder = machine.ask(rustc, &["--print", "target-libdir", "--target", target])?;
    let mut names = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?;
        let is_core = name.starts_with("libcore-") && name.ends_with(".rlib");
        is_core.then(|| path.display().to_string())
    });
    names.next()
}

/// Returns Debian's compiler and its version, or why it cannot be used. It needs sources of the
/// same version and a `rust-lld`.
fn debian(machine: &Machine) -> Result<(Compiler, String), &'static str> {
    let rustc = machine.debian_rustc.clone();
    let version = machine.ask(&rustc, &["--version", "--verbose"]).ok_or(
        match cfg!(target_os = "linux") {
            true => {
                "the active toolchain lacks the target, and Debian's rustc-web is not installed"
            }
            false => "the active toolchain lacks the target",
        },
    )?;
    let sysroot = machine
        .ask(&rustc, &["--print", "sysroot"])
        .unwrap_or_default();
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    if !sources.join("library/core/Cargo.toml").is_file() {
        return Err("Debian's rustc-web is installed, but rust-web-src is not");
    }
    // The real name of the folder ends in the version, as in /usr/src/rustc-1.96.0.
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
        .ok_or("Debian's rustc-web is installed, but rust-lld, which rustup installs, is not")?;
    Ok((Compiler::Debian { rustc, linker }, version))
}

/// Returns the rest of the line that begins with `key`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_reported_with_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = folder.path().join("nothing");
        let machine = Machine {
            path: nothing.clone().into(),
            debian_rustc: nothing.clone(),
        };
        let error = Toolchain::find(&machine, "thumbv6m-none-eabi").unwrap_err();
        assert!(matches!(error, ToolchainError::NoCargo), "{error}");

        // With cargo alone, all remedies are named.
        let cargo = Machine::default().find("cargo").unwrap();
        let machine = Machine {
            path: cargo.parent().unwrap().into(),
            debian_rustc: nothing,
        };
        if installed(&machine, "thumbv6m-none-eabi").is_some() {
            return; // the target is installed, so nothing is missing
        }
        let error = Toolchain::find(&machine, "thumbv6m-none-eabi")
            .unwrap_err()
            .to_string();
        for remedy in ["rarefy setup", "rustup target add thumbv6m-none-eabi"] {
            assert!(error.contains(remedy), "{error}");
        }
        let packages = error.contains("rust-web-src");
        assert_eq!(packages, cfg!(target_os = "linux"), "{error}");
    }

    #[test]
    fn a_target_folder_without_core_does_not_count_as_installed() {
        // Every rustc knows this target, but its library is hardly ever installed.
        assert_eq!(installed(&Machine::default(), "thumbv4t-none-eabi"), None);
    }
}
