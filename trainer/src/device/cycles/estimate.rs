//! Estimated cycles and time of an inference.

use serde::Serialize;

use super::super::boards::Board;
use super::super::statistics::Counts;
use super::range::Range;
use super::work::Work;

/// An estimate of the cycles of an inference, from the instructions that were executed and the
/// prices that the core's manual states. Never a measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The executed instructions that were priced. They are those that the timer counts.
    pub instructions: Counts,
    /// Minimum over all samples.
    pub min: Range,
    /// Median of each bound over all samples.
    pub median: Range,
    /// Maximum over all samples.
    pub max: Range,
    /// Bounds of the median in milliseconds at the board's clock.
    pub milliseconds: (f64, f64),
    /// The board's clock in Hz.
    pub clock_hz: u64,
    /// Wait states of the board's flash, which the upper bounds include; `None` if they are
    /// unknown and therefore not included.
    pub wait_states: Option<u64>,
    /// Cycles of a multiplication on a core that is built with one of two multipliers; a range if
    /// the board does not state which. `None` for other cores.
    pub multiplier: Option<Range>,
}

impl Estimate {
    /// Summarizes the work of every sample on `board`; `None` if there are no samples, or if
    /// the clock of the board is not known.
    pub(super) fn over(board: &Board, multiplier: Option<Range>, samples: &[Work]) -> Option<Self> {
        let wait = board.flash_wait_states.unwrap_or(0);
        let cycles: Vec<Range> = samples.iter().map(|work| work.waiting(wait)).collect();
        let bounds = |bound: fn(&Range) -> u64| {
            Counts::over(&cycles.iter().map(bound).collect::<Vec<u64>>())
        };
        let (low, high) = (bounds(|range| range.low)?, bounds(|range| range.high)?);
        let range = |of: fn(&Counts) -> u64| Range {
            low: of(&low),
            high: of(&high),
        };
        let clock_hz = board.clock_hz?;
        let milliseconds = |cycles: u64| cycles as f64 * 1e3 / clock_hz as f64;
        let instructions: Vec<u64> = samples.iter().map(|work| work.instructions).collect();
        Some(Self {
            instructions: Counts::over(&instructions)?,
            min: range(|counts| counts.min),
            median: range(|counts| counts.median),
            max: range(|counts| counts.max),
            milliseconds: (milliseconds(low.median), milliseconds(high.median)),
            clock_hz,
            wait_states: board.flash_wait_states,
            multiplier,
        })
    }
}
