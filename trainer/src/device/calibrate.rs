//! Compares estimated cycles with those that a real board counts.
//!
//! The real board runs the network and counts cycles (DWT; SysTick on ARMv6-M). An emulated board
//! with the same instructions runs it too, and what it executes is priced by the table of the real
//! board's core. Programs for the two boards lie at different addresses; what that can change is
//! part of the estimate's range.

use serde::Serialize;

use super::boards::{Board, BoardError, Boards};
use super::cycles::{self, Range};
use super::error::DeviceError;
use super::firmware::firmware_folder;
use super::machine::Machine;
use super::measure::measure;
use super::options::MeasureOptions;
use super::report::{BoardReport, NetworkReport};
use super::run;
use super::statistics::Counts;

/// Counted cycles of a real board beside estimated ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// What the real board measured.
    #[serde(flatten)]
    pub counted: BoardReport,
    /// Name of the emulated board that executed the same networks.
    pub emulator: String,
    /// The network, and its dense twin if it was measured on both boards.
    pub networks: Vec<NetworkCalibration>,
}

/// Counted and estimated cycles of one network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkCalibration {
    /// Whether this is the dense twin.
    pub dense: bool,
    /// Cycles that the real board counted.
    pub counted: Counts,
    /// Estimated cycles: the median of each bound over the same samples.
    pub estimated: Range,
    /// Counted cycles divided by estimated cycles.
    pub ratio: Ratio,
}

/// Bounds of the ratio of counted to estimated cycles. If the table of prices is exact, 1 lies
/// between them. A lower bound above 1 shows costs that the table does not include, such as wait
/// states.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Counted cycles divided by the upper bound of the estimate.
    pub low: f64,
    /// Counted cycles divided by the lower bound of the estimate.
    pub high: f64,
}

/// Why estimated cycles could not be compared with counted ones.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The board is emulated.
    #[error(
        "{board} is emulated and counts no cycles to compare estimates with; choose a real board (`rarefy boards`) or a chip (`rarefy chips`)"
    )]
    Emulated {
        /// Name of the board.
        board: String,
    },
    /// No instruction timings are known for the core, or it is not known which core a chip has: the
    /// registry of chips does not tell a Cortex-M0 from an M0+.
    #[error(
        "there is nothing to compare the cycles of {board} with: no instruction timings are known for the {core}; choose a chip with a Cortex-M3 or M4, or a board whose board.toml names a Cortex-M0, M0+, M3 or M4"
    )]
    NoTable {
        /// Name of the board.
        board: String,
        /// Processor core.
        core: String,
    },
    /// No emulated board executes the same instructions.
    #[error(
        "no emulated board runs programs for {target}, so the cycles of {board} cannot be estimated; add one to the firmware's boards"
    )]
    NoEmulator {
        /// Name of the board.
        board: String,
        /// The board's compilation target.
        target: String,
    },
    /// The emulator gave no estimate.
    #[error("the cycles of {board} cannot be estimated: {why}")]
    NoEstimate {
        /// Name of the board.
        board: String,
        /// The reason.
        why: String,
    },
    /// The network does not fit both boards, or the board reported no cycles.
    #[error(
        "{board} and {emulator} did not both run the network, so there is nothing to compare; compress it further or choose a board with more memory"
    )]
    NotRun {
        /// Name of the real board.
        board: String,
        /// Name of the emulated board.
        emulator: String,
    },
    /// The boards could not be read.
    #[error(transparent)]
    Boards(#[from] BoardError),
    /// A program could not be built or run.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Checks without a run that the cycles of `board` can be compared with estimated ones, and returns
/// the emulated board that executes the same programs.
///
/// # Errors
/// Returns an error if the board is emulated, if there is no table of cycles for its core, or if
/// probe-rs or the emulator is not installed.
pub fn check_calibration(board: &Board, machine: &Machine) -> Result<Board, CalibrateError> {
    let emulated = emulated(board)?;
    for board in [board, &emulated] {
        run::check_runner(board, machine).map_err(DeviceError::from)?;
    }
    Ok(emulated)
}

/// Measures the container `model` on the real `board` and on an emulated one with the same
/// instructions, on the same `inputs`, and compares counted with estimated cycles. `progress`
/// receives a line per step.
///
/// # Errors
/// Returns the errors of [`check_calibration`], and an error if a program cannot be built or run,
/// or if the network does not fit both boards.
pub fn calibrate(
    board: &Board,
    model: &[u8],
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Calibration, CalibrateError> {
    let emulated = check_calibration(board, &options.machine)?;
    let with = |cycles| MeasureOptions {
        cycles,
        profile: false,
        ..options.clone()
    };
    let counted = measure(board, model, inputs, &with(false), progress)?;
    let estimated = measure(&emulated, model, inputs, &with(true), progress)?;
    let pair = |dense, counted: Option<&NetworkReport>, estimated: Option<&NetworkReport>| {
        NetworkCalibration::new(dense, counted?, estimated?)
    };
    let network = pair(false, Some(&counted.network), Some(&estimated.network));
    let Some(network) = network else {
        let board = board.name.clone();
        return Err(match estimated.network.no_estimate {
            Some(why) => CalibrateError::NoEstimate { board, why },
            None => CalibrateError::NotRun {
                board,
                emulator: emulated.name,
            },
        });
    };
    let dense = pair(true, counted.dense.as_ref(), estimated.dense.as_ref());
    Ok(Calibration {
        networks: [network].into_iter().chain(dense).collect(),
        counted,
        emulator: emulated.name,
    })
}

impl NetworkCalibration {
    /// Compares the cycles that the report `counted` counts with those that `estimated` estimates;
    /// `None` if one of the reports lacks them.
    fn new(dense: bool, counted: &NetworkReport, estimated: &NetworkReport) -> Option<Self> {
        let counted = counted.cost.counts()?;
        let estimated = estimated.estimate.as_ref()?.median;
        Some(Self {
            dense,
            counted,
            estimated,
            ratio: Ratio::new(counted.median, estimated),
        })
    }
}

impl Ratio {
    /// Divides `counted` by both bounds of `estimated`.
    fn new(counted: u64, estimated: Range) -> Self {
        let by = |cycles: u64| counted as f64 / cycles.max(1) as f64;
        Self {
            low: by(estimated.high),
            high: by(estimated.low),
        }
    }
}

/// Returns the largest emulated board that executes the programs of `board`, with the properties of
/// `board` that prices depend on.
fn emulated(board: &Board) -> Result<Board, CalibrateError> {
    let name = board.name.clone();
    if board.emulated() {
        return Err(CalibrateError::Emulated { board: name });
    }
    if !cycles::has_table(&board.core) {
        let core = board.core.clone();
        return Err(CalibrateError::NoTable { board: name, core });
    }
    // What the engine executes does not depend on the calling convention for floats.
    let plain = |target: &str| target.trim_end_matches("hf").to_owned();
    let target = plain(&board.target);
    let boards = Boards::discover(&firmware_folder()?)?;
    let alike = |other: &&Board| {
        other.emulated() && cycles::has_table(&other.core) && plain(&other.target) == target
    };
    let largest = boards.iter().filter(alike).max_by_key(|other| {
        let (flash, ram) = (other.flash.length, other.ram.length);
        flash.min(ram)
    });
    let Some(emulated) = largest else {
        let target = board.target.clone();
        return Err(CalibrateError::NoEmulator {
            board: name,
            target,
        });
    };
    Ok(Board {
        core: board.core.clone(),
        multiplier_cycles: board.multiplier_cycles,
        flash_wait_states: board.flash_wait_states,
        // Cycles do not depend on the clock, which is unknown for a chip by name.
        clock_hz: board.clock_hz.or(emulated.clock_hz),
        ..emulated.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::super::chips::Chip;
    use super::*;

    /// Returns the chip called `name` as a board.
    fn chip(name: &str) -> Board {
        let chip = Chip::find(name).unwrap();
        chip.board(&firmware_folder().unwrap()).unwrap()
    }

    #[test]
    fn a_ratio_has_the_bounds_of_the_estimate() {
        let ratio = Ratio::new(
            1_200,
            Range {
                low: 1_000,
                high: 1_500,
            },
        );
        assert!((ratio.low - 0.8).abs() < 1e-12 && (ratio.high - 1.2).abs() < 1e-12);
        // If the count equals an exact estimate, both bounds are 1.
        let ratio = Ratio::new(1_200, Range::exactly(1_200));
        assert_eq!((ratio.low, ratio.high), (1.0, 1.0));
    }

    #[test]
    fn the_emulated_board_has_the_instructions_and_the_prices_of_the_real_one() {
        for (name, core, target) in [
            ("RP2040", "Cortex-M0+", "thumbv6m-none-eabi"),
            ("STM32F103C8", "Cortex-M3", "thumbv7m-none-eabi"),
            ("STM32F411CE", "Cortex-M4F", "thumbv7em-none-eabihf"),
        ] {
            let real = Board {
                core: core.to_owned(),
                flash_wait_states: Some(2),
                multiplier_cycles: Some(1),
                ..chip(name)
            };
            let emulated = emulated(&real).unwrap();
            assert!(emulated.emulated() && emulated.clock_hz.is_some());
            assert_eq!((&*emulated.core, &*emulated.target), (core, target));
            assert_eq!(emulated.flash_wait_states, Some(2));
            assert_eq!(emulated.multiplier_cycles, Some(1));
        }
    }

    #[test]
    fn boards_without_counters_or_tables_are_refused() {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let error = emulated(boards.get("microbit").unwrap()).unwrap_err();
        assert!(
            matches!(error, CalibrateError::Emulated { .. }),
            "{error:?}"
        );
        // There is no table for a Cortex-M33, and the registry does not tell an M0 from an M0+.
        for (name, core) in [("STM32L552CE", "Cortex-M33"), ("RP2040", "Cortex-M0/M0+")] {
            let error = emulated(&chip(name)).unwrap_err();
            assert!(error.to_string().contains(core), "{error}");
        }
    }
}
