//! The firmware's self-test of every kernel on a board.

use super::boards::Board;
use super::error::DeviceError;
use super::image::{Plan, Role};
use super::options::MeasureOptions;
use super::run;

/// Builds and runs the program `selftest` on `board`, and returns its log: a line per container.
///
/// The expected logits are built into the program; the workstation's kernels are not involved.
/// `progress` receives a line per step.
///
/// # Errors
///
/// Returns an error if the program cannot be built or run, or if a logit is wrong.
pub fn selftest(
    board: &Board,
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, DeviceError> {
    run::runner(board, &options.machine)?;
    progress(&format!("{}: building the self-test", board.name));
    let image = options.builder().build(Plan {
        board,
        role: Role::SelfTest,
        content: None,
        code: None,
    })?;
    progress(&format!("{}: running the self-test", board.name));
    let limits = options.run_limits();
    Ok(run::run(&image, board, &options.machine, limits, None)?)
}
