//! `rarefy quickstart`: trains, prunes and exports a network, runs it on boards, and prints a
//! summary.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::boards::DEFAULT_BOARD;
use super::console::Console;
use super::next::{Line, quoted};
use super::recipe::{self, Loaded};
use super::table::{percent, table, text};
use super::usage::each_once;
use super::{hints, measured, train};
use crate::Remedy;
use crate::atomic;
use crate::data::Dataset;
use crate::deploy::export::ExportReport;
use crate::deploy::report::ModelReport;
use crate::deploy::{FinishedRun, Options};
use crate::deploy::{container, limits};
use crate::device::{
    self, Board, BoardReport, Boards, Machine, MeasureOptions, RunError, Setup, firmware_folder,
};
use crate::numbers::thousands;
use crate::pruning::hundredths::shown;
use crate::training::Recipe;
use crate::training::folder::{
    Compressions, FIGURES, RECIPE, RunFolder, TrainReport, WeightCounts,
};

/// Number of test images run on each board.
const SAMPLES: usize = 100;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: recipe::Options,
    /// Folder for the run, the container and the results; an interrupted quickstart in it is
    /// resumed, a finished one is replaced
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/quickstart")]
    out: PathBuf,
    /// Board to measure on (repeatable)
    #[arg(long = "board", value_name = "BOARD", default_values = ["mps2-an386", "microbit"])]
    boards: Vec<String>,
}

/// The report, also written to `quickstart.json`.
#[derive(Debug, Serialize)]
struct Report {
    dataset: String,
    arch: String,
    pruner: String,
    seed: u64,
    weights: WeightCounts,
    compression: Compressions,
    accuracy: Accuracy,
    container: Container,
    boards: Vec<BoardReport>,
    #[serde(skip)]
    model: ModelReport,
}

/// Accuracies on the test images.
#[derive(Debug, Serialize)]
struct Accuracy {
    dense: Option<f64>,
    pruned: f64,
    deployed: f64,
}

/// The container file.
#[derive(Debug, Serialize)]
struct Container {
    path: String,
    bytes: usize,
}

impl Report {
    fn new(trained: TrainReport, exported: ExportReport, boards: Vec<BoardReport>) -> Self {
        Self {
            dataset: trained.dataset,
            arch: trained.arch,
            pruner: trained.pruner,
            seed: trained.seed,
            weights: trained.weights,
            compression: trained.compression,
            accuracy: Accuracy {
                dense: trained.accuracy.dense,
                pruned: trained.accuracy.pruned,
                deployed: exported.accuracy.deployed,
            },
            container: Container {
                path: exported.model.path.clone(),
                bytes: exported.model.bytes,
            },
            boards,
            model: exported.model,
        }
    }
}

pub(super) fn run(arguments: Arguments, console: &Console) -> Result<()> {
    let Arguments {
        options,
        out,
        boards: names,
    } = arguments;
    // Everything that would otherwise fail only at the end is checked first.
    let known = Boards::discover(&firmware_folder()?)?;
    let mut boards = names
        .iter()
        .map(|name| known.get(name))
        .collect::<Result<Vec<_>, _>>()?;
    each_once(&mut boards, |a, b| a.name == b.name);
    let Loaded {
        recipe,
        graph,
        data,
    } = options.load(console)?;
    if let Some(reason) = limits::forbids(&graph, &recipe.scaling()) {
        return Err(reason.into());
    }
    check_boards(&boards)?;
    console.note(&format!(
        "training {} on {} images of {}, pruning it to {}x by {}, and training the pruned network",
        recipe.arch,
        thousands(data.train.len()),
        data.name,
        shown(recipe.compression().0.get()),
        recipe.pruner()
    ));
    let finished = check_folder(&out, &recipe)?;
    let device = options.device(console)?;
    let running = options.run(&device, finished);
    let trained = train::train(&recipe, &data, &out, &running, console)
        .map_err(|error| without_force(options.blame(error), &out))?;

    let path = out.join("model.rfy");
    let exported = FinishedRun::open(&out)?
        .export(&data, &Options::default(), &path)
        .map_err(|error| {
            let run = quoted(&out.to_string_lossy()).into_owned();
            let text = format!(
                "{error} (the run is complete: `rarefy export {run}` has options for this)"
            );
            hints::verbatim(error.into(), text)
        })?;
    let bytes = container::read(&path)?;
    let boards = measure_all(&boards, &bytes, &data, console)?;
    let report = Report::new(trained, exported, boards);
    atomic::write(
        &out.join(FIGURES),
        serde_json::to_string_pretty(&report)?.as_bytes(),
    )?;
    let next = Line::new(&["inspect"]).path(&path);
    console.result(&report, || describe(&report), next)?;
    report
        .boards
        .iter()
        .try_for_each(|board| measured::judge(board, &report.container.path))
}

/// Returns whether `out` holds a finished quickstart, which is replaced.
///
/// # Errors
/// Returns an error if `out` holds another run.
fn check_folder(out: &Path, recipe: &Recipe) -> Result<bool> {
    // The figures are written last. A folder without them holds an interrupted quickstart, which
    // is resumed, or another command's run, which is not replaced.
    let finished = out.join(FIGURES).exists();
    if !finished && out.join(RECIPE).exists() && !RunFolder::holds(out, recipe) {
        return Err(anyhow!(
            "{} holds another run, which quickstart does not replace: choose another -o",
            out.display()
        ));
    }
    Ok(finished)
}

/// Measures the container `model` on each of `boards`.
fn measure_all(
    boards: &[&Board],
    model: &[u8],
    data: &Dataset,
    console: &Console,
) -> Result<Vec<BoardReport>> {
    let inputs = measured::inputs(data, SAMPLES);
    let mut reports = Vec::new();
    for board in boards {
        let options = MeasureOptions {
            cycles: board.emulated(),
            ..measured::options()
        };
        console.note(&format!(
            "building the firmware for {} and running it",
            board.name
        ));
        let report = measured::measure(board, model, &inputs, &options, console);
        // The options of `measure` do not exist here.
        reports.push(report.map_err(|error| {
            let text = error.to_string();
            hints::verbatim(error, text)
        })?);
    }
    Ok(reports)
}

/// Adds the advice for quickstart to an `error` that advises to replace the run.
fn without_force(error: Error, out: &Path) -> Error {
    match hints::remedy(&error) {
        Some(
            Remedy::ElsewhereOrReplace
            | Remedy::Repeat
            | Remedy::RestoreOrRepeat
            | Remedy::ReuseDense,
        ) => {
            let text = format!(
                "{error} (in quickstart: remove {} or choose another -o)",
                out.display()
            );
            hints::verbatim(error, text)
        }
        _ => error,
    }
}

/// Checks that firmware for `boards` can be built and run, before anything is trained.
///
/// # Errors
/// Returns an error that names what is missing and how to install it.
fn check_boards(boards: &[&Board]) -> Result<()> {
    let machine = Machine::default();
    for board in boards {
        match device::check_runner(board, &machine) {
            Err(RunError::NoProbe { board }) => {
                return Err(anyhow!(
                    "{board} is a real board, but probe-rs, which runs programs on it, is not on the PATH: \
                     install it from https://probe.rs, or give an emulated board, such as \
                     --board {DEFAULT_BOARD}"
                ));
            }
            checked => checked?,
        }
    }
    let setup = Setup::plan(&machine, boards.iter().copied())?;
    if !setup.is_complete() {
        return Err(anyhow!(
            "firmware for {} cannot be built or run here yet: run `rarefy setup`, or these commands: {}",
            boards
                .iter()
                .map(|board| board.name.as_str())
                .collect::<Vec<_>>()
                .join(" and "),
            setup.steps().join("; ")
        ));
    }
    Ok(())
}

/// Formats the summary.
fn describe(report: &Report) -> String {
    let Report {
        weights,
        compression,
        accuracy,
        model,
        ..
    } = report;
    let mut rows = table(["network", "accuracy", "weights", "compression"]);
    let times = |compression: f64| format!("{compression:.1}x");
    if let Some(dense) = accuracy.dense {
        rows.add_row([
            "dense, f32".into(),
            percent(dense),
            thousands(weights.total),
            times(1.0),
        ]);
    }
    rows.add_row([
        "kept by mask (direct)".into(),
        String::new(),
        thousands(weights.direct),
        times(compression.direct),
    ]);
    rows.add_row([
        "connected (effective), f32".into(),
        percent(accuracy.pruned),
        thousands(weights.effective),
        times(compression.effective),
    ]);
    rows.add_row([
        "deployed, integers".into(),
        percent(accuracy.deployed),
        thousands(model.nonzeros),
        times(model.total as f64 / model.nonzeros.max(1) as f64),
    ]);
    let boards: Vec<String> = report.boards.iter().map(measured::describe).collect();
    format!(
        "\n{} on {}, {}, seed {}\n\n{}\n  container {}: {} bytes, {:.1}x smaller than one byte per dense weight\n\n{}",
        report.arch,
        report.dataset,
        report.pruner,
        report.seed,
        text(&rows),
        report.container.path,
        thousands(report.container.bytes),
        model.total as f64 / report.container.bytes as f64,
        boards.join("\n")
    )
}
