//! `rarefy eval` of a network in floats: of a run, or given by its architecture and weights.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::console::Console;
use super::deployable::{Deployable, Given};
use super::next::{Line, free};
use super::table::{error, percent};
use super::{interrupt, network, run_data, usage};
use crate::numbers::thousands;
use crate::pruning::effective::{self, Mode};
use crate::pruning::source;
use crate::training::floats;

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    /// The accuracy, 0 to 1; `None` if targets are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// The number of images.
    samples: usize,
    /// The number of images classified correctly; `None` if targets are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    correct: Option<usize>,
    /// The error of the outputs; `None` if targets are classes.
    #[serde(flatten)]
    errors: Option<Errors>,
    /// Name of the dataset.
    data: String,
    /// Number of test images that the network was trained on; `None` if unknown.
    trained_on: Option<usize>,
    /// The type of numbers that the network was computed with.
    arithmetic: &'static str,
}

/// The error of outputs whose targets are numbers.
#[derive(Debug, Clone, Copy, Serialize)]
struct Errors {
    /// The mean squared error, in the squared units of the targets.
    mse: f64,
    /// The share of the targets' variance that the outputs explain.
    r2: f64,
}

/// Evaluates the network that is `given`.
pub(super) fn run(given: Given<'_>, console: &Console) -> Result<()> {
    let (data, accuracy, trained_on) = match Deployable::open(given, console)? {
        Deployable::Alone(alone) => {
            let trained = &alone.trained;
            let connected = effective::masks(trained.graph(), trained.masks(), Mode::Exact);
            if connected.nonzeros() == 0 {
                let shown = given.folder.or(given.weights).unwrap_or(Path::new(""));
                network::note_disconnected(&shown.display().to_string(), console);
            }
            (alone.data, alone.accuracy, None)
        }
        Deployable::Run(run) => {
            let data = run_data::load(&run, given.data, console)?;
            let is_own = data.fingerprint() == run.recipe.data_fingerprint;
            let (trained, stop) = (run.trained(), interrupt::flag());
            source::fits(trained.graph(), &data)?;
            let evaluated = floats::evaluate(trained.graph(), trained.state(), &data, stop);
            let evaluated = evaluated.map_err(|error| interrupt::or_interrupted(error.into()))?;
            let trained_on = is_own.then(|| data.repeated());
            (data, evaluated.accuracy, trained_on)
        }
    };
    if !data.reading.has_labels() {
        return Err(usage::wrong(format!(
            "{} has no labels, so there is no accuracy: give labelled data, or compare a container with the network (`rarefy eval MODEL --against`)",
            data.name
        )));
    }
    let (samples, noun) = (data.test.len(), data.noun());
    let errors = data.test.variance().map(|variance| Errors {
        mse: (1.0 - accuracy) * variance,
        r2: accuracy,
    });
    let share = errors.is_none().then_some(accuracy);
    let report = Report {
        accuracy: share,
        samples,
        correct: share.map(|share| (share * samples as f64).round() as usize),
        errors,
        data: data.name,
        trained_on,
        arithmetic: "f32",
    };
    let text = || match report.errors {
        Some(Errors { mse, r2 }) => format!(
            "{} test samples of {} in floats: {}",
            thousands(samples),
            report.data,
            error(mse, r2)
        ),
        None => format!(
            "{} of {} test {noun} of {} correct in floats: {}",
            thousands(report.correct.unwrap_or_default()),
            thousands(samples),
            report.data,
            percent(accuracy)
        ),
    };
    console.result(&report, text, export_line(given))
}

/// Returns the command that exports the network that is `given`.
fn export_line(given: Given<'_>) -> Line {
    let mut line = Line::new(&["export"]);
    if let Some(folder) = given.folder {
        line = line.path(folder);
    }
    if let Some(arch) = given.arch {
        line = line.option("--arch", arch);
    }
    if let Some(weights) = given.weights {
        line = line.option("--weights", weights);
    }
    if let Some(masks) = given.masks {
        line = line.option("--masks", masks.name());
    }
    if let Some(data) = given.data {
        line = line.option("--data", data);
    }
    let line = given.scale.repeated(given.reading.repeated(line));
    line.option("-o", free("model.rfy"))
}
