//! The stack that a program needs on a board that it is not run on.

use std::path::Path;

use rarefy_format::{AlignedBytes, Model};
use serde::Serialize;

use super::boards::{Board, BoardError, Boards};
use super::error::DeviceError;
use super::footprint::STACK_RESERVE;
use super::image::ImageError;
use super::measure::measure;
use super::options::MeasureOptions;
use super::run::{self, RunError};

/// Stack that a program needs, and where the figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackNeed {
    /// Size in bytes.
    pub bytes: u64,
    /// Name of the emulated board on which it was measured; `None` if it is a reserve,
    /// [`STACK_RESERVE`], because no emulated board has run the program.
    pub measured_on: Option<String>,
}

impl StackNeed {
    /// The need of a program that no emulated board has run.
    pub const RESERVE: Self = Self {
        bytes: STACK_RESERVE,
        measured_on: None,
    };
}

/// Why the stack of a program could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The boards could not be read.
    #[error(transparent)]
    Boards(#[from] BoardError),
    /// The container is invalid, or the program could not be built.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Returns the stack that the container `model` needs on a core of `target`: its peak on an
/// emulated core with the same instructions. If there is none, or if the program cannot be run
/// there, it is the reserve.
///
/// # Errors
/// Returns an error if the container is invalid, if the program cannot be built for the emulated
/// board although a compiler is installed, or if the user stops it.
pub fn stack_need(
    target: &str,
    model: &[u8],
    options: &MeasureOptions<'_>,
    firmware: &Path,
) -> Result<StackNeed, StackError> {
    let bytes = AlignedBytes::copy_from(model);
    let inputs = Model::parse(&bytes).map_err(DeviceError::Model)?.inputs();
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
    let installed = |board: &&Board| run::check_runner(board, &options.machine).is_ok();
    let Some(board) = largest.filter(installed) else {
        return Ok(StackNeed::RESERVE);
    };
    let options = options.network_only();
    // Kernels skip inputs of 0: zeros and nonzeros together take both sides of such branches.
    let samples = [vec![0; inputs], vec![255; inputs]];
    let peak = match measure(board, model, &samples, &options, &mut |_| {}) {
        Ok(report) => report.network.ram.and_then(|ram| ram.stack_peak),
        Err(error) if is_of_the_emulator(&error) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(peak.map_or(StackNeed::RESERVE, |bytes| StackNeed {
        bytes,
        measured_on: Some(board.name.clone()),
    }))
}

/// Returns whether `error` comes from the emulated board or its tools, which the other board does
/// not need.
fn is_of_the_emulator(error: &DeviceError) -> bool {
    match error {
        DeviceError::Run(RunError::Stopped { .. }) => false,
        DeviceError::Run(_)
        | DeviceError::Log { .. }
        | DeviceError::NoRoomForSamples { .. }
        | DeviceError::Image(ImageError::Toolchain(_)) => true,
        _ => false,
    }
}
