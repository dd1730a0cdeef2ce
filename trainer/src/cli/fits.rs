//! `rarefy fits`: which chips a container fits, and which of a run's containers suits each chip.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rarefy_format::{AlignedBytes, Model};

use super::console::Console;
use super::model::ModelFile;
use super::next::{Line, Next, Why};
use super::run_data::Source;
use super::stacks::{HEADS, cells, stacks};
use super::table::{columns, text};
use super::weights::{self, Weights};
use super::{measured, run_fits, usage};
use crate::device::{
    self, Board, BoardReport, Chip, Fit, Fits, Machine, STACK_RESERVE, Toolchain, WELL_KNOWN,
};
use crate::numbers::thousands;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container (.rfy file), or a run folder, all of whose containers are tried
    model: PathBuf,
    /// Chips to compare with, separated by commas: names listed by `rarefy chips` [default: some
    /// thirty well-known ones]
    #[arg(long, value_name = "CHIPS", value_delimiter = ',')]
    chip: Vec<String>,
    /// New location of the run's dataset, if the dataset has moved [default: the one given to
    /// `rarefy train`]
    #[arg(long)]
    data: Option<String>,
    /// Types of weights to try for a run, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    weights: Vec<Weights>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let chips: Result<Vec<Chip>, _> = match arguments.chip.is_empty() {
        true => WELL_KNOWN.iter().map(|name| Chip::find(name)).collect(),
        false => arguments.chip.iter().map(|name| Chip::find(name)).collect(),
    };
    if arguments.model.is_dir() {
        let source = Source {
            folder: &arguments.model,
            data: arguments.data.as_deref(),
            settings: &weights::settings(&arguments.weights),
        };
        return run_fits::run(source, &chips?, console);
    }
    for (option, given) in [
        ("--data", arguments.data.is_some()),
        ("--weights", !arguments.weights.is_empty()),
    ] {
        if given {
            return Err(usage::wrong(format!(
                "{option} concerns a run folder, and {} is none: leave it out",
                arguments.model.display()
            )));
        }
    }
    let file = ModelFile::open(&arguments.model, console)?;
    let chips = chips?;
    let options = measured::network_only();
    let spinner = console.spinner();
    let fits = device::fits(&chips, file.bytes(), &options, &mut |step| {
        spinner.message(step);
    });
    drop(spinner);
    let fits = fits.map_err(measured::of_fits)?;
    let next = match fits.smallest {
        Some(chip) => Next::Run(
            Line::new(&["measure"])
                .path(&arguments.model)
                .option("--chip", chip)
                .word("--build-only"),
        ),
        None => Next::Nothing(Why::NoChip),
    };
    console.result(
        &fits,
        || describe(&fits, &arguments.model.display().to_string()),
        next,
    )
}

/// Formats the comparison as a table with a summary.
fn describe(fits: &Fits, model: &str) -> String {
    let mut rows = columns(&[&HEADS[..], &["fits"]].concat());
    for fit in &fits.chips {
        rows.add_row(cells(fit).into_iter().chain([verdict(fit)]));
    }
    let summary = match fits.smallest {
        Some(chip) => format!("the smallest chip that takes {model}: {chip}"),
        None => format!("none of these chips takes {model}"),
    };
    format!(
        "{}\n{summary}\n(bytes of the program that measures, with its log; {})\n",
        text(&rows),
        stacks(fits.chips.iter())
    )
}

/// Formats whether a chip takes the network, or the bytes that it lacks.
fn verdict(fit: &Fit) -> String {
    let over = |bytes: u64, memory: &str| match bytes {
        0 => None,
        bytes => Some(format!("{memory} {} over", thousands(bytes))),
    };
    let over = [over(fit.flash_over, "flash"), over(fit.ram_over, "RAM")];
    let over: Vec<String> = over.into_iter().flatten().collect();
    match over.is_empty() {
        true => "yes".to_owned(),
        false => over.join(", "),
    }
}

/// Checks that the container `bytes` fits `chip`: by linking its program, or by the container and
/// its arena alone if no compiler for the chip is installed.
pub(super) fn check(chip: &Board, bytes: &[u8], console: &Console) -> Result<(), String> {
    let lacks = |missing: u64, memory: &str| {
        Err(format!(
            "the network does not fit {}: its {memory} is {} bytes too small; compress the network further, store fewer bits (--weights, --encoding rice), or choose a larger chip (`rarefy fits` of another export lists some)",
            chip.name,
            thousands(missing)
        ))
    };
    if Toolchain::find(&Machine::default(), &chip.target).is_err() {
        let model = AlignedBytes::copy_from(bytes);
        let model = Model::parse(&model).map_err(|error| error.to_string())?;
        let ram = (model.inputs() + 4 * model.arena_words()) as u64;
        for (needed, region, memory) in [
            (bytes.len() as u64, chip.flash, "flash"),
            (ram, chip.ram, "RAM"),
        ] {
            if needed > region.length {
                return lacks(needed - region.length, memory);
            }
        }
        return Ok(());
    }
    let spinner = console.spinner();
    let options = measured::network_only();
    let report = device::build_with_stack(chip, bytes, &options, &mut |step| spinner.message(step));
    drop(spinner);
    let report = report.map_err(|error| error.to_string())?;
    match (report.network.over_by, report.network.over_in) {
        (Some(missing), Some("ram")) => lacks(missing, &ram_of(&report)),
        (Some(missing), _) => lacks(missing, "flash"),
        (None, _) => Ok(()),
    }
}

/// Names RAM for a message and, if the program could be laid out, the stack that the network's
/// need includes.
fn ram_of(report: &BoardReport) -> String {
    match report.network.ram.map(|ram| ram.stack_peak) {
        Some(Some(stack)) => format!("RAM (with a stack of {} bytes)", thousands(stack)),
        Some(None) => format!(
            "RAM (with {} bytes reserved for the stack)",
            thousands(STACK_RESERVE)
        ),
        None => "RAM".to_owned(),
    }
}
