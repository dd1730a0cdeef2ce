//! The workstation as its tools see it: where programs are, and an environment in which they
//! behave as if typed in a shell.
//!
//! A build that is started from inside `cargo run` or `cargo test` inherits variables of the
//! outer build (its target, flags, wrappers, toolchain). They must not leak into the firmware's
//! build, which has a target of its own.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where to look for programs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Folders to search, as in `PATH`.
    pub path: OsString,
    /// The compiler of Debian's package `rustc-web`.
    pub debian_rustc: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            path: env::var_os("PATH").unwrap_or_default(),
            debian_rustc: PathBuf::from("/usr/bin/rustc"),
        }
    }
}

impl Machine {
    /// The first program called `name` on the path.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        env::split_paths(&self.path)
            .map(|folder| folder.join(name))
            .find(|candidate| is_program(candidate))
    }

    /// A command that starts `program` in a clean environment.
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

    /// What `program` prints when run with `arguments`, trimmed; `None` when it fails.
    #[must_use]
    pub fn ask(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
        let output = self.command(program).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }
}

fn is_program(path: &std::path::Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}

/// Whether a variable steers an outer build and would steer ours. What says where cargo keeps
/// its files and how it reaches the network stays.
fn leaks(name: &str) -> bool {
    const STAYS: [&str; 5] = [
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
        || (name.starts_with("CARGO_") && !STAYS.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_build_does_not_leak_and_the_users_network_settings_stay() {
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
        // Under `cargo test` this variable is set for sure.
        let command = Machine::default().command("x");
        assert!(
            command
                .get_envs()
                .any(|(name, value)| name == "CARGO_MANIFEST_DIR" && value.is_none())
        );
    }

    #[test]
    fn programs_are_found_on_the_path_given_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine {
            path: folder.path().into(),
            ..Machine::default()
        };
        assert_eq!(machine.find("cargo"), None);
        std::fs::write(folder.path().join("cargo"), "not executable").unwrap();
        #[cfg(unix)]
        assert_eq!(machine.find("cargo"), None);
    }
}
