//! `rarefy measure --all`: all containers of a run on one board, in one table.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::console::Console;
use super::next::{Line, free};
use super::overwrite::{self, Kind};
use super::run_data::{self, Failed, Source, shown};
use super::table::{columns, measure, quality, text};
use super::{measured, usage};
use crate::atomic::FileError;
use crate::deploy::costs::Core;
use crate::deploy::{Setting, Variant, companion};
use crate::device::{self, Board, Comparison, Cost, MeasureOptions, Row};
use crate::numbers::thousands;

/// What to compare.
pub(super) struct Request<'a> {
    /// The run.
    pub(super) source: Source<'a>,
    /// The board, or the chip.
    pub(super) board: &'a Board,
    /// Whether the board is a chip by name.
    pub(super) is_chip: bool,
    /// The number of test images to run; programs are only built if `None`.
    pub(super) samples: Option<NonZeroUsize>,
    /// The folder that keeps the containers, if one was given.
    pub(super) out: Option<&'a Path>,
    /// The options of the measurements.
    pub(super) options: MeasureOptions<'a>,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    run: String,
    /// The folder with the containers, if they are kept; each is named after its first setting.
    folder: Option<String>,
    #[serde(flatten)]
    comparison: Comparison,
    failures: Vec<Failed>,
}

pub(super) fn run(request: &Request<'_>, console: &Console) -> Result<()> {
    let Request { source, board, .. } = *request;
    let run = source.folder;
    if !run.is_dir() {
        return Err(usage::wrong(format!(
            "{} is not a folder: --all compares the containers of a run folder; measure a single container without --all",
            run.display()
        )));
    }
    if request.samples.is_some() {
        device::check_runner(board, &request.options.machine)?;
    }
    if let Some(folder) = request.out {
        check_folder(folder)?;
    }
    let name = (!request.is_chip).then_some(&*board.name);
    let core = Core::of_target(&board.target);
    let (data, found) = run_data::variants(source, (name, core), console)?;
    if let Some(folder) = request.out {
        keep(folder, &found.variants)?;
    }
    let inputs = request
        .samples
        .map(|samples| measured::some_inputs(&data, samples, console));
    let comparison = compare(request, &found.variants, inputs.as_deref(), console)?;
    let report = Report {
        run: run.display().to_string(),
        folder: request.out.map(|folder| folder.display().to_string()),
        comparison,
        failures: found.failures.iter().map(Failed::from).collect(),
    };
    let text = || describe(&report) + &run_data::failures(&found.failures);
    console.result(&report, text, next(request, &report.comparison))?;
    judge(&report)
}

/// Measures all `variants`, or only builds them if there are no `inputs`, while showing a bar.
fn compare(
    request: &Request<'_>,
    variants: &[Variant],
    inputs: Option<&[Vec<u8>]>,
    console: &Console,
) -> Result<Comparison> {
    let bar = console.bar(variants.len() as u64);
    bar.name("measuring");
    let mut last = None;
    let mut progress = |index: usize, step: &str| {
        bar.at(index as u64);
        bar.message(step);
        if last.replace(index) != Some(index) {
            let variant = &variants[index];
            console.log(&format!(
                "container {} of {}: {}, {} bytes",
                index + 1,
                variants.len(),
                shown(&variant.settings),
                thousands(variant.bytes.len())
            ));
        }
    };
    let options = &request.options;
    let comparison = device::compare(request.board, variants, inputs, options, &mut progress);
    drop(bar);
    comparison.map_err(measured::of_fits)
}

/// Checks that containers can be written to `folder`: its parent folder exists, and every file
/// that would be overwritten is a container.
///
/// # Errors
/// Returns an error that names the folder or the file.
fn check_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    if folder.is_dir() {
        for setting in Setting::all() {
            let path = folder.join(setting.file_name());
            overwrite::check("-o", &path, Kind::Container, [] as [&Path; 0])?;
            companion::check_free(&path)?;
        }
        return Ok(());
    }
    if folder.symlink_metadata().is_ok() {
        return Err(anyhow!("-o {shown} is not a folder: give another name"));
    }
    let parent = folder.parent().filter(|it| !it.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    match parent.is_dir() {
        true => Ok(()),
        false => Err(anyhow!(
            "-o {shown}: there is no folder {}; create it, or give another name",
            parent.display()
        )),
    }
}

/// Writes all `variants` to `folder`, which is created if necessary.
fn keep(folder: &Path, variants: &[Variant]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| FileError::new("create", folder, error))?;
    for variant in variants {
        variant.write(&folder.join(variant.setting().file_name()))?;
    }
    Ok(())
}

/// Returns the command that exports the most accurate container that fits, of equally accurate ones
/// the smallest; the first container if none fits.
fn next(request: &Request<'_>, comparison: &Comparison) -> Line {
    let fitting = comparison.rows.iter().filter(|row| row.network.fits);
    let best =
        fitting.min_by(|a, b| (b.accuracy.total_cmp(&a.accuracy)).then(a.bytes.cmp(&b.bytes)));
    let best = best.or(comparison.rows.first());
    let line = Line::new(&["export"]).path(request.source.folder);
    let line = line.option("-o", free("model.rfy"));
    let line = match best {
        Some(row) => with_setting(line, row.settings[0]),
        None => line,
    };
    let line = match best.is_some_and(|row| row.lossy) {
        true => line.word("--allow-loss"),
        false => line,
    };
    let line = match request.source.data {
        Some(data) => line.option("--data", data),
        None => line,
    };
    match request.is_chip {
        true => line.option("--chip", &request.board.name),
        false => line.option("--board", &request.board.name),
    }
}

/// Appends the options of `rarefy export` that `setting` stands for.
fn with_setting(line: Line, setting: Setting) -> Line {
    line.option("--optimize", setting.goal.name())
        .option("--weights", setting.weights.name())
}

/// Checks that all containers compute the same outputs on the board as on the workstation, and
/// that at least one fits.
///
/// # Errors
/// Returns an error that names the first output that differs.
fn judge(report: &Report) -> Result<()> {
    let Comparison { board, rows, .. } = &report.comparison;
    let board = &board.name;
    for row in rows {
        let name = format!("{} ({})", report.run, shown(&row.settings));
        measured::check_logits(&row.network, &name, board)?;
    }
    match rows.iter().any(|row| row.network.fits) {
        true => Ok(()),
        false => Err(anyhow!(
            "no container of {} fits {board}; compress the network further or choose a larger board or chip (`rarefy boards`, `rarefy chips`)",
            report.run
        )),
    }
}

/// A column of the table: its head, and what it shows of a row.
type Column = (&'static str, fn(&Row) -> String);

/// The columns of every comparison, except for the last column.
const SIZES: [Column; 7] = [
    ("goal, bits", |row| {
        let mark = if row.pareto { '*' } else { ' ' };
        format!("{mark} {}", shown(&row.settings))
    }),
    ("encodings", |row| {
        let mut encodings = row.encodings.clone();
        encodings.retain(|name| *name != "none");
        encodings.sort_unstable();
        encodings.dedup();
        encodings.join("+")
    }),
    ("accuracy", |row| quality(row.accuracy, row.mse)),
    ("bytes", |row| thousands(row.bytes)),
    ("flash", |row| {
        bytes(row.network.flash.map(|flash| flash.total))
    }),
    ("arena", |row| bytes(row.network.ram.map(|ram| ram.arena))),
    ("peak RAM", |row| {
        bytes(row.network.ram.and_then(|ram| ram.total))
    }),
];

/// The columns of estimates.
const ESTIMATES: [Column; 2] = [
    ("estimated cycles", |row| {
        let estimate = row.network.estimate.as_ref();
        estimate.map_or("-".into(), |it| measured::span(it.median))
    }),
    ("milliseconds (est.)", |row| {
        let estimate = row.network.estimate.as_ref();
        estimate.map_or("-".into(), |it| measured::milliseconds(it.milliseconds))
    }),
];

/// The last column.
const FITS: Column = ("fits", |row| {
    match (row.network.over_by, row.network.over_in) {
        (Some(over), Some(memory)) => {
            format!("{} {} over", measured::shown(memory), thousands(over))
        }
        _ => "yes".to_owned(),
    }
});

/// Formats a number of bytes that may be unknown.
fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or("-".into(), thousands)
}

/// Formats the report as a table with remarks.
fn describe(report: &Report) -> String {
    let comparison = &report.comparison;
    let rows = &comparison.rows;
    let mut shown_columns = SIZES.to_vec();
    if comparison.samples > 0 {
        let unit = match rows.first().map(|row| row.network.cost) {
            Some(Cost::Cycles(_)) => "cycles",
            _ => "instructions",
        };
        shown_columns.push((unit, |row| {
            bytes(row.network.cost.counts().map(|counts| counts.median))
        }));
    }
    if rows.iter().any(|row| row.network.estimate.is_some()) {
        shown_columns.extend(ESTIMATES);
    }
    shown_columns.push(FITS);
    let mse = rows.first().and_then(|row| row.mse);
    let heads = shown_columns.iter().map(|(head, _)| match *head {
        "accuracy" => measure(mse),
        head => head,
    });
    let heads: Vec<&str> = heads.collect();
    let mut table = columns(&heads);
    for row in rows {
        table.add_row(shown_columns.iter().map(|(_, cell)| cell(row)));
    }
    let kind = if comparison.board.emulated {
        "emulated"
    } else {
        "real"
    };
    format!(
        "{} on {} ({kind} {}), flash {} bytes, RAM {} bytes:\n\n{}{}",
        report.run,
        comparison.board.name,
        comparison.board.core,
        thousands(comparison.board.flash_size),
        thousands(comparison.board.ram_size),
        text(&table),
        remarks(report)
    )
}

/// Formats what the table does not show.
fn remarks(report: &Report) -> String {
    let Comparison { samples, rows, .. } = &report.comparison;
    let mut lines = match samples {
        0 => "  * fits, and no other container that fits is as good in accuracy and bytes and better in one of them\n".to_owned(),
        _ => "  * fits, and no other container that fits is as good in accuracy, bytes and median cost and better in one of them\n".to_owned(),
    };
    lines += "  settings in one row give the same container; \"any\" stands for size, balanced and speed\n";
    if rows
        .iter()
        .any(|row| row.network.matches_host == Some(true))
    {
        lines += &format!(
            "  cost is the median of {} test images, every logit of which was compared with the workstation's\n",
            thousands(*samples)
        );
    }
    let estimate = rows.iter().find_map(|row| row.network.estimate.as_ref());
    if let Some(estimate) = estimate {
        lines += &measured::basis(estimate);
    }
    if let Some(why) = rows.iter().find_map(|row| row.network.no_estimate.as_ref()) {
        lines += &format!("  no cycle estimate: {why}\n");
    }
    let lossy: Vec<String> = rows
        .iter()
        .filter(|row| row.lossy)
        .map(|row| shown(&row.settings))
        .collect();
    if !lossy.is_empty() {
        lines += &format!(
            "  `rarefy export` writes these only with --allow-loss: {}\n",
            lossy.join("; ")
        );
    }
    if let Some(folder) = &report.folder {
        lines += &format!("  the containers are in {folder}\n");
    }
    lines
}
