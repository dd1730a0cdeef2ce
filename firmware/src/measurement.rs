//! Measures the cost and the stack depth of a piece of code.

use crate::counter::Counter;
use crate::exit::exit;
use crate::stack::{Peak, Window};

/// The result of a piece of code, and the cost of running it once.
pub struct Measured<R> {
    /// Ticks of the counter, including its overhead.
    pub ticks: u64,
    /// The stack depth in bytes.
    pub stack: usize,
    /// The return value of the code.
    pub result: R,
}

/// Runs `code` once. Returns `None` if the painted window was too small to measure the stack; the
/// window is widened then, so call this function again with the same code.
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

/// Logs the results of a sample as one line.
pub fn log_sample(index: usize, ticks: u64, stack: usize, logits: &[i32]) {
    defmt::info!(
        "rarefy sample={=usize} ticks={=u64} stack={=usize} logits={=[?]}",
        index,
        ticks,
        stack,
        logits
    );
}
