//! `rarefy measure --calibrate`: counted cycles of a real board beside estimated ones.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Error, Result};

use super::console::Console;
use super::model::ModelFile;
use super::next::{Next, Why};
use super::table::{table, text};
use super::{measured, usage};
use crate::device::{self, Board, CalibrateError, Calibration, MeasureOptions};
use crate::numbers::thousands;

/// What to compare.
pub(super) struct Request<'a> {
    /// The container.
    pub(super) model: &'a Path,
    /// The real board, or the chip.
    pub(super) board: &'a Board,
    /// The dataset, if it was given.
    pub(super) data: Option<&'a str>,
    /// The number of test images to run.
    pub(super) samples: NonZeroUsize,
    /// The options of the measurements.
    pub(super) options: MeasureOptions<'a>,
}

pub(super) fn run(request: &Request<'_>, console: &Console) -> Result<()> {
    let Request { model, board, .. } = *request;
    device::check_calibration(board, &request.options.machine).map_err(of)?;
    let file = ModelFile::open(model, console)?;
    let data = file.data(request.data, None, console)?.data;
    let inputs = measured::some_inputs(&data, request.samples, console);
    let spinner = console.spinner();
    let calibration = device::calibrate(
        board,
        file.bytes(),
        &inputs,
        &request.options,
        &mut |step| spinner.message(step),
    );
    drop(spinner);
    let calibration = calibration.map_err(of)?;
    console.result(
        &calibration,
        || format!("{}:\n\n{}", model.display(), describe(&calibration)),
        Next::Nothing(Why::Arrived),
    )?;
    measured::judge(&calibration.counted, &model.display().to_string())
}

/// Converts `error`. A board without counted cycles or a table is wrong usage.
fn of(error: CalibrateError) -> Error {
    match error {
        CalibrateError::Emulated { .. } | CalibrateError::NoTable { .. } => {
            usage::wrong(error.to_string())
        }
        CalibrateError::Device(error) => error.into(),
        error => error.into(),
    }
}

/// Formats the comparison as a table with remarks.
fn describe(calibration: &Calibration) -> String {
    let counted = &calibration.counted;
    let board = format!("{} (real {})", counted.board.name, counted.board.core);
    let mut rows = table([
        &*board,
        "counted cycles",
        "estimated cycles",
        "counted / estimated",
    ]);
    for network in &calibration.networks {
        let name = if network.dense {
            "stored dense"
        } else {
            "pruned"
        };
        rows.add_row([
            name.to_owned(),
            thousands(network.counted.median),
            measured::span(network.estimated),
            format!("{:.3} to {:.3}", network.ratio.low, network.ratio.high),
        ]);
    }
    format!(
        "{}  medians of {} test images; estimated on {} from the executed instructions and the core's manual\n  a ratio above 1 is what the estimate does not include, such as wait states of the flash (`flash_wait_states` in board.toml)\n",
        text(&rows),
        counted.samples,
        calibration.emulator
    )
}
