//! The folder that describes a chip to the firmware's build script, as `boards/NAME` describes a
//! board.

use std::ffi::OsString;
use std::path::Path;

use super::boards::{Board, Origin};
use crate::atomic::{self, FileError};

/// Size in bytes of the second boot stage of an RP2040.
pub(super) const BOOT2: u64 = 256;

/// Linker script that puts the second boot stage first in flash.
const BOOT2_SECTION: &str = "
SECTIONS
{
  .boot2 ORIGIN(BOOT2) :
  {
    KEEP(*(.boot2));
  } > BOOT2
}
INSERT BEFORE .text;
";

/// Returns the value of `RAREFY_BOARD` that selects `board`: its name or, for a chip, a folder in
/// `work`, which this function writes.
///
/// # Errors
/// Returns an error if the folder cannot be written.
pub(super) fn select(board: &Board, work: &Path) -> Result<OsString, FileError> {
    let Some(memory) = memory(board) else {
        return Ok(board.name.clone().into());
    };
    let folder = work.join("chips").join(&board.name);
    atomic::create_folder(&folder)?;
    for (name, text) in [
        ("board.toml", "counter = \"cycles\"\n"),
        ("memory.x", memory.as_str()),
    ] {
        let path = folder.join(name);
        // Cargo builds again after every change of the modification time.
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        atomic::write(&path, text.as_bytes())?;
    }
    Ok(folder.into())
}

/// Returns the linker script with the memories of `board`, if it is a chip.
pub(super) fn memory(board: &Board) -> Option<String> {
    let Origin::Registry { boot2 } = board.origin else {
        return None;
    };
    let (mut flash, ram) = (board.flash, board.ram);
    let mut regions = String::new();
    if boot2 {
        regions = format!("  BOOT2 : ORIGIN = {:#x}, LENGTH = {BOOT2}\n", flash.origin);
        flash.origin += BOOT2;
        flash.length -= BOOT2;
    }
    for (name, region) in [("FLASH", flash), ("RAM", ram)] {
        let (origin, length) = (region.origin, region.length);
        regions += &format!("  {name} : ORIGIN = {origin:#x}, LENGTH = {length}\n");
    }
    let section = if boot2 { BOOT2_SECTION } else { "" };
    Some(format!("MEMORY\n{{\n{regions}}}\n{section}"))
}
