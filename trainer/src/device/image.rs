//! One program for one board with one model built in: from sources to an ELF file.
//!
//! Images are linked with spare flash, so that one which is too large still exists and its
//! excess can be told to the byte; [`super::elf`] judges the fit. RAM has no spare (the stack
//! begins at its end), so too many static bytes there come back as [`ImageError::NoRoom`].
//! The compiler's whole output goes to a log file, its one useful line into the error.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rarefy_format::{Encoding, Layer, Model, Operation};

use super::boards::{Board, Runner};
use super::cache::Place;
use super::machine::Machine;
use super::process::{self, End, Flow, Limits, Output};
use super::toolchain::{Toolchain, ToolchainError};
use crate::artifact::{self, FileError};

/// What a program does on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the model on samples and tells logits, cost and stack.
    Measure,
    /// The same with the network as code.
    Straight,
    /// Checks every kernel against known answers, needing no workstation.
    SelfTest,
}

impl Role {
    fn program(self) -> &'static str {
        match self {
            Role::Measure => "measure",
            Role::Straight => "straight",
            Role::SelfTest => "selftest",
        }
    }
}

/// What to build.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) board: &'a Board,
    pub(crate) role: Role,
    /// The model and the inputs to run it on, one after the other; `None` for a program that
    /// brings its own.
    pub(crate) content: Option<(Model<'a>, &'a [u8])>,
    /// The same network as code, for [`Role::Straight`].
    pub(crate) code: Option<&'a str>,
}

/// A linked program, kept as long as this value lives.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    _folder: tempfile::TempDir,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing compiles for the board.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// Static data exceeds the board's RAM.
    #[error(
        "the program does not fit {board}: its static data exceeds the board's RAM by {over_by} bytes; use a smaller network or a larger board"
    )]
    NoRoom {
        /// The board.
        board: String,
        /// Bytes too many.
        over_by: u64,
    },
    /// The compiler or the linker refused.
    #[error("building the firmware for {board} failed: {line}; the whole output is in {log}")]
    Failed {
        /// The board.
        board: String,
        /// The most telling line of its output.
        line: String,
        /// Where the rest is.
        log: String,
    },
    /// The user does not want to wait.
    #[error("stopped while building the firmware")]
    Stopped,
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Builds programs for boards.
pub(crate) struct Builder<'a> {
    pub(crate) machine: &'a Machine,
    /// Where to build, instead of a folder inside the firmware workspace.
    pub(crate) target_folder: Option<&'a Path>,
    pub(crate) limits: Limits<'a>,
}

impl Builder<'_> {
    /// Compiles and links what `plan` says.
    pub(crate) fn build(&self, plan: Plan<'_>) -> Result<Image, ImageError> {
        let toolchain = Toolchain::find(self.machine, &plan.board.target)?;
        let target_folder = match self.target_folder {
            Some(folder) => folder.join(toolchain.target_folder()),
            None => plan.board.firmware.join(toolchain.target_folder()),
        };
        let work = target_folder.join("rarefy");
        artifact::create_folder(&work)?;
        let kept = place(&work, &toolchain, &plan);
        if let Some(program) = kept.as_ref().and_then(Place::find) {
            return Image::new(&plan, program);
        }
        let lock = self.lock(&work.join("lock"))?;

        let mut command = toolchain.build(self.machine);
        command
            .current_dir(&plan.board.firmware)
            .args([
                "--release",
                "--locked",
                "--color",
                "never",
                "--no-default-features",
            ])
            .args(["--bin", plan.role.program()])
            .args(["--features", &features(&plan)])
            .arg("--target-dir")
            .arg(&target_folder)
            .env("RAREFY_BOARD", &plan.board.name)
            .env("DEFMT_LOG", "info");
        if let Some((model, samples)) = plan.content {
            let model_path = work.join("model.rfy");
            let samples_path = work.join("samples.bin");
            update(&model_path, model.bytes())?;
            update(&samples_path, samples)?;
            let spare = (model.bytes().len() + samples.len()).next_multiple_of(1 << 20);
            command
                .env("RAREFY_MODEL", &model_path)
                .env("RAREFY_SAMPLES", &samples_path)
                .env("RAREFY_FLASH_SPARE", spare.to_string());
        }

        if let Some(code) = plan.code {
            let path = work.join("network.rs");
            update(&path, code.as_bytes())?;
            command.env("RAREFY_CODE", &path);
        }

        let mut output = Vec::new();
        let end = process::run(command, self.limits, |chunk| {
            let (Output::Stderr(bytes) | Output::Stdout(bytes)) = chunk;
            output.extend_from_slice(bytes);
            Flow::Continue
        })
        .map_err(|e| FileError::new("start", &toolchain.cargo, e))?;
        let output = String::from_utf8_lossy(&output);
        let log = work.join(format!("{}.log", plan.board.name));
        artifact::write(&log, output.as_bytes())?;
        match end {
            End::Exit(status) if status.success() => {}
            End::Exit(_) if ram_overflow(&output).is_some() => {
                let over_by = ram_overflow(&output).unwrap_or_default();
                return Err(ImageError::NoRoom {
                    board: plan.board.name.clone(),
                    over_by,
                });
            }
            End::Stopped => return Err(ImageError::Stopped),
            End::Exit(_) | End::Enough | End::TimedOut => {
                return Err(ImageError::Failed {
                    board: plan.board.name.clone(),
                    line: telling_line(&output),
                    log: log.display().to_string(),
                });
            }
        }

        let built = target_folder
            .join(&plan.board.target)
            .join("release")
            .join(plan.role.program());
        let bytes = artifact::read(&built)?;
        drop(lock);
        if let Some(kept) = kept {
            kept.keep(&bytes);
        }
        Image::new(&plan, bytes)
    }
}

impl Image {
    /// The program `bytes` in a file of its own, which no other build overwrites.
    fn new(plan: &Plan<'_>, bytes: Vec<u8>) -> Result<Self, ImageError> {
        let folder = tempfile::tempdir()
            .map_err(|e| FileError::new("create a folder in", &std::env::temp_dir(), e))?;
        let name = format!("{}-{}", plan.role.program(), plan.board.name);
        let path = folder.path().join(name);
        artifact::write(&path, &bytes)?;
        Ok(Self {
            path,
            bytes,
            _folder: folder,
        })
    }
}

/// Where the program that `plan` describes is kept.
fn place(work: &Path, toolchain: &Toolchain, plan: &Plan<'_>) -> Option<Place> {
    let content = plan
        .content
        .map(|(model, samples)| (model.bytes(), samples));
    let (model, samples) = content.unwrap_or_default();
    let features = features(plan);
    let parts: [&[u8]; 9] = [
        toolchain.cargo.as_os_str().as_encoded_bytes(),
        toolchain.build.as_bytes(),
        plan.board.name.as_bytes(),
        plan.role.program().as_bytes(),
        features.as_bytes(),
        &[
            u8::from(plan.content.is_some()),
            u8::from(plan.code.is_some()),
        ],
        model,
        samples,
        plan.code.unwrap_or_default().as_bytes(),
    ];
    Place::new(&work.join("images"), &plan.board.firmware, &parts)
}

impl Builder<'_> {
    /// Waits until no other build uses the folder: two at a time would swap models and programs
    /// under each other's hands. The lock ends with the file's handle.
    fn lock(&self, path: &Path) -> Result<File, ImageError> {
        let file = File::create(path).map_err(|e| FileError::new("create", path, e))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(FileError::new("lock", path, e).into()),
                Err(TryLockError::WouldBlock) if self.limits.stopped() => {
                    return Err(ImageError::Stopped);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// The transport, and of the engine what the model needs and nothing else; all of it for a program
/// that brings its own models.
fn features(plan: &Plan<'_>) -> String {
    let transport = match plan.board.runner {
        Runner::Emulator { .. } => "semihosting",
        Runner::Probe { .. } => "rtt",
    };
    let needed = |need: &dyn Fn(&Layer<'_>) -> bool| {
        plan.content
            .is_none_or(|(model, _)| model.layers().any(|layer| need(&layer)))
    };
    let mut features = vec![transport];
    if plan.code.is_some() {
        features.push("code");
        return features.join(",");
    }
    for encoding in Encoding::ALL {
        if needed(&|layer| layer.encoding() == encoding) {
            features.push(encoding.name());
        }
    }
    if needed(&|layer| !matches!(layer.operation(), Operation::Dense)) {
        features.push("maps");
    }
    if needed(&|layer| layer.links().is_some()) {
        features.push("residual");
    }
    features.join(",")
}

/// Writes `bytes` unless the file already holds them: cargo goes by the time of writing.
fn update(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    artifact::write(path, bytes)
}

/// How far the static data exceeds RAM, when that is what the linker says.
fn ram_overflow(output: &str) -> Option<u64> {
    const SAYS: &str = "will not fit in region 'RAM': overflowed by ";
    output
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(SAYS)?;
            rest.split(' ').next()?.parse().ok()
        })
        .max()
}

/// The line that tells a person most: a build script's message, the first error, the last line.
fn telling_line(output: &str) -> String {
    let mut lines = output.lines();
    let panic = lines
        .find(|line| line.contains("panicked at"))
        .and_then(|_| lines.next());
    let error = || {
        output.lines().find(|line| {
            line.starts_with("error")
                && !line.contains("linking with")
                && !line.contains("could not compile")
        })
    };
    let linker = || {
        output
            .lines()
            .find(|line| line.contains("rust-lld: error: "))
    };
    panic
        .or_else(linker)
        .or_else(error)
        .or_else(|| output.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("the compiler said nothing")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_complaint_about_ram_becomes_bytes() {
        let output = "  = note: rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 4096 bytes\n  rust-lld: error: section '.uninit' will not fit in region 'RAM': overflowed by 5120 bytes\n";
        assert_eq!(ram_overflow(output), Some(5120));
        assert_eq!(
            ram_overflow("rust-lld: error: undefined symbol: main"),
            None
        );
    }

    #[test]
    fn the_most_telling_line_is_found() {
        let script = "error: failed to run custom build command\n  --- stderr\n  thread 'main' panicked at build.rs:1:1:\n  set RAREFY_BOARD\n  note: run with";
        assert_eq!(telling_line(script), "set RAREFY_BOARD");
        let compile = "   Compiling x\nerror[E0425]: cannot find y\nerror: could not compile `x`\n";
        assert_eq!(telling_line(compile), "error[E0425]: cannot find y");
        let link =
            "error: linking with `l` failed\n  = note: rust-lld: error: undefined symbol: main\n";
        assert_eq!(
            telling_line(link),
            "= note: rust-lld: error: undefined symbol: main"
        );
        assert_eq!(telling_line("\n\n"), "the compiler said nothing");
    }
}
