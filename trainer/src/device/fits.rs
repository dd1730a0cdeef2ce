//! Which chips a network fits.
//!
//! A program is linked once per target, for memories that are large enough for any network, and
//! its sizes are compared with each chip's memories. Its stack is measured on an emulated core
//! with the same instructions; where there is none, a fixed reserve is assumed.

use std::path::Path;

use serde::Serialize;

use super::boards::{Board, BoardError, Origin, Region};
use super::chip_folder::BOOT2;
use super::chips::{Chip, ChipError};
use super::error::DeviceError;
use super::firmware::firmware_folder;
use super::footprint::Footprint;
use super::measure::{build, build_for, footprint};
use super::options::MeasureOptions;
use super::report::BoardReport;
use super::stack::{StackError, StackNeed, stack_need};

/// Well-known chips, from small to large within a manufacturer.
pub const WELL_KNOWN: [&str; 34] = [
    "STM32C011F6",
    "STM32F030F4",
    "STM32F072RB",
    "STM32F103C8",
    "STM32F303RE",
    "STM32F401CC",
    "STM32F405RG",
    "STM32F411CE",
    "STM32F446RE",
    "STM32F746ZG",
    "STM32F767ZI",
    "STM32G030F6",
    "STM32G071RB",
    "STM32G431KB",
    "STM32H563ZI",
    "STM32H743ZI",
    "STM32L053C8",
    "STM32L151CB",
    "STM32L432KC",
    "STM32L476RG",
    "STM32L552CE",
    "STM32U575ZI",
    "STM32WB55RG",
    "nRF51822_xxAA",
    "nRF54L15",
    "nRF52832_xxAA",
    "nRF52833_xxAA",
    "nRF52840_xxAA",
    "nRF5340_xxAA",
    "nRF9160_xxAA",
    "RP2040",
    "ATSAMD21G18A",
    "ATSAMD51J19A",
    "TM4C123GH6PM",
];

/// Size in bytes of the memories for which a program is linked to determine its own sizes.
const AMPLE: u64 = 64 << 20;

/// How a network fits one chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The chip.
    #[serde(flatten)]
    pub chip: Chip,
    /// Flash in bytes that the program with the network takes.
    pub flash_used: u64,
    /// RAM in bytes that it takes: static data, arena and stack.
    pub ram_used: u64,
    /// The stack, which `ram_used` includes.
    pub stack: StackNeed,
    /// Whether both memories are large enough.
    pub fits: bool,
    /// Missing bytes of flash.
    pub flash_over: u64,
    /// Missing bytes of RAM.
    pub ram_over: u64,
}

/// How a network fits several chips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fits {
    /// One entry per chip, the smallest flash first, then the smallest RAM.
    pub chips: Vec<Fit>,
    /// Name of the first chip that the network fits.
    pub smallest: Option<&'static str>,
}

/// Why it could not be determined which chips a network fits.
#[derive(Debug, thiserror::Error)]
pub enum FitsError {
    /// The boards could not be read.
    #[error(transparent)]
    Boards(#[from] BoardError),
    /// A chip cannot be used.
    #[error(transparent)]
    Chip(#[from] ChipError),
    /// A program could not be built or run.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl From<StackError> for FitsError {
    fn from(error: StackError) -> Self {
        match error {
            StackError::Boards(error) => Self::Boards(error),
            StackError::Device(error) => Self::Device(error),
        }
    }
}

/// Determines which of `chips` the container `model` fits. `progress` receives a line per step.
///
/// The program is the one that measures: it includes the log, which a product does not need.
///
/// # Errors
/// Returns an error if the container is invalid, if a chip has no flash or a core without kernels,
/// or if a program cannot be built.
pub fn fits(
    chips: &[Chip],
    model: &[u8],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Fits, FitsError> {
    let firmware = firmware_folder()?;
    let mut sizes = Sizes::new(options, &firmware);
    let mut fits = Vec::new();
    for chip in chips {
        fits.push(sizes.fit(chip, (0, model), progress)?);
    }
    fits.sort_by_key(|fit| order(&fit.chip));
    let smallest = fits.iter().find(|fit| fit.fits).map(|fit| fit.chip.name);
    Ok(Fits {
        chips: fits,
        smallest,
    })
}

/// Returns the key by which chips are sorted: flash, RAM, name.
pub(super) fn order(chip: &Chip) -> (u64, u64, &'static str) {
    (chip.flash.length, chip.ram.length, chip.name)
}

/// The sizes of programs, each linked and run once.
pub(super) struct Sizes<'a> {
    options: &'a MeasureOptions<'a>,
    firmware: &'a Path,
    known: Vec<Size>,
}

/// The size of a program.
struct Size {
    target: String,
    /// Index of the container among those compared.
    model: usize,
    footprint: Footprint,
    stack: StackNeed,
}

impl<'a> Sizes<'a> {
    /// Creates an empty list.
    pub(super) fn new(options: &'a MeasureOptions<'a>, firmware: &'a Path) -> Self {
        Self {
            options,
            firmware,
            known: Vec::new(),
        }
    }

    /// Compares what the program with the container `model` takes with the memories of `chip`.
    /// `number` is the container's index among those compared.
    ///
    /// # Errors
    /// Returns the errors of [`fits`].
    pub(super) fn fit(
        &mut self,
        chip: &Chip,
        (number, model): (usize, &[u8]),
        progress: &mut dyn FnMut(&str),
    ) -> Result<Fit, FitsError> {
        let board = chip.board(self.firmware)?;
        let size = self.of(&board, (number, model), progress)?;
        let flash = size.footprint.flash() + if board.has_boot2() { BOOT2 } else { 0 };
        let ram = size.footprint.ram_static + size.footprint.arena;
        Ok(Fit::new(chip, flash, ram, size.stack.clone()))
    }

    /// Returns the size of the program for the target of `board`.
    fn of(
        &mut self,
        board: &Board,
        (number, model): (usize, &[u8]),
        progress: &mut dyn FnMut(&str),
    ) -> Result<&Size, FitsError> {
        let target = &board.target;
        let is_it = |size: &Size| (&size.target, size.model) == (target, number);
        let index = match self.known.iter().position(is_it) {
            Some(index) => index,
            None => {
                progress(&format!("{target}: building the program"));
                let footprint = footprint(&ample(board), model, self.options)?;
                progress(&format!("{target}: measuring the stack"));
                let stack = stack_need(target, model, self.options, self.firmware)?;
                self.known.push(Size {
                    target: target.clone(),
                    model: number,
                    footprint,
                    stack,
                });
                self.known.len() - 1
            }
        };
        Ok(&self.known[index])
    }
}

impl Fit {
    /// Compares what a program needs (flash, RAM without the stack, and the stack) with the
    /// memories of `chip`.
    pub(super) fn new(chip: &Chip, flash_used: u64, ram_fixed: u64, stack: StackNeed) -> Self {
        let ram_used = ram_fixed + stack.bytes;
        let flash_over = flash_used.saturating_sub(chip.flash.length);
        let ram_over = ram_used.saturating_sub(chip.ram.length);
        Self {
            chip: chip.clone(),
            flash_used,
            ram_used,
            stack,
            fits: flash_over == 0 && ram_over == 0,
            flash_over,
            ram_over,
        }
    }
}

/// Returns a board like `board` with memories of [`AMPLE`] bytes.
fn ample(board: &Board) -> Board {
    let ample = |origin| Region {
        origin,
        length: AMPLE,
    };
    Board {
        name: format!("any-{}", board.target),
        flash: ample(0x0800_0000),
        ram: ample(0x2000_0000),
        origin: Origin::Registry { boot2: false },
        ..board.clone()
    }
}

/// Builds as [`build`] does. For a chip chosen by name, RAM use includes the stack as [`fits`]
/// counts it: measured on an emulated core with the same instructions, if there is one that runs
/// the program.
///
/// # Errors
/// Returns the errors of [`build`] and [`stack_need`].
pub fn build_with_stack(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<BoardReport, FitsError> {
    if board.origin == Origin::Folder {
        return Ok(build(board, model, options, progress)?);
    }
    progress(&format!("{}: measuring the stack", board.name));
    let stack = stack_need(&board.target, model, options, &board.firmware)?;
    let mut report = build_for(board, model, stack.bytes, options, progress)?;
    if stack.measured_on.is_some() {
        report.network = report.network.with_stack(stack.bytes);
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_well_known_chip_is_in_the_registry_and_has_kernels() {
        let firmware = firmware_folder().unwrap();
        for name in WELL_KNOWN {
            let chip = Chip::find(name).unwrap();
            assert_eq!(chip.name, name);
            chip.board(&firmware).unwrap();
            chip.check_start().unwrap();
        }
    }

    #[test]
    fn the_excess_of_each_memory_is_exact() {
        let chip = Chip::find("STM32F030F4").unwrap();
        let fit = Fit::new(&chip, 16_384, 3_072, StackNeed::RESERVE);
        assert!(fit.fits && fit.ram_used == 4_096, "{fit:?}");
        let fit = Fit::new(&chip, 16_387, 3_077, StackNeed::RESERVE);
        assert!(!fit.fits);
        assert_eq!((fit.flash_over, fit.ram_over), (3, 5));
    }
}
