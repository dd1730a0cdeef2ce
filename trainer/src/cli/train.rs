//! `rarefy train`: dense training, pruning, training of what is left.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use candle_core::Device;
use clap::Args;

use super::accelerator::DeviceChoice;
use super::console::Console;
use super::next::{Line, Next, Why, free};
use super::table::{percent, thousands};
use super::{data, goal, interrupt, threads};
use crate::data::{Dataset, Normalisation};
use crate::deploy::FinishedRun;
use crate::deploy::{limits, strip};
use crate::graph;
use crate::pruning::score::snip::Loss;
use crate::pruning::{Pruner, error};
use crate::training::folder::TrainReport;
use crate::training::run::{self, Event};
use crate::training::{After, Recipe, TrainError, recipe};

#[derive(Debug, Args)]
#[command(after_help = "A run that was interrupted goes on when the same command is given again.")]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The dataset: a name of `rarefy data list`, or a folder with IDX files
    #[arg(long, default_value = "digits")]
    data: String,
    /// The run folder [default: runs/ARCH_PRUNER_COMPRESSION_DATA_SEED]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace a run that is in the folder already
    #[arg(long)]
    force: bool,
}

/// The options that make a recipe, shared with `quickstart`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    goal: goal::Options,
    /// The seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Epochs of each phase: the dense network's (where the pruner needs it), and what is left's
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// The first learning rate; it falls to a tenth after 26, 52 and 78 % of a phase
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    /// The share of the velocity that is kept from step to step
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    /// The factor of the sum of squared weights in the loss
    #[arg(long, default_value_t = 5e-4)]
    l2: f64,
    /// What the pruned network is trained from
    #[arg(long, value_enum, default_value_t)]
    after: After,
    /// The loss whose gradients snip reads
    #[arg(long, value_enum, default_value_t)]
    loss: Loss,
    /// The weights of a trained dense network, a safetensors file with the tensors of `rarefy arch`:
    /// no dense network is trained then; with --after finetune, biases and batch norms must be in it,
    /// but for running_mean and running_var: those of the training images take their place
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The mean that the network expects its inputs to be normalised by: an input is
    /// (pixel / 255 - MEAN) / STD; a number or a fraction [default: the dataset's]
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    mean: Option<f32>,
    /// The standard deviation that goes with it: of raw pixels, 0 to 255, the mean is 0 and this is
    /// 1/255 [default: the dataset's]
    #[arg(long, value_parser = number)]
    std: Option<f32>,
    /// Where to train
    #[arg(long, value_enum, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    #[command(flatten)]
    threads: threads::Options,
}

/// A number, or a fraction such as 1/255.
fn number(text: &str) -> Result<f32, String> {
    let part = |text: &str| {
        let number: Result<f64, _> = text.trim().parse();
        number.map_err(|_| format!("{text:?} is no number"))
    };
    Ok(match text.split_once('/') {
        None => part(text)? as f32,
        Some((a, b)) => (part(a)? / part(b)?) as f32,
    })
}

impl Options {
    /// The dataset called `name`, normalised as the network expects.
    pub(super) fn data(&self, name: &str, console: &Console) -> Result<Dataset> {
        let data = data::load_as(name, (self.mean, self.std), console)?;
        if let (Some(path), None, None) = (&self.weights, self.mean, self.std) {
            let Normalisation { mean, std, .. } = data.normalisation;
            console.note(&format!(
                "{} is taken to expect inputs of (pixel / 255 - {mean}) / {std}, as {name} is normalised: state another with --mean and --std",
                path.display()
            ));
        }
        Ok(data)
    }

    /// The pruner's name.
    pub(super) fn pruner(&self) -> &str {
        &self.goal.pruner
    }

    /// The recipe of these options for `data`, which was given as `name`.
    pub(super) fn recipe(&self, name: &str, data: &Dataset) -> Result<Recipe> {
        let graph = graph::load(&self.goal.arch)?;
        let weights_fingerprint = self.weights.as_deref().map(recipe::fingerprint);
        Ok(Recipe {
            arch_file: (graph.name() != self.goal.arch).then(|| PathBuf::from(&self.goal.arch)),
            pruner: self.goal.pruner.clone(),
            target: self.goal.target,
            compression: self.goal.compression,
            data: name.into(),
            device: self.device.kind(),
            seed: self.seed,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            l2: self.l2,
            after: self.after,
            loss: self.loss,
            weights: self.weights.as_ref().map(|path| path.display().to_string()),
            weights_fingerprint: weights_fingerprint.transpose()?,
            ..Recipe::new(&graph, data)
        })
    }

    /// Checks that a network of the architecture can be exported, as far as its shape tells.
    pub(super) fn check_limits(&self, data: &Dataset) -> Result<()> {
        let pixels = (data.normalisation.mean, data.normalisation.std);
        match limits::forbids(&graph::load(&self.goal.arch)?, pixels) {
            Some(reason) => Err(reason.into()),
            None => Ok(()),
        }
    }

    /// The device to train on, and the threads where it is the processor.
    pub(super) fn device(&self, console: &Console) -> Result<Device> {
        self.threads.apply(console)?;
        self.device.open()
    }
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let Options { goal, seed, .. } = &arguments.options;
    let goal::Options {
        arch,
        pruner,
        compression,
        ..
    } = goal;
    // Wrong names are told before the data is read.
    Pruner::by_name(pruner)?;
    let graph = graph::load(arch)?;
    let data = arguments.options.data(&arguments.data, console)?;
    let pixels = (data.normalisation.mean, data.normalisation.std);
    let limits = limits::before_training(&graph, pixels);
    for reason in &limits {
        console.note(&format!(
            "what this trains cannot be exported as it stands: {reason}"
        ));
    }
    let recipe = arguments.options.recipe(&arguments.data, &data)?;
    let folder = arguments.out.clone().unwrap_or_else(|| {
        let pruner = pruner.replace('/', "-");
        PathBuf::from(format!(
            "runs/{}_{pruner}_{}_{}_{seed}",
            recipe.arch,
            in_name(*compression),
            data.name.replace('/', "-")
        ))
    });
    let device = arguments.options.device(console)?;
    let report = train(&recipe, &data, &folder, arguments.force, &device, console);
    let report = report.map_err(|error| match error.downcast_ref() {
        Some(TrainError::Interrupted { .. }) if arguments.force => {
            anyhow!("{error}, with --force left out")
        }
        _ => error,
    })?;
    let next = match limits.is_empty() || is_exportable(&folder) {
        true => {
            let line = Line::new(&["export"]).path(&folder);
            line.option("-o", free("model.rfy")).into()
        }
        false => Next::Nothing(Why::Limit),
    };
    console.result(&report, || {
        let TrainReport { weights, compression, accuracy, .. } = &report;
        let dense = accuracy.dense.map_or(String::new(), |dense| format!(" (dense {})", percent(dense)));
        format!(
            "{}: {} of test images right{dense}; {} of {} weights connected ({:.1}x), {} in the mask ({:.1}x); {:.0} s",
            report.run,
            percent(accuracy.pruned),
            thousands(weights.effective),
            thousands(weights.total),
            compression.effective,
            thousands(weights.direct),
            compression.direct,
            report.seconds,
        )
    }, next)
}

/// Returns `compression` as a folder's name states it: in full, unless that takes too many letters.
fn in_name(compression: f64) -> String {
    match compression {
        large if large >= 1e15 => error::shown(large),
        _ => compression.to_string(),
    }
}

/// Whether the finished run in `folder` is within the limits of a container, stripped.
fn is_exportable(folder: &Path) -> bool {
    let stripped =
        FinishedRun::open(folder).and_then(|run| Ok(strip::strip(&run.trained().fold()?)));
    stripped.is_ok_and(|network| limits::check(&network).is_ok())
}

/// Trains by `recipe` with a bar.
pub(super) fn train(
    recipe: &Recipe,
    data: &Dataset,
    folder: &Path,
    force: bool,
    device: &Device,
    console: &Console,
) -> Result<TrainReport> {
    let bar = console.bar(0);
    let (mut before, mut now) = (0, 0);
    let report = run::run(
        recipe,
        data,
        folder,
        force,
        device,
        interrupt::flag(),
        &mut |event| match event {
            Event::Note(note) => bar.aside(|| console.note(&note)),
            Event::Scoring { done, of } => {
                bar.length(of as u64);
                bar.name("scoring connections");
                bar.at(done as u64);
            }
            Event::Epoch {
                phase,
                epoch,
                of,
                images,
            } => {
                // One bar a phase, in images, so that the time left is that of the phase.
                (before, now) = ((epoch - 1) * images, images);
                bar.length((of * images) as u64);
                bar.name(&format!("{phase}, epoch {epoch} of {of}"));
            }
            Event::Images(done) => bar.at((before + done.min(now)) as u64),
            Event::Done(row) => {
                bar.message(&format!(
                    "loss {:.4}, accuracy {}",
                    row.loss,
                    percent(row.accuracy)
                ));
            }
        },
    );
    drop(bar);
    Ok(report?)
}
