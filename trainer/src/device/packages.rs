//! Installs packages with the workstation's package manager: apt-get, Homebrew or winget.

use std::process::Command;

use super::machine::Machine;
use super::process::{self, End, Flow, Limits};

/// Why packages could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The user may not install packages.
    #[error("installing packages needs root; run {command}")]
    NotAllowed {
        /// Command to run.
        command: String,
    },
    /// An installer failed.
    #[error("`{command}` failed: {line}")]
    Failed {
        /// Command that failed.
        command: String,
        /// Most useful line of its output.
        line: String,
    },
    /// The installation was stopped.
    #[error("stopped while installing")]
    Stopped,
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    /// Debian and its derivatives.
    AptGet,
    /// Homebrew, on macOS and Linux.
    Brew,
    /// Windows.
    Winget,
}

impl Manager {
    /// Finds the package manager of `machine`.
    pub(super) fn find(machine: &Machine) -> Option<Self> {
        [Self::AptGet, Self::Brew, Self::Winget]
            .into_iter()
            .find(|manager| machine.find(manager.program()).is_some())
    }

    fn program(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::Brew => "brew",
            Self::Winget => "winget",
        }
    }

    /// Returns the packages that contain a compiler for the boards; none if rustup is the only
    /// source.
    pub(super) fn compiler(self) -> &'static [&'static str] {
        match self {
            Self::AptGet => &["rustc-web", "rust-web-src"],
            Self::Brew | Self::Winget => &[],
        }
    }

    /// Returns the package that contains the given emulator, one of those that
    /// [`Board::emulator`](super::boards::Board::emulator) returns.
    pub(super) fn emulator(self, machine: &Machine, program: &str) -> &'static str {
        match self {
            Self::AptGet if program == "qemu-system-arm" => "qemu-system-arm",
            // Debian 12 has no package for RISC-V alone.
            Self::AptGet => {
                let apt_cache = machine.find("apt-cache");
                let show = |path| machine.ask(path, &["show", "qemu-system-riscv"]);
                match apt_cache.and_then(show) {
                    Some(_) => "qemu-system-riscv",
                    None => "qemu-system-misc",
                }
            }
            Self::Brew => "qemu",
            Self::Winget => "SoftwareFreedomConservancy.QEMU",
        }
    }

    /// Returns the arguments that install packages.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::AptGet => &["install", "--no-install-recommends"],
            Self::Brew => &["install"],
            Self::Winget => &["install", "--exact", "--id"],
        }
    }

    /// Returns the command line that installs `packages`, as a user would type it.
    pub(super) fn command_line(self, packages: &[&str]) -> String {
        let words = [&[self.program()], self.arguments(), packages].concat();
        words.join(" ")
    }

    /// Installs `packages`. `progress` receives each command line before it is run.
    pub(super) fn install(
        self,
        machine: &Machine,
        packages: &[&str],
        limits: Limits<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), InstallError> {
        let command_line = self.command_line(packages);
        let unattended: &[&str] = match self {
            Self::AptGet => {
                let apt_get = AptGet::new(machine, &command_line)?;
                progress("apt-get update");
                // Installing may succeed even with an outdated index.
                match execute(apt_get.command(&["update", "-q"]), limits) {
                    Err(InstallError::Stopped) => return Err(InstallError::Stopped),
                    Err(error) => progress(&error.to_string()),
                    Ok(()) => {}
                }
                progress(&command_line);
                let arguments = [self.arguments(), &["-y", "-q"], packages].concat();
                return execute(apt_get.command(&arguments), limits);
            }
            Self::Brew => &[],
            Self::Winget => &["--accept-package-agreements", "--accept-source-agreements"],
        };
        progress(&command_line);
        let program = machine.find(self.program());
        let mut command = machine.command(program.unwrap_or_else(|| self.program().into()));
        command.args([self.arguments(), packages, unattended].concat());
        execute(command, limits)
    }
}

/// Runs apt-get as root.
struct AptGet<'m> {
    machine: &'m Machine,
    /// The command line up to and including `apt-get`.
    prefix: Vec<String>,
}

impl<'m> AptGet<'m> {
    /// Finds a way to run apt-get as root. The error proposes `command_line` with sudo.
    fn new(machine: &'m Machine, command_line: &str) -> Result<Self, InstallError> {
        let user = machine.find("id").and_then(|id| machine.ask(id, &["-u"]));
        let path = |name: &str| {
            let path = machine.find(name)?;
            Some(path.to_string_lossy().into_owned())
        };
        let apt_get = path("apt-get").unwrap_or_else(|| "apt-get".to_owned());
        if user.as_deref() == Some("0") {
            let prefix = vec![apt_get];
            return Ok(Self { machine, prefix });
        }
        let sudo = path("sudo").filter(|sudo| machine.ask(sudo, &["-n", "true"]).is_some());
        let Some(sudo) = sudo else {
            return Err(InstallError::NotAllowed {
                command: format!("`sudo apt-get update && sudo {command_line}`"),
            });
        };
        let environment = ["-n", "env", "DEBIAN_FRONTEND=noninteractive"].map(str::to_owned);
        let prefix = [vec![sudo], environment.into(), vec![apt_get]].concat();
        Ok(Self { machine, prefix })
    }

    /// Returns the command `apt-get` with `arguments`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(&self.prefix[0]);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(&self.prefix[1..])
            .args(arguments);
        command
    }
}

/// Runs an installer until it exits.
pub(super) fn execute(command: Command, limits: Limits<'_>) -> Result<(), InstallError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let failed = |line: String| InstallError::Failed {
        command: words.join(" "),
        line,
    };
    let mut output = Vec::new();
    let end = process::run_unwatched(command, limits, |chunk| {
        output.extend_from_slice(chunk.bytes());
        Flow::Continue
    })
    .map_err(|e| failed(e.to_string()))?;
    match end {
        End::Exit(status) if status.success() => Ok(()),
        End::Stopped => Err(InstallError::Stopped),
        End::Exit(status) => {
            let output = String::from_utf8_lossy(&output);
            // Prefixes of errors: apt's, rustup's, Homebrew's.
            let is_error = |line: &&str| {
                ["E:", "error:", "Error:"]
                    .iter()
                    .any(|p| line.starts_with(p))
            };
            let line = output
                .lines()
                .find(is_error)
                .or_else(|| output.lines().rfind(|line| !line.trim().is_empty()))
                .map_or_else(|| status.to_string(), |line| line.trim().to_owned());
            Err(failed(line))
        }
        End::Enough | End::TimedOut => Err(failed("it did not end".to_owned())),
    }
}
