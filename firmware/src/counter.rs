//! Measures the cost of a piece of code in executed instructions or clock cycles.
//!
//! What a tick is depends on the board; see the `timer` of each architecture. The workstation
//! converts ticks of emulated boards to instructions.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::arch::timer::Timer;

/// A running counter.
pub struct Counter {
    timer: Timer,
    overhead: u64,
}

impl Counter {
    /// Starts the counter and measures its overhead. Returns `None` if the core's peripherals are
    /// already taken, as they are once a counter has been started.
    pub fn start() -> Option<Self> {
        let mut counter = Self {
            timer: Timer::start()?,
            overhead: 0,
        };
        counter.overhead = counter.ticks(|| ()).0;
        Some(counter)
    }

    /// Returns the ticks measured for an empty closure; every measurement includes them.
    pub fn overhead(&self) -> u64 {
        self.overhead
    }

    /// Runs `code` and returns its ticks, overhead included, and its result.
    #[inline(always)]
    pub fn ticks<R>(&mut self, code: impl FnOnce() -> R) -> (u64, R) {
        let start = self.timer.reset();
        compiler_fence(Ordering::SeqCst);
        let result = code();
        compiler_fence(Ordering::SeqCst);
        (self.timer.since(start), result)
    }
}
