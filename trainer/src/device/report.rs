//! What a measurement found, as people's tables and `--json` show it.
//!
//! Every figure says where it comes from: flash and static RAM from the ELF file, the stack's
//! peak and the instructions from the running program. What could not be measured is `None`
//! (`null`), never a guess.

use serde::Serialize;

use super::boards::{Board, Counter};
use super::elf::{Footprint, Memory};
use super::measure::STACK_RESERVE;

/// One board's figures for one model; serialises to the board object of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoardReport {
    /// The board's name.
    pub board: String,
    /// Its core.
    pub core: String,
    /// Whether QEMU plays it.
    pub emulated: bool,
    /// Bytes of its flash.
    pub flash_size: u64,
    /// Bytes of its RAM.
    pub ram_size: u64,
    /// Samples run; 0 where the program was only built.
    pub samples: usize,
    /// The network as given.
    #[serde(flatten)]
    pub network: NetworkReport,
    /// The same network with every weight stored; `None` when not asked for.
    pub dense: Option<NetworkReport>,
}

impl BoardReport {
    /// What `network` and its `dense` twin take on `board`.
    pub(crate) fn new(
        board: &Board,
        samples: usize,
        network: NetworkReport,
        dense: Option<NetworkReport>,
    ) -> Self {
        Self {
            board: board.name.clone(),
            core: board.core.clone(),
            emulated: board.emulated(),
            flash_size: board.flash.length,
            ram_size: board.ram.length,
            samples,
            network,
            dense,
        }
    }
}

/// What one network takes on one board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkReport {
    /// Whether program and model fit the board.
    pub fits: bool,
    /// Bytes too many, where it does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_by: Option<u64>,
    /// The memory that is too small: "flash" or "ram".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_in: Option<&'static str>,
    /// Whether every logit of every sample equals the workstation's; `None` when not run.
    pub matches_host: Option<bool>,
    /// The first logit that does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// Flash; `None` where the linker could not lay the program out.
    pub flash: Option<Flash>,
    /// RAM; `None` likewise.
    pub ram: Option<Ram>,
    /// Cost of an inference; the key is "instructions" or "cycles".
    #[serde(flatten)]
    pub cost: Cost,
    /// Cost of checking the model, once at start, in the same unit.
    pub load: Option<u64>,
}

/// Flash, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flash {
    /// Everything but the model: vector table, engine, log, constants.
    pub code: u64,
    /// The model, up to the next multiple of 4.
    pub model: u64,
    /// Both.
    pub total: u64,
}

/// RAM, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ram {
    /// Static data but the arena; the input buffer is part of it.
    #[serde(rename = "static")]
    pub static_bytes: u64,
    /// The input buffer alone.
    pub input: u64,
    /// The engine's arena.
    pub arena: u64,
    /// Deepest stack seen while checking the model and in any inference.
    pub stack_peak: Option<u64>,
    /// Deepest stack of an inference alone, without the program around it.
    pub stack_inference: Option<u64>,
    /// Static data, arena and deepest stack.
    pub total: Option<u64>,
}

/// Cost of an inference, by what the board's timer counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Executed instructions.
    Instructions(Option<Counts>),
    /// Clock cycles.
    Cycles(Option<Counts>),
}

impl Cost {
    /// `counts` in the board's unit.
    #[must_use]
    pub fn new(board: &Board, counts: Option<Counts>) -> Self {
        match board.counter {
            Counter::Instructions => Self::Instructions(counts),
            Counter::Cycles => Self::Cycles(counts),
        }
    }

    /// The counts, whatever the unit.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        match *self {
            Self::Instructions(counts) | Self::Cycles(counts) => counts,
        }
    }
}

/// Counts over all samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// The cheapest sample's.
    pub min: u64,
    /// The median's (the lower one of an even number).
    pub median: u64,
    /// The mean.
    pub mean: f64,
    /// The dearest sample's.
    pub max: u64,
}

impl Counts {
    /// Over `counts`; `None` when there are none.
    #[must_use]
    pub fn over(counts: &[u64]) -> Option<Self> {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let sum: u128 = sorted.iter().map(|&count| u128::from(count)).sum();
        #[allow(clippy::cast_precision_loss)] // a mean needs no more than 53 bits
        let mean = sum as f64 / sorted.len() as f64;
        Some(Self {
            min,
            median: sorted[(sorted.len() - 1) / 2],
            mean,
            max,
        })
    }
}

/// The first logit in which a board and the workstation differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The sample, from 0.
    pub sample: usize,
    /// The logit, from 0.
    pub logit: usize,
    /// What the workstation computed.
    pub host: i32,
    /// What the board computed.
    pub device: i32,
}

impl NetworkReport {
    /// A network whose program was linked and not run.
    pub(crate) fn built(board: &Board, footprint: Footprint) -> Self {
        match footprint.excess(board, STACK_RESERVE) {
            Some(excess) => Self::too_large(board, excess, Some(footprint)),
            None => Self {
                fits: true,
                over_by: None,
                over_in: None,
                ..Self::too_large(board, (Memory::Ram, 0), Some(footprint))
            },
        }
    }

    /// A network that does not fit `board`: its footprint, where the linker could tell it.
    pub(crate) fn too_large(
        board: &Board,
        (memory, over_by): (Memory, u64),
        footprint: Option<Footprint>,
    ) -> Self {
        Self {
            fits: false,
            over_by: Some(over_by),
            over_in: Some(match memory {
                Memory::Flash => "flash",
                Memory::Ram => "ram",
            }),
            matches_host: None,
            mismatch: None,
            flash: footprint.map(Flash::from),
            ram: footprint.map(|footprint| Ram::new(footprint, None, None)),
            cost: Cost::new(board, None),
            load: None,
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
    /// Static figures from the ELF, the stack's from the run.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_samples() {
        let counts = Counts::over(&[5, 1, 9, 3]).unwrap();
        assert_eq!((counts.min, counts.median, counts.max), (1, 3, 9));
        assert!((counts.mean - 4.5).abs() < 1e-12);
        assert_eq!(Counts::over(&[]), None);
    }
}
