//! What commands that measure on boards share: options, inputs, and reports as text.

use std::num::NonZeroUsize;

use anyhow::{Error, Result, anyhow};

use super::console::Console;
use super::interrupt;
use super::table::{table, text};
use crate::data::Dataset;
use crate::device::{
    self, Board, BoardReport, Cost, Estimate, FitsError, MeasureOptions, NetworkReport, Range,
    STACK_RESERVE,
};
use crate::numbers::thousands;

/// Returns the default options of a measurement, which the user can stop.
pub(super) fn options() -> MeasureOptions<'static> {
    MeasureOptions {
        stop: Some(interrupt::flag()),
        ..MeasureOptions::default()
    }
}

/// Returns [`options`] for a network without its dense twin.
pub(super) fn network_only() -> MeasureOptions<'static> {
    MeasureOptions {
        dense: false,
        ..options()
    }
}

/// Returns `samples` evenly spaced test images.
pub(super) fn inputs(data: &Dataset, samples: usize) -> Vec<Vec<u8>> {
    let chosen = data.test.limit(samples);
    (0..chosen.len())
        .map(|index| chosen.image(index).to_vec())
        .collect()
}

/// Returns `samples` evenly spaced test images, or all if there are fewer, which is noted.
pub(super) fn some_inputs(
    data: &Dataset,
    samples: NonZeroUsize,
    console: &Console,
) -> Vec<Vec<u8>> {
    let images = format!("test {} of {}", data.noun(), data.name);
    console.most(("--samples", samples), data.test.len(), &images);
    inputs(data, samples.get())
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

/// Converts `error`. An error of the device is taken out of it, so that its remedy can name
/// options.
pub(super) fn of_fits(error: FitsError) -> Error {
    match error {
        FitsError::Device(error) => error.into(),
        error => error.into(),
    }
}

/// Checks that the network fits the board and computes the same outputs on it as on the
/// workstation.
///
/// # Errors
/// Returns an error that names the memory that is too small, or the first output that differs.
pub(super) fn judge(report: &BoardReport, model: &str) -> Result<()> {
    let board = &report.board.name;
    if let (false, Some(over)) = (report.network.fits, report.network.over_by) {
        let memory = report.network.over_in.map_or("memory", shown);
        return Err(anyhow!(
            "{model} does not fit {board}: its {memory} is {} bytes too small; compress the network further or choose a larger board or chip (`rarefy boards`, `rarefy chips`)",
            thousands(over)
        ));
    }
    check_logits(&report.network, model, board)?;
    match &report.dense {
        Some(dense) => check_logits(dense, &format!("stored dense, {model}"), board),
        None => Ok(()),
    }
}

/// Checks that `network`, called `name`, computes the same outputs on `board` as on the
/// workstation.
///
/// # Errors
/// Returns an error that names the first output that differs.
pub(super) fn check_logits(network: &NetworkReport, name: &str, board: &str) -> Result<()> {
    match network.mismatch {
        None => Ok(()),
        Some(mismatch) => Err(anyhow!(
            "{name} computes different outputs on {board}: logit {} of sample {} is {} there and {} here; please report this",
            mismatch.logit,
            mismatch.sample,
            mismatch.device,
            mismatch.host
        )),
    }
}

/// Returns the name of a memory in text: the JSON report calls RAM "ram".
pub(super) fn shown(memory: &'static str) -> &'static str {
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
    let kind = if report.board.emulated {
        "emulated"
    } else {
        "real"
    };
    let board = format!("{} ({kind} {})", report.board.name, report.board.core);
    let mut rows = match report.dense {
        Some(_) => table([&*board, "pruned", "stored dense", "saved"]),
        None => table([&*board, "pruned", "", ""]),
    };
    let total = |size: u64| format!("  total, of {}", thousands(size));
    let unit = match report.network.cost {
        Cost::Instructions(_) => "instructions",
        Cost::Cycles(_) => "cycles",
    };
    let mut row = |name: &str, figure: &dyn Fn(&NetworkReport) -> Option<u64>| {
        rows.add_row(compared(report, name, figure));
    };
    row("flash, bytes: code", &|n| Some(n.flash?.code));
    row("  model", &|n| Some(n.flash?.model));
    row(&total(report.board.flash_size), &|n| Some(n.flash?.total));
    row("RAM, bytes: static (with the input)", &|n| {
        Some(n.ram?.static_bytes)
    });
    row("  arena", &|n| Some(n.ram?.arena));
    row("  peak stack", &|n| n.ram?.stack_peak);
    row(&total(report.board.ram_size), &|n| n.ram?.total);
    row(&format!("{unit} per inference: median"), &|n| {
        Some(n.cost.counts()?.median)
    });
    let spread = |n: &NetworkReport| {
        let counts = n.cost.counts()?;
        Some(Range {
            low: counts.min,
            high: counts.max,
        })
    };
    rows.add_rows(range_row(report, &spread));
    rows.add_row(compared(
        report,
        &format!("{unit} to load (checked once)"),
        &|n| n.load,
    ));
    rows.add_rows(estimates(report));
    text(&rows)
}

/// Returns the row `name` with a figure of both networks and their ratio.
fn compared(
    report: &BoardReport,
    name: &str,
    figure: &dyn Fn(&NetworkReport) -> Option<u64>,
) -> [String; 4] {
    let pruned = figure(&report.network);
    let dense = report.dense.as_ref().map(figure);
    let show = |figure: Option<u64>| figure.map_or("-".into(), thousands);
    let saved = match (pruned, dense.flatten()) {
        (Some(pruned), Some(dense)) if pruned > 0 && dense > pruned => {
            format!("{:.1}x", dense as f64 / pruned as f64)
        }
        _ => String::new(),
    };
    [
        name.to_owned(),
        show(pruned),
        dense.map_or(String::new(), show),
        saved,
    ]
}

/// Returns the row of the range of a figure over all samples; `None` if it is the same for all.
fn range_row(
    report: &BoardReport,
    range: &dyn Fn(&NetworkReport) -> Option<Range>,
) -> Option<[String; 4]> {
    let both = [Some(&report.network), report.dense.as_ref()];
    let varies = |network: &NetworkReport| range(network).is_some_and(|it| it.low < it.high);
    let show = |network: &NetworkReport| range(network).map_or("-".into(), span);
    both.into_iter().flatten().any(varies).then(|| {
        let [pruned, dense] = both.map(|network| network.map_or(String::new(), show));
        [
            "  minimum to maximum".to_owned(),
            pruned,
            dense,
            String::new(),
        ]
    })
}

/// Returns the rows of the estimated cycles; none if they were not asked for.
fn estimates(report: &BoardReport) -> Vec<[String; 4]> {
    let network = &report.network;
    let row = |name: String, figure: &dyn Fn(&Estimate) -> String| {
        let show = |n: &NetworkReport| n.estimate.as_ref().map_or("-".to_owned(), figure);
        let dense = report.dense.as_ref().map_or(String::new(), show);
        [name, show(network), dense, String::new()]
    };
    let Some(estimate) = &network.estimate else {
        let asked = network.no_estimate.is_some();
        let name = "estimated cycles per inference".to_owned();
        return asked
            .then(|| row(name, &|_| String::new()))
            .into_iter()
            .collect();
    };
    let clock = estimate.clock_hz as f64 / 1e6;
    let name = "estimated cycles per inference: median".to_owned();
    let mut rows = vec![row(name, &|it| span(it.median))];
    let of_samples = |it: &Estimate| it.min != it.max;
    let both = [Some(network), report.dense.as_ref()].into_iter().flatten();
    if both.filter_map(|n| n.estimate.as_ref()).any(of_samples) {
        let range = |it: &Estimate| Range {
            low: it.min.low,
            high: it.max.high,
        };
        rows.push(row("  minimum to maximum".to_owned(), &|it| {
            span(range(it))
        }));
    }
    let name = format!("  median in milliseconds at {clock} MHz");
    rows.push(row(name, &|it| milliseconds(it.milliseconds)));
    rows
}

/// Formats a range of cycles.
pub(super) fn span(range: Range) -> String {
    match range {
        Range { low, high } if low == high => thousands(low),
        Range { low, high } => format!("{} to {}", thousands(low), thousands(high)),
    }
}

/// Formats a range of milliseconds.
pub(super) fn milliseconds((low, high): (f64, f64)) -> String {
    match (format!("{low:.3}"), format!("{high:.3}")) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} to {high}"),
    }
}

/// Formats what `estimate` is based on.
pub(super) fn basis(estimate: &Estimate) -> String {
    let wait = match estimate.wait_states {
        Some(0) | None => "without wait states".to_owned(),
        Some(1) => "with up to 1 wait state of the flash".to_owned(),
        Some(states) => format!("with up to {states} wait states of the flash"),
    };
    let mut lines = format!(
        "  cycles are estimated from the executed instructions and the core's manual, {wait}\n"
    );
    if estimate.multiplier.is_some_and(|it| it.low < it.high) {
        lines += "  a multiplication takes 1 or 32 cycles on this core; `multiplier_cycles` in board.toml can say which\n";
    }
    lines
}

/// Formats what a report's figures do not show: what loading means, whether the network was run,
/// whether its outputs are right, and how many bytes are missing.
fn remarks(report: &BoardReport) -> String {
    let mut lines = String::new();
    if report.network.load.is_some() {
        lines += "  loading is parsing the model at startup; a model that is parsed at compile time has no such cost\n";
    }
    if let Some(why) = &report.network.no_estimate {
        lines += &format!("  no cycle estimate: {why}\n");
    }
    if let Some(estimate) = &report.network.estimate {
        lines += &basis(estimate);
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
