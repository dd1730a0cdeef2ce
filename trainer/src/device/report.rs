//! Reports of measurements, which serialize to the JSON output of the command line.
//!
//! Flash and static RAM come from the ELF file, stack use and instruction counts from the running
//! program. Figures that were not measured are `None` (`null`).

use serde::Serialize;

use super::boards::{Board, Counter};
use super::cycles::{Estimate, Profile};
use super::footprint::{Excess, Footprint, Memory};
use super::statistics::Counts;

/// The board of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoardSummary {
    /// Name of the board.
    #[serde(rename = "board")]
    pub name: String,
    /// Processor core.
    pub core: String,
    /// Whether QEMU emulates the board.
    pub emulated: bool,
    /// Size of the board's flash in bytes.
    pub flash_size: u64,
    /// Size of the board's RAM in bytes.
    pub ram_size: u64,
}

impl BoardSummary {
    /// Summarizes `board`.
    pub(crate) fn new(board: &Board) -> Self {
        Self {
            name: board.name.clone(),
            core: board.core.clone(),
            emulated: board.emulated(),
            flash_size: board.flash.length,
            ram_size: board.ram.length,
        }
    }
}

/// Report of one model on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoardReport {
    /// The board.
    #[serde(flatten)]
    pub board: BoardSummary,
    /// Number of samples that were run; 0 if the program was only built.
    pub samples: usize,
    /// Report of the network as given.
    #[serde(flatten)]
    pub network: NetworkReport,
    /// Report of the network's dense twin; `None` if it was not requested.
    pub dense: Option<NetworkReport>,
}

impl BoardReport {
    /// Creates the report of `network` and its `dense` twin on `board`.
    pub(crate) fn new(
        board: &Board,
        samples: usize,
        network: NetworkReport,
        dense: Option<NetworkReport>,
    ) -> Self {
        Self {
            board: BoardSummary::new(board),
            samples,
            network,
            dense,
        }
    }
}

/// Report of one network on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkReport {
    /// Whether program and model fit the board.
    pub fits: bool,
    /// Missing bytes, if the program does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_by: Option<u64>,
    /// Memory that is too small: "flash" or "ram".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_in: Option<&'static str>,
    /// Whether every logit of every sample equals the workstation's; `None` if nothing was run.
    pub matches_host: Option<bool>,
    /// First logit that differs from the workstation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// Flash use; `None` if the linker could not lay out the program.
    pub flash: Option<Flash>,
    /// RAM use; `None` if the linker could not lay out the program.
    pub ram: Option<Ram>,
    /// Cost of an inference; the key is "instructions" or "cycles".
    #[serde(flatten)]
    pub cost: Cost,
    /// Cost of parsing the model, once at startup, in the unit of `cost`.
    pub load: Option<u64>,
    /// Estimated cycles of an inference.
    #[serde(rename = "estimated_cycles")]
    pub estimate: Option<Estimate>,
    /// Why cycles could not be estimated, if an estimate was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_estimate: Option<String>,
    /// The profile by layer and by function, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Flash use in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// Everything except the model: vector table, engine, logging, constants.
    pub code: u64,
    /// The model, padded to a multiple of 4 bytes.
    pub model: u64,
    /// Sum of both.
    pub total: u64,
}

/// RAM use in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// Static data without the arena, including the input buffer.
    #[serde(rename = "static")]
    pub static_bytes: u64,
    /// The input buffer, which `static_bytes` includes.
    pub input: u64,
    /// The engine's arena.
    pub arena: u64,
    /// Peak stack use of parsing the model and of all inferences.
    pub stack_peak: Option<u64>,
    /// Peak stack use of an inference alone, without the program around it.
    pub stack_inference: Option<u64>,
    /// Sum of static data, arena and peak stack use.
    pub total: Option<u64>,
}

/// Cost of an inference, in the unit of the board's timer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Executed instructions.
    Instructions(Option<Counts>),
    /// Clock cycles.
    Cycles(Option<Counts>),
}

impl Cost {
    /// Creates the cost from `counts` in the unit of the timer of `board`.
    #[must_use]
    pub fn new(board: &Board, counts: Option<Counts>) -> Self {
        match board.counter {
            Counter::Instructions => Self::Instructions(counts),
            Counter::Cycles => Self::Cycles(counts),
        }
    }

    /// Returns the counts, whatever their unit.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        match *self {
            Self::Instructions(counts) | Self::Cycles(counts) => counts,
        }
    }
}

/// A logit on which the board and the workstation differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Index of the sample, from 0.
    pub sample: usize,
    /// Index of the logit, from 0.
    pub logit: usize,
    /// Logit computed on the workstation.
    pub host: i32,
    /// Logit computed on the board.
    pub device: i32,
}

impl NetworkReport {
    /// Creates the report of a network that fits `board` and was not run.
    pub(crate) fn built(board: &Board, footprint: Footprint) -> Self {
        Self::without_run(board, None, Some(footprint))
    }

    /// Creates the report of a network that does not fit `board`. `footprint` is `None` if the
    /// linker could not lay out the program.
    pub(crate) fn too_large(board: &Board, excess: Excess, footprint: Option<Footprint>) -> Self {
        Self::without_run(board, Some(excess), footprint)
    }

    /// Returns this report of a network that was not run with `stack` bytes of peak stack use, as
    /// measured on another board with the same instructions.
    #[must_use]
    pub(crate) fn with_stack(mut self, stack: u64) -> Self {
        if let Some(ram) = &mut self.ram {
            ram.stack_peak = Some(stack);
            ram.total = Some(ram.static_bytes + ram.arena + stack);
        }
        self
    }

    /// Creates the report of a network that was not run.
    fn without_run(board: &Board, excess: Option<Excess>, footprint: Option<Footprint>) -> Self {
        Self {
            fits: excess.is_none(),
            over_by: excess.map(|excess| excess.bytes),
            over_in: excess.map(|excess| match excess.memory {
                Memory::Flash => "flash",
                Memory::Ram => "ram",
            }),
            matches_host: None,
            mismatch: None,
            flash: footprint.map(Flash::from),
            ram: footprint.map(|footprint| Ram::new(footprint, None, None)),
            cost: Cost::new(board, None),
            load: None,
            estimate: None,
            no_estimate: None,
            profile: None,
        }
    }
}

impl From<Footprint> for Flash {
    fn from(footprint: Footprint) -> Self {
        Self {
            code: footprint.code,
            model: footprint.model,
            total: footprint.flash(),
        }
    }
}

impl Ram {
    /// Creates the RAM use from the footprint and the stack use of the run.
    pub(crate) fn new(
        footprint: Footprint,
        stack_peak: Option<u64>,
        stack_inference: Option<u64>,
    ) -> Self {
        let fixed = footprint.ram_static + footprint.arena;
        Self {
            static_bytes: footprint.ram_static,
            input: footprint.input,
            arena: footprint.arena,
            stack_peak,
            stack_inference,
            total: stack_peak.map(|stack| fixed + stack),
        }
    }
}
