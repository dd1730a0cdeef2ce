//! `rarefy data show`: what is in a dataset.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use serde::Serialize;

use super::console::Console;
use super::next::{Line, Next, Why};
use super::table::{table, text};
use super::{overwrite, reading};
use crate::atomic;
use crate::data::{Dataset, Normalisation, Reading, Split, Targets};
use crate::numbers::thousands;
use crate::plot::contact;

/// The most ranges that are listed; `--json` has all.
const MOST_RANGES: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Dataset: a name listed by `rarefy data list`, or a path as in `rarefy train --data`
    name: String,
    #[command(flatten)]
    reading: reading::Options,
    /// Draw a few training images of each class in this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// With --svg: the number of images of each class
    #[arg(long, default_value = "8", requires = "svg")]
    examples: NonZeroUsize,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report<'a> {
    name: &'a str,
    fingerprint: String,
    /// The shape of a sample, (channels, height, width).
    shape: [usize; 3],
    /// The number of classes; 0 if targets are numbers.
    classes: usize,
    /// The number of targets per sample, if they are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<usize>,
    /// The names of the classes; empty if they have none.
    class_names: &'a [String],
    train: Part,
    test: Part,
    normalisation: &'a Normalisation,
    /// The ranges of bytes for training, per channel.
    bytes: Vec<[u8; 2]>,
    /// How the files were read, with the map from features to bytes.
    reading: &'a Reading,
    svg: Option<String>,
}

/// A part of the dataset.
#[derive(Debug, Serialize)]
struct Part {
    samples: usize,
    /// The samples of each class.
    counts: Vec<usize>,
}

impl Part {
    fn of(split: &Split, classes: usize) -> Self {
        Self {
            samples: split.len(),
            counts: split.class_counts(classes),
        }
    }
}

/// Prints what is in a dataset, and draws its contact sheet.
pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    if let Some(picture) = &arguments.svg {
        let read = overwrite::of_data(&arguments.name);
        overwrite::check("--svg", picture, overwrite::Kind::Picture, read)?;
        overwrite::check_svg("--svg", picture)?;
    }
    let data = reading::load(&arguments.name, &arguments.reading, console)?;
    if let Some(picture) = &arguments.svg {
        let svg = contact::svg(&data, arguments.examples.get());
        atomic::write(picture, svg.map_err(|reason| anyhow!(reason))?.as_bytes())?;
    }
    let classes = match data.has_targets() {
        true => 0,
        false => data.classes,
    };
    let report = Report {
        name: &data.name,
        fingerprint: data.fingerprint(),
        shape: data.train.shape(),
        classes,
        targets: data.train.targets().map(Targets::width),
        class_names: &data.class_names,
        train: Part::of(&data.train, classes),
        test: Part::of(&data.test, classes),
        normalisation: &data.normalisation,
        bytes: ranges(&data.train),
        reading: &data.reading,
        svg: arguments
            .svg
            .as_ref()
            .map(|path| path.display().to_string()),
    };
    let line = Line::new(&["train"]).option("--data", &arguments.name);
    // The shape that the default architecture reads.
    let next = match data.train.shape() {
        [1, 28, 28] => arguments.reading.repeated(line).into(),
        _ => Next::Nothing(Why::Shape),
    };
    console.result(&report, || describe(&report, &data), next)
}

/// Returns the least and the greatest byte of each channel.
fn ranges(split: &Split) -> Vec<[u8; 2]> {
    let [channels, height, width] = split.shape();
    let mut ranges = vec![[u8::MAX, u8::MIN]; channels];
    for (index, plane) in split
        .images()
        .chunks_exact((height * width).max(1))
        .enumerate()
    {
        let range = &mut ranges[index % channels];
        for &byte in plane {
            *range = [range[0].min(byte), range[1].max(byte)];
        }
    }
    ranges
}

/// Formats the report.
fn describe(report: &Report<'_>, data: &Dataset) -> String {
    let [channels, height, width] = report.shape;
    let mut classes = table(["class", "train", "test"]);
    for (label, (train, test)) in report
        .train
        .counts
        .iter()
        .zip(&report.test.counts)
        .enumerate()
    {
        let name = data.class_names.get(label);
        let name = name.map_or_else(|| label.to_string(), |name| format!("{label} {name}"));
        classes.add_row([name, thousands(*train), thousands(*test)]);
    }
    let svg = report.svg.as_ref().map(|path| format!("\n{path}\n"));
    format!(
        "{}: {channels} x {height} x {width} (channels, height, width), {}, {} samples for training and {} for testing\n\n{}\n{}{}",
        report.name,
        match report.targets {
            Some(targets) => format!("{} targets per sample", thousands(targets)),
            None => format!("{} classes", report.classes),
        },
        thousands(report.train.samples),
        thousands(report.test.samples),
        match report.targets {
            Some(_) => String::new(),
            None => text(&classes),
        },
        describe_ranges(report),
        svg.unwrap_or_default()
    )
}

/// Formats the ranges of bytes, or of the features that become bytes.
fn describe_ranges(report: &Report<'_>) -> String {
    let Some(map) = &report.reading.map else {
        let mut rows = table(["channel", "least byte", "greatest"]);
        for (channel, [least, most]) in report.bytes.iter().enumerate().take(MOST_RANGES) {
            rows.add_row([channel.to_string(), least.to_string(), most.to_string()]);
        }
        return text(&rows) + &more(report.bytes.len());
    };
    let ranges = map.minimum().len();
    let kind = match ranges {
        1 => "features",
        count if count == report.shape[0] => "channel",
        _ => "feature",
    };
    let mut rows = table([kind, "byte 0", "byte 255"]);
    for (index, (low, high)) in map
        .minimum()
        .iter()
        .zip(map.maximum())
        .enumerate()
        .take(MOST_RANGES)
    {
        let name = if ranges == 1 {
            "all".into()
        } else {
            index.to_string()
        };
        rows.add_row([name, low.to_string(), high.to_string()]);
    }
    text(&rows) + &more(ranges)
}

/// Says that not all of `ranges` are listed.
fn more(ranges: usize) -> String {
    match ranges.checked_sub(MOST_RANGES) {
        None | Some(0) => String::new(),
        Some(more) => format!("  ... and {more} more (--json)\n"),
    }
}
