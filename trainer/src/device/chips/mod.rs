//! Chips by name: core and memories of some 4,000 microcontrollers.
//!
//! The table comes from the registry of targets of [probe-rs](https://probe.rs), which is written
//! and maintained by its authors; `cargo xtask chips` extracts what a linker script needs. As a
//! library, probe-rs would add about 200 crates to the build.

mod core;

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

pub use self::core::ChipCore;
use super::boards::{Board, Counter, Origin, Region, Runner};
use crate::names;
use crate::remedy::Remedy;

/// The table; see `cargo xtask chips` for its format.
const TABLE: &str = include_str!("table.txt");

/// Size in bytes from which flash is taken to be a separate part of unknown size: for such flash
/// the registry states what the chip can address.
const EXTERNAL: u64 = 16 << 20;

/// Size in bytes of the flash that Raspberry Pi's chips map, at the beginning of the region that
/// the registry states (RP2040 data sheet, section 2.6.3; RP2350 data sheet, section 4.4: its
/// first chip select).
const MAPPED: u64 = 16 << 20;

/// Beginning of the names of chips without flash of their own. For these, the registry states as
/// flash the RAM or the address window from which they start.
const WITHOUT_FLASH: &str = "STM32N6";

/// Beginnings of the names of chips that start a program from its vector table at the beginning of
/// flash, without a header or a configuration word of the manufacturer.
const PLAIN: [&str; 26] = [
    "STM32C", "STM32F", "STM32G", "STM32H5", "STM32H7", "STM32L", "STM32U", "STM32W", "nRF51",
    "nRF52", "nRF5340", "nRF54L", "nRF9160", "ATSAMD", "ATSAME", "ATSAML", "ATSAM4", "GD32E",
    "GD32F", "AT32F", "EFM32", "EFR32", "TM4C", "PY32", "HK32", "AIR32",
];

/// Number of names that an error suggests.
const SUGGESTED: usize = 3;

/// A chip of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chip {
    /// Name in the registry, which probe-rs accepts.
    pub name: &'static str,
    /// First core.
    pub core: ChipCore,
    /// Flash that the core starts from.
    pub flash: Region,
    /// Largest contiguous RAM.
    pub ram: Region,
    /// Endings of the name that stand for the chip's packages, separated by commas.
    #[serde(skip)]
    endings: &'static str,
}

/// Why a chip cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChipError {
    /// No chip has the requested name.
    #[error("{}", unknown(.name, .nearest, *.unusable))]
    Unknown {
        /// Requested name.
        name: String,
        /// Most similar names of chips that can be used.
        nearest: Vec<&'static str>,
        /// Core of the chips whose names begin with the requested one, if none of them can be
        /// used.
        unusable: Option<&'static str>,
    },
    /// The chip has no flash of its own.
    #[error(
        "{chip} has no flash of its own, so it is not known where its programs lie; choose another chip (`rarefy chips`)"
    )]
    NoFlash {
        /// Name of the chip.
        chip: &'static str,
    },
    /// No programs are built for chips with this core.
    #[error(
        "the core of {chip} is {core}, and chips by name get programs for Cortex-M only; choose one of these (`rarefy chips`), or an emulated board (`rarefy boards`)"
    )]
    NoKernels {
        /// Name of the chip.
        chip: &'static str,
        /// Name of the core.
        core: &'static str,
    },
    /// The chip may need more than a program to start it.
    #[error(
        "{chip} may need a boot header or configuration words, which Rarefy does not write; {}",
        Remedy::BuildOnly
    )]
    NoStart {
        /// Name of the chip.
        chip: &'static str,
    },
}

impl ChipError {
    /// Returns the remedy that the message ends with, if a caller may show its own advice instead.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NoStart { .. } => Some(Remedy::BuildOnly),
            _ => None,
        }
    }
}

/// Returns the message for the unknown chip `name`.
fn unknown(name: &str, nearest: &[&str], unusable: Option<&str>) -> String {
    if let Some(core) = unusable {
        return format!(
            "there is no chip {name:?}, and those whose names begin so cannot be used: their core is {core}, and chips by name get programs for Cortex-M only; `rarefy chips` lists those that can"
        );
    }
    let mut message = format!("there is no chip {name:?}: ");
    if let Some((last, others)) = nearest.split_last() {
        let others = others.join(", ");
        let _ = match others.is_empty() {
            true => write!(message, "did you mean {last}? "),
            false => write!(message, "did you mean {others} or {last}? "),
        };
    }
    message + "`rarefy chips` lists all"
}

/// Iterates over all chips, in the order of the table: by core, then by flash.
pub fn chips() -> impl Iterator<Item = Chip> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| {
        let mut words = line.split(' ');
        let mut head = || {
            let core = ChipCore::from_code(words.next()?)?;
            Some((core, region(words.next()?)?, region(words.next()?)?))
        };
        // A malformed line would be skipped, but a test reads all of the committed table.
        let head = head();
        words.filter_map(move |word| {
            let (core, flash, ram) = head?;
            let (name, endings) = word.split_once(':').unwrap_or((word, ""));
            let length = match name.starts_with("RP2") {
                true => flash.length.min(MAPPED),
                false => flash.length,
            };
            let flash = Region { length, ..flash };
            Some(Chip {
                name,
                core,
                flash,
                ram,
                endings,
            })
        })
    })
}

/// Parses a region of the table: origin and length in hexadecimal.
fn region(text: &str) -> Option<Region> {
    let (origin, length) = text.split_once('+')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some(Region {
        origin: number(origin)?,
        length: number(length)?,
    })
}

impl Chip {
    /// Returns the chip called `name`, with or without its package. Case, spaces, `-` and `_` do
    /// not matter, and an `x` in the registry's name stands for any character.
    ///
    /// # Errors
    /// Returns [`ChipError::Unknown`] if there is none.
    pub fn find(name: &str) -> Result<Self, ChipError> {
        let wanted = plain(name);
        let exact = |chip: &Chip| chip.names().any(|name| plain(&name) == wanted);
        let similar = |chip: &Chip| chip.names().any(|name| stands_for(&plain(&name), &wanted));
        chips()
            .find(exact)
            .or_else(|| chips().find(similar))
            .ok_or_else(|| unknown_chip(name, &wanted))
    }

    /// Returns `true` if programs for the chip can be built.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.core.target().is_some() && self.has_flash()
    }

    /// Returns `true` if the chip has flash, whether on chip or as a separate part.
    #[must_use]
    pub fn has_flash(&self) -> bool {
        !self.name.starts_with(WITHOUT_FLASH)
    }

    /// Iterates over the names of the chip: its own, and those with a package.
    fn names(&self) -> impl Iterator<Item = String> {
        let endings = self.endings.split(',').filter(|ending| !ending.is_empty());
        std::iter::once("")
            .chain(endings)
            .map(|ending| format!("{}{ending}", self.name))
    }

    /// Returns `true` if flash is a separate part of unknown size, so that the size given is what
    /// the chip can address.
    #[must_use]
    pub fn external_flash(&self) -> bool {
        self.flash.length >= EXTERNAL
    }

    /// Returns the chip as a board that probe-rs runs programs on. `firmware` is the folder of the
    /// firmware workspace.
    ///
    /// # Errors
    /// Returns [`ChipError::NoKernels`] if the firmware does not run on the chip's core, and
    /// [`ChipError::NoFlash`] if there is no flash to link for.
    pub fn board(&self, firmware: &Path) -> Result<Board, ChipError> {
        let (chip, core) = (self.name, self.core.name());
        let target = self.core.target();
        let target = target.ok_or(ChipError::NoKernels { chip, core })?;
        if !self.has_flash() {
            return Err(ChipError::NoFlash { chip });
        }
        Ok(Board {
            name: chip.to_owned(),
            description: format!("{chip}, through probe-rs"),
            core: core.to_owned(),
            target: target.to_owned(),
            runner: Runner::Probe {
                chip: chip.to_owned(),
            },
            clock_hz: None,
            multiplier_cycles: None,
            flash_wait_states: None,
            counter: Counter::Cycles,
            flash: self.flash,
            ram: self.ram,
            firmware: firmware.to_path_buf(),
            origin: Origin::Registry {
                boot2: self.needs_boot2(),
            },
        })
    }

    /// Checks that the chip starts a program as the firmware links it.
    ///
    /// # Errors
    /// Returns [`ChipError::NoStart`] if that is not known.
    pub fn check_start(&self) -> Result<(), ChipError> {
        let plain = PLAIN.iter().any(|start| self.name.starts_with(start));
        match plain || self.needs_boot2() {
            true => Ok(()),
            false => Err(ChipError::NoStart { chip: self.name }),
        }
    }

    /// Returns `true` if the chip loads a second boot stage from the first 256 bytes of flash.
    fn needs_boot2(&self) -> bool {
        self.name.starts_with("RP2040")
    }
}

/// Returns `name` in lower case without separators.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    kept.flat_map(char::to_lowercase).collect()
}

/// Returns `true` if `name` is `pattern`, in which an `x` stands for any character.
fn stands_for(pattern: &str, name: &str) -> bool {
    pattern.len() == name.len()
        && pattern
            .bytes()
            .zip(name.bytes())
            .all(|(pattern, byte)| pattern == byte || pattern == b'x')
}

/// Returns the error for the unknown chip `name`, which is `wanted` in lower case without
/// separators. It suggests usable chips whose names begin with `wanted`, or the most similar ones.
fn unknown_chip(name: &str, wanted: &str) -> ChipError {
    let begins = |chip: &Chip| !wanted.is_empty() && plain(chip.name).starts_with(wanted);
    let (usable, others): (Vec<Chip>, Vec<Chip>) =
        chips().filter(begins).partition(Chip::is_usable);
    let mut nearest: Vec<&str> = usable.iter().map(|chip| chip.name).collect();
    nearest.sort_unstable();
    nearest.truncate(SUGGESTED);
    let without_kernels = |chip: &Chip| chip.core.target().is_none();
    let unusable = match nearest.is_empty() {
        true => others.into_iter().find(without_kernels),
        false => None,
    };
    if nearest.is_empty() && unusable.is_none() {
        let usable = chips().filter(Chip::is_usable).map(|chip| chip.name);
        nearest = names::ranked(wanted, usable, SUGGESTED);
    }
    ChipError::Unknown {
        name: name.to_owned(),
        nearest,
        unusable: unusable.map(|chip| chip.core.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::firmware::firmware_folder;
    use super::*;

    /// Returns the memories of a chip: origins in hexadecimal, sizes in units of 1,024 bytes.
    fn memories(name: &str) -> (u64, u64, u64, u64) {
        let chip = Chip::find(name).unwrap();
        let kibibytes = |region: Region| region.length >> 10;
        let (flash, ram) = (chip.flash, chip.ram);
        (flash.origin, kibibytes(flash), ram.origin, kibibytes(ram))
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let words = |line: &'static str| line.split(' ').skip(3);
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines.flat_map(words).collect();
        assert!(names.len() > 4_000, "{}", names.len());
        assert_eq!(chips().count(), names.len());
        for chip in chips() {
            assert!(chip.flash.length > 0 && chip.ram.length > 0, "{chip:?}");
        }
    }

    #[test]
    fn memories_are_those_of_the_data_sheets() {
        for (name, core, expected) in [
            (
                "STM32F411CEUx",
                ChipCore::M4F,
                (0x0800_0000, 512, 0x2000_0000, 128),
            ),
            (
                "STM32F103C8",
                ChipCore::M3,
                (0x0800_0000, 64, 0x2000_0000, 20),
            ),
            (
                "STM32G071RB",
                ChipCore::M0,
                (0x0800_0000, 128, 0x2000_0000, 36),
            ),
            (
                "STM32L476RG",
                ChipCore::M4F,
                (0x0800_0000, 1024, 0x2000_0000, 96),
            ),
            (
                "STM32F767ZI",
                ChipCore::M7F,
                (0x0800_0000, 2048, 0x2000_0000, 512),
            ),
            (
                "STM32L552CE",
                ChipCore::M33,
                (0x0800_0000, 512, 0x2000_0000, 256),
            ),
            ("nRF51822_xxAA", ChipCore::M0, (0, 256, 0x2000_0000, 16)),
            ("nRF52833_xxAA", ChipCore::M4F, (0, 512, 0x2000_0000, 128)),
            ("nRF52810_xxAA", ChipCore::M4, (0, 192, 0x2000_0000, 24)),
            ("ATSAMD21G18A", ChipCore::M0, (0, 256, 0x2000_0000, 32)),
        ] {
            assert_eq!(memories(name), expected, "{name}");
            assert_eq!(Chip::find(name).unwrap().core, core, "{name}");
        }
    }

    #[test]
    fn names_are_found_in_any_case_with_package_and_with_the_printed_ending() {
        for (typed, name) in [
            ("stm32f411ceux", "STM32F411CE"),
            ("STM32F411CEU6", "STM32F411CE"),
            ("STM32F411CE", "STM32F411CE"),
            ("nrf52840-qiaa", "nRF52840_xxAA"),
            ("ESP32-C3", "esp32c3"),
            ("rp2040", "RP2040"),
            ("RP2350", "RP235x"),
        ] {
            assert_eq!(Chip::find(typed).unwrap().name, name, "{typed}");
        }
    }

    #[test]
    fn an_unknown_chip_gets_three_suggestions() {
        let error = Chip::find("STM32F411").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no chip \"STM32F411\": did you mean STM32F411CC, STM32F411CE or \
             STM32F411RC? `rarefy chips` lists all"
        );
        let ChipError::Unknown { nearest, .. } = Chip::find("STN32F411CE").unwrap_err() else {
            panic!("the wrong error");
        };
        assert_eq!(nearest.len(), 3);
        assert_eq!(nearest[0], "STM32F411CE");
        let error = Chip::find("").unwrap_err().to_string();
        assert_eq!(error, "there is no chip \"\": `rarefy chips` lists all");
    }

    #[test]
    fn no_chip_is_suggested_that_cannot_be_used() {
        let error = Chip::find("CH32V003").unwrap_err().to_string();
        assert!(error.contains("their core is RISC-V"), "{error}");
        for name in ["CH32X", "ESP32-X7", "STM32N6", "STM32N65", "CH32V0003"] {
            let Err(ChipError::Unknown { nearest, .. }) = Chip::find(name) else {
                panic!("{name}");
            };
            for near in nearest {
                assert!(Chip::find(near).unwrap().is_usable(), "{name}: {near}");
            }
        }
    }

    #[test]
    fn external_flash_is_what_is_mapped_and_none_is_none() {
        let firmware = firmware_folder().unwrap();
        for name in ["RP2040", "RP2350"] {
            let chip = Chip::find(name).unwrap();
            assert_eq!(
                (chip.flash.origin, chip.flash.length),
                (0x1000_0000, 16 << 20)
            );
            assert!(chip.external_flash());
        }
        let error = Chip::find("STM32N657").unwrap().board(&firmware);
        assert_eq!(error, Err(ChipError::NoFlash { chip: "STM32N657" }));
    }

    #[test]
    fn a_chip_without_kernels_or_with_a_boot_header_is_rejected_in_one_sentence() {
        let firmware = firmware_folder().unwrap();
        let chip = Chip::find("ESP32-S3").unwrap();
        let error = chip.board(&firmware).unwrap_err().to_string();
        assert!(
            error.contains("Xtensa") && error.contains("Cortex-M"),
            "{error}"
        );
        for (name, starts) in [
            ("STM32F405RG", true),
            ("RP2040", true),
            ("RP2350", false),
            ("MIMXRT1060", false),
        ] {
            let Ok(chip) = Chip::find(name) else {
                panic!("{name}")
            };
            assert_eq!(chip.check_start().is_ok(), starts, "{name}");
        }
    }
}
