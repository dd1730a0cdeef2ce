//! The firmware's own check of every kernel, on a board.

use super::boards::Board;
use super::image::{Plan, Role};
use super::measure::{DeviceError, MeasureOptions, builder};
use super::process::Limits;
use super::run;

/// Builds and runs the program `selftest` on `board`; returns its log, a line per encoding.
/// The program knows the answers itself: the workstation's kernels play no part.
///
/// # Errors
/// When the program cannot be built or run, or any answer is wrong.
pub fn selftest(
    board: &Board,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, DeviceError> {
    run::runner(board, &options.machine)?;
    progress(&format!("{}: building the self-test", board.name));
    let image = builder(options).build(Plan {
        board,
        role: Role::SelfTest,
        content: None,
        code: None,
    })?;
    progress(&format!("{}: running it", board.name));
    let limits = Limits {
        timeout: Some(options.timeout),
        stop: options.stop,
    };
    Ok(run::run(&image, board, &options.machine, limits)?)
}
