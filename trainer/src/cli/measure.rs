//! `rarefy measure`: flash, RAM and latency on a board, of a container or of all containers of a
//! run.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;

use super::boards::DEFAULT_BOARD;
use super::console::Console;
use super::model::ModelFile;
use super::next::{self, Line, Next, Why};
use super::run_data::Source;
use super::weights::{self, Weights};
use super::{calibration, chips, comparison, measured, overwrite, profile, usage};
use crate::atomic;
use crate::deploy::companion;
use crate::device::{
    Board, BoardReport, Boards, MeasureOptions, build_with_stack, firmware_folder, has_cycle_table,
};
use crate::plot::flame;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container (.rfy file); with --all, a run folder written by `rarefy train`
    model: PathBuf,
    /// Board: a name listed by `rarefy boards` [default with --all: mps2-an386, a Cortex-M4]
    #[arg(long, required_unless_present_any = ["chip", "all"], conflicts_with = "chip")]
    board: Option<String>,
    /// Chip, measured through a debug probe: a name listed by `rarefy chips`, such as
    /// STM32F411CEUx
    #[arg(long)]
    chip: Option<String>,
    /// Dataset to take the test images from: a name listed by `rarefy data list`, or a path as
    /// in `rarefy train --data` [default: the dataset recorded by `export` next to the container]
    #[arg(long)]
    data: Option<String>,
    /// Compare all containers that can be exported from a run, for every objective and type of
    /// weights, in one table; on a chip by name, their sizes alone
    #[arg(long, conflicts_with_all = ["profile", "svg", "calibrate"])]
    all: bool,
    /// With --all: types of weights to compare, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', requires = "all")]
    weights: Vec<Weights>,
    /// With --all: keep the containers in this folder
    #[arg(long, short, value_name = "FOLDER", requires = "all")]
    out: Option<PathBuf>,
    /// Number of test images to run the network on
    #[arg(long, default_value = "100")]
    samples: NonZeroUsize,
    /// Skip measuring the same network stored dense
    #[arg(long)]
    no_dense: bool,
    /// Skip estimating cycles, which takes a plug-in for QEMU that is built at first use
    #[arg(long)]
    no_cycles: bool,
    /// Show which layers and functions take the instructions and cycles
    #[arg(long, conflicts_with_all = ["no_cycles", "build_only"])]
    profile: bool,
    /// Draw the profile to this SVG file (an unrelated file is not overwritten)
    #[arg(long, value_name = "FILE.svg", requires = "profile")]
    svg: Option<PathBuf>,
    /// Compare the cycles that a real board or a chip counts with estimated ones
    #[arg(long, conflicts_with_all = ["no_cycles", "profile", "build_only"])]
    calibrate: bool,
    /// Only build the firmware: report flash, static RAM and whether they fit, without a board or a
    /// probe; an emulator, if installed, measures the stack of a chip
    #[arg(long, conflicts_with_all = ["samples", "timeout"])]
    build_only: bool,
    /// Time limit of one run on the board, in seconds
    #[arg(long, default_value = "300")]
    timeout: NonZeroUsize,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    if arguments.build_only && arguments.data.is_some() && !arguments.all {
        return Err(usage::wrong(
            "--build-only runs no images: leave out --data, or leave out --build-only",
        ));
    }
    if arguments.model.is_dir() && !arguments.all {
        return Err(usage::wrong(format!(
            "{0} is a folder: measure a container that `rarefy export` wrote, or give --all to compare all containers of a run",
            arguments.model.display()
        )));
    }
    let board = &board(arguments)?;
    if arguments.all {
        return all(board, arguments, console);
    }
    if arguments.calibrate {
        return calibration::run(&calibrated(board, arguments), console);
    }
    one(board, arguments, console)
}

/// Compares all containers of a run.
fn all(board: &Board, arguments: &Arguments, console: &Console) -> Result<()> {
    let request = comparison::Request {
        source: Source {
            folder: &arguments.model,
            data: arguments.data.as_deref(),
            settings: &weights::settings(&arguments.weights),
        },
        board,
        is_chip: arguments.chip.is_some(),
        samples: (!arguments.build_only && arguments.chip.is_none()).then_some(arguments.samples),
        out: arguments.out.as_deref(),
        options: options(board, arguments),
    };
    comparison::run(&request, console)
}

/// Returns the request to compare counted with estimated cycles.
fn calibrated<'a>(board: &'a Board, arguments: &'a Arguments) -> calibration::Request<'a> {
    calibration::Request {
        model: &arguments.model,
        board,
        data: arguments.data.as_deref(),
        samples: arguments.samples,
        options: options(board, arguments),
    }
}

/// Returns the options of the measurement.
fn options(board: &Board, arguments: &Arguments) -> MeasureOptions<'static> {
    MeasureOptions {
        dense: !arguments.no_dense,
        cycles: !arguments.no_cycles && board.emulated(),
        profile: arguments.profile,
        timeout: Duration::from_secs(arguments.timeout.get() as u64),
        ..measured::options()
    }
}

/// Measures one container.
fn one(board: &Board, arguments: &Arguments, console: &Console) -> Result<()> {
    if let Some(picture) = &arguments.svg {
        let read = [&arguments.model, &companion::path(&arguments.model)];
        overwrite::check("--svg", picture, overwrite::Kind::Picture, read)?;
        overwrite::check_svg("--svg", picture)?;
    }
    if arguments.profile {
        check_profile(board)?;
    }
    let file = ModelFile::open(&arguments.model, console)?;
    let options = options(board, arguments);
    let report = if arguments.build_only {
        build(board, file.bytes(), &options, console)?
    } else {
        let data = file.data(arguments.data.as_deref(), None, console)?.data;
        let inputs = measured::some_inputs(&data, arguments.samples, console);
        measured::measure(board, file.bytes(), &inputs, &options, console)?
    };
    let profile = report.network.profile.as_ref();
    if let (Some(picture), Some(profile)) = (&arguments.svg, profile) {
        let title = format!("{} on {}", arguments.model.display(), board.name);
        let svg = flame::svg(&title, profile).map_err(|reason| anyhow!(reason))?;
        atomic::write(picture, svg.as_bytes())?;
    }
    let text = || {
        let model = arguments.model.display();
        let mut text = format!("{model}:\n\n{}", measured::describe(&report));
        if let Some(profile) = profile {
            text += &format!("\n{}", profile::describe(profile));
        }
        if let (Some(picture), Some(_)) = (&arguments.svg, profile) {
            text += &format!("\n{}\n", picture.display());
        }
        text
    };
    console.result(&report, text, following(&report, arguments))?;
    measured::judge(&report, &arguments.model.display().to_string())?;
    if arguments.profile && profile.is_none() {
        let why = report.network.no_estimate.as_deref().unwrap_or_default();
        let svg = arguments.svg.as_ref().map_or(String::new(), |picture| {
            format!(", and {} was not written", picture.display())
        });
        return Err(anyhow!(
            "there is no profile{svg}: {why}; leave out --profile"
        ));
    }
    Ok(())
}

/// Checks before a measurement that `board` gives a profile.
fn check_profile(board: &Board) -> Result<()> {
    if !board.emulated() {
        return Err(usage::wrong(format!(
            "--profile counts in the emulator, and {} is a real board: choose an emulated board",
            board.name
        )));
    }
    if !has_cycle_table(&board.core) {
        return Err(usage::wrong(format!(
            "--profile needs instruction timings, and none are published for the {} of {}: choose a board with a Cortex-M0, M3 or M4 (`rarefy boards`), or leave out --profile",
            board.core, board.name
        )));
    }
    Ok(())
}

/// Returns the command that follows the measurement with this report, or why there is none.
fn following(report: &BoardReport, arguments: &Arguments) -> Next {
    let starts = arguments.chip.as_deref().is_none_or(chips::starts);
    Next::Nothing(match (report.network.fits, arguments.build_only) {
        (false, _) => Why::Misfit,
        (true, true) if starts => Why::Built,
        (true, true) => Why::Unstarted,
        (true, false) => {
            let line = Line::new(&["new"]).path(next::free("my-app"));
            let line = line.option("--model", &arguments.model);
            return match &arguments.chip {
                Some(chip) => line.option("--chip", chip),
                None => line.option("--board", &report.board.name),
            }
            .into();
        }
    })
}

/// Returns the board or the chip to measure on.
fn board(arguments: &Arguments) -> Result<Board> {
    match (&arguments.chip, &arguments.board) {
        (Some(chip), _) => chips::board(chip, !arguments.build_only && !arguments.all),
        (None, board) => {
            let boards = Boards::discover(&firmware_folder()?)?;
            Ok(boards
                .get(board.as_deref().unwrap_or(DEFAULT_BOARD))?
                .clone())
        }
    }
}

/// Builds the firmware with `model` for `board` while showing a spinner; does not run it. The stack
/// of a chip is measured on an emulated core with the same instructions, if one can run it.
fn build(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
    console: &Console,
) -> Result<BoardReport> {
    let spinner = console.spinner();
    let report = build_with_stack(board, model, options, &mut |step| spinner.message(step));
    drop(spinner);
    report.map_err(measured::of_fits)
}
