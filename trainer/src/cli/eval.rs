//! `rarefy eval`: a container's accuracy or, if targets are numbers, its error, computed with the
//! device's arithmetic, or that of a network in floats.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::against::Against;
use super::console::Console;
use super::deployable::Given;
use super::model::{ModelFile, Seen};
use super::network::MaskSource;
use super::table::{error, percent};
use super::{floats, interrupt, network, reading, scale, usage};
use crate::data::Dataset;
use crate::deploy::companion::Companion;
use crate::deploy::evaluate::{self, Fit, Score};
use crate::numbers::thousands;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container (.rfy file), computed with the device's arithmetic; or a run folder, or a folder
    /// with arch.toml and weights.safetensors as `rarefy import` writes it, computed in floats
    #[arg(required_unless_present = "arch", conflicts_with = "arch")]
    model: Option<PathBuf>,
    /// Architecture of a network to compute in floats: a name listed by `rarefy arch`, a TOML file,
    /// or a folder with an arch.toml
    #[arg(long)]
    arch: Option<String>,
    /// Safetensors file of its weights, or a folder with a weights.safetensors [default: the folder
    /// given with --arch]. Statistics of batch norms that it lacks are those of the training images
    #[arg(long, value_name = "FILE", requires = "arch")]
    weights: Option<PathBuf>,
    /// Masks of its weights: a safetensors file; pruned weights count as zero
    #[arg(long, value_name = "FILE|zeros")]
    masks: Option<MaskSource>,
    /// Dataset to take the test images from: a name listed by `rarefy data list`, or a path as
    /// in `rarefy train --data` [default: the dataset recorded by `export` next to the container]
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
    #[command(flatten)]
    scale: scale::Options,
    /// Compare the container's outputs with those of a network in floats: a run folder, or a folder
    /// with arch.toml and weights.safetensors
    #[arg(long, value_name = "FOLDER", requires = "model")]
    against: Option<PathBuf>,
}

/// The report.
#[derive(Debug, Serialize)]
struct Report {
    /// The accuracy; `None` if the samples have no labels.
    #[serde(flatten)]
    score: Option<Score>,
    /// The errors of the outputs; `None` unless targets are numbers.
    #[serde(flatten)]
    fit: Option<Fit>,
    /// Name of the dataset.
    data: String,
    /// The word for its samples.
    #[serde(skip)]
    noun: &'static str,
    /// Number of test images that the network was trained on; `None` if unknown.
    trained_on: Option<usize>,
    /// The comparison with a network in floats, if one is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against>,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    match arguments.model.as_deref().filter(|path| !path.is_dir()) {
        Some(model) => container(model, arguments, console),
        None if arguments.against.is_some() => Err(usage::wrong(
            "--against compares a container with a network in floats: name a .rfy file",
        )),
        None => floats::run(arguments.network(), console),
    }
}

impl Arguments {
    /// Returns what the options say about a network in floats.
    fn network(&self) -> Given<'_> {
        Given {
            folder: self.model.as_deref(),
            arch: self.arch.as_deref(),
            weights: self.weights.as_deref(),
            masks: self.masks.as_ref(),
            data: self.data.as_deref(),
            reading: &self.reading,
            scale: &self.scale,
            labels: None,
        }
    }
}

/// Evaluates the container `model`.
fn container(model: &Path, arguments: &Arguments, console: &Console) -> Result<()> {
    let masks = arguments.masks.as_ref().map(|_| "--masks");
    if let Some(option) = arguments.scale.given().or(masks) {
        return Err(usage::wrong(format!(
            "{option} is part of the container {}: leave it out",
            model.display()
        )));
    }
    if model.extension().is_some_and(|ending| ending == "toml") && model.is_file() {
        return Err(usage::wrong(format!(
            "{} is an architecture, not a container (.rfy): give it as --arch, with --weights and --data, to evaluate its network in floats",
            model.display()
        )));
    }
    let file = ModelFile::open(model, console)?;
    let given = arguments.data.as_deref();
    let chosen = file.data(given, Some(&arguments.reading), console)?;
    let has_labels = chosen.data.reading.has_labels();
    if !has_labels && arguments.against.is_none() {
        return Err(usage::wrong(format!(
            "{} has no labels, so there is no accuracy: compare the outputs with those of a network in floats (--against)",
            chosen.data.name
        )));
    }
    if file
        .model()?
        .layers()
        .all(|layer| layer.weights().nonzeros() == 0)
    {
        network::note_disconnected(&model.display().to_string(), console);
    }
    let seen = match has_labels {
        true => file.seen(&chosen, console),
        false => Seen::Unknown,
    };
    let data = chosen.data;
    let against = arguments.against.as_deref();
    let against = against.map(|folder| Against::new(&file, folder, &data, console));
    let report = Report {
        against: against.transpose()?,
        score: match data.reading.has_classes() {
            true => Some(score(&file, &data, console)?),
            false => None,
        },
        noun: data.noun(),
        fit: match data.has_targets() {
            true => Some(fit(&file, &data)?),
            false => None,
        },
        data: data.name,
        trained_on: match seen {
            Seen::Images(count) => Some(count),
            Seen::Unknown => None,
        },
    };
    console.result(&report, || report.text(), file.measure_line(given))
}

/// Computes the accuracy of the container on the test images of `data`, with a progress bar.
fn score(file: &ModelFile, data: &Dataset, console: &Console) -> Result<Score> {
    let bar = console.bar(data.test.len() as u64);
    let score = evaluate::evaluate(file.model()?, &data.test, interrupt::flag(), &mut |done| {
        if done % 100 == 0 {
            bar.at(done as u64);
        }
    })?;
    score.ok_or_else(interrupt::interrupted)
}

/// Compares the outputs of the container for the test samples of `data` with their targets.
fn fit(file: &ModelFile, data: &Dataset) -> Result<Fit> {
    let model = file.model()?;
    let recorded = file.companion().and_then(Companion::output_step);
    let stated = || Some(f64::from(model.units()?.output_step()));
    let step = recorded.or_else(stated).ok_or_else(|| {
        usage::wrong(format!(
            "neither {} nor a companion states what its outputs stand for, so their error is unknown: export it again",
            file.path().display()
        ))
    })?;
    let found = evaluate::fit(model, &data.test, step, interrupt::flag())?;
    found.ok_or_else(interrupt::interrupted)
}

impl Report {
    /// Returns the report for people.
    fn text(&self) -> String {
        let remembered = match self.trained_on {
            Some(0) | None => String::new(),
            Some(count) => format!(" ({} of them used for training)", thousands(count)),
        };
        let score = self.score.map(|score| {
            format!(
                "{} of {} test {} of {}{remembered} correct: {}",
                thousands(score.correct),
                thousands(score.samples),
                self.noun,
                self.data,
                percent(score.accuracy)
            )
        });
        let against = self.against.as_ref().map(Against::text);
        let fit = self.fit.map(|fit| {
            format!(
                "{} test samples of {}{remembered}: {}",
                thousands(fit.samples),
                self.data,
                error(fit.mse, fit.r2)
            )
        });
        let lines: Vec<String> = score.into_iter().chain(fit).chain(against).collect();
        lines.join("\n")
    }
}
