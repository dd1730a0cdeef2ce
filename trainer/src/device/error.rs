//! Why a measurement failed.

use rarefy_format::{ParseError, WriteError};

use super::footprint::FootprintError;
use super::image::ImageError;
use super::run::RunError;
use crate::remedy::Remedy;

/// Why a network could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The model is not a valid container.
    #[error("the model cannot be read: {0}")]
    Model(ParseError),
    /// The workstation's engine lacks a kernel that the model needs.
    #[error("the model cannot be run on this workstation: {0}")]
    Engine(String),
    /// There are no inputs.
    #[error("there are no inputs to measure with; add at least one sample")]
    NoInputs,
    /// An input has the wrong length.
    #[error(
        "input {index} has {found} bytes, but the model takes {expected}; use data of the shape it was trained on"
    )]
    InputLength {
        /// Index of the input, from 0.
        index: usize,
        /// Length of the input in bytes.
        found: usize,
        /// Length in bytes that the model expects.
        expected: usize,
    },
    /// The program fits in flash, but not with a sample.
    #[error(
        "the model fits {board}, but leaves no room in its flash for a sample of {bytes} bytes; measure it on a larger board"
    )]
    NoRoomForSamples {
        /// Name of the board.
        board: String,
        /// Size of a sample in bytes.
        bytes: usize,
    },
    /// The dense twin could not be written.
    #[error("the dense twin of the network cannot be written: {0}; {remedy}", remedy = Remedy::WithoutDense)]
    Dense(WriteError),
    /// The program could not be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The footprint of the program could not be read.
    #[error(transparent)]
    Footprint(#[from] FootprintError),
    /// The program did not run to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The program executed an instruction without a known number of cycles.
    #[error(
        "the instruction timings of the {core} lack instruction {code} (at {address:#x} in {function}); {}, and please report this",
        Remedy::WithoutCycles
    )]
    Unpriced {
        /// Name of the core.
        core: String,
        /// Bytes of the instruction, and at most two more, in hexadecimal.
        code: String,
        /// Address of the instruction.
        address: u64,
        /// Function that contains it.
        function: String,
    },
    /// What the emulator's plug-in counted is invalid or incomplete.
    #[error("the counts of {board} are invalid: {why}; {}", Remedy::WithoutCycles)]
    Counts {
        /// Name of the board.
        board: String,
        /// The problem.
        why: String,
    },
    /// The clock of an emulated board is not that of its machine.
    #[error(
        "the timer of {board} counted {timer} instructions where {counted} were executed; set clock_hz in its board.toml to the clock of QEMU's machine"
    )]
    WrongClock {
        /// Name of the board.
        board: String,
        /// Median number of instructions according to the timer.
        timer: u64,
        /// Median number of instructions that the plug-in counted.
        counted: u64,
    },
    /// The program's log is invalid or incomplete.
    #[error("the log of {board} is invalid: {why}; measure again")]
    Log {
        /// Name of the board.
        board: String,
        /// The problem.
        why: String,
    },
}

impl DeviceError {
    /// Returns the remedy that the message ends with, if a caller may show its own advice instead.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Dense(_) => Some(Remedy::WithoutDense),
            Self::Unpriced { .. } | Self::Counts { .. } => Some(Remedy::WithoutCycles),
            Self::Run(error) => error.remedy(),
            _ => None,
        }
    }
}
