//! `rarefy fits RUN`: which of a run's containers suits each chip.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde::Serialize;

use super::console::Console;
use super::measured;
use super::next::{Line, Next, Why, free};
use super::run_data::{self, Failed, Source, shown};
use super::stacks::{HEADS, cells, stacks};
use super::table::{columns, measure, quality, text};
use crate::deploy::Options;
use crate::device::{self, Chip, VariantFit, VariantFits};
use crate::numbers::thousands;

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    run: String,
    #[serde(flatten)]
    fits: VariantFits,
    failures: Vec<Failed>,
}

/// Compares the containers of a run with the memories of `chips`.
pub(super) fn run(source: Source<'_>, chips: &[Chip], console: &Console) -> Result<()> {
    let Source { folder, data, .. } = source;
    // The containers are those that `rarefy export` writes without a board or chip.
    let core = Options::default().core;
    let (_, found) = run_data::variants(source, (None, core), console)?;
    let variants = &found.variants;
    if (variants.iter()).all(|variant| variant.report.accuracy.is_lossy()) {
        return Err(anyhow!(
            "every container of {} loses more accuracy than `rarefy export` accepts; train the run longer, or export it with --allow-loss and give the container",
            folder.display()
        ));
    }
    console.log(&format!(
        "comparing {} containers with {} chips",
        variants.len(),
        chips.len()
    ));
    let spinner = console.spinner();
    let options = measured::network_only();
    let fits = device::fits_variants(chips, variants, &options, &mut |step| {
        spinner.message(step);
    });
    drop(spinner);
    let report = Report {
        run: folder.display().to_string(),
        fits: fits.map_err(measured::of_fits)?,
        failures: found.failures.iter().map(Failed::from).collect(),
    };
    let text = || describe(&report) + &run_data::failures(&found.failures);
    console.result(&report, text, next(folder, data, &report.fits))
}

/// Returns the command that exports the container for the smallest chip that takes one.
fn next(folder: &Path, data: Option<&str>, fits: &VariantFits) -> Next {
    let chosen = fits.chips.iter().find_map(|chip| chip.chosen.as_ref());
    let Some(chosen) = chosen else {
        return Next::Nothing(Why::NoChip);
    };
    let setting = chosen.settings[0];
    let line = Line::new(&["export"])
        .path(folder)
        .option("-o", free("model.rfy"))
        .option("--optimize", setting.goal.name())
        .option("--weights", setting.weights.name());
    match data {
        Some(data) => line.option("--data", data).into(),
        None => line.into(),
    }
}

/// Formats the comparison as a table with a summary.
fn describe(report: &Report) -> String {
    let chosen = report
        .fits
        .chips
        .iter()
        .find_map(|chip| chip.chosen.as_ref());
    let mse = chosen.and_then(|chosen| chosen.mse);
    let own = ["goal, bits", measure(mse), "bytes"];
    let mut rows = columns(&[&HEADS[..], &own].concat());
    for VariantFit { fit, chosen } in &report.fits.chips {
        let own = match chosen {
            Some(chosen) => [
                shown(&chosen.settings),
                quality(chosen.accuracy, chosen.mse),
                thousands(chosen.bytes),
            ],
            None => ["none fits".to_owned(), "-".to_owned(), "-".to_owned()],
        };
        rows.add_row(cells(fit).into_iter().chain(own));
    }
    let summary = match report.fits.smallest {
        Some(chip) => format!(
            "the smallest chip that takes a container of {}: {chip}",
            report.run
        ),
        None => format!("none of these chips takes any container of {}", report.run),
    };
    format!(
        "{}\n{summary}\n  per chip, the most accurate container that fits, as `rarefy export` writes it with --optimize and --weights; where none fits, the needs of the one that lacks least\n  \"any\" stands for size, balanced and speed; bytes of the program that measures, with its log; {}\n",
        text(&rows),
        stacks(report.fits.chips.iter().map(|chip| &chip.fit))
    )
}
