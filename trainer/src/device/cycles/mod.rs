//! Estimates the cycles of an inference from the instructions that it executes.
//!
//! ```text
//! plug-in in QEMU -> counts (file) -> work: instructions decoded and priced -> estimate, profile
//! ```
//!
//! The emulator counts instructions exactly but knows nothing of cycles. A plug-in of ours, built
//! on demand ([`plugin`]), counts which block of instructions followed which, and how often
//! ([`counts`]). Here the blocks are decoded ([`thumb`]) and priced by the tables in the manuals
//! of the cores ([`prices`]). Cores without a published table get no estimate, and the report says
//! why. The result is called an estimate everywhere, and is a range where the manual leaves one.

mod counts;
mod estimate;
mod names;
mod plugin;
mod prices;
mod profile;
mod program;
mod range;
mod thumb;
mod work;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rarefy_format::Model;

use self::counts::Counts;
use self::prices::TimedCore;
use self::profile::Sums;
use self::program::Program;
use self::work::{Pricer, Unpriced, Work};
use super::boards::{Board, Runner};
use super::options::MeasureOptions;

pub use self::estimate::Estimate;
pub use self::profile::{FunctionShare, LayerProfile, Profile, Share};
pub use self::range::Range;

/// Cycles of a multiplication on a core that has one of two multipliers, if a board does not state
/// which.
const MULTIPLIERS: Range = Range { low: 1, high: 32 };

/// Counts and prices what the runs of one network execute.
pub(super) struct Estimator<'a> {
    board: &'a Board,
    core: TimedCore,
    plugin: PathBuf,
    /// Number of layers to tell apart; 0 without a profile.
    layers: usize,
    samples: Vec<Work>,
    sums: Sums,
}

/// Why the counts of a run could not be priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CyclesError {
    /// The core's table has no such instruction.
    Unpriced(Unpriced),
    /// The counts are incomplete or malformed.
    Counts(String),
}

impl From<Unpriced> for CyclesError {
    fn from(unpriced: Unpriced) -> Self {
        Self::Unpriced(unpriced)
    }
}

/// Returns whether a table of cycles is published for the core that a board calls `core`.
#[must_use]
pub fn has_table(core: &str) -> bool {
    TimedCore::of(core).is_some()
}

impl<'a> Estimator<'a> {
    /// Prepares estimates on `board`: for each of `layers` layers, or for the network as a whole
    /// if `layers` is 0.
    ///
    /// # Errors
    ///
    /// Returns why there can be no estimate.
    pub(super) fn prepare(
        board: &'a Board,
        layers: usize,
        options: &MeasureOptions<'_>,
    ) -> Result<Self, String> {
        if let Runner::Probe { .. } = board.runner {
            return Err("a real board counts cycles itself".to_owned());
        }
        let no_table = || {
            format!(
                "no instruction timings are published for the {}",
                board.core
            )
        };
        Ok(Self {
            core: TimedCore::of(&board.core).ok_or_else(no_table)?,
            plugin: plugin::build(board, options)?,
            board,
            layers,
            samples: Vec::new(),
            sums: Sums::default(),
        })
    }

    /// Returns the value of QEMU's option `-plugin` for a run of the program `elf`, which writes
    /// its counts to `out`.
    ///
    /// # Errors
    ///
    /// Returns an error if the program lacks the functions that delimit measurements.
    pub(super) fn option(&self, elf: &[u8], out: &Path) -> Result<String, String> {
        let program = Program::read(elf)?;
        Ok(plugin::option(&self.plugin, &program, self.layers, out))
    }

    /// Adds the counts of a run of the program `elf`, the last `samples` windows of which are
    /// inferences.
    ///
    /// # Errors
    ///
    /// Returns an error if the counts are malformed or an instruction has no price.
    pub(super) fn add(
        &mut self,
        elf: &[u8],
        counts: &str,
        samples: usize,
    ) -> Result<(), CyclesError> {
        let program = Program::read(elf).map_err(CyclesError::Counts)?;
        let counts = Counts::parse(counts).map_err(CyclesError::Counts)?;
        let mut pricer = Pricer::new(&program, &counts, self.core, self.multiplier())?;
        let (Some(empty), Some(first)) = (
            counts.windows.first(),
            counts
                .windows
                .len()
                .checked_sub(samples)
                .filter(|&first| first > 0),
        ) else {
            let found = counts.windows.len();
            let why = format!("they have {found} windows for {samples} samples");
            return Err(CyclesError::Counts(why));
        };
        let mut sum = |window: &[counts::Step]| -> Result<Work, Unpriced> {
            let mut work = Work::default();
            for step in window {
                work.add(pricer.step(step)?);
            }
            Ok(work)
        };
        let overhead = sum(empty)?;
        for window in &counts.windows[first..] {
            self.samples.push(sum(window)?.less(overhead));
        }
        if self.layers > 0 {
            for window in &counts.windows[first..] {
                self.sums
                    .add(overhead, &program, &counts, &mut pricer, window)?;
            }
        }
        Ok(())
    }

    /// Returns the cycles of a multiplication on a core with a choice of multipliers.
    fn multiplier(&self) -> Range {
        let stated = self.board.multiplier_cycles;
        stated.map_or(MULTIPLIERS, Range::exactly)
    }

    /// Returns the estimate over all samples so far.
    pub(super) fn estimate(&self) -> Option<Estimate> {
        let choice = self.core.has_choice_of_multiplier();
        let multiplier = choice.then(|| self.multiplier());
        Estimate::over(self.board, multiplier, &self.samples)
    }

    /// Returns the profile over all samples so far, of `model` run on `inputs`; `None` if layers
    /// were not told apart.
    pub(super) fn profile(&self, model: &Model<'_>, inputs: &[Vec<u8>]) -> Option<Profile> {
        let told = self.layers > 0;
        told.then(|| self.sums.profile(self.board, model, inputs))
    }
}
