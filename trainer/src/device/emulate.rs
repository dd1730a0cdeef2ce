//! Runs a user's own program on an emulated board and passes on its log.

use std::path::Path;
use std::process::ExitStatus;

use defmt_decoder::{DecodeError, StreamDecoder, Table};

use super::boards::{Board, Runner};
use super::options::MeasureOptions;
use super::process::{self, End, Flow, Limits, Output};
use super::run::{RunError, command, ended, garbage, known_cause, runner_name};
use crate::atomic;

/// Runs the ELF file `program` on the emulated board `board` until it ends or is stopped, and calls
/// `print` with each line of its log: the level and the message. Returns whether the program says
/// that it succeeded.
///
/// # Errors
///
/// Returns an error if the board is not emulated, if the program cannot be read or has no log, or
/// if the emulator is missing or fails.
pub fn emulate(
    program: &Path,
    board: &Board,
    options: &MeasureOptions<'_>,
    print: &mut dyn FnMut(&str),
) -> Result<bool, RunError> {
    if let Runner::Probe { chip } = &board.runner {
        return Err(RunError::NotEmulated {
            board: board.name.clone(),
            chip: chip.clone(),
        });
    }
    let bytes = atomic::read(program)?;
    let table = Table::parse(&bytes).ok().flatten();
    let missing = || {
        garbage(
            board,
            "the program's ELF file has no defmt table".to_owned(),
        )
    };
    let table = table.ok_or_else(missing)?;
    let command = command(program, board, &options.machine, None)?;
    let limits = Limits {
        timeout: None,
        stop: options.stop,
    };
    let mut log = Log {
        decoder: table.new_stream_decoder(),
        print,
        malformed: false,
    };
    let mut stderr = Vec::new();
    let end = process::run(command, limits, |chunk| match chunk {
        Output::Stdout(bytes) => log.accept(&bytes),
        Output::Stderr(bytes) => {
            stderr.extend(bytes);
            Flow::Continue
        }
    });
    let end = end.map_err(|source| RunError::Start {
        program: runner_name(board).to_owned(),
        source,
    })?;
    if log.malformed {
        return Err(garbage(
            board,
            "it contains a malformed defmt frame".to_owned(),
        ));
    }
    match end {
        End::Exit(status) => succeeded(board, status, &String::from_utf8_lossy(&stderr)),
        End::Stopped | End::Enough | End::TimedOut => Err(RunError::Stopped {
            board: board.name.clone(),
        }),
    }
}

/// Returns whether `status` is that of a program that succeeded, or the emulator's own error, which
/// it states in `stderr`.
fn succeeded(board: &Board, status: ExitStatus, stderr: &str) -> Result<bool, RunError> {
    if status.success() || (stderr.trim().is_empty() && status.code().is_some()) {
        return Ok(status.success());
    }
    Err(known_cause(board, stderr).unwrap_or_else(|| ended(board, stderr, status)))
}

/// The log of a program, decoded as it arrives.
struct Log<'l> {
    decoder: Box<dyn StreamDecoder + Send + Sync + 'l>,
    print: &'l mut dyn FnMut(&str),
    malformed: bool,
}

impl Log<'_> {
    /// Prints the lines that `bytes` complete.
    fn accept(&mut self, bytes: &[u8]) -> Flow {
        self.decoder.received(bytes);
        loop {
            match self.decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str());
                    let level = level.to_uppercase();
                    (self.print)(&format!("{level:5} {}", frame.display_message()));
                }
                Err(DecodeError::UnexpectedEof) => return Flow::Continue,
                Err(DecodeError::Malformed) => {
                    self.malformed = true;
                    return Flow::Enough;
                }
            }
        }
    }
}
