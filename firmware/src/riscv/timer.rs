//! The counters of RISC-V cores.
//!
//! On an emulated board a tick is an executed instruction, counted by `minstret`, which QEMU's
//! `-icount` makes exact. On a real board a tick is a cycle, counted by `mcycle`. Cores without
//! these standard counters, such as Espressif's, need a counter of their own here.

use core::sync::atomic::{AtomicBool, Ordering};

/// Whether the counter has been started.
static STARTED: AtomicBool = AtomicBool::new(false);

/// The counter, which counts up and is never stopped.
pub(crate) struct Timer(());

impl Timer {
    pub(crate) fn start() -> Option<Self> {
        // No interrupt is enabled, so load and store suffice.
        let started = STARTED.load(Ordering::Relaxed);
        STARTED.store(true, Ordering::Relaxed);
        (!started).then_some(Self(()))
    }

    #[inline(never)]
    pub(crate) fn reset(&mut self) -> u64 {
        now()
    }

    #[inline(never)]
    pub(crate) fn since(&self, start: u64) -> u64 {
        now().wrapping_sub(start)
    }
}

/// Returns all 64 bits of the counter.
#[inline(always)]
fn now() -> u64 {
    #[cfg(rarefy_counter = "instructions")]
    return riscv::register::minstret::read64();
    #[cfg(not(rarefy_counter = "instructions"))]
    return riscv::register::mcycle::read64();
}
