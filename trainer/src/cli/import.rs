//! `rarefy import`: an architecture and its weights from an ONNX file.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::{Line, free};
use super::reading::Asked;
use super::table::{dimensions, quality, table, text};
use super::{interrupt, overwrite, reading, scale, usage};
use crate::atomic;
use crate::data::InputScale;
use crate::deploy::limits;
use crate::graph::Prunable;
use crate::import::{self, Compared, Imported};
use crate::numbers::thousands;
use crate::pruning::source;
use crate::training::floats;
use crate::training::folder::{ARCHITECTURE, WEIGHTS};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// ONNX file of a network for inference, as PyTorch, Keras or tf2onnx write it
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Folder to write arch.toml and weights.safetensors to; files there are not overwritten
    #[arg(long, short, value_name = "FOLDER")]
    out: PathBuf,
    /// Dataset to check the imported network on, in floats: a name listed by `rarefy data list`, or
    /// a path as in `rarefy train --data`
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
    /// The normalisation is kept in arch.toml.
    #[command(flatten)]
    scale: scale::Options,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    arch: String,
    input: Vec<usize>,
    classes: usize,
    total: usize,
    tensors: Vec<Prunable>,
    /// The normalisation of its input that was stated.
    #[serde(skip_serializing_if = "InputScale::is_empty")]
    normalisation: InputScale,
    /// The accuracy in floats, if there is a dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
    /// The comparison with the test vectors beside the file, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_vectors: Option<Compared>,
    /// What was left out or changed, one sentence each.
    notes: Vec<String>,
    files: [PathBuf; 2],
}

/// The largest relative difference from test vectors that rounding explains.
const CLOSE: f64 = 1e-3;

/// The accuracy of the network on a dataset, in floats.
#[derive(Debug, Serialize)]
struct Checked {
    data: String,
    /// The word for its samples.
    #[serde(skip)]
    noun: &'static str,
    samples: usize,
    accuracy: f64,
    /// The mean squared error of the outputs; `None` if targets are classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    mse: Option<f64>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let files = [ARCHITECTURE, WEIGHTS].map(|name| arguments.out.join(name));
    for file in &files {
        overwrite::check_free(file, "move it, or choose another folder (-o)")?;
    }
    arguments.reading.check_use(arguments.data.is_some())?;
    let mut imported = import::read(&arguments.model)?;
    let scale = arguments.scale.scale();
    scale
        .check_for(imported.graph.input_shape())
        .map_err(|error| usage::wrong(format!("--{error}")))?;
    imported.state_input(&scale);
    for note in &imported.notes {
        console.note(&format!("note: {note}"));
    }
    for reason in limits::before_training(&imported.graph, &(0.0, 1.0).into()) {
        console.note(&format!("warning: as it stands, {reason}"));
    }
    let test_vectors = import::compare(&arguments.model, &imported)?;
    if let Some(compared) = &test_vectors
        && compared.difference > CLOSE
    {
        console.note(&format!(
            "warning: the test vectors beside {} differ from what the imported network computes by {:.1e}: they may be those of another network",
            arguments.model.display(),
            compared.difference
        ));
    }
    let checked = match &arguments.data {
        Some(name) => Some(check(
            (&imported, &arguments.model),
            name,
            &arguments.reading,
            &scale,
            console,
        )?),
        None => None,
    };
    if checked.is_none() {
        note_lacking(&scale, console);
    }
    let [architecture, weights] = &files;
    // The architecture is written last, so that it never exists without its weights.
    imported.state.save(weights, &[])?;
    atomic::write(architecture, imported.toml.as_bytes())?;
    let next = next(arguments);
    let graph = &imported.graph;
    let report = Report {
        arch: graph.name().into(),
        input: graph.input_shape().to_vec(),
        classes: graph.classes(),
        total: graph.total(),
        tensors: graph.prunable(),
        normalisation: scale,
        checked,
        test_vectors,
        notes: imported.notes,
        files,
    };
    console.result(&report, || report.text(), next)
}

/// Warns if `scale` states either a mean or a standard deviation, but not both.
fn note_lacking(scale: &InputScale, console: &Console) {
    if let Some([missing, stated]) = scale.lacks_one() {
        console.note(&format!(
            "warning: --{stated} is stated without --{missing}, which will be that of each dataset: state both if the network expects another"
        ));
    }
}

/// Returns the command that exports the network for its dataset, or that shows its architecture.
fn next(arguments: &Arguments) -> Line {
    let Some(data) = &arguments.data else {
        return Line::new(&["arch"]).path(&arguments.out);
    };
    let line = Line::new(&["export"]).path(&arguments.out);
    let line = arguments.reading.repeated(line.option("--data", data));
    line.option("-o", free("model.rfy"))
}

/// Evaluates the network imported from `model` in floats on the dataset `name`.
fn check(
    (imported, model): (&Imported, &Path),
    name: &str,
    reading: &reading::Options,
    scale: &InputScale,
    console: &Console,
) -> Result<Checked> {
    let asked = Asked {
        scale: scale.clone(),
        is_foreign: true,
        ..Asked::default()
    };
    let data = reading::load_as(name, &reading.reading(), asked, console)?;
    reading.note_unused(&data, console);
    if scale.is_empty() {
        reading::note_assumed(&model.display().to_string(), &data, console);
    }
    if !data.reading.has_labels() {
        return Err(usage::wrong(format!(
            "{} has no labels, so there is no accuracy: give labelled data, or leave --data out",
            data.name
        )));
    }
    let variance = data.test.variance();
    let Imported { graph, state, .. } = imported;
    source::fits(graph, &data)?;
    let evaluated = floats::evaluate(graph, state, &data, interrupt::flag());
    let evaluated = evaluated.map_err(|error| interrupt::or_interrupted(error.into()))?;
    Ok(Checked {
        samples: data.test.len(),
        noun: data.noun(),
        data: data.name,
        accuracy: evaluated.accuracy,
        mse: (variance).map(|variance| (1.0 - evaluated.accuracy) * variance),
    })
}

impl Report {
    /// Returns the report for people.
    fn text(&self) -> String {
        let mut rows = table(["tensor", "shape", "weights"]);
        for tensor in &self.tensors {
            let weights = thousands(tensor.len());
            rows.add_row([tensor.name.clone(), dimensions(&tensor.shape), weights]);
        }
        let checked = self.checked.as_ref().map_or(String::new(), |checked| {
            format!(
                "{} in floats on the {} test {} of {}: {}\n",
                match checked.mse {
                    Some(_) => "Mean squared error",
                    None => "Accuracy",
                },
                thousands(checked.samples),
                checked.noun,
                checked.data,
                quality(checked.accuracy, checked.mse)
            )
        });
        let compared = self.test_vectors.map_or(String::new(), |compared| {
            format!(
                "Largest relative difference from the {} test vectors beside the file: {:.1e}\n",
                compared.sets, compared.difference
            )
        });
        let [architecture, weights] = &self.files;
        format!(
            "{}: input {} (channels, height, width), {} classes, {} prunable weights\n\n{}\n{checked}{compared}Written: {} and {}\n",
            self.arch,
            dimensions(&self.input),
            thousands(self.classes),
            thousands(self.total),
            text(&rows),
            architecture.display(),
            weights.display()
        )
    }
}
