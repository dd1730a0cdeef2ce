//! The timer clocks of QEMU's machines, and the conversion of ticks to instructions.
//!
//! Under `-icount` an instruction takes a fixed time of the emulated machine, and SysTick ticks at
//! the machine's clock, whatever the real board or its `board.toml` says.

use super::boards::{Board, Runner};

/// Frequency in Hz of the clock that QEMU's machines give to SysTick. Sources are QEMU's
/// `hw/arm/`: `nrf51_soc.c`, `mps2.c`, `mps2-tz.c`, `stellaris.c` (after reset),
/// `netduinoplus2.c` and `stm32vldiscovery.c`.
const CLOCKS: [(&str, u64); 9] = [
    ("lm3s6965evb", 12_500_000),
    ("microbit", 16_000_000),
    ("mps2-an385", 25_000_000),
    ("mps2-an386", 25_000_000),
    ("mps2-an500", 25_000_000),
    ("mps2-an505", 20_000_000),
    ("mps3-an547", 32_000_000),
    ("netduinoplus2", 168_000_000),
    ("stm32vldiscovery", 24_000_000),
];

/// Returns the frequency in Hz at which QEMU's `machine` clocks SysTick, if it is known.
fn clock_of(machine: &str) -> Option<u64> {
    // Properties may follow the name.
    let name = machine.split(',').next()?;
    let known = CLOCKS.iter().find(|(known, _)| *known == name);
    known.map(|(_, hz)| *hz)
}

impl Board {
    /// Returns `true` if the timer of an emulated board is assumed to run at the clock in
    /// `board.toml`, because the machine's is not known. A wrong clock then falsifies the counts.
    pub(crate) fn trusts_clock(&self) -> bool {
        match &self.runner {
            Runner::Emulator { machine } => !self.is_riscv() && clock_of(machine).is_none(),
            Runner::Probe { .. } => false,
        }
    }

    /// Returns the frequency in Hz of the timer of an emulated board; `None` if the timer counts
    /// instructions.
    fn timer_hz(&self) -> Option<u64> {
        match &self.runner {
            _ if self.is_riscv() => None,
            Runner::Emulator { machine } => clock_of(machine).or(self.clock_hz),
            Runner::Probe { .. } => self.clock_hz,
        }
    }

    /// Returns the number of instructions in which the timer of an emulated board advances by
    /// `ticks`, rounded to the nearest.
    pub(crate) fn instructions(&self, ticks: u64) -> u64 {
        let Some(clock_hz) = self.timer_hz() else {
            return ticks;
        };
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        let instruction = u128::from(clock_hz) << self.icount_shift();
        u64::try_from((nanoseconds + instruction / 2) / instruction).unwrap_or(u64::MAX)
    }

    /// Returns the shift of QEMU's `-icount` for the board: an instruction takes 2^shift
    /// nanoseconds of emulated time.
    ///
    /// For SysTick this is the smallest shift from 7 on at which an instruction takes more than
    /// two ticks of the timer. A reading may be off by one tick, so the number of ticks then
    /// determines the number of instructions exactly. Counters of RISC-V need a shift of 0: in some
    /// versions of QEMU `minstret` counts nanoseconds of emulated time instead of instructions.
    pub(crate) fn icount_shift(&self) -> u32 {
        const NANOSECONDS: u64 = 1_000_000_000;
        self.timer_hz().map_or(0, |hz| {
            (7..=10)
                .find(|shift| hz << shift > 2 * NANOSECONDS)
                .unwrap_or(10)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::boards::Boards;
    use super::super::firmware::firmware_folder;
    use super::*;

    #[test]
    fn the_clock_of_the_file_does_not_change_what_is_counted() {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        for board in boards.iter().filter(|board| board.emulated()) {
            assert!(!board.trusts_clock(), "{}", board.name);
            for clock_hz in [None, Some(2_000_000), Some(84_000_000), Some(1_000_000_000)] {
                let other = Board {
                    clock_hz,
                    ..board.clone()
                };
                assert_eq!(other.icount_shift(), board.icount_shift());
                assert_eq!(other.instructions(12_345), board.instructions(12_345));
            }
        }
    }

    #[test]
    fn a_machine_that_is_not_known_has_the_clock_of_the_file() {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let with = |machine: &str, clock_hz| Board {
            runner: Runner::Emulator {
                machine: machine.to_owned(),
            },
            clock_hz: Some(clock_hz),
            ..boards.get("mps2-an386").unwrap().clone()
        };
        // 25 MHz and a shift of 7: 3.2 ticks per instruction.
        let board = with("mps2-an386,accel=tcg", 50_000_000);
        assert_eq!(board.instructions(3_200), 1_000);
        let board = with("another", 25_000_000);
        assert!(board.trusts_clock());
        assert_eq!(board.instructions(3_200), 1_000);
        assert_eq!(with("another", 50_000_000).instructions(3_200), 500);
    }
}
