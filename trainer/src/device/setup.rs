//! Installing what measuring needs and this workstation lacks.
//!
//! What is needed: a compiler for each board's target, and the emulator. A target is asked of
//! rustup first; where rustup is missing or fails, Debian's packages are installed, which
//! takes root (or sudo without a password). Everything is said before it is done, and nothing
//! is done when nothing is missing. Refuses, with the command to type, where it may not
//! install or nothing helps.

use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::boards::{Board, Runner};
use super::machine::Machine;
use super::process::{self, End, Flow, Limits};
use super::toolchain::{Toolchain, ToolchainError};

/// Debian's packages for compiling.
const COMPILER: [&str; 2] = ["rustc-web", "rust-web-src"];
/// Debian's package for emulating.
const EMULATOR: &str = "qemu-system-arm";

/// What is missing, found by [`Setup::plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    machine_targets: Vec<String>,
    missing_targets: Vec<String>,
    missing_emulator: bool,
}

/// Why something is still missing.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no cargo to begin with.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// No right to install.
    #[error("installing needs root; type: {command}")]
    NotAllowed {
        /// What to type.
        command: String,
    },
    /// No package manager that we know.
    #[error("{missing} must be installed by hand: there is no apt-get here")]
    NoPackages {
        /// What is missing.
        missing: String,
    },
    /// The installer failed.
    #[error("`{command}` failed: {line}")]
    Failed {
        /// What was run.
        command: String,
        /// Its last words.
        line: String,
    },
    /// The installer succeeded, yet something is missing.
    #[error(
        "{missing} is still missing after installing; install it by hand and check that the PATH leads to it"
    )]
    StillMissing {
        /// What is missing.
        missing: String,
    },
    /// The user does not want to wait.
    #[error("stopped while installing")]
    Stopped,
}

impl Setup {
    /// Finds out what `boards` need and `machine` lacks; changes nothing.
    ///
    /// # Errors
    /// When there is no cargo.
    pub fn plan<'b>(
        machine: &Machine,
        boards: impl IntoIterator<Item = &'b Board>,
    ) -> Result<Self, SetupError> {
        let (mut targets, mut emulated) = (Vec::new(), false);
        for board in boards {
            targets.push(board.target.clone());
            emulated |= matches!(board.runner, Runner::Emulator { .. });
        }
        targets.sort();
        targets.dedup();
        let missing_targets = lacking(machine, &targets)?;
        Ok(Self {
            machine_targets: targets,
            missing_targets,
            missing_emulator: emulated && machine.find(EMULATOR).is_none(),
        })
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_targets.is_empty() && !self.missing_emulator
    }

    /// What [`Setup::apply`] would do, one step a line.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if !self.missing_targets.is_empty() {
            steps.push(format!(
                "rustup target add {}; where that fails, {}",
                self.missing_targets.join(" "),
                install(&COMPILER)
            ));
        }
        if self.missing_emulator {
            steps.push(install(&[EMULATOR]));
        }
        steps
    }

    /// Installs what is missing, telling `progress` each step before it is taken.
    ///
    /// # Errors
    /// When something cannot be installed; the error says what to type instead.
    pub fn apply(
        &self,
        machine: &Machine,
        stop: Option<&AtomicBool>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), SetupError> {
        let limits = Limits {
            timeout: None,
            stop,
        };
        if self.is_complete() {
            return Ok(());
        }
        let mut missing = self.missing_targets.clone();
        if !missing.is_empty()
            && let Some(rustup) = machine.find("rustup")
        {
            progress(&format!("rustup target add {}", missing.join(" ")));
            let mut command = machine.command(rustup);
            command.args(["target", "add"]).args(&missing);
            match execute(command, limits) {
                Ok(()) => {}
                Err(SetupError::Stopped) => return Err(SetupError::Stopped),
                Err(error) => progress(&format!(
                    "rustup cannot ({error}); trying Debian's packages"
                )),
            }
            missing = lacking(machine, &self.machine_targets)?;
        }
        let mut packages = Vec::new();
        if !missing.is_empty() {
            packages.extend(COMPILER);
        }
        if self.missing_emulator {
            packages.push(EMULATOR);
        }
        if !packages.is_empty() {
            install_packages(machine, limits, &packages, progress)?;
        }
        let mut still = lacking(machine, &self.machine_targets)?;
        if self.missing_emulator && machine.find(EMULATOR).is_none() {
            still.push(EMULATOR.to_owned());
        }
        if still.is_empty() {
            Ok(())
        } else {
            Err(SetupError::StillMissing {
                missing: still.join(", "),
            })
        }
    }
}

/// The targets that nothing here compiles for.
fn lacking(machine: &Machine, targets: &[String]) -> Result<Vec<String>, SetupError> {
    let mut missing = Vec::new();
    for target in targets {
        match Toolchain::find(machine, target) {
            Ok(_) => {}
            Err(ToolchainError::NoTarget { .. }) => missing.push(target.clone()),
            Err(error @ ToolchainError::NoCargo) => return Err(error.into()),
        }
    }
    Ok(missing)
}

/// The command that installs `packages`, as a person would type it.
fn install(packages: &[&str]) -> String {
    format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

fn install_packages(
    machine: &Machine,
    limits: Limits<'_>,
    packages: &[&str],
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    let Some(apt) = machine.find("apt-get") else {
        return Err(SetupError::NoPackages {
            missing: packages.join(", "),
        });
    };
    let root = machine
        .find("id")
        .and_then(|id| machine.ask(id, &["-u"]))
        .as_deref()
        == Some("0");
    let sudo = (!root)
        .then(|| machine.find("sudo"))
        .flatten()
        .filter(|sudo| machine.ask(sudo, &["-n", "true"]).is_some());
    if !root && sudo.is_none() {
        let command = format!("sudo apt-get update && sudo {}", install(packages));
        return Err(SetupError::NotAllowed { command });
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = match &sudo {
            Some(sudo) => {
                let mut command = machine.command(sudo);
                command
                    .args(["-n", "env", "DEBIAN_FRONTEND=noninteractive"])
                    .arg(&apt);
                command
            }
            None => machine.command(&apt),
        };
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments);
        command
    };
    progress("apt-get update");
    // An old index may still do: installing tells.
    match execute(apt_get(&["update", "-q"]), limits) {
        Err(SetupError::Stopped) => return Err(SetupError::Stopped),
        Err(error) => progress(&error.to_string()),
        Ok(()) => {}
    }
    progress(&install(packages));
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(packages);
    execute(apt_get(&arguments), limits)
}

/// Runs an installer to its end.
fn execute(command: Command, limits: Limits<'_>) -> Result<(), SetupError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let typed: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let failed = |line: String| SetupError::Failed {
        command: typed.join(" "),
        line,
    };
    let mut said = Vec::new();
    let end = process::run_unwatched(command, limits, |chunk| {
        let (process::Output::Stdout(bytes) | process::Output::Stderr(bytes)) = chunk;
        said.extend_from_slice(bytes);
        Flow::Continue
    })
    .map_err(|e| failed(e.to_string()))?;
    match end {
        End::Exit(status) if status.success() => Ok(()),
        End::Stopped => Err(SetupError::Stopped),
        End::Exit(status) => {
            let said = String::from_utf8_lossy(&said);
            // apt begins the lines that matter with `E:`, rustup with `error:`.
            let line = said
                .lines()
                .find(|line| line.starts_with("E:") || line.starts_with("error:"))
                .or_else(|| said.lines().rfind(|line| !line.trim().is_empty()))
                .map_or_else(|| status.to_string(), |line| line.trim().to_owned());
            Err(failed(line))
        }
        End::Enough | End::TimedOut => Err(failed("it did not end".to_owned())),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::boards::{Boards, firmware_folder};
    use super::*;

    /// A workstation of scripts: nothing but what is put into it is there.
    struct Workstation(tempfile::TempDir);

    impl Workstation {
        fn new() -> Self {
            let this = Self(tempfile::tempdir().unwrap());
            this.put("cargo", "exit 0");
            this
        }

        fn folder(&self) -> &Path {
            self.0.path()
        }

        fn put(&self, name: &str, script: &str) {
            let path = self.folder().join(name);
            let tools = self.folder().display();
            let text = format!("#!/bin/sh\nTOOLS={tools}\nPATH=/usr/bin:/bin\n{script}\n");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn machine(&self) -> Machine {
            let debian_rustc = self.folder().join("debian-rustc");
            Machine {
                path: self.folder().into(),
                debian_rustc,
            }
        }

        fn plan(&self) -> Setup {
            let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
            Setup::plan(&self.machine(), boards.iter()).unwrap()
        }

        fn apply(&self) -> (Result<(), SetupError>, String) {
            let mut said = String::new();
            let result = self.plan().apply(&self.machine(), None, &mut |line| {
                said.push_str(line);
                said.push('\n');
            });
            (result, said)
        }
    }

    /// An apt-get that brings Debian's compiler, its sources, a linker and the emulator.
    const APT_GET: &str = r#"
        echo "$@" >> $TOOLS/apt.log
        case "$*" in update*) exit 0;; esac
        LIB=$TOOLS/root/lib/rustlib
        mkdir -p $LIB/src/rust/library/core $LIB/host/bin
        touch $LIB/src/rust/library/core/Cargo.toml $LIB/host/bin/rust-lld
        cat > $TOOLS/debian-rustc <<END
#!/bin/sh
case "\$*" in
  "--print sysroot") echo $TOOLS/root;;
  *) echo "release: 1.96.0"; echo "host: host";;
esac
END
        cp $TOOLS/cargo $TOOLS/qemu-system-arm
        chmod +x $TOOLS/debian-rustc"#;

    #[test]
    fn where_rustup_fails_debians_packages_are_installed_once() {
        let workstation = Workstation::new();
        workstation.put("rustup", "echo 'error: no network' >&2; exit 1");
        workstation.put("id", "echo 0");
        workstation.put("apt-get", APT_GET);
        let plan = workstation.plan();
        assert!(!plan.is_complete());
        let steps = plan.steps().join("\n");
        assert!(
            steps.contains("rustup target add") && steps.contains("qemu-system-arm"),
            "{steps}"
        );

        let (result, said) = workstation.apply();
        result.unwrap();
        assert!(
            said.contains("rustup cannot") && said.contains("no network"),
            "{said}"
        );
        assert!(
            said.contains("--no-install-recommends rustc-web rust-web-src qemu-system-arm"),
            "{said}"
        );
        let log = fs::read_to_string(workstation.folder().join("apt.log")).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");

        // Now nothing is missing, so nothing is done.
        assert!(workstation.plan().is_complete());
        let (result, said) = workstation.apply();
        result.unwrap();
        assert_eq!(said, "");
    }

    #[test]
    fn whoever_may_not_install_is_told_what_to_type() {
        let workstation = Workstation::new();
        workstation.put("id", "echo 1000");
        workstation.put("apt-get", "exit 100");
        let (result, _) = workstation.apply();
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("sudo apt-get update && sudo apt-get install"),
            "{error}"
        );
        // With a sudo that wants a password it is the same.
        workstation.put("sudo", "exit 1");
        assert!(matches!(
            workstation.apply().0,
            Err(SetupError::NotAllowed { .. })
        ));
    }

    #[test]
    fn installers_that_fail_or_bring_nothing_are_reported() {
        let workstation = Workstation::new();
        workstation.put("id", "echo 0");
        let (result, _) = workstation.apply();
        assert!(matches!(result, Err(SetupError::NoPackages { .. })));
        workstation.put(
            "apt-get",
            "echo 'E: Unable to locate package' >&2; echo more >&2; exit 100",
        );
        let error = workstation.apply().0.unwrap_err().to_string();
        assert!(error.contains("Unable to locate package"), "{error}");
        workstation.put("apt-get", "exit 0");
        let error = workstation.apply().0.unwrap_err().to_string();
        assert!(
            error.contains("thumbv6m-none-eabi") && error.contains("still missing"),
            "{error}"
        );
    }
}
