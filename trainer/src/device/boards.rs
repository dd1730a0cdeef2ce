//! Known boards: one folder per board under `firmware/boards/`.
//!
//! A folder holds `board.toml` (core, target triple, emulator or probe, timer) and `memory.x`
//! (a linker script with the regions FLASH and RAM, one per line). Both are read at run time, so
//! adding a folder adds a board.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::FileError;
use crate::names;

/// A region of a board's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Length in bytes.
    pub length: u64,
}

impl Region {
    /// Returns `true` if `address` lies in the region.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address >= self.origin && address - self.origin < self.length
    }
}

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

/// The unit that a board's timer counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counter {
    /// Executed instructions: exact and reproducible; emulated boards only.
    Instructions,
    /// Clock cycles of real hardware.
    Cycles,
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
    /// Timer frequency in Hz; `None` if the timer of an emulated board counts instructions, or if
    /// it is not known, as for a chip.
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

    /// Returns the number of instructions in which the timer of an emulated board advances by
    /// `ticks`, rounded to the nearest.
    pub(crate) fn instructions(&self, ticks: u64) -> u64 {
        let Some(clock_hz) = self.clock_hz else {
            return ticks;
        };
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        let instruction = u128::from(clock_hz) << self.icount_shift();
        u64::try_from((nanoseconds + instruction / 2) / instruction).unwrap_or(u64::MAX)
    }

    /// Returns `true` if flash begins with the second boot stage of an RP2040.
    pub(crate) fn has_boot2(&self) -> bool {
        self.origin == (Origin::Registry { boot2: true })
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
        self.clock_hz.map_or(0, |hz| {
            (7..=10)
                .find(|shift| hz << shift > 2 * NANOSECONDS)
                .unwrap_or(10)
        })
    }
}

/// All known boards, sorted by name.
#[derive(Clone, Debug)]
pub struct Boards {
    boards: Vec<Board>,
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
    /// No firmware workspace was found.
    #[error(
        "the firmware's sources were not found; run inside a checkout of Rarefy, or set RAREFY_FIRMWARE to its `firmware` folder"
    )]
    NoFirmware,
    /// `RAREFY_FIRMWARE` does not name a firmware workspace.
    #[error(
        "RAREFY_FIRMWARE is {path}, which contains no boards; set it to the `firmware` folder of a checkout"
    )]
    NotFirmware {
        /// Value of the variable.
        path: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Contents of `board.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    description: String,
    core: String,
    target: String,
    emulated: Option<String>,
    probe: Option<String>,
    clock_hz: Option<u64>,
    counter: Counter,
    multiplier_cycles: Option<u64>,
    flash_wait_states: Option<u64>,
}

/// Returns the folder of the firmware workspace.
///
/// This is `$RAREFY_FIRMWARE` if set, otherwise the `firmware` folder of the checkout that
/// contains the current folder, otherwise that of the checkout from which this program was built.
///
/// # Errors
///
/// Returns an error if no firmware workspace is found, or if `$RAREFY_FIRMWARE` is not one.
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

/// Returns `folder` as an absolute path, or unchanged if that fails.
fn absolute(folder: PathBuf) -> PathBuf {
    // On Windows `canonicalize` returns verbatim paths (`\\?\C:\...`), which linkers reject.
    let absolute = if cfg!(windows) {
        path::absolute(&folder)
    } else {
        folder.canonicalize()
    };
    absolute.unwrap_or(folder)
}

impl Boards {
    /// Reads every board under `firmware`.
    ///
    /// # Errors
    ///
    /// Returns an error if a board's files cannot be read or are invalid.
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

    /// Returns the board called `name`.
    ///
    /// # Errors
    ///
    /// Returns [`BoardError::Unknown`], which suggests a similar name, if there is no such board.
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

    /// Iterates over all boards, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Board> {
        self.boards.iter()
    }
}

impl Board {
    /// Reads the board in `folder`, part of the workspace `firmware`.
    fn read(folder: &Path, firmware: &Path) -> Result<Self, BoardError> {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = folder.join("board.toml");
        let invalid = |path: &Path, why: &str| BoardError::Description {
            path: path.display().to_string(),
            why: why.to_owned(),
        };
        let text = fs::read_to_string(&path).map_err(|e| FileError::new("read", &path, e))?;
        let description: Description =
            toml::from_str(&text).map_err(|e| invalid(&path, &e.message().replace('\n', " ")))?;
        let runner = match (description.emulated, description.probe) {
            (Some(machine), None) => Runner::Emulator { machine },
            (None, Some(chip)) => Runner::Probe { chip },
            _ => return Err(invalid(&path, "set either `emulated` or `probe`")),
        };
        // Ticks of a slower timer are too coarse to resolve single instructions.
        if let Some(clock) = description.clock_hz
            && !(2_000_000..=1_000_000_000).contains(&clock)
        {
            let why =
                format!("clock_hz is {clock}; set it to a frequency in Hz from 2 MHz to 1 GHz");
            return Err(invalid(&path, &why));
        }
        // The counters of RISC-V need no frequency; SysTick does.
        if description.clock_hz.is_none() && !description.target.starts_with("riscv") {
            return Err(invalid(
                &path,
                "add clock_hz, the frequency of the timer in Hz",
            ));
        }
        if description.counter == Counter::Instructions && matches!(runner, Runner::Probe { .. }) {
            let why = "only an emulated board can count instructions; set counter to \"cycles\"";
            return Err(invalid(&path, why));
        }
        if !matches!(description.multiplier_cycles, None | Some(1 | 32)) {
            return Err(invalid(&path, "set multiplier_cycles to 1 or 32"));
        }
        if description
            .flash_wait_states
            .is_some_and(|cycles| cycles > 100)
        {
            let why = "set flash_wait_states to a number of cycles up to 100";
            return Err(invalid(&path, why));
        }
        let map = folder.join("memory.x");
        let text = fs::read_to_string(&map).map_err(|e| FileError::new("read", &map, e))?;
        let region = |region: &str| {
            memory_region(&text, region).ok_or_else(|| {
                let why = format!("add a line `{region} : ORIGIN = ..., LENGTH = ...`");
                invalid(&map, &why)
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
            multiplier_cycles: description.multiplier_cycles,
            flash_wait_states: description.flash_wait_states,
            flash: region("FLASH")?,
            ram: region("RAM")?,
            firmware: firmware.to_path_buf(),
            origin: Origin::Folder,
        })
    }
}

/// Returns the region `name` of a linker script's memory map.
fn memory_region(text: &str, name: &str) -> Option<Region> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once(':')?;
        // Attributes may follow the name, as in `FLASH (rx) :`.
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

/// Parses a number of a linker script: decimal or hexadecimal, with an optional suffix K or M.
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
    fn invalid_descriptions_are_rejected_with_the_file_at_fault() {
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
            (format!("{BOARD}multiplier_cycles = 2\n"), MEMORY, "1 or 32"),
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
            let error = Boards::discover(firmware.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
