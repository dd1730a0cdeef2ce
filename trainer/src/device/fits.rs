//! Which chips a network fits.
//!
//! A program is linked once per target, for memories that are large enough for any network, and its
//! sizes are compared with each chip's memories. Its stack is measured on an emulated core with the
//! same instructions.

use std::path::Path;

use rarefy_format::{AlignedBytes, Model};
use serde::Serialize;

use super::boards::{Board, BoardError, Boards, Origin, Region, firmware_folder};
use super::chips::{Chip, ChipError};
use super::description::BOOT2;
use super::error::DeviceError;
use super::footprint::{Footprint, STACK_RESERVE};
use super::measure::{footprint, measure};
use super::options::MeasureOptions;
use super::run;

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

/// Determines which of `chips` the container `model` fits. `progress` receives a line per step.
///
/// The program is the one that measures: it includes the log, which a product does not need.
///
/// # Errors
/// Returns an error if the container is invalid, if a chip's core has no kernels, or if a program
/// cannot be built.
pub fn fits(
    chips: &[Chip],
    model: &[u8],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Fits, FitsError> {
    let firmware = firmware_folder()?;
    let mut sizes: Vec<(String, Footprint, u64)> = Vec::new();
    let mut fits = Vec::new();
    for chip in chips {
        let board = chip.board(&firmware)?;
        let target = board.target.clone();
        if !sizes.iter().any(|(known, ..)| *known == target) {
            progress(&format!("{target}: building the program"));
            let sized = footprint(&ample(&board), model, options)?;
            progress(&format!("{target}: measuring the stack"));
            let stack = stack_bound(&target, model, options, &firmware)?;
            sizes.push((target.clone(), sized, stack.unwrap_or(STACK_RESERVE)));
        }
        let size = sizes.iter().find(|(known, ..)| *known == target);
        if let Some((_, size, stack)) = size {
            let flash = size.flash() + if board.has_boot2() { BOOT2 } else { 0 };
            fits.push(Fit::new(chip, flash, size.ram_static + size.arena + stack));
        }
    }
    fits.sort_by_key(|fit| (fit.chip.flash.length, fit.chip.ram.length, fit.chip.name));
    let smallest = fits.iter().find(|fit| fit.fits).map(|fit| fit.chip.name);
    Ok(Fits {
        chips: fits,
        smallest,
    })
}

impl Fit {
    /// Compares what a program needs with the memories of `chip`.
    fn new(chip: &Chip, flash_used: u64, ram_used: u64) -> Self {
        let flash_over = flash_used.saturating_sub(chip.flash.length);
        let ram_over = ram_used.saturating_sub(chip.ram.length);
        Self {
            chip: chip.clone(),
            flash_used,
            ram_used,
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

/// Returns the peak stack use in bytes of the container `model` on a core of `target`, measured on
/// an emulated one; `None` if no board has such a core, or if the emulator is not installed.
///
/// # Errors
/// Returns an error if the container is invalid or the program cannot be built or run.
pub fn stack_bound(
    target: &str,
    model: &[u8],
    options: &MeasureOptions<'_>,
    firmware: &Path,
) -> Result<Option<u64>, FitsError> {
    // The stack does not depend on the calling convention for floats: the engine passes none.
    let target = target.strip_suffix("hf").unwrap_or(target);
    let boards = Boards::discover(firmware)?;
    let alike = |board: &&Board| {
        let same = board.target.strip_suffix("hf").unwrap_or(&board.target) == target;
        same && board.emulated()
    };
    let largest = boards.iter().filter(alike).max_by_key(|board| {
        let (flash, ram) = (board.flash.length, board.ram.length);
        flash.min(ram)
    });
    let Some(board) = largest.filter(|board| run::check_runner(board, &options.machine).is_ok())
    else {
        return Ok(None);
    };
    let bytes = AlignedBytes::copy_from(model);
    let inputs = Model::parse(&bytes).map_err(DeviceError::Model)?.inputs();
    let options = MeasureOptions {
        dense: false,
        ..options.clone()
    };
    // Values that are not 0 take every branch that skips zeros.
    let samples = [vec![0; inputs], vec![255; inputs]];
    let report = measure(board, model, &samples, &options, &mut |_| {})?;
    Ok(report.network.ram.and_then(|ram| ram.stack_peak))
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
        let fit = Fit::new(&chip, 16_384, 4_096);
        assert!(fit.fits, "{fit:?}");
        let fit = Fit::new(&chip, 16_387, 4_101);
        assert!(!fit.fits);
        assert_eq!((fit.flash_over, fit.ram_over), (3, 5));
    }
}
