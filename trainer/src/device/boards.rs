//! The boards that Rarefy knows: one folder each under `firmware/boards/`.
//!
//! A board is its `board.toml` (core, target, how to run on it, its timer) and its `memory.x`
//! (the regions FLASH and RAM, one a line), read when a command runs: adding a board is adding
//! a folder. Refuses an unknown name (suggesting a known one), a description with missing or
//! unknown keys, a memory map without the two regions.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::artifact::FileError;
use crate::names;

/// A stretch of a board's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Bytes.
    pub length: u64,
}

impl Region {
    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address >= self.origin && address - self.origin < self.length
    }
}

/// How programs get onto a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// QEMU, with this machine name.
    Emulator {
        /// What `qemu-system-arm -M` calls the board.
        machine: String,
    },
    /// A debug probe, with this chip name.
    Probe {
        /// What `probe-rs run --chip` calls the chip.
        chip: String,
    },
}

/// What a board's timer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counter {
    /// Executed instructions: exact, the same in every run, emulated boards only.
    Instructions,
    /// Clock cycles of real hardware.
    Cycles,
}

/// A board, emulated or real.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its folder's name, which is what people type.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// The processor core, such as Cortex-M4F.
    pub core: String,
    /// The compiler's target triple.
    pub target: String,
    /// How programs get onto it.
    pub runner: Runner,
    /// Clock of the timer in Hz.
    pub clock_hz: u64,
    /// What the timer counts.
    pub counter: Counter,
    /// Read-only memory for code and model.
    pub flash: Region,
    /// Working memory.
    pub ram: Region,
    /// The firmware workspace that the board belongs to.
    pub firmware: PathBuf,
}

impl Board {
    /// Whether QEMU plays the board.
    #[must_use]
    pub fn emulated(&self) -> bool {
        matches!(self.runner, Runner::Emulator { .. })
    }
}

/// The known boards, by name.
#[derive(Clone, Debug)]
pub struct Boards {
    boards: Vec<Board>,
}

/// A board that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No such folder.
    #[error("{}", names::unknown("board", .name, .known.iter().map(String::as_str), "`rarefy boards` lists all"))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The description or the memory map makes no sense.
    #[error("{path} does not describe a board: {why}")]
    Description {
        /// The file at fault.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The firmware's sources are not there.
    #[error(
        "the firmware's sources are nowhere to be found; run inside a checkout of Rarefy or set RAREFY_FIRMWARE to its folder firmware"
    )]
    NoFirmware,
    /// `RAREFY_FIRMWARE` leads nowhere.
    #[error(
        "RAREFY_FIRMWARE is {path}, which holds no boards; set it to the folder firmware of a checkout"
    )]
    NotFirmware {
        /// What the variable says.
        path: String,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// `board.toml` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    description: String,
    core: String,
    target: String,
    emulated: Option<String>,
    probe: Option<String>,
    clock_hz: u64,
    counter: Counter,
}

/// The folder of the firmware workspace: `$RAREFY_FIRMWARE`, else that of the checkout around
/// the current folder, else that of the checkout this program was built from.
///
/// # Errors
/// When none of them holds boards.
pub fn firmware_folder() -> Result<PathBuf, BoardError> {
    let is_firmware =
        |folder: &Path| folder.join("boards").is_dir() && folder.join("Cargo.toml").is_file();
    if let Some(folder) = env::var_os("RAREFY_FIRMWARE").map(PathBuf::from) {
        return if is_firmware(&folder) {
            Ok(absolute(folder))
        } else {
            Err(BoardError::NotFirmware {
                path: folder.display().to_string(),
            })
        };
    }
    let current = env::current_dir().unwrap_or_default();
    current
        .ancestors()
        .map(|folder| folder.join("firmware"))
        .chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware")])
        .find(|folder| is_firmware(folder))
        .map(absolute)
        .ok_or(BoardError::NoFirmware)
}

fn absolute(folder: PathBuf) -> PathBuf {
    folder.canonicalize().unwrap_or(folder)
}

impl Boards {
    /// Reads every board under `firmware`.
    ///
    /// # Errors
    /// When a board's files cannot be read or make no sense.
    pub fn discover(firmware: &Path) -> Result<Self, BoardError> {
        let folder = firmware.join("boards");
        let entries = fs::read_dir(&folder).map_err(|e| FileError::new("list", &folder, e))?;
        let mut boards = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| FileError::new("list", &folder, e))?;
            if entry.path().join("board.toml").is_file() {
                boards.push(Board::read(&entry.path(), firmware)?);
            }
        }
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { boards })
    }

    /// The board called `name`.
    ///
    /// # Errors
    /// When there is none; the error suggests a similar one.
    pub fn get(&self, name: &str) -> Result<&Board, BoardError> {
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

    /// All boards, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Board> {
        self.boards.iter()
    }
}

impl Board {
    fn read(folder: &Path, firmware: &Path) -> Result<Self, BoardError> {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = folder.join("board.toml");
        let refuse = |path: &Path, why: String| BoardError::Description {
            path: path.display().to_string(),
            why,
        };
        let text = fs::read_to_string(&path).map_err(|e| FileError::new("read", &path, e))?;
        let description: Description =
            toml::from_str(&text).map_err(|e| refuse(&path, e.message().replace('\n', " ")))?;
        let runner = match (description.emulated, description.probe) {
            (Some(machine), None) => Runner::Emulator { machine },
            (None, Some(chip)) => Runner::Probe { chip },
            _ => {
                return Err(refuse(
                    &path,
                    "give either `emulated` or `probe`".to_owned(),
                ));
            }
        };
        // Slower, and the emulator's ticks would be too coarse to tell single instructions.
        if !(2_000_000..=1_000_000_000).contains(&description.clock_hz) {
            let why = format!("clock_hz is {}, not 2 MHz to 1 GHz", description.clock_hz);
            return Err(refuse(&path, why));
        }
        if description.counter == Counter::Instructions && matches!(runner, Runner::Probe { .. }) {
            return Err(refuse(
                &path,
                "only an emulated board can count instructions".to_owned(),
            ));
        }
        let map = folder.join("memory.x");
        let text = fs::read_to_string(&map).map_err(|e| FileError::new("read", &map, e))?;
        let region = |region: &str| {
            memory_region(&text, region).ok_or_else(|| {
                refuse(
                    &map,
                    format!("no line `{region} : ORIGIN = ..., LENGTH = ...`"),
                )
            })
        };
        Ok(Self {
            name,
            description: description.description,
            core: description.core,
            target: description.target,
            runner,
            clock_hz: description.clock_hz,
            counter: description.counter,
            flash: region("FLASH")?,
            ram: region("RAM")?,
            firmware: firmware.to_path_buf(),
        })
    }
}

/// The region `name` of a linker script's memory map.
fn memory_region(text: &str, name: &str) -> Option<Region> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once(':')?;
        // The name may be followed by attributes, as in `FLASH (rx) :`.
        if left.split_whitespace().next()? != name {
            return None;
        }
        let (origin, length) = right.split_once(',')?;
        let value = |text: &str, key: &str| {
            let (found, value) = text.split_once('=')?;
            (found.trim() == key).then(|| number(value.trim()))?
        };
        Some(Region {
            origin: value(origin, "ORIGIN")?,
            length: value(length, "LENGTH")?,
        })
    })
}

/// A linker script's number: decimal or hexadecimal, with K or M behind.
fn number(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 1 << 10),
        b'M' | b'm' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(board: &str, memory: &str) -> tempfile::TempDir {
        let firmware = tempfile::tempdir().unwrap();
        let folder = firmware.path().join("boards/b");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("board.toml"), board).unwrap();
        fs::write(folder.join("memory.x"), memory).unwrap();
        firmware
    }

    const BOARD: &str = "description = \"d\"\ncore = \"c\"\ntarget = \"t\"\nemulated = \"m\"\nclock_hz = 4_000_000\ncounter = \"instructions\"\n";
    const MEMORY: &str = "MEMORY\n{\n  FLASH (rx) : ORIGIN = 0x10000000, LENGTH = 256K\n  RAM : ORIGIN = 0x20000000, LENGTH = 0x4000\n}\n";

    #[test]
    fn the_boards_of_the_checkout_are_known_and_an_unknown_one_is_told_from_them() {
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
    fn a_new_folder_is_a_new_board() {
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
    fn descriptions_that_make_no_sense_are_refused_by_name() {
        for (board, memory, expected) in [
            ("core = \"c\"\n".to_owned(), MEMORY, "board.toml"),
            (format!("{BOARD}colour = \"red\"\n"), MEMORY, "colour"),
            (format!("{BOARD}probe = \"p\"\n"), MEMORY, "either"),
            (
                BOARD.replace("emulated", "probe"),
                MEMORY,
                "only an emulated board",
            ),
            (BOARD.replace("4_000_000", "0"), MEMORY, "clock_hz"),
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
            let error = Boards::discover(firmware.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
