//! Firmware images: builds the program for a board, including its model, as an ELF file.
//!
//! The linker is given spare flash, so that a program too large for its board still links and its
//! excess is known exactly; [`footprint`](mod@super::footprint) checks the fit. It is given no
//! spare RAM, because the stack starts at the end of RAM; too much static data is reported as
//! [`ImageError::NoRoom`]. The compiler's output is written to a log file, and its most useful line
//! becomes part of the error.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rarefy_format::Model;

use super::boards::{Board, Runner};
use super::cache::Entry;
use super::chip_folder;
use super::features::engine_features;
use super::machine::Machine;
use super::process::{self, End, Flow, Limits};
use super::toolchain::{Toolchain, ToolchainError};
use crate::atomic::{self, FileError};

/// A program of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the model on samples and logs logits, cost and stack use.
    Measure,
    /// Does the same with the network emitted as Rust code.
    Straight,
    /// Checks every kernel against built-in answers, without a workstation.
    SelfTest,
}

impl Role {
    /// Returns the name of the program's binary target.
    fn program(self) -> &'static str {
        match self {
            Role::Measure => "measure",
            Role::Straight => "straight",
            Role::SelfTest => "selftest",
        }
    }
}

/// Description of the program to build.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) board: &'a Board,
    pub(crate) role: Role,
    /// The model and the concatenated inputs to run it on; `None` for [`Role::SelfTest`].
    pub(crate) content: Option<(Model<'a>, &'a [u8])>,
    /// The same network emitted as Rust, for [`Role::Straight`].
    pub(crate) code: Option<&'a str>,
}

/// A linked program, deleted when this value is dropped.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    _folder: tempfile::TempDir,
}

/// Why a program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No compiler for the board was found.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// Static data exceeds the board's RAM.
    #[error(
        "the program does not fit {board}: its static data exceeds the board's RAM by {over_by} bytes; use a smaller network or a larger board"
    )]
    NoRoom {
        /// Name of the board.
        board: String,
        /// Missing bytes of RAM.
        over_by: u64,
    },
    /// The compiler or the linker failed.
    #[error("building the firmware for {board} failed: {line}; the whole output is in {log}")]
    Failed {
        /// Name of the board.
        board: String,
        /// Most useful line of the output.
        line: String,
        /// Path of the log file with the whole output.
        log: String,
    },
    /// The build was stopped.
    #[error("stopped while building the firmware")]
    Stopped,
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Builds programs for boards.
pub(crate) struct Builder<'a> {
    pub(crate) machine: &'a Machine,
    /// Folder for build outputs; `None` selects one inside the firmware workspace.
    pub(crate) target_folder: Option<&'a Path>,
    pub(crate) limits: Limits<'a>,
}

impl Builder<'_> {
    /// Builds the program of `plan`, or takes it from the cache.
    pub(crate) fn build(&self, plan: Plan<'_>) -> Result<Image, ImageError> {
        let toolchain = Toolchain::find(self.machine, &plan.board.target)?;
        let target_folder = match self.target_folder {
            Some(folder) => folder.join(toolchain.target_folder()),
            None => plan.board.firmware.join(toolchain.target_folder()),
        };
        let work = target_folder.join("rarefy");
        atomic::create_folder(&work)?;
        let cached = cache_entry(&work, &toolchain, &plan);
        if let Some(program) = cached.as_ref().and_then(Entry::get) {
            return Image::new(&plan, program);
        }
        let lock = self.lock(&work.join("lock"))?;
        let mut command = toolchain.build(self.machine);
        command
            .current_dir(&plan.board.firmware)
            .args(["--release", "--locked", "--color", "never"])
            .args(["--no-default-features", "--features", &features(&plan)])
            .args(["--bin", plan.role.program()])
            .arg("--target-dir")
            .arg(&target_folder)
            .env("RAREFY_BOARD", chip_folder::select(plan.board, &work)?)
            .env("DEFMT_LOG", "info");
        provide_content(&mut command, &plan, &work)?;
        self.compile(command, plan.board, &work)?;

        let built = target_folder
            .join(&plan.board.target)
            .join("release")
            .join(plan.role.program());
        let program = atomic::read(&built)?;
        drop(lock);
        if let Some(entry) = cached {
            entry.put(&program);
        }
        Image::new(&plan, program)
    }

    /// Runs `command`, which compiles for `board`, and writes its output to a log file in `work`.
    fn compile(&self, command: Command, board: &Board, work: &Path) -> Result<(), ImageError> {
        let cargo = PathBuf::from(command.get_program());
        let mut output = Vec::new();
        let end = process::run(command, self.limits, |chunk| {
            output.extend_from_slice(chunk.bytes());
            Flow::Continue
        })
        .map_err(|e| FileError::new("start", &cargo, e))?;
        let output = String::from_utf8_lossy(&output);
        let log = work.join(format!("{}.log", board.name));
        atomic::write(&log, output.as_bytes())?;
        let board = board.name.clone();
        match end {
            End::Exit(status) if status.success() => Ok(()),
            End::Stopped => Err(ImageError::Stopped),
            End::Exit(_) | End::Enough | End::TimedOut => Err(match ram_overflow(&output) {
                Some(over_by) => ImageError::NoRoom { board, over_by },
                None => ImageError::Failed {
                    board,
                    line: most_useful_line(&output),
                    log: log.display().to_string(),
                },
            }),
        }
    }

    /// Locks the folder, waiting until no other build uses it: concurrent builds would overwrite
    /// each other's models and programs. Dropping the returned file releases the lock.
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

impl Image {
    /// Writes `bytes` to a temporary file, which no other build overwrites.
    fn new(plan: &Plan<'_>, bytes: Vec<u8>) -> Result<Self, ImageError> {
        let folder = tempfile::tempdir()
            .map_err(|e| FileError::new("create a folder in", &std::env::temp_dir(), e))?;
        let name = format!("{}-{}", plan.role.program(), plan.board.name);
        let path = folder.path().join(name);
        atomic::write(&path, &bytes)?;
        Ok(Self {
            path,
            bytes,
            _folder: folder,
        })
    }
}

/// Writes the model, the samples and the code of `plan` to files in `work`, and points the build
/// at them.
fn provide_content(command: &mut Command, plan: &Plan<'_>, work: &Path) -> Result<(), ImageError> {
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
    Ok(())
}

/// Computes the cache entry for the program of `plan`, or `None` if a source cannot be read.
fn cache_entry(work: &Path, toolchain: &Toolchain, plan: &Plan<'_>) -> Option<Entry> {
    let content = plan
        .content
        .map(|(model, samples)| (model.bytes(), samples));
    let (model, samples) = content.unwrap_or_default();
    let features = features(plan);
    let memory = chip_folder::memory(plan.board).unwrap_or_default();
    let parts: [&[u8]; 10] = [
        toolchain.cargo.as_os_str().as_encoded_bytes(),
        toolchain.build.as_bytes(),
        plan.board.name.as_bytes(),
        memory.as_bytes(),
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
    Entry::new(&work.join("images"), &plan.board.firmware, &parts)
}

/// Returns the cargo features of the program: the log's transport, and the parts of the engine
/// that the model needs. A program without a model gets the whole engine; one with emitted code
/// gets none of it.
fn features(plan: &Plan<'_>) -> String {
    let transport = match plan.board.runner {
        Runner::Emulator { .. } => "semihosting",
        Runner::Probe { .. } => "rtt",
    };
    let mut features = vec![transport];
    if plan.board.has_boot2() {
        features.push("boot2");
    }
    if plan.code.is_some() {
        features.push("code");
        return features.join(",");
    }
    features.extend(engine_features(plan.content.map(|(model, _)| model)));
    features.join(",")
}

/// Writes `bytes` to `path` unless the file already holds them, because cargo rebuilds after every
/// change of the modification time.
fn update(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    atomic::write(path, bytes)
}

/// Returns the bytes by which static data exceeds RAM, if the linker reports that.
fn ram_overflow(output: &str) -> Option<u64> {
    const MESSAGE: &str = "will not fit in region 'RAM': overflowed by ";
    output
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(MESSAGE)?;
            rest.split(' ').next()?.parse().ok()
        })
        .max()
}

/// Selects the most useful line of a failed build's output: a build script's panic message, the
/// linker's error, the first error, or the last line.
fn most_useful_line(output: &str) -> String {
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
    panic
        .or_else(|| linker_error(output))
        .or_else(error)
        .or_else(|| output.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("the compiler printed nothing")
        .trim()
        .to_owned()
}

/// Returns the first error of the linker. The message of an assertion in a linker script is on the
/// lines after "error:".
fn linker_error(output: &str) -> Option<&str> {
    let mut lines = output.lines();
    let says = lines.find_map(|line| Some(line.split_once("rust-lld: error:")?.1.trim()))?;
    let next = || lines.map(str::trim).find(|line| !line.is_empty());
    match says.is_empty() {
        true => next(),
        false => Some(says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_ram_overflow_is_parsed() {
        let output = "  = note: rust-lld: error: section '.bss' will not fit in region 'RAM': overflowed by 4096 bytes\n  rust-lld: error: section '.uninit' will not fit in region 'RAM': overflowed by 5120 bytes\n";
        assert_eq!(ram_overflow(output), Some(5120));
        assert_eq!(
            ram_overflow("rust-lld: error: undefined symbol: main"),
            None
        );
    }

    #[test]
    fn the_most_useful_line_is_selected() {
        let script = "error: failed to run custom build command\n  --- stderr\n  thread 'main' panicked at build.rs:1:1:\n  set RAREFY_BOARD\n  note: run with";
        assert_eq!(most_useful_line(script), "set RAREFY_BOARD");
        let compile = "   Compiling x\nerror[E0425]: cannot find y\nerror: could not compile `x`\n";
        assert_eq!(most_useful_line(compile), "error[E0425]: cannot find y");
        let link =
            "error: linking with `l` failed\n  = note: rust-lld: error: undefined symbol: main\n";
        assert_eq!(most_useful_line(link), "undefined symbol: main");
        let asserted = "error: linking with `l` failed\n  = note: rust-lld: error: \n          \n          ERROR(cortex-m-rt): The vector table is missing.\n";
        assert_eq!(
            most_useful_line(asserted),
            "ERROR(cortex-m-rt): The vector table is missing."
        );
        assert_eq!(most_useful_line("\n\n"), "the compiler printed nothing");
    }
}
