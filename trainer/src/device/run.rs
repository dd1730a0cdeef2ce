//! Running a linked program on its board, emulated or real, and collecting what it logs.
//!
//! The emulator's standard output carries raw defmt frames, decoded here with the program's
//! own table; a real board's frames are decoded by `probe-rs`, which prints the same lines.
//! A program ends with its line `done`; anything else (time-out, a fault, garbage, silence)
//! is an error of one sentence, and nothing keeps running afterwards.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use defmt_decoder::{DecodeError, Table};

use super::boards::{Board, Runner};
use super::image::Image;
use super::lines;
use super::machine::Machine;
use super::process::{self, End, Flow, Limits, Output};

/// The emulator's program.
const QEMU: &str = "qemu-system-arm";
/// The debug probe's program.
const PROBE: &str = "probe-rs";

/// Each instruction takes 2^shift nanoseconds of the emulator's clock. The least (but 7) that
/// shows more than two ticks of the board's timer an instruction: a reading may be off by one
/// tick, so then ticks tell instructions exactly.
pub(crate) fn shift(board: &Board) -> u32 {
    const NANOSECONDS: u64 = 1_000_000_000;
    (7..=10)
        .find(|shift| board.clock_hz << shift > 2 * NANOSECONDS)
        .unwrap_or(10)
}

/// Why a program's log is not there.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The emulator is not installed.
    #[error(
        "qemu-system-arm is not on the PATH, and {board} is an emulated board; run `rarefy setup` or, on Debian as root, `apt-get install qemu-system-arm`"
    )]
    NoEmulator {
        /// The board.
        board: String,
    },
    /// The debug probe's program is not installed.
    #[error(
        "probe-rs is not on the PATH, and {board} is a real board; install it from https://probe.rs, or give --build-only to learn flash and static RAM without running anything"
    )]
    NoProbe {
        /// The board.
        board: String,
    },
    /// The program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// QEMU or probe-rs.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The program did not end.
    #[error(
        "{board} did not finish within {seconds} seconds; allow more time or run fewer samples"
    )]
    TimedOut {
        /// The board.
        board: String,
        /// The time it had.
        seconds: u64,
    },
    /// The user does not want to wait.
    #[error("stopped while running on {board}")]
    Stopped {
        /// The board.
        board: String,
    },
    /// Its output is not ours.
    #[error(
        "what {board} sends makes no sense: {why}; build the firmware again, and check that {program} is the right program for this board"
    )]
    Garbage {
        /// The board.
        board: String,
        /// QEMU or probe-rs.
        program: String,
        /// What is odd.
        why: String,
    },
    /// The program gave up.
    #[error("the program on {board} failed: {why}")]
    Failed {
        /// The board.
        board: String,
        /// Its own account.
        why: String,
    },
    /// The program ended early without an account.
    #[error("{program} ended before the program on {board} was done{said}")]
    Ended {
        /// The board.
        board: String,
        /// QEMU or probe-rs.
        program: String,
        /// Its last words, if any.
        said: String,
    },
}

/// Runs `image` on `board` until it is done; returns its log, line by line.
pub(crate) fn run(
    image: &Image,
    board: &Board,
    machine: &Machine,
    limits: Limits<'_>,
) -> Result<Vec<String>, RunError> {
    let name = || board.name.clone();
    let garbage = |program: &str, why: String| RunError::Garbage {
        board: name(),
        program: program.to_owned(),
        why,
    };
    let program = match board.runner {
        Runner::Emulator { .. } => QEMU,
        Runner::Probe { .. } => PROBE,
    };
    let table = match board.runner {
        Runner::Emulator { .. } => Some(
            Table::parse(&image.bytes)
                .ok()
                .flatten()
                .ok_or_else(|| garbage(program, "its ELF file has no defmt table".to_owned()))?,
        ),
        Runner::Probe { .. } => None,
    };
    let command = command(image, board, machine)?;

    let mut log = Log {
        decoder: table.as_ref().map(|table| table.new_stream_decoder()),
        ..Log::default()
    };
    let mut said = Vec::new();
    let end = process::run(command, limits, |chunk| match chunk {
        Output::Stdout(bytes) => log.accept(bytes),
        Output::Stderr(bytes) => {
            said.extend_from_slice(bytes);
            Flow::Continue
        }
    })
    .map_err(|source| RunError::Start {
        program: program.to_owned(),
        source,
    })?;

    if let Some(why) = log.lines.iter().find_map(|line| lines::failure(line)) {
        return Err(RunError::Failed {
            board: name(),
            why: why.to_owned(),
        });
    }
    match end {
        End::Stopped => Err(RunError::Stopped { board: name() }),
        End::TimedOut => Err(RunError::TimedOut {
            board: name(),
            seconds: limits.timeout.map_or(0, |timeout| timeout.as_secs()),
        }),
        _ if log.malformed => Err(garbage(program, "it is no defmt frame".to_owned())),
        _ if log.lines.last().is_some_and(|line| lines::is_last(line)) => Ok(log.lines),
        End::Exit(status) => {
            // Nothing of ours at all is somebody else's program.
            if log.lines.is_empty() && log.bytes > 0 {
                return Err(garbage(
                    program,
                    format!("{} bytes and no frame in them", log.bytes),
                ));
            }
            let said = String::from_utf8_lossy(&said);
            let said = match telling(&said) {
                Some(line) => format!(", saying: {line}"),
                None => format!(" ({status})"),
            };
            Err(RunError::Ended {
                board: name(),
                program: program.to_owned(),
                said,
            })
        }
        End::Enough => Err(garbage(program, "its log ends in the middle".to_owned())),
    }
}

/// The line of a program's complaints that says why: dumps follow it, progress precedes it.
fn telling(said: &str) -> Option<&str> {
    let complains = |line: &&str| line.contains("rror") || line.contains("fatal");
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.clone().find(complains).or_else(|| lines.next_back())
}

/// Checks that the program that runs `board` is installed.
///
/// # Errors
/// [`RunError::NoEmulator`] or [`RunError::NoProbe`] where it is not.
pub fn check_runner(board: &Board, machine: &Machine) -> Result<(), RunError> {
    runner(board, machine).map(drop)
}

/// The program that runs `board`: asked for before anything is built.
pub(crate) fn runner(board: &Board, machine: &Machine) -> Result<PathBuf, RunError> {
    let name = board.name.clone();
    match board.runner {
        Runner::Emulator { .. } => machine
            .find(QEMU)
            .ok_or(RunError::NoEmulator { board: name }),
        Runner::Probe { .. } => machine.find(PROBE).ok_or(RunError::NoProbe { board: name }),
    }
}

/// The command that puts `image` on `board` and shows its log.
fn command(image: &Image, board: &Board, machine: &Machine) -> Result<Command, RunError> {
    let mut command = machine.command(runner(board, machine)?);
    match &board.runner {
        Runner::Emulator { machine: model } => {
            command
                .args([
                    "-M",
                    model,
                    "-nographic",
                    "-monitor",
                    "none",
                    "-serial",
                    "none",
                ])
                .args(["-semihosting-config", "enable=on,target=native"])
                .args([
                    "-icount",
                    &format!("shift={},align=off,sleep=off", shift(board)),
                ])
                .arg("-kernel");
        }
        Runner::Probe { chip } => {
            command.args([
                "run",
                "--chip",
                chip,
                "--no-location",
                "--log-format",
                "{s}",
            ]);
        }
    }
    command.arg(&image.path);
    Ok(command)
}

/// A log under way.
#[derive(Default)]
struct Log<'t> {
    /// Decodes frames; without it the bytes are text.
    decoder: Option<Box<dyn defmt_decoder::StreamDecoder + Send + Sync + 't>>,
    /// Text of a line that has not ended.
    text: Vec<u8>,
    lines: Vec<String>,
    bytes: usize,
    malformed: bool,
}

impl Log<'_> {
    /// Takes a chunk in; `Enough` after the last line and after a failure.
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
        let new = &self.lines[before..];
        // An emulated program exits by itself; a real board stands still after its last line.
        let over = |line: &String| lines::is_last(line) || lines::failure(line).is_some();
        if new.iter().any(over) {
            Flow::Enough
        } else {
            Flow::Continue
        }
    }
}
