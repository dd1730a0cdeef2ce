//! `rarefy quickstart`: the whole way, from digits to two boards, ending with a table.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::boards::DEFAULT_BOARD;
use super::console::Console;
use super::next::{Line, quoted};
use super::table::{percent, table, text, thousands};
use super::{measure, train};
use crate::artifact;
use crate::deploy::container;
use crate::deploy::report::ModelReport;
use crate::deploy::{FinishedRun, Options};
use crate::device::{self, Board, BoardReport, Boards, Machine, RunError, Setup, firmware_folder};
use crate::pruning::{Pruner, error};
use crate::training::folder::{Compressions, FIGURES, RunFolder, WeightCounts};

/// Test images run on each board.
const SAMPLES: usize = 100;

/// Seconds that one run on a board may take.
const TIMEOUT: u64 = 300;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: train::Options,
    /// The dataset: a name of `rarefy data list`, or a folder with IDX files
    #[arg(long, default_value = "digits")]
    data: String,
    /// Where the run, the container and the figures go; a quickstart that was interrupted there
    /// goes on, a finished one is replaced
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/quickstart")]
    out: PathBuf,
    /// A board to measure on (may be given again)
    #[arg(long = "board", value_name = "BOARD", default_values = ["mps2-an386", "microbit"])]
    boards: Vec<String>,
}

/// What is printed, and kept as `quickstart.json`.
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

/// Shares of test images right.
#[derive(Debug, Serialize)]
struct Accuracy {
    dense: Option<f64>,
    pruned: f64,
    deployed: f64,
}

/// The file for the device.
#[derive(Debug, Serialize)]
struct Container {
    path: String,
    bytes: usize,
}

pub(super) fn run(arguments: Arguments, console: &Console) -> Result<()> {
    let Arguments {
        options,
        data: name,
        out,
        boards: names,
    } = arguments;
    // What would fail at the end is told at the beginning.
    let known = Boards::discover(&firmware_folder()?)?;
    let boards = names
        .iter()
        .map(|name| known.get(name))
        .collect::<Result<Vec<_>, _>>()?;
    Pruner::by_name(options.pruner())?;
    let data = options.data(&name, console)?;
    options.check_limits(&data)?;
    let recipe = options.recipe(&name, &data)?;
    check_boards(&boards)?;
    console.note(&format!(
        "training {} on {} images of {}, then pruning it to {}x by {} and training what is left",
        recipe.arch,
        thousands(data.train.len()),
        data.name,
        error::shown(recipe.compression),
        recipe.pruner
    ));
    // The figures are written last. A folder without them holds a quickstart that was interrupted, which
    // goes on, or another command's run, which is not replaced.
    let finished = out.join(FIGURES).exists();
    if !finished && out.join("run.toml").exists() && !RunFolder::holds(&out, &recipe) {
        return Err(anyhow!(
            "{} holds another run than this quickstart's: choose another -o",
            out.display()
        ));
    }
    let device = options.device(console)?;
    let trained = train::train(&recipe, &data, &out, finished, &device, console)
        .map_err(|error| without_force(error, &out))?;

    let path = out.join("model.rfy");
    let exported = FinishedRun::open(&out)?
        .export(&data, &Options::default(), &path)
        .map_err(|error| {
            let run = quoted(&out.to_string_lossy()).into_owned();
            anyhow!("{error} (the run is whole: `rarefy export {run}` takes such options)")
        })?;
    let bytes = container::read(&path)?;
    let inputs = measure::inputs(&data, SAMPLES);
    let options = measure::options(true, TIMEOUT);
    let mut measured = Vec::new();
    for board in boards {
        console.note(&format!(
            "building the firmware for {} and running it",
            board.name
        ));
        measured.push(measure::measure(board, &bytes, &inputs, &options, console)?);
    }
    let report = Report {
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
        boards: measured,
        model: exported.model,
    };
    artifact::write(
        &out.join(FIGURES),
        serde_json::to_string_pretty(&report)?.as_bytes(),
    )?;
    let next = Line::new(&["inspect"]).path(&path);
    console.result(&report, || describe(&report), next)?;
    report
        .boards
        .iter()
        .try_for_each(|board| measure::judge(board, &report.container.path))
}

/// Adds what quickstart takes to an `error` that advises an option of `train`.
fn without_force(error: Error, out: &Path) -> Error {
    match error.to_string() {
        text if text.contains("--force") => anyhow!(
            "{text} (quickstart has no --force: remove {} or choose another -o)",
            out.display()
        ),
        _ => error,
    }
}

/// Checks that programs for `boards` can be built here and run, before anything is trained.
fn check_boards(boards: &[&Board]) -> Result<()> {
    let machine = Machine::default();
    for board in boards {
        match device::check_runner(board, &machine) {
            Err(RunError::NoProbe { board }) => {
                return Err(anyhow!(
                    "{board} is a real board, and probe-rs, which runs it, is not on the PATH: install it from https://probe.rs, or give an emulated board, such as --board {DEFAULT_BOARD}"
                ));
            }
            checked => checked?,
        }
    }
    let setup = Setup::plan(&machine, boards.iter().copied())?;
    if !setup.is_complete() {
        return Err(anyhow!(
            "programs for {} cannot be built here yet: run `rarefy setup`, or by hand: {}",
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

/// The final table.
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
        "what the mask says (direct)".into(),
        String::new(),
        thousands(weights.direct),
        times(compression.direct),
    ]);
    rows.add_row([
        "what is connected (effective), f32".into(),
        percent(accuracy.pruned),
        thousands(weights.effective),
        times(compression.effective),
    ]);
    rows.add_row([
        "what is deployed, integers".into(),
        percent(accuracy.deployed),
        thousands(model.nonzeros),
        times(model.total as f64 / model.nonzeros.max(1) as f64),
    ]);
    let boards: Vec<String> = report.boards.iter().map(measure::describe).collect();
    format!(
        "\n{} on {}, {}, seed {}\n\n{}\n  container {}: {} bytes, {:.1}x smaller than every weight in a byte\n\n{}",
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
