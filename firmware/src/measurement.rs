//! Measures the cost and the stack depth of a piece of code.

use crate::counter::Counter;
use crate::exit::exit;
use crate::stack::{Peak, Window};

/// The result and the cost of a run.
pub struct Measured<R> {
    /// Ticks of the counter, including its overhead.
    pub ticks: u64,
    /// The stack depth in bytes.
    pub stack: usize,
    /// The return value of the code.
    pub result: R,
}

/// Runs `code` once. Returns `None` if the stack grew below the painted window; the next window is
/// wider, so call it again with the same code.
///
/// Ends the program with a log line if the stack may have overwritten static data.
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
