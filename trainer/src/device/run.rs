//! Runs a linked program on its board, emulated or real, and collects its log.
//!
//! The emulator prints raw defmt frames, which are decoded here with the program's own table. For
//! a real board, probe-rs decodes the frames and prints the same lines. A program succeeds if its
//! last line is `done`; a timeout, a fault, malformed output or silence is an error. In any case,
//! the emulator or probe-rs is killed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use defmt_decoder::{DecodeError, Table};

use super::boards::{Board, Runner};
use super::image::Image;
use super::log;
use super::machine::Machine;
use super::process::{self, End, Flow, Limits, Output};
use crate::atomic::FileError;
use crate::remedy::Remedy;

/// Name of the program that controls the debug probe.
const PROBE: &str = "probe-rs";

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The emulator is not installed.
    #[error(
        "{emulator} is not on the PATH, and {board} is an emulated board; run `rarefy setup` to install it"
    )]
    NoEmulator {
        /// Name of the emulator's program.
        emulator: &'static str,
        /// Name of the board.
        board: String,
    },
    /// probe-rs is not installed.
    #[error(
        "probe-rs is not on the PATH, and {board} is a real board; {}",
        Remedy::InstallProbeOrBuild
    )]
    NoProbe {
        /// Name of the board.
        board: String,
    },
    /// The emulator does not know the machine.
    #[error(
        "this qemu-system-arm does not emulate {machine}; install QEMU 7.2 or later, or choose another board (`rarefy boards`)"
    )]
    NoMachine {
        /// Name of the machine.
        machine: String,
    },
    /// No debug probe is connected.
    #[error(
        "no debug probe is connected to this computer, and {board} is reached through one; {}",
        Remedy::ConnectProbeOrBuild
    )]
    NoConnection {
        /// Name of the board.
        board: String,
    },
    /// Several debug probes are connected.
    #[error(
        "several debug probes are connected; disconnect all but that of {board}, or name it in the variable PROBE_RS_PROBE as `probe-rs list` shows it (VID:PID or VID:PID:serial)"
    )]
    SeveralProbes {
        /// Name of the board.
        board: String,
    },
    /// The emulator or probe-rs could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// QEMU or probe-rs.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The program reached its time limit.
    #[error(
        "{board} did not finish within {seconds} seconds; {}",
        Remedy::MoreTimeOrFewerSamples
    )]
    TimedOut {
        /// Name of the board.
        board: String,
        /// Time limit in seconds.
        seconds: u64,
    },
    /// The run was stopped.
    #[error("stopped while running on {board}")]
    Stopped {
        /// Name of the board.
        board: String,
    },
    /// The output does not follow the log protocol.
    #[error(
        "the output of {board} is invalid: {why}; build the firmware again, and check that {program} is the right program for this board"
    )]
    Garbage {
        /// Name of the board.
        board: String,
        /// QEMU or probe-rs.
        program: String,
        /// The problem.
        why: String,
    },
    /// The program logged that it failed.
    #[error("the program on {board} failed: {why}")]
    Failed {
        /// Name of the board.
        board: String,
        /// Reason that the program logged.
        why: String,
    },
    /// The emulator or probe-rs exited before the program had finished.
    #[error("{program} ended before the program on {board} had finished{said}")]
    Ended {
        /// Name of the board.
        board: String,
        /// QEMU or probe-rs.
        program: String,
        /// Its error message or exit status.
        said: String,
    },
    /// A program is to be emulated, but the board is real.
    #[error("{board} is a real board; run the program with `probe-rs run --chip {chip}`")]
    NotEmulated {
        /// Name of the board.
        board: String,
        /// Chip name, as probe-rs knows it.
        chip: String,
    },
    /// The program could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl RunError {
    /// Returns the remedy that the message ends with, if a caller may show its own advice instead.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NoProbe { .. } => Some(Remedy::InstallProbeOrBuild),
            Self::NoConnection { .. } => Some(Remedy::ConnectProbeOrBuild),
            Self::TimedOut { .. } => Some(Remedy::MoreTimeOrFewerSamples),
            _ => None,
        }
    }
}

/// Runs `image` on `board` until it is done, and returns the lines of its log. `plugin` is the
/// value of the emulator's option `-plugin`.
pub(crate) fn run(
    image: &Image,
    board: &Board,
    machine: &Machine,
    limits: Limits<'_>,
    plugin: Option<&str>,
) -> Result<Vec<String>, RunError> {
    let program = runner_name(board);
    let table = match board.runner {
        Runner::Emulator { .. } => {
            let table = Table::parse(&image.bytes).ok().flatten();
            let missing = || {
                garbage(
                    board,
                    "the program's ELF file has no defmt table".to_owned(),
                )
            };
            Some(table.ok_or_else(missing)?)
        }
        Runner::Probe { .. } => None,
    };
    let command = command(&image.path, board, machine, plugin)?;

    let mut log = LogReader {
        decoder: table.as_ref().map(|table| table.new_stream_decoder()),
        ..LogReader::default()
    };
    let mut stderr = Vec::new();
    let end = process::run(command, limits, |chunk| match chunk {
        Output::Stdout(bytes) => log.accept(&bytes),
        Output::Stderr(bytes) => {
            stderr.extend(bytes);
            Flow::Continue
        }
    })
    .map_err(|source| RunError::Start {
        program: program.to_owned(),
        source,
    })?;
    let name = board.name.clone();
    if let Some(why) = log.failure() {
        return Err(RunError::Failed { board: name, why });
    }
    match end {
        End::Stopped => Err(RunError::Stopped { board: name }),
        End::TimedOut => Err(RunError::TimedOut {
            board: name,
            seconds: limits.timeout.map_or(0, |timeout| timeout.as_secs()),
        }),
        End::Exit(_) | End::Enough => log.finish(board, &end, &String::from_utf8_lossy(&stderr)),
    }
}

/// Checks that the program that runs `board` is installed.
///
/// # Errors
/// Returns [`RunError::NoEmulator`] or [`RunError::NoProbe`] if that program is not installed.
pub fn check_runner(board: &Board, machine: &Machine) -> Result<(), RunError> {
    runner(board, machine).map(drop)
}

/// Returns the name of the program that runs `board`.
pub(super) fn runner_name(board: &Board) -> &'static str {
    match board.runner {
        Runner::Emulator { .. } => board.emulator(),
        Runner::Probe { .. } => PROBE,
    }
}

/// Returns the error for invalid output of `board`.
pub(super) fn garbage(board: &Board, why: String) -> RunError {
    RunError::Garbage {
        board: board.name.clone(),
        program: runner_name(board).to_owned(),
        why,
    }
}

/// Finds the program that runs `board`, so that its absence is reported before anything is built.
pub(crate) fn runner(board: &Board, machine: &Machine) -> Result<PathBuf, RunError> {
    machine.find(runner_name(board)).ok_or_else(|| {
        let name = board.name.clone();
        match board.runner {
            Runner::Emulator { .. } => RunError::NoEmulator {
                emulator: board.emulator(),
                board: name,
            },
            Runner::Probe { .. } => RunError::NoProbe { board: name },
        }
    })
}

/// Returns the command that runs the ELF file `program` on `board` and prints its log.
pub(super) fn command(
    program: &Path,
    board: &Board,
    machine: &Machine,
    plugin: Option<&str>,
) -> Result<Command, RunError> {
    let mut command = machine.command(runner(board, machine)?);
    match &board.runner {
        Runner::Emulator { machine } => {
            let shift = board.icount_shift();
            if board.is_riscv() {
                // The program is started directly instead of by QEMU's default firmware, OpenSBI.
                command.args(["-bios", "none"]);
            }
            command
                .args(["-M", machine, "-nographic"])
                .args(["-monitor", "none", "-serial", "none"])
                .args(["-semihosting-config", "enable=on,target=native"])
                .args(["-icount", &format!("shift={shift},align=off,sleep=off")])
                .args(plugin.iter().flat_map(|option| ["-plugin", option]))
                .arg("-kernel");
        }
        Runner::Probe { chip } => {
            command
                .args(["run", "--chip", chip])
                .args(["--no-location", "--log-format", "{s}"]);
        }
    }
    command.arg(program);
    Ok(command)
}

/// Returns the error that QEMU or probe-rs states in `stderr`, if it is one with a remedy.
pub(super) fn known_cause(board: &Board, stderr: &str) -> Option<RunError> {
    let name = board.name.clone();
    let says = |part: &str| stderr.contains(part);
    match &board.runner {
        Runner::Emulator { machine } if says("unsupported machine type") => {
            let machine = machine.clone();
            Some(RunError::NoMachine { machine })
        }
        Runner::Probe { .. } if says("No connected probes were found") => {
            Some(RunError::NoConnection { board: name })
        }
        Runner::Probe { .. }
            // To ask which one to use, probe-rs needs a terminal, which it does not have here.
            if says("probes were found") || says("devices were found") || says("Available Probes") =>
        {
            Some(RunError::SeveralProbes { board: name })
        }
        _ => None,
    }
}

/// Returns the error that the emulator or probe-rs, which wrote `stderr`, ended with `status`.
pub(super) fn ended(board: &Board, stderr: &str, status: ExitStatus) -> RunError {
    RunError::Ended {
        board: board.name.clone(),
        program: runner_name(board).to_owned(),
        said: match cause(stderr) {
            Some(line) => format!(", saying: {line}"),
            None => format!(" ({status})"),
        },
    }
}

/// Selects the line of a program's error output that states the cause. Progress precedes it and
/// dumps follow it.
fn cause(stderr: &str) -> Option<&str> {
    let is_error = |line: &&str| line.contains("rror") || line.contains("fatal");
    let mut lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.clone().find(is_error).or_else(|| lines.next_back())
}

/// Splits the output of a program into lines as it arrives.
#[derive(Default)]
struct LogReader<'t> {
    /// Decoder of defmt frames; `None` if the output is text.
    decoder: Option<Box<dyn defmt_decoder::StreamDecoder + Send + Sync + 't>>,
    /// Text after the last line break.
    text: Vec<u8>,
    lines: Vec<String>,
    /// Bytes received.
    bytes: usize,
    malformed: bool,
}

impl LogReader<'_> {
    /// Reads a chunk of output. Returns `Enough` after the last line, after a failure, and after
    /// malformed output.
    fn accept(&mut self, bytes: &[u8]) -> Flow {
        self.bytes += bytes.len();
        let before = self.lines.len();
        match &mut self.decoder {
            Some(decoder) => {
                decoder.received(bytes);
                loop {
                    match decoder.decode() {
                        Ok(frame) => self.lines.push(frame.display_message().to_string()),
                        Err(DecodeError::UnexpectedEof) => break,
                        Err(DecodeError::Malformed) => {
                            self.malformed = true;
                            return Flow::Enough;
                        }
                    }
                }
            }
            None => {
                self.text.extend_from_slice(bytes);
                while let Some(end) = self.text.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = self.text.drain(..=end).collect();
                    self.lines
                        .push(String::from_utf8_lossy(&line).trim().to_owned());
                }
            }
        }
        // An emulated program exits by itself; a real board halts after its last line.
        let is_end = |line: &String| log::is_last(line) || log::failure(line).is_some();
        if self.lines[before..].iter().any(is_end) {
            Flow::Enough
        } else {
            Flow::Continue
        }
    }

    /// Returns the reason that the program logged for its failure, if it failed.
    fn failure(&self) -> Option<String> {
        let reason = self.lines.iter().find_map(|line| log::failure(line));
        reason.map(str::to_owned)
    }

    /// Returns the lines if the log is complete. Otherwise, returns an error whose cause is taken
    /// from `end` and `stderr`.
    fn finish(self, board: &Board, end: &End, stderr: &str) -> Result<Vec<String>, RunError> {
        if self.malformed {
            return Err(garbage(
                board,
                "it contains a malformed defmt frame".to_owned(),
            ));
        }
        if self.lines.last().is_some_and(|line| log::is_last(line)) {
            return Ok(self.lines);
        }
        let End::Exit(status) = end else {
            return Err(garbage(board, "the log is incomplete".to_owned()));
        };
        // Output without a single frame comes from another program.
        if self.lines.is_empty() && self.bytes > 0 {
            let why = format!("{} bytes without a defmt frame", self.bytes);
            return Err(garbage(board, why));
        }
        if let Some(known) = known_cause(board, stderr) {
            return Err(known);
        }
        Err(ended(board, stderr, *status))
    }
}
