//! Runs a linked program once and reads what it logged, and what the emulator's plug-in counted.

use std::fs;

use super::boards::Board;
use super::cycles::{CyclesError, Estimator};
use super::error::DeviceError;
use super::image::Image;
use super::log::Recording;
use super::options::MeasureOptions;
use super::run::{self, RunError};
use crate::atomic::FileError;

/// The estimator of a measurement, or why there is none.
pub(super) type Estimates<'a> = Result<Estimator<'a>, String>;

/// Runs `image` on `board` and reads its log, which must cover `samples` samples. Adds what it
/// executed to `estimates`, which become an error if the emulator does not take the plug-in.
pub(super) fn record(
    image: &Image,
    board: &Board,
    samples: usize,
    options: &MeasureOptions<'_>,
    estimates: &mut Estimates<'_>,
) -> Result<Recording, DeviceError> {
    let invalid = |why: String| DeviceError::Log {
        board: board.name.clone(),
        why,
    };
    let lines = match estimates {
        Ok(estimator) => match counted(image, board, samples, options, estimator) {
            // The emulator does not support plug-ins, or not the plug-in's version of the
            // interface.
            Err(DeviceError::Run(RunError::Ended { said, .. })) => {
                let lines = run::run(image, board, &options.machine, options.run_limits(), None)?;
                *estimates = Err(format!("QEMU does not take the plug-in{said}"));
                lines
            }
            other => other?,
        },
        Err(_) => run::run(image, board, &options.machine, options.run_limits(), None)?,
    };
    let recording = Recording::read(lines.iter().map(String::as_str)).map_err(invalid)?;
    let found = recording.inferences.len();
    if found == samples {
        Ok(recording)
    } else {
        Err(invalid(format!("it has {found} of {samples} samples")))
    }
}

/// Runs `image` with the plug-in and adds what it executed to `estimator`. Returns the log.
fn counted(
    image: &Image,
    board: &Board,
    samples: usize,
    options: &MeasureOptions<'_>,
    estimator: &mut Estimator<'_>,
) -> Result<Vec<String>, DeviceError> {
    let invalid = |why: String| DeviceError::Counts {
        board: board.name.clone(),
        why,
    };
    let out = image.path.with_extension("counts");
    let option = estimator.option(&image.bytes, &out).map_err(invalid)?;
    let (machine, limits) = (&options.machine, options.run_limits());
    let lines = run::run(image, board, machine, limits, Some(&option))?;
    let counts = fs::read_to_string(&out);
    let counts = counts.map_err(|e| invalid(FileError::new("read", &out, e).to_string()))?;
    match estimator.add(&image.bytes, &counts, samples) {
        Ok(()) => Ok(lines),
        Err(CyclesError::Counts(why)) => Err(invalid(why)),
        Err(CyclesError::Unpriced(unpriced)) => Err(DeviceError::Unpriced {
            core: board.core.clone(),
            code: unpriced
                .code
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            address: unpriced.address,
            function: unpriced.function,
        }),
    }
}
