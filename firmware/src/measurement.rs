//! A measured run: its cost and the depth of the stack.

use crate::counter::Counter;
use crate::exit::exit;
use crate::stack::{Peak, Window};

/// The result of a run and what it cost.
pub struct Measured<R> {
    /// Ticks of the counter, its overhead included.
    pub ticks: u64,
    /// Depth of the stack in bytes.
    pub stack: usize,
    /// What the code returned.
    pub result: R,
}

/// Runs `code` once. Returns `None` if the stack went below the painted window, which is wider the
/// next time: run the code again.
///
/// Ends the program with a log line if the stack may have run into the static data.
#[inline(always)]
pub fn measure<R>(
    counter: &mut Counter,
    window: &mut Window,
    code: impl FnOnce() -> R,
) -> Option<Measured<R>> {
    window.paint();
    let (ticks, result) = counter.ticks(code);
    match window.peak() {
        Peak::Bytes(stack) => Some(Measured {
            ticks,
            stack,
            result,
        }),
        Peak::BelowWindow => {
            window.widen();
            None
        }
        Peak::Overflow => {
            defmt::error!("rarefy failed: the stack ran into the static data");
            exit(false)
        }
    }
}

/// Logs the line of a sample.
pub fn log_sample(index: usize, ticks: u64, stack: usize, logits: &[i32]) {
    defmt::info!(
        "rarefy sample={=usize} ticks={=u64} stack={=usize} logits={=[?]}",
        index,
        ticks,
        stack,
        logits
    );
}
