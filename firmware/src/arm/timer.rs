//! The timers of Cortex-M cores.
//!
//! On an emulated board SysTick advances by a fixed number of ticks per instruction (QEMU's
//! `-icount`), exactly and in every run. On a real board a tick is a cycle of DWT's counter, or of
//! SysTick where there is no DWT (ARMv6-M). SysTick has 24 bits: an interrupt counts its wraps,
//! which costs a few instructions every 2^24 ticks. DWT's counter has 32 bits, so a measurement
//! must take fewer than 2^32 cycles.

#[cfg(all(rarefy_counter = "cycles", not(armv6m)))]
pub(crate) use self::dwt::Timer;
#[cfg(not(all(rarefy_counter = "cycles", not(armv6m))))]
pub(crate) use self::systick::Timer;

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

    pub(crate) struct Timer(SYST);

    impl Timer {
        pub(crate) fn start() -> Option<Self> {
            let mut syst = cortex_m::Peripherals::take()?.SYST;
            syst.set_clock_source(SystClkSource::Core);
            syst.set_reload(TOP);
            syst.clear_current();
            syst.enable_interrupt();
            syst.enable_counter();
            Some(Self(syst))
        }

        /// Restarts the counter at `TOP`, so that measurements of equal length have equally many
        /// wraps.
        #[inline(never)]
        pub(crate) fn reset(&mut self) -> u32 {
            self.0.clear_current();
            // After clearing, the counter reads 0 until the next tick reloads it.
            while SYST::get_current() == 0 {}
            WRAPS.store(0, Ordering::Relaxed);
            SYST::get_current()
        }

        #[inline(never)]
        pub(crate) fn since(&self, start: u32) -> u64 {
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

    pub(crate) struct Timer(());

    impl Timer {
        pub(crate) fn start() -> Option<Self> {
            let mut peripherals = cortex_m::Peripherals::take()?;
            peripherals.DCB.enable_trace();
            DWT::unlock();
            peripherals.DWT.enable_cycle_counter();
            Some(Self(()))
        }

        #[inline(never)]
        pub(crate) fn reset(&mut self) -> u32 {
            DWT::cycle_count()
        }

        #[inline(never)]
        pub(crate) fn since(&self, start: u32) -> u64 {
            u64::from(DWT::cycle_count().wrapping_sub(start))
        }
    }
}
