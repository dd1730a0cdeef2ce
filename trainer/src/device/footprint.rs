//! Memory footprint of a linked program, read from its ELF file.
//!
//! Flash use is everything before the samples: vector table, code, constants, model, initial
//! values of data, and the gaps between them. The samples exist only to measure with, so they are
//! counted separately. RAM use is static data; stack use is known only once the program runs.

use std::fmt;

use super::boards::Board;
use super::elf::Elf;

/// Minimum RAM, in bytes, that must remain for the stack; a program that leaves less is not run.
/// Logging alone takes several hundred bytes of stack; what the network takes is measured.
pub const STACK_RESERVE: u64 = 1024;

/// Section of the model.
const MODEL: &str = ".rarefy_model";
/// Section of the samples.
const SAMPLES: &str = ".rarefy_samples";
/// Section that riscv-rt makes of the free memory above static data.
const STACK: &str = ".stack";
/// Part of the name of the arena's symbol.
const ARENA: &str = "RAREFY_ARENA";
/// Part of the name of the input buffer's symbol.
const INPUT: &str = "RAREFY_INPUT";

/// Bytes that a program occupies, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Flash, without model and samples.
    pub code: u64,
    /// Flash: the model.
    pub model: u64,
    /// Flash: samples to measure with, which a product does not have.
    pub samples: u64,
    /// RAM: static data without the arena, including the input buffer.
    pub ram_static: u64,
    /// RAM: the engine's arena.
    pub arena: u64,
    /// RAM: the input buffer, which `ram_static` includes.
    pub input: u64,
}

/// A memory of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Code, constants, model.
    Flash,
    /// Static data, arena, stack.
    Ram,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Memory::Flash => "flash",
            Memory::Ram => "RAM",
        })
    }
}

/// The memory that is too small for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Memory that is too small.
    pub memory: Memory,
    /// Missing bytes.
    pub bytes: u64,
}

/// Why a program's footprint could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FootprintError {
    /// The file is not a 32-bit ELF file.
    #[error("the linked program is not a readable ELF file ({0}); build it again")]
    Unreadable(#[from] object::Error),
    /// The sections are not laid out as the firmware's build script specifies.
    #[error(
        "the linked program for {board} has an unexpected layout: {why}; check the board's memory.x"
    )]
    Layout {
        /// Name of the board.
        board: String,
        /// The deviation.
        why: String,
    },
}

impl Footprint {
    /// Reads the footprint on `board` of the program `elf`.
    ///
    /// # Errors
    ///
    /// Returns an error if `elf` is not a 32-bit ELF file, or if its sections are not laid out as
    /// the firmware's build script specifies.
    pub fn read(elf: &[u8], board: &Board) -> Result<Self, FootprintError> {
        let unexpected = |why: String| FootprintError::Layout {
            board: board.name.clone(),
            why,
        };
        let elf = Elf::parse(elf)?;
        let mut flash_end = board.flash.origin;
        let mut ram_end = board.ram.origin;
        let (mut model, mut samples) = (0, None);
        for section in &elf.sections {
            let (name, size) = (&section.name, section.size);
            if name == STACK {
                continue;
            }
            if board.ram.contains(section.address) {
                ram_end = ram_end.max(section.address + size);
            }
            if !section.stored {
                continue;
            }
            let loaded = section
                .load_address
                .ok_or_else(|| unexpected(format!("section {name} is in no segment")))?;
            // The linker may have been given spare flash, so only the origin is a bound here.
            if loaded < board.flash.origin {
                let why = format!("section {name} is loaded to {loaded:#x}, before flash");
                return Err(unexpected(why));
            }
            match name.as_str() {
                SAMPLES => samples = Some((loaded, size)),
                _ => flash_end = flash_end.max(loaded + size),
            }
            if name == MODEL {
                model = size;
            }
        }
        if let Some((start, _)) = samples
            && start < flash_end
        {
            return Err(unexpected(
                "the samples do not come last in flash".to_owned(),
            ));
        }
        let (arena, input) = (elf.symbol_size(ARENA), elf.symbol_size(INPUT));
        let static_bytes = ram_end - board.ram.origin;
        if static_bytes < arena + input {
            return Err(unexpected("the arena is not in RAM".to_owned()));
        }
        Ok(Self {
            code: flash_end - board.flash.origin - model,
            model,
            samples: samples.map_or(0, |(_, size)| size),
            ram_static: static_bytes - arena,
            arena,
            input,
        })
    }

    /// Returns the flash, in bytes, that this program occupies in a product: without samples.
    #[must_use]
    pub fn flash(&self) -> u64 {
        self.code + self.model
    }

    /// Returns the memory of `board` that is too small if `stack` bytes of RAM are reserved for
    /// the stack, or `None` if the program fits. Flash is checked first.
    #[must_use]
    pub fn excess(&self, board: &Board, stack: u64) -> Option<Excess> {
        let ram = self.ram_static + self.arena + stack;
        let excess = |memory, needed: u64, available: u64| {
            let bytes = needed.checked_sub(available).filter(|&bytes| bytes > 0)?;
            Some(Excess { memory, bytes })
        };
        excess(Memory::Flash, self.flash(), board.flash.length)
            .or_else(|| excess(Memory::Ram, ram, board.ram.length))
    }

    /// Returns how many samples of `bytes` bytes fit in the board's flash next to the program.
    pub(crate) fn room_for_samples(&self, board: &Board, bytes: usize) -> usize {
        // The section of the samples is aligned to up to 32 bytes. After the samples it holds up
        // to 3 bytes of padding and two words: their address and number.
        const OVERHEAD: u64 = 3 + 8;
        let free = board
            .flash
            .length
            .saturating_sub(self.flash().next_multiple_of(32) + OVERHEAD);
        usize::try_from(free).unwrap_or(usize::MAX) / bytes.max(1)
    }
}

/// Returns the size in bytes of the machine code in the program `elf`.
///
/// # Errors
///
/// Returns an error if `elf` is not a 32-bit ELF file.
pub fn code_size(elf: &[u8]) -> Result<u64, FootprintError> {
    let elf = Elf::parse(elf)?;
    let code = elf.sections.iter().filter(|section| section.executable);
    Ok(code.map(|section| section.size).sum())
}

#[cfg(test)]
mod tests {
    use super::super::boards::Boards;
    use super::super::firmware::firmware_folder;
    use super::*;

    fn microbit() -> Board {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        boards.get("microbit").unwrap().clone()
    }

    #[test]
    fn files_that_are_not_32_bit_elf_are_rejected() {
        let host = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for bytes in [&b""[..], b"\x7fELF", &[0; 64], &host, &host[..100]] {
            assert!(code_size(bytes).is_err());
            let error = Footprint::read(bytes, &microbit()).unwrap_err();
            assert!(matches!(error, FootprintError::Unreadable(_)), "{error}");
        }
    }

    #[test]
    fn the_excess_is_exact_and_flash_is_checked_first() {
        let fits = Footprint {
            code: 8_000,
            model: 254_144,
            samples: 1 << 20,
            ram_static: 14_360,
            arena: 1_000,
            input: 784,
        };
        let excess = |memory, bytes| Some(Excess { memory, bytes });
        assert_eq!(fits.excess(&microbit(), 1024), None);
        assert_eq!(fits.excess(&microbit(), 1025), excess(Memory::Ram, 1));
        let larger = Footprint {
            model: fits.model + 3,
            ..fits
        };
        assert_eq!(larger.excess(&microbit(), 1025), excess(Memory::Flash, 3));
        assert_eq!(larger.room_for_samples(&microbit(), 10), 0);
        let smaller = Footprint {
            model: fits.model - 100,
            ..fits
        };
        // 96 bytes remain after the aligned start; 11 of them are overhead.
        assert_eq!(smaller.room_for_samples(&microbit(), 32), 2);
        assert_eq!(smaller.room_for_samples(&microbit(), 28), 3);
    }
}
