//! `rarefy measure`: a container's flash, RAM and latency on a board.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;

use super::chips;
use super::console::Console;
use super::interrupt;
use super::model::ModelFile;
use super::next::{Next, Why};
use super::table::{table, text};
use super::{overwrite, profile, usage};
use crate::atomic;
use crate::data::Dataset;
use crate::deploy::companion;
use crate::device::{
    self, Board, BoardReport, Boards, Cost, Machine, MeasureOptions, NetworkReport, Origin, Range,
    STACK_RESERVE, firmware_folder,
};
use crate::numbers::thousands;
use crate::plot::flame;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container (.rfy file)
    model: PathBuf,
    /// Board: a name listed by `rarefy boards`
    #[arg(long, required_unless_present = "chip", conflicts_with = "chip")]
    board: Option<String>,
    /// Chip, measured through a debug probe: a name listed by `rarefy chips`, such as
    /// STM32F411CEUx
    #[arg(long)]
    chip: Option<String>,
    /// Dataset to take the test images from: a name listed by `rarefy data list`, or a folder of
    /// IDX files [default: the dataset recorded by `export` next to the container]
    #[arg(long)]
    data: Option<String>,
    /// Number of test images to run
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
    /// Only build the firmware: report flash, static RAM and whether they fit, without a board, a
    /// probe or an emulator
    #[arg(long, conflicts_with_all = ["data", "samples", "timeout"])]
    build_only: bool,
    /// Time limit of one run on the board, in seconds
    #[arg(long, default_value = "300")]
    timeout: NonZeroUsize,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let board = &board(arguments)?;
    if let Some(picture) = &arguments.svg {
        let read = [&arguments.model, &companion::path(&arguments.model)];
        overwrite::check("--svg", picture, overwrite::Kind::Picture, read)?;
        overwrite::check_svg("--svg", picture)?;
    }
    if arguments.profile && !board.emulated() {
        return Err(usage::wrong(format!(
            "--profile counts in the emulator, and {} is a real board: choose an emulated board",
            board.name
        )));
    }
    let file = ModelFile::open(&arguments.model, console)?;
    let options = MeasureOptions {
        cycles: !arguments.no_cycles && board.emulated(),
        profile: arguments.profile,
        ..options(!arguments.no_dense, arguments.timeout.get() as u64)
    };
    let report = if arguments.build_only {
        build(board, file.bytes(), &options, console)?
    } else {
        let data = file.data(arguments.data.as_deref(), console)?.data;
        let images = format!("test images of {}", data.name);
        console.most(("--samples", arguments.samples), data.test.len(), &images);
        let inputs = inputs(&data, arguments.samples.get());
        measure(board, file.bytes(), &inputs, &options, console)?
    };
    let profile = report.network.profile.as_ref();
    if let (Some(picture), Some(profile)) = (&arguments.svg, profile) {
        let title = format!("{} on {}", arguments.model.display(), board.name);
        let svg = flame::svg(&title, profile).map_err(|reason| anyhow!(reason))?;
        atomic::write(picture, svg.as_bytes())?;
    }
    let text = || {
        let mut text = format!("{}:\n\n{}", arguments.model.display(), describe(&report));
        if let Some(profile) = profile {
            text += &format!("\n{}", profile::describe(profile));
        }
        if let Some(picture) = &arguments.svg {
            text += &format!("\n{}\n", picture.display());
        }
        text
    };
    console.result(
        &report,
        text,
        Next::Nothing(if arguments.build_only {
            Why::Built
        } else {
            Why::Arrived
        }),
    )?;
    judge(&report, &arguments.model.display().to_string())
}

/// Returns the board or the chip to measure on.
fn board(arguments: &Arguments) -> Result<Board> {
    match (&arguments.chip, &arguments.board) {
        (Some(chip), _) => chips::board(chip, !arguments.build_only),
        (None, board) => {
            let boards = Boards::discover(&firmware_folder()?)?;
            Ok(boards.get(board.as_deref().unwrap_or_default())?.clone())
        }
    }
}

/// Returns the options of a measurement; `timeout` is in seconds.
pub(super) fn options(dense: bool, timeout: u64) -> MeasureOptions<'static> {
    MeasureOptions {
        dense,
        cycles: false,
        profile: false,
        timeout: Duration::from_secs(timeout),
        stop: Some(interrupt::flag()),
        machine: Machine::default(),
        target_folder: None,
    }
}

/// Returns `samples` evenly spaced test images.
pub(super) fn inputs(data: &Dataset, samples: usize) -> Vec<Vec<u8>> {
    let chosen = data.test.limit(samples);
    (0..chosen.len())
        .map(|index| chosen.image(index).to_vec())
        .collect()
}

/// Measures `model` on `board` while showing a spinner.
pub(super) fn measure(
    board: &Board,
    model: &[u8],
    inputs: &[Vec<u8>],
    options: &MeasureOptions<'_>,
    console: &Console,
) -> Result<BoardReport> {
    let spinner = console.spinner();
    let report = device::measure(board, model, inputs, options, &mut |step| {
        spinner.message(step);
    });
    drop(spinner);
    Ok(report?)
}

/// Builds the firmware with `model` for `board` while showing a spinner; does not run it. The stack
/// of a chip is measured on an emulated core with the same instructions, if there is one.
fn build(
    board: &Board,
    model: &[u8],
    options: &MeasureOptions<'_>,
    console: &Console,
) -> Result<BoardReport> {
    let spinner = console.spinner();
    let mut report = device::build(board, model, options, &mut |step| {
        spinner.message(step);
    })?;
    if board.origin != Origin::Folder && report.network.fits {
        spinner.message(&format!("{}: measuring the stack", board.name));
        let stack = device::stack_bound(&board.target, model, options, &board.firmware)?;
        if let Some(stack) = stack {
            report.network = report.network.with_stack(board, stack);
        }
    }
    drop(spinner);
    Ok(report)
}

/// Checks that the network fits the board and computes the same outputs on it as on the
/// workstation.
///
/// # Errors
/// Returns an error that names the memory that is too small, or the first output that differs.
pub(super) fn judge(report: &BoardReport, model: &str) -> Result<()> {
    let board = &report.board;
    if let (false, Some(over)) = (report.network.fits, report.network.over_by) {
        let memory = report.network.over_in.map_or("memory", shown);
        return Err(anyhow!(
            "{model} does not fit {board}: its {memory} is {} bytes too small; compress the network further or choose a larger board or chip (`rarefy boards`, `rarefy chips`)",
            thousands(over)
        ));
    }
    for (network, what) in [
        (Some(&report.network), ""),
        (report.dense.as_ref(), "stored dense, "),
    ] {
        if let Some(mismatch) = network.and_then(|network| network.mismatch) {
            return Err(anyhow!(
                "{what}{model} computes different outputs on {board}: logit {} of sample {} is {} there and {} here; please report this",
                mismatch.logit,
                mismatch.sample,
                mismatch.device,
                mismatch.host
            ));
        }
    }
    Ok(())
}

/// Returns the name of a memory in text: the JSON report calls RAM "ram".
fn shown(memory: &'static str) -> &'static str {
    match memory {
        "ram" => "RAM",
        _ => memory,
    }
}

/// Formats the report on one board as a table with remarks.
pub(super) fn describe(report: &BoardReport) -> String {
    figures(report) + &remarks(report)
}

/// Formats the figures of a report as a table, with the dense network beside the pruned one.
fn figures(report: &BoardReport) -> String {
    let dense = report.dense.as_ref();
    let kind = if report.emulated { "emulated" } else { "real" };
    let board = format!("{} ({kind} {})", report.board, report.core);
    let mut rows = match dense {
        Some(_) => table([&*board, "pruned", "stored dense", "saved"]),
        None => table([&*board, "pruned", "", ""]),
    };
    let mut row = |name: &str, figure: &dyn Fn(&NetworkReport) -> Option<u64>| {
        let pruned = figure(&report.network);
        let dense = dense.map(figure);
        let show = |figure: Option<u64>| figure.map_or("-".into(), thousands);
        let saved = match (pruned, dense.flatten()) {
            (Some(pruned), Some(dense)) if pruned > 0 && dense > pruned => {
                format!("{:.1}x", dense as f64 / pruned as f64)
            }
            _ => String::new(),
        };
        rows.add_row([
            name.to_string(),
            show(pruned),
            dense.map_or(String::new(), show),
            saved,
        ]);
    };
    let total = |size: u64| format!("  total, of {}", thousands(size));
    let unit = match report.network.cost {
        Cost::Instructions(_) => "instructions",
        Cost::Cycles(_) => "cycles",
    };
    row("flash, bytes: code", &|n| Some(n.flash?.code));
    row("  model", &|n| Some(n.flash?.model));
    row(&total(report.flash_size), &|n| Some(n.flash?.total));
    row("RAM, bytes: static (with the input)", &|n| {
        Some(n.ram?.static_bytes)
    });
    row("  arena", &|n| Some(n.ram?.arena));
    row("  peak stack", &|n| n.ram?.stack_peak);
    row(&total(report.ram_size), &|n| n.ram?.total);
    row(&format!("{unit} per inference: median"), &|n| {
        Some(n.cost.counts()?.median)
    });
    row("  minimum", &|n| Some(n.cost.counts()?.min));
    row("  maximum", &|n| Some(n.cost.counts()?.max));
    row(&format!("{unit} to load (checked once)"), &|n| n.load);
    for (name, figure) in estimates(report) {
        let dense = dense.map_or(String::new(), figure);
        rows.add_row([name, figure(&report.network), dense, String::new()]);
    }
    text(&rows)
}

/// A figure of a report, formatted.
type Figure = fn(&NetworkReport) -> String;

/// Returns the rows of the estimated cycles; none if they were not asked for.
fn estimates(report: &BoardReport) -> Vec<(String, Figure)> {
    let network = &report.network;
    let Some(estimate) = &network.estimate else {
        let asked = network.no_estimate.is_some();
        let row: (String, Figure) = ("estimated cycles per inference".to_owned(), |_| "-".into());
        return if asked { vec![row] } else { Vec::new() };
    };
    let clock = estimate.clock_hz as f64 / 1e6;
    vec![
        ("estimated cycles per inference: median".to_owned(), |n| {
            n.estimate.as_ref().map_or("-".into(), |it| span(it.median))
        }),
        ("  minimum".to_owned(), |n| {
            n.estimate.as_ref().map_or("-".into(), |it| span(it.min))
        }),
        ("  maximum".to_owned(), |n| {
            n.estimate.as_ref().map_or("-".into(), |it| span(it.max))
        }),
        (format!("  median in milliseconds at {clock} MHz"), |n| {
            let span = |(low, high)| match (format!("{low:.3}"), format!("{high:.3}")) {
                (low, high) if low == high => low,
                (low, high) => format!("{low} to {high}"),
            };
            let estimate = n.estimate.as_ref();
            estimate.map_or("-".into(), |it| span(it.milliseconds))
        }),
    ]
}

/// Formats a range of cycles.
fn span(range: Range) -> String {
    match range {
        Range { low, high } if low == high => thousands(low),
        Range { low, high } => format!("{} to {}", thousands(low), thousands(high)),
    }
}

/// Formats what a report's figures do not show: what loading means, whether the network was run,
/// whether its outputs are right, and how many bytes are missing.
fn remarks(report: &BoardReport) -> String {
    let mut lines = String::new();
    if report.network.load.is_some() {
        lines += "  loading is parsing the model at startup; a model that is parsed at compile time has no such cost\n";
    }
    if let Some(why) = &report.network.no_estimate {
        lines += &format!("  no estimate of cycles: {why}\n");
    }
    if let Some(estimate) = &report.network.estimate {
        let wait = match estimate.wait_states {
            Some(0) | None => "without wait states".to_owned(),
            Some(1) => "with up to 1 wait state of the flash".to_owned(),
            Some(states) => format!("with up to {states} wait states of the flash"),
        };
        lines += &format!(
            "  cycles are estimated from the executed instructions and the core's manual, {wait}\n"
        );
        if estimate.multiplier.is_some_and(|it| it.low < it.high) {
            lines += "  a multiplication takes 1 or 32 cycles on this core; `multiplier_cycles` in board.toml can say which\n";
        }
    }
    if report.samples == 0 && report.network.fits {
        lines += &match report.network.ram.and_then(|ram| ram.stack_peak) {
            Some(_) => "  built, not run: it fits; the stack was measured on an emulated core with the same instructions\n".to_owned(),
            None => format!(
                "  built, not run: it fits, leaving at least {} bytes of RAM for the stack\n",
                thousands(STACK_RESERVE)
            ),
        };
    }
    if report.network.matches_host == Some(true) {
        lines += &format!(
            "  every logit of {} test images equals the workstation's\n",
            report.samples
        );
    }
    for (network, what) in [
        (Some(&report.network), "pruned network"),
        (report.dense.as_ref(), "network stored dense"),
    ] {
        if let Some((over, memory)) = network.and_then(|n| Some((n.over_by?, n.over_in?))) {
            lines += &format!(
                "  the {what} does not fit: {} is {} bytes too small\n",
                shown(memory),
                thousands(over)
            );
        }
    }
    lines
}
