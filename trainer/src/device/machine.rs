//! The workstation: where its tools are, and a clean environment to run them in.
//!
//! A process started by `cargo run` or `cargo test` inherits variables of the outer build (target,
//! flags, wrappers, toolchain). They must not reach the build of the firmware, which has a target
//! of its own.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The location of tools on the workstation.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Folders to search for programs, in the format of `PATH`.
    pub path: OsString,
    /// Path of the compiler in Debian's package `rustc-web`.
    pub debian_rustc: PathBuf,
}

impl Default for Machine {
    /// Searches the `PATH` and, on Windows, the folder into which QEMU's installer puts QEMU
    /// without adding it to the `PATH`.
    fn default() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let qemu = env::var_os("ProgramFiles").filter(|_| cfg!(windows));
        let qemu = qemu.map(|folder| Path::new(&folder).join("qemu"));
        let folders = env::split_paths(&path).chain(qemu);
        Self {
            path: env::join_paths(folders).unwrap_or(path),
            debian_rustc: PathBuf::from("/usr/bin/rustc"),
        }
    }
}

impl Machine {
    /// Finds the first program called `name` (without `.exe`) on the path.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        env::split_paths(&self.path)
            .map(|folder| folder.join(&file))
            .find(|candidate| is_program(candidate))
    }

    /// Returns a command that starts `program` in a clean environment, without input.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.path).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(leaks) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `program` with `arguments` and returns its trimmed output; `None` if it fails.
    #[must_use]
    pub fn ask(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
        let output = self.command(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }
}

/// Returns `true` if `path` is an executable file.
fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }
    // On Windows winget is an app execution alias: a link that cannot be followed.
    #[cfg(not(unix))]
    path.symlink_metadata().is_ok_and(|m| !m.is_dir())
}

/// Returns `true` if the variable `name` configures an outer build and would affect the
/// firmware's. Variables for cargo's home and network access are kept.
fn leaks(name: &str) -> bool {
    const KEPT: [&str; 5] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
    ];
    const RUSTC: [&str; 8] = [
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_BOOTSTRAP",
        "CARGO",
    ];
    RUSTC.contains(&name)
        || name.starts_with("RAREFY_MODEL")
        || name.starts_with("RAREFY_SAMPLES")
        || (name.starts_with("CARGO_") && !KEPT.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_build_does_not_leak_and_the_users_network_settings_are_kept() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
        ] {
            assert!(leaks(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_CRATES_IO_PROTOCOL",
            "HOME",
        ] {
            assert!(!leaks(name), "{name}");
        }
        // `cargo test` always sets this variable.
        let command = Machine::default().command("x");
        assert!(
            command
                .get_envs()
                .any(|(name, value)| name == "CARGO_MANIFEST_DIR" && value.is_none())
        );
    }

    #[test]
    fn programs_are_found_on_the_given_path_only() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine {
            path: folder.path().into(),
            ..Machine::default()
        };
        assert_eq!(machine.find("cargo"), None);
        let file = folder
            .path()
            .join(format!("cargo{}", env::consts::EXE_SUFFIX));
        std::fs::write(&file, "not executable on Unix").unwrap();
        let expected = (!cfg!(unix)).then_some(file);
        assert_eq!(machine.find("cargo"), expected);
    }
}
