//! Installs what measuring needs and the workstation lacks.
//!
//! Measuring needs a compiler for each board's target, and the emulator. Targets are installed
//! with rustup; if rustup is missing or fails, Debian's packages are an alternative. The emulator
//! is installed with apt-get (as root, or with sudo if it needs no password), Homebrew or winget.
//! Each command is announced before it is run.

use std::sync::atomic::AtomicBool;

use super::boards::Board;
use super::machine::Machine;
use super::packages::{InstallError, Manager, execute};
use super::process::Limits;
use super::toolchain::{Toolchain, ToolchainError};

/// Missing tools, as found by [`Setup::plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    targets: Vec<String>,
    missing_targets: Vec<String>,
    missing_emulators: Vec<&'static str>,
    /// The packages that contain the missing emulators.
    emulator_packages: Vec<&'static str>,
    manager: Option<Manager>,
}

/// Why tools are still missing.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Cargo is not installed.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// An installer could not be run or failed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// There is no rustup to install targets with.
    #[error(
        "{missing} must be installed with rustup, which is not on the PATH; install Rust from \
         https://rustup.rs"
    )]
    NoRustup {
        /// Missing targets.
        missing: String,
    },
    /// There is no supported package manager.
    #[error(
        "{missing} must be installed by hand, because no apt-get, brew or winget is on the PATH: \
         see https://www.qemu.org/download for QEMU and https://rustup.rs for targets"
    )]
    NoPackages {
        /// Missing tools.
        missing: String,
    },
    /// All installers succeeded, but tools are still missing.
    #[error(
        "still missing after installation: {missing}; install by hand, and add programs to the PATH"
    )]
    StillMissing {
        /// Missing tools.
        missing: String,
    },
}

impl Setup {
    /// Determines what `boards` need and `machine` lacks. Changes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if cargo is not installed.
    pub fn plan<'b>(
        machine: &Machine,
        boards: impl IntoIterator<Item = &'b Board>,
    ) -> Result<Self, SetupError> {
        let (mut targets, mut emulators) = (Vec::new(), Vec::new());
        for board in boards {
            targets.push(board.target.clone());
            if board.emulated() {
                emulators.push(board.emulator());
            }
        }
        targets.sort();
        targets.dedup();
        let missing_targets = missing_targets(machine, &targets)?;
        let missing_emulators = missing_emulators(machine, emulators);
        let manager = Manager::find(machine);
        let package = |program: &&'static str| Some(manager?.emulator(machine, program));
        let mut emulator_packages: Vec<_> = missing_emulators.iter().filter_map(package).collect();
        emulator_packages.dedup();
        Ok(Self {
            targets,
            missing_targets,
            missing_emulators,
            emulator_packages,
            manager,
        })
    }

    /// Returns `true` if nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_targets.is_empty() && self.missing_emulators.is_empty()
    }

    /// Describes what [`Setup::apply`] would do, one line per step.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if !self.missing_targets.is_empty() {
            let mut step = format!("rustup target add {}", self.missing_targets.join(" "));
            if let Some(manager) = self.manager
                && !manager.compiler().is_empty()
            {
                let packages = manager.command_line(manager.compiler());
                step += &format!("; if that fails, {packages}");
            }
            steps.push(step);
        }
        if !self.missing_emulators.is_empty() {
            let programs = self.missing_emulators.join(" and ");
            steps.push(match self.manager {
                Some(manager) => manager.command_line(&self.emulator_packages),
                None => format!("install {programs} by hand: https://www.qemu.org/download"),
            });
        }
        steps
    }

    /// Installs what is missing. `progress` receives each command line before it is run.
    ///
    /// # Errors
    ///
    /// Returns an error, which says what to do instead, if a tool cannot be installed.
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
        let packages = self.packages_after_rustup(machine, limits, progress)?;
        if let Some(manager) = self.manager
            && !packages.is_empty()
        {
            manager.install(machine, &packages, limits, progress)?;
        }
        let mut missing = missing_targets(machine, &self.targets)?;
        let emulators = missing_emulators(machine, self.missing_emulators.clone());
        missing.extend(emulators.into_iter().map(str::to_owned));
        if missing.is_empty() {
            Ok(())
        } else {
            let missing = missing.join(", ");
            Err(SetupError::StillMissing { missing })
        }
    }

    /// Adds targets with rustup, and returns the packages that are then still needed.
    fn packages_after_rustup(
        &self,
        machine: &Machine,
        limits: Limits<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<&'static str>, SetupError> {
        let mut missing = self.missing_targets.clone();
        let mut failure = None;
        if !missing.is_empty()
            && let Some(rustup) = machine.find("rustup")
        {
            progress(&format!("rustup target add {}", missing.join(" ")));
            let mut command = machine.command(rustup);
            command.args(["target", "add"]).args(&missing);
            match execute(command, limits) {
                Ok(()) => {}
                Err(InstallError::Stopped) => return Err(InstallError::Stopped.into()),
                Err(error) => {
                    progress(&error.to_string());
                    failure = Some(error);
                }
            }
            missing = missing_targets(machine, &self.targets)?;
        }
        let mut packages = Vec::new();
        let compiler = self.manager.map_or(&[][..], Manager::compiler);
        match failure {
            _ if missing.is_empty() => {}
            Some(error) if compiler.is_empty() => return Err(error.into()),
            None if compiler.is_empty() && self.manager.is_some() => {
                let missing = missing.join(", ");
                return Err(SetupError::NoRustup { missing });
            }
            _ => packages.extend(compiler),
        }
        match self.manager {
            Some(_) => packages.extend(&self.emulator_packages),
            None if !self.missing_emulators.is_empty() || !missing.is_empty() => {
                missing.extend(self.missing_emulators.iter().map(|&name| name.to_owned()));
                let missing = missing.join(", ");
                return Err(SetupError::NoPackages { missing });
            }
            None => {}
        }
        Ok(packages)
    }
}

/// Returns those of `targets` for which `machine` has no compiler.
fn missing_targets(machine: &Machine, targets: &[String]) -> Result<Vec<String>, SetupError> {
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

/// Returns those of `emulators` that are not on the path, sorted, each once.
fn missing_emulators(machine: &Machine, mut emulators: Vec<&'static str>) -> Vec<&'static str> {
    emulators.sort_unstable();
    emulators.dedup();
    emulators.retain(|program| machine.find(program).is_none());
    emulators
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::super::boards::Boards;
    use super::super::firmware::firmware_folder;
    use super::*;

    /// A workstation whose only tools are shell scripts.
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

    /// A script in place of apt-get that installs Debian's compiler, its sources, a linker and the
    /// emulator.
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
        cp $TOOLS/cargo $TOOLS/qemu-system-riscv32
        chmod +x $TOOLS/debian-rustc"#;

    #[test]
    fn debians_packages_are_installed_once_if_rustup_fails() {
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
            said.contains("rustup target add riscv32imac-unknown-none-elf thumbv6m-none-eabi")
                && said.contains("no network"),
            "{said}"
        );
        assert!(
            said.contains(
                "--no-install-recommends rustc-web rust-web-src qemu-system-arm qemu-system-misc"
            ),
            "{said}"
        );
        let log = fs::read_to_string(workstation.folder().join("apt.log")).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");

        // Nothing is missing now, so nothing is done.
        assert!(workstation.plan().is_complete());
        let (result, said) = workstation.apply();
        result.unwrap();
        assert_eq!(said, "");
    }

    #[test]
    fn a_user_without_root_is_told_what_to_run() {
        let workstation = Workstation::new();
        workstation.put("id", "echo 1000");
        workstation.put("apt-get", "exit 100");
        let (result, _) = workstation.apply();
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("sudo apt-get update && sudo apt-get install"),
            "{error}"
        );
        // The same holds if sudo asks for a password.
        workstation.put("sudo", "exit 1");
        assert!(matches!(
            workstation.apply().0,
            Err(SetupError::Install(InstallError::NotAllowed { .. }))
        ));
    }

    #[test]
    fn brew_and_winget_install_the_emulator_and_leave_targets_to_rustup() {
        for (manager, expected) in [
            ("brew", "brew install qemu"),
            (
                "winget",
                "winget install --exact --id SoftwareFreedomConservancy.QEMU",
            ),
        ] {
            let workstation = Workstation::new();
            workstation.put(
                manager,
                "for e in arm riscv32; do cp $TOOLS/cargo $TOOLS/qemu-system-$e; done",
            );
            let steps = workstation.plan().steps();
            assert_eq!(steps[1], expected);
            assert!(!steps[0].contains("if that fails"), "{steps:?}");

            let error = workstation.apply().0.unwrap_err();
            assert!(matches!(error, SetupError::NoRustup { .. }), "{error}");
            workstation.put("rustup", "echo 'error: no network' >&2; exit 1");
            let error = workstation.apply().0.unwrap_err().to_string();
            assert!(error.contains("no network"), "{error}");

            // This rustup adds the targets, so that rustc then has them.
            let add = "mkdir -p $TOOLS/lib; touch $TOOLS/lib/libcore-1.rlib";
            workstation.put("rustc", "echo $TOOLS/lib");
            workstation.put("rustup", add);
            let (result, said) = workstation.apply();
            result.unwrap();
            assert!(said.contains(expected), "{said}");
            assert!(workstation.plan().is_complete());
        }
    }

    #[test]
    fn installers_that_fail_or_install_nothing_are_reported() {
        let workstation = Workstation::new();
        workstation.put("id", "echo 0");
        let (result, _) = workstation.apply();
        let error = result.unwrap_err();
        assert!(matches!(error, SetupError::NoPackages { .. }), "{error}");
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
