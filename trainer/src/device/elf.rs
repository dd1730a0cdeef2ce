//! What a linked program takes on its board, from its ELF file.
//!
//! Flash is everything before the samples: vector table, code, constants, the model, the
//! image of initialised data, and the gaps between them. The samples exist for measuring only
//! and are told apart. RAM is what is static; the stack shows only when the program runs.
//! Refuses a file whose sections are not laid out as `firmware/build.rs` does.

use object::elf::{PT_LOAD, SHF_ALLOC, SHT_NOBITS};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol};

use super::boards::Board;

/// The model's section.
const MODEL: &str = ".rarefy_model";
/// The samples' section.
const SAMPLES: &str = ".rarefy_samples";
/// Part of the name of the arena's symbol.
const ARENA: &str = "RAREFY_ARENA";
/// Part of the name of the input buffer's symbol.
const INPUT: &str = "RAREFY_INPUT";

/// Bytes that a program takes, by purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Flash, without model and samples.
    pub code: u64,
    /// Flash: the model.
    pub model: u64,
    /// Flash: samples to measure with, no part of a product.
    pub samples: u64,
    /// RAM: all static data but the arena; the input buffer is part of it.
    pub ram_static: u64,
    /// RAM: the engine's arena.
    pub arena: u64,
    /// RAM: the input buffer, counted in `ram_static`.
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

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Memory::Flash => "flash",
            Memory::Ram => "RAM",
        })
    }
}

/// A program's file that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not the ELF of a 32-bit device.
    #[error("the linked program is no readable ELF file ({0}); build it again")]
    Unreadable(#[from] object::Error),
    /// Not our layout.
    #[error(
        "the linked program for {board} is laid out unexpectedly: {why}; check the board's memory.x"
    )]
    Layout {
        /// The board.
        board: String,
        /// What is odd.
        why: String,
    },
}

impl Footprint {
    /// Reads what `elf` takes on `board`.
    ///
    /// # Errors
    /// When the file is no ELF or its sections lie outside the board's memories.
    pub fn read(elf: &[u8], board: &Board) -> Result<Self, ElfError> {
        let refuse = |why: String| ElfError::Layout {
            board: board.name.clone(),
            why,
        };
        let file = ElfFile32::<Endianness>::parse(elf)?;
        let endian = file.endian();
        let header = file.elf_header();
        let segments = header.program_headers(endian, elf)?;
        let sections = header.sections(endian, elf)?;

        let mut flash_end = board.flash.origin;
        let mut ram_end = board.ram.origin;
        let (mut model, mut samples) = (0, None);
        for section in sections.iter() {
            let size = u64::from(section.sh_size(endian));
            if section.sh_flags(endian) & SHF_ALLOC == 0 || size == 0 {
                continue;
            }
            let name =
                String::from_utf8_lossy(sections.section_name(endian, section)?).into_owned();
            let address = u64::from(section.sh_addr(endian));
            if board.ram.contains(address) {
                ram_end = ram_end.max(address + size);
            }
            if section.sh_type(endian) == SHT_NOBITS {
                continue;
            }
            // Where the section is loaded from: what is initialised in RAM lies in flash first.
            let loaded = segments
                .iter()
                .filter(|segment| segment.p_type(endian) == PT_LOAD)
                .find_map(|segment| {
                    let start = u64::from(segment.p_vaddr(endian));
                    let inside = address >= start
                        && address + size <= start + u64::from(segment.p_memsz(endian));
                    inside.then(|| address - start + u64::from(segment.p_paddr(endian)))
                })
                .ok_or_else(|| refuse(format!("section {name} is in no segment")))?;
            // Flash may have been lengthened, so only its origin is a bound here.
            if loaded < board.flash.origin {
                return Err(refuse(format!(
                    "section {name} is loaded to {loaded:#x}, before flash"
                )));
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
            return Err(refuse("the samples do not come last in flash".to_owned()));
        }
        let symbol = |part: &str| {
            file.symbols()
                .filter(|symbol| symbol.name().is_ok_and(|name| name.contains(part)))
                .map(|symbol| symbol.size())
                .sum::<u64>()
        };
        let (arena, input) = (symbol(ARENA), symbol(INPUT));
        let static_bytes = ram_end - board.ram.origin;
        if static_bytes < arena + input {
            return Err(refuse("the arena is not in RAM".to_owned()));
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

    /// Flash that a product with this program takes.
    #[must_use]
    pub fn flash(&self) -> u64 {
        self.code + self.model
    }

    /// Which memory of `board` is too small and by how many bytes, when `stack` bytes of RAM
    /// are to remain for the stack.
    #[must_use]
    pub fn excess(&self, board: &Board, stack: u64) -> Option<(Memory, u64)> {
        let over = |needed: u64, there: u64| (needed > there).then(|| needed - there);
        if let Some(bytes) = over(self.flash(), board.flash.length) {
            return Some((Memory::Flash, bytes));
        }
        let ram = self.ram_static + self.arena + stack;
        over(ram, board.ram.length).map(|bytes| (Memory::Ram, bytes))
    }

    /// How many samples of `bytes` each the board's flash can hold beside the program.
    pub(crate) fn room_for_samples(&self, board: &Board, bytes: usize) -> usize {
        // The samples' section begins on a boundary of up to 32 bytes and holds, behind the samples
        // and their padding to a word, the two words that say where and how many they are.
        const BESIDE: u64 = 3 + 8;
        let free = board
            .flash
            .length
            .saturating_sub(self.flash().next_multiple_of(32) + BESIDE);
        usize::try_from(free).unwrap_or(usize::MAX) / bytes.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::boards::{Boards, firmware_folder};
    use super::*;

    fn microbit() -> Board {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        boards.get("microbit").unwrap().clone()
    }

    #[test]
    fn files_that_are_no_program_for_the_board_are_refused() {
        let host = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for bytes in [&b""[..], b"\x7fELF", &[0; 64], &host, &host[..100]] {
            let error = Footprint::read(bytes, &microbit()).unwrap_err();
            assert!(matches!(error, ElfError::Unreadable(_)), "{error}");
        }
    }

    #[test]
    fn the_excess_is_told_to_the_byte_and_flash_comes_first() {
        let fits = Footprint {
            code: 8_000,
            model: 254_144,
            samples: 1 << 20,
            ram_static: 14_360,
            arena: 1_000,
            input: 784,
        };
        assert_eq!(fits.excess(&microbit(), 1024), None);
        assert_eq!(fits.excess(&microbit(), 1025), Some((Memory::Ram, 1)));
        let larger = Footprint {
            model: fits.model + 3,
            ..fits
        };
        assert_eq!(larger.excess(&microbit(), 1025), Some((Memory::Flash, 3)));
        assert_eq!(larger.room_for_samples(&microbit(), 10), 0);
        let smaller = Footprint {
            model: fits.model - 100,
            ..fits
        };
        // 96 bytes behind the boundary, of which 11 are not for samples.
        assert_eq!(smaller.room_for_samples(&microbit(), 32), 2);
        assert_eq!(smaller.room_for_samples(&microbit(), 28), 3);
    }
}
