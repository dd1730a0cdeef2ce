//! Measures the cost of a piece of code in executed instructions or clock cycles.
//!
//! On an emulated board SysTick advances by a fixed number of ticks per instruction (QEMU's
//! `-icount`), exactly and in every run; the workstation converts ticks to instructions. On a
//! real board a tick is a cycle of DWT's counter, or of SysTick where there is no DWT (ARMv6-M).
//! SysTick has 24 bits: an interrupt counts its wraps, which costs a few instructions every 2^24
//! ticks. DWT's counter has 32 bits, so a measurement must take fewer than 2^32 cycles.

use core::sync::atomic::{Ordering, compiler_fence};

#[cfg(all(rarefy_counter = "cycles", not(armv6m)))]
use self::dwt as timer;
#[cfg(not(all(rarefy_counter = "cycles", not(armv6m))))]
use self::systick as timer;

/// A running counter.
pub struct Counter {
    timer: timer::Timer,
    overhead: u64,
}

impl Counter {
    /// Starts the counter and measures its overhead. Returns `None` if the core's peripherals are
    /// already taken, as they are once a counter has been started.
    pub fn start() -> Option<Self> {
        let mut counter = Self {
            timer: timer::Timer::start(cortex_m::Peripherals::take()?),
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

#[cfg(not(all(rarefy_counter = "cycles", not(armv6m))))]
mod systick {
    //! SysTick, clocked by the processor. It counts down.

    use core::sync::atomic::{AtomicU32, Ordering};

    use cortex_m::peripheral::SYST;
    use cortex_m::peripheral::syst::SystClkSource;
    use cortex_m_rt::exception;

    const TOP: u32 = 0x00ff_ffff;

    /// The number of times that the counter went from 0 to `TOP`.
    static WRAPS: AtomicU32 = AtomicU32::new(0);

    #[exception]
    fn SysTick() {
        // Nothing else writes `WRAPS` while this handler runs, so load and store suffice.
        WRAPS.store(
            WRAPS.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    pub(super) struct Timer(SYST);

    impl Timer {
        pub(super) fn start(peripherals: cortex_m::Peripherals) -> Self {
            let mut syst = peripherals.SYST;
            syst.set_clock_source(SystClkSource::Core);
            syst.set_reload(TOP);
            syst.clear_current();
            syst.enable_interrupt();
            syst.enable_counter();
            Self(syst)
        }

        /// Restarts the counter at `TOP`, so that measurements of equal length have equally many
        /// wraps.
        #[inline(never)]
        pub(super) fn reset(&mut self) -> u32 {
            self.0.clear_current();
            // After clearing, the counter reads 0 until the next tick reloads it.
            while SYST::get_current() == 0 {}
            WRAPS.store(0, Ordering::Relaxed);
            SYST::get_current()
        }

        #[inline(never)]
        pub(super) fn since(&self, start: u32) -> u64 {
            loop {
                let wraps = WRAPS.load(Ordering::Relaxed);
                let now = SYST::get_current();
                if wraps == WRAPS.load(Ordering::Relaxed) {
                    return ((u64::from(wraps) << 24) + u64::from(start))
                        .wrapping_sub(u64::from(now));
                }
            }
        }
    }
}

#[cfg(all(rarefy_counter = "cycles", not(armv6m)))]
mod dwt {
    //! The cycle counter of DWT (ARMv7-M and later). It counts up.

    use cortex_m::peripheral::DWT;

    pub(super) struct Timer(());

    impl Timer {
        pub(super) fn start(mut peripherals: cortex_m::Peripherals) -> Self {
            peripherals.DCB.enable_trace();
            DWT::unlock();
            peripherals.DWT.enable_cycle_counter();
            Self(())
        }

        #[inline(never)]
        pub(super) fn reset(&mut self) -> u32 {
            DWT::cycle_count()
        }

        #[inline(never)]
        pub(super) fn since(&self, start: u32) -> u64 {
            u64::from(DWT::cycle_count().wrapping_sub(start))
        }
    }
}
