//! `rarefy eval`: a container's accuracy, computed with the device's arithmetic.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::model::{ModelFile, Seen};
use super::table::percent;
use super::{interrupt, reading};
use crate::deploy::evaluate::{self, Score};
use crate::numbers::thousands;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container (.rfy file)
    model: PathBuf,
    /// Dataset to take the test images from: a name listed by `rarefy data list`, or a path as
    /// in `rarefy train --data` [default: the dataset recorded by `export` next to the container]
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    score: Score,
    /// Name of the dataset.
    data: String,
    /// Number of test images that the network was trained on; `None` if unknown.
    trained_on: Option<usize>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let file = ModelFile::open(&arguments.model, console)?;
    let given = arguments.data.as_deref();
    let chosen = file.data(given, Some(&arguments.reading), console)?;
    let seen = file.seen(&chosen, console);
    let data = chosen.data;
    let bar = console.bar(data.test.len() as u64);
    let score = evaluate::evaluate(file.model()?, &data.test, interrupt::flag(), &mut |done| {
        if done % 100 == 0 {
            bar.at(done as u64);
        }
    })?;
    drop(bar);
    let report = Report {
        score: score.ok_or_else(interrupt::interrupted)?,
        data: data.name,
        trained_on: match seen {
            Seen::Images(count) => Some(count),
            Seen::Unknown => None,
        },
    };
    let text = || {
        let remembered = match report.trained_on {
            Some(0) | None => String::new(),
            Some(count) => format!(" ({} of them used for training)", thousands(count)),
        };
        format!(
            "{} of {} test images of {}{remembered} correct: {}",
            thousands(report.score.correct),
            thousands(report.score.samples),
            report.data,
            percent(report.score.accuracy)
        )
    };
    console.result(&report, text, file.measure_line(given))
}
