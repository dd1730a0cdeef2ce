//! Known boards: one folder per board under `firmware/boards/`.
//!
//! A folder holds `board.toml` (core, target triple, emulator or probe, timer) and `memory.x`
//! (a linker script with the regions FLASH and RAM, one per line). Both are read at run time, so
//! adding a folder adds a board.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::board_file;
pub use super::board_file::Counter;
use super::memory_map;
pub use super::memory_map::Region;
use crate::atomic::FileError;
use crate::names;

/// The tool that runs programs on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// QEMU emulates the board.
    Emulator {
        /// Machine name, as in `qemu-system-arm -M`; [`Board::emulator`] is the program.
        machine: String,
    },
    /// probe-rs flashes the board through a debug probe.
    Probe {
        /// Chip name, as in `probe-rs run --chip`.
        chip: String,
    },
}

/// Where the description of a board comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A folder of the firmware's `boards`.
    Folder,
    /// The registry of chips.
    Registry {
        /// Whether the first 256 bytes of flash are a second boot stage (RP2040).
        boot2: bool,
    },
}

/// A board, emulated or real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name of the board's folder; users select the board by this name.
    pub name: String,
    /// One-line description.
    pub description: String,
    /// Processor core, such as Cortex-M4F.
    pub core: String,
    /// Target triple.
    pub target: String,
    /// Emulator or debug probe.
    pub runner: Runner,
    /// Clock of the core in Hz, from which milliseconds are computed; `None` if it is not known,
    /// as for a chip. It is also taken for the timer clock of an emulated machine whose own clock
    /// is not known.
    pub clock_hz: Option<u64>,
    /// Unit of the timer.
    pub counter: Counter,
    /// Cycles of a multiplication on ARMv6-M, 1 or 32; `None` if unknown.
    pub multiplier_cycles: Option<u64>,
    /// Wait states of the flash at this clock, in cycles; `None` if unknown.
    pub flash_wait_states: Option<u64>,
    /// Flash, for code and model.
    pub flash: Region,
    /// RAM.
    pub ram: Region,
    /// Folder of the firmware workspace that the board belongs to.
    pub firmware: PathBuf,
    /// Where this description comes from.
    pub origin: Origin,
}

impl Board {
    /// Returns `true` if QEMU emulates the board.
    #[must_use]
    pub fn emulated(&self) -> bool {
        matches!(self.runner, Runner::Emulator { .. })
    }

    /// Returns the name of the program that emulates boards of this target.
    #[must_use]
    pub fn emulator(&self) -> &'static str {
        match self.is_riscv() {
            true => "qemu-system-riscv32",
            false => "qemu-system-arm",
        }
    }

    /// Returns `true` if the board's core is a RISC-V.
    pub(crate) fn is_riscv(&self) -> bool {
        self.target.starts_with("riscv")
    }

    /// Returns `true` if flash begins with the second boot stage of an RP2040.
    pub(crate) fn has_boot2(&self) -> bool {
        self.origin == (Origin::Registry { boot2: true })
    }
}

/// All known boards, sorted by name.
#[derive(Clone, Debug)]
pub struct Boards {
    boards: Vec<Board>,
    broken: Vec<BrokenBoard>,
}

/// A board whose files cannot be read or are invalid.
#[derive(Clone, Debug)]
pub struct BrokenBoard {
    /// Name of the board's folder.
    pub name: String,
    /// The problem.
    pub error: Arc<BoardError>,
}

/// Why a board cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No board has the requested name.
    #[error("{}", names::unknown("board", .name, .known.iter().map(String::as_str), "`rarefy boards` lists all"))]
    Unknown {
        /// Requested name.
        name: String,
        /// Names of all known boards.
        known: Vec<String>,
    },
    /// `board.toml` or `memory.x` is invalid.
    #[error("{path} does not describe a board: {why}")]
    Description {
        /// Invalid file.
        path: String,
        /// The problem.
        why: String,
    },
    /// The requested board is invalid.
    #[error(transparent)]
    Broken(Arc<BoardError>),
    /// No firmware workspace was found.
    #[error(
        "the firmware's sources were not found; run inside a checkout of Rarefy, or set RAREFY_FIRMWARE to its `firmware` folder"
    )]
    NoFirmware,
    /// There is no folder into which the sources inside the program could be unpacked.
    #[error(
        "there is no cache folder for the firmware's sources, which are built there; set XDG_CACHE_HOME or HOME"
    )]
    NoCache,
    /// `RAREFY_FIRMWARE` does not name a firmware workspace.
    #[error(
        "RAREFY_FIRMWARE is {path}, which does not contain Rarefy's firmware and its boards; set it to the `firmware` folder of a checkout"
    )]
    NotFirmware {
        /// Value of the variable.
        path: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Boards {
    /// Reads every board under `firmware`. An invalid board does not affect the others:
    /// [`Boards::broken`] lists it, and [`Boards::get`] returns its error.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder of the boards cannot be read.
    pub fn discover(firmware: &Path) -> Result<Self, BoardError> {
        let folder = firmware.join("boards");
        let entries = fs::read_dir(&folder).map_err(|e| FileError::new("list", &folder, e))?;
        let (mut boards, mut broken) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(|e| FileError::new("list", &folder, e))?;
            if !entry.path().join("board.toml").is_file() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            match Board::read(&entry.path(), name.clone(), firmware) {
                Ok(board) => boards.push(board),
                Err(error) => broken.push(BrokenBoard {
                    name,
                    error: Arc::new(error),
                }),
            }
        }
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        broken.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { boards, broken })
    }

    /// Returns the board called `name`.
    ///
    /// # Errors
    ///
    /// Returns [`BoardError::Unknown`], which suggests a similar name, if there is no such board,
    /// and [`BoardError::Broken`] if its files are invalid.
    pub fn get(&self, name: &str) -> Result<&Board, BoardError> {
        if let Some(broken) = self.broken.iter().find(|board| board.name == name) {
            return Err(BoardError::Broken(Arc::clone(&broken.error)));
        }
        self.boards
            .iter()
            .find(|board| board.name == name)
            .ok_or_else(|| {
                let known = self.boards.iter().map(|board| board.name.clone());
                BoardError::Unknown {
                    name: name.to_owned(),
                    known: known.collect(),
                }
            })
    }

    /// Iterates over all valid boards, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Board> {
        self.boards.iter()
    }

    /// Iterates over all invalid boards, sorted by name.
    pub fn broken(&self) -> impl Iterator<Item = &BrokenBoard> {
        self.broken.iter()
    }
}

impl Board {
    /// Reads the board called `name` in `folder`, part of the workspace `firmware`.
    fn read(folder: &Path, name: String, firmware: &Path) -> Result<Self, BoardError> {
        let invalid = |path: &Path, why: String| BoardError::Description {
            path: path.display().to_string(),
            why,
        };
        let path = folder.join("board.toml");
        let text = fs::read_to_string(&path).map_err(|e| FileError::new("read", &path, e))?;
        let description = board_file::parse(&text).map_err(|why| invalid(&path, why))?;
        let map = folder.join("memory.x");
        let text = fs::read_to_string(&map).map_err(|e| FileError::new("read", &map, e))?;
        let region = |name| memory_map::region(&text, name).map_err(|why| invalid(&map, why));
        let runner = match (description.emulated, description.probe) {
            (Some(machine), _) => Runner::Emulator { machine },
            (None, chip) => Runner::Probe {
                chip: chip.unwrap_or_default(),
            },
        };
        Ok(Self {
            name,
            description: description.description,
            core: description.core,
            target: description.target,
            runner,
            clock_hz: description.clock_hz,
            counter: description.counter,
            multiplier_cycles: description.multiplier_cycles,
            flash_wait_states: description.flash_wait_states,
            flash: region("FLASH")?,
            ram: region("RAM")?,
            firmware: firmware.to_path_buf(),
            origin: Origin::Folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::firmware::firmware_folder;
    use super::*;

    fn folder_with(board: &str, memory: &str) -> tempfile::TempDir {
        let firmware = tempfile::tempdir().unwrap();
        let folder = firmware.path().join("boards/b");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("board.toml"), board).unwrap();
        fs::write(folder.join("memory.x"), memory).unwrap();
        firmware
    }

    const BOARD: &str = "description = \"d\"\ncore = \"Cortex-M0\"\ntarget = \"thumbv6m-none-eabi\"\nemulated = \"m\"\nclock_hz = 4_000_000\ncounter = \"instructions\"\n";
    const MEMORY: &str = "MEMORY\n{\n  FLASH (rx) : ORIGIN = 0x10000000, LENGTH = 256K\n  RAM : ORIGIN = 0x20000000, LENGTH = 0x4000\n}\n";

    #[test]
    fn the_checkout_has_boards_and_an_unknown_name_gets_a_suggestion() {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let board = boards.get("microbit").unwrap();
        assert_eq!(
            board.flash,
            Region {
                origin: 0,
                length: 262_144
            }
        );
        assert_eq!(
            board.ram,
            Region {
                origin: 0x2000_0000,
                length: 16_384
            }
        );
        assert!(board.emulated());
        assert!(!boards.get("nrf52840-dk").unwrap().emulated());
        let error = boards.get("mps2-an368").unwrap_err().to_string();
        assert!(
            error.contains("mps2-an368") && error.contains("did you mean mps2-an386?"),
            "{error}"
        );
    }

    #[test]
    fn adding_a_folder_adds_a_board() {
        let firmware = folder_with(BOARD, MEMORY);
        let boards = Boards::discover(firmware.path()).unwrap();
        let board = boards.get("b").unwrap();
        assert_eq!(
            board.flash,
            Region {
                origin: 0x1000_0000,
                length: 262_144
            }
        );
        assert_eq!(
            board.ram,
            Region {
                origin: 0x2000_0000,
                length: 0x4000
            }
        );
        assert_eq!(
            board.runner,
            Runner::Emulator {
                machine: "m".to_owned()
            }
        );
    }

    #[test]
    fn invalid_descriptions_are_rejected_with_the_file_and_the_line_at_fault() {
        for (board, memory, expected) in [
            ("core = \"c\"\n".to_owned(), MEMORY, "board.toml"),
            (
                format!("{BOARD}colour = \"red\"\n"),
                MEMORY,
                "line 7: unknown field `colour`",
            ),
            (
                format!("{BOARD}probe = \"p\"\n"),
                MEMORY,
                "line 7: set either",
            ),
            (
                BOARD.replace("emulated", "probe"),
                MEMORY,
                "line 6: only an emulated board",
            ),
            (
                BOARD.replace("instructions", "cycles"),
                MEMORY,
                "line 6: an emulated board has no cycles to count",
            ),
            (
                BOARD.replace("M0", "M4"),
                MEMORY,
                "line 2: a Cortex-M4 does not run",
            ),
            (
                BOARD.replace("thumbv6m", "thumbv5"),
                MEMORY,
                "line 3: there is no target",
            ),
            (BOARD.replace("4_000_000", "0"), MEMORY, "line 5: clock_hz"),
            (
                format!("{BOARD}multiplier_cycles = 2\n"),
                MEMORY,
                "line 7: set multiplier_cycles to 1 or 32",
            ),
            (format!("{BOARD}flash_wait_states = 101\n"), MEMORY, "100"),
            (
                BOARD.replace("clock_hz = 4_000_000\n", ""),
                MEMORY,
                "add clock_hz",
            ),
            (
                BOARD.to_owned(),
                "MEMORY { FLASH : ORIGIN = 0, LENGTH = 1K }",
                "memory.x",
            ),
            (
                BOARD.to_owned(),
                "  FLASH : ORIGIN = 0, LENGTH = 1K\n",
                "RAM",
            ),
        ] {
            let firmware = folder_with(&board, memory);
            let boards = Boards::discover(firmware.path()).unwrap();
            let error = boards.get("b").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
            let [broken] = &boards.broken[..] else {
                panic!("{boards:?}");
            };
            assert_eq!((&*broken.name, broken.error.to_string()), ("b", error));
        }
    }

    #[test]
    fn a_broken_board_does_not_concern_the_others() {
        let firmware = folder_with(BOARD, MEMORY);
        let folder = firmware.path().join("boards/a");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("board.toml"), "core").unwrap();
        let boards = Boards::discover(firmware.path()).unwrap();
        assert_eq!(boards.iter().count(), 1);
        assert!(boards.get("b").is_ok());
        let error = boards.get("a").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
