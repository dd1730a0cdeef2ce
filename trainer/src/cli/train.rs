//! `rarefy train`: trains the dense network, prunes it, and trains the pruned network.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use candle_core::Device;
use clap::Args;

use super::accelerator::DeviceChoice;
use super::console::Console;
use super::next::{Line, Next, Why, free};
use super::table::percent;
use super::{data, interrupt, pruning, threads};
use crate::data::{Dataset, Normalisation};
use crate::deploy::FinishedRun;
use crate::deploy::{limits, strip};
use crate::graph;
use crate::numbers::thousands;
use crate::pruning::hundredths::shown;
use crate::pruning::{Compression, Loss, Pruner};
use crate::training::folder::TrainReport;
use crate::training::run::{self, Event};
use crate::training::{After, Existing, Recipe, TrainError, recipe};

#[derive(Debug, Args)]
#[command(after_help = "To resume an interrupted run, give the same command again.")]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Dataset: a name listed by `rarefy data list`, or a folder of IDX files
    #[arg(long, default_value = "digits")]
    data: String,
    /// Run folder to write [default: runs/ARCH_PRUNER_COMPRESSION_DATA_SEED]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace an existing run in the folder
    #[arg(long)]
    force: bool,
}

/// The options of a recipe, shared with `quickstart`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pruning: pruning::Options,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Epochs per phase: the dense network (if the pruner needs it trained) and the pruned network
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Images per training step
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Initial learning rate, divided by 10 after 26, 52 and 78 % of a phase
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    /// Momentum of stochastic gradient descent
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    /// Factor of the sum of squared weights in the loss
    #[arg(long, default_value_t = 5e-4)]
    l2: f64,
    /// Weights that training of the pruned network starts from
    #[arg(long, value_enum, default_value_t)]
    after: After,
    /// Loss whose gradients snip computes
    #[arg(long, value_enum, default_value_t)]
    loss: Loss,
    /// Safetensors file of a trained dense network, with the tensors listed by `rarefy arch`;
    /// replaces dense training. With --after finetune it must include biases and batch norms;
    /// running_mean and running_var are optional and computed from the training images if missing
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Mean of the input normalisation (pixel / 255 - MEAN) / STD, a number or a fraction
    /// [default: the dataset's]
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    mean: Option<f32>,
    /// Standard deviation of the input normalisation; 1/255 (with a mean of 0) for raw pixels from
    /// 0 to 255 [default: the dataset's]
    #[arg(long, value_parser = number)]
    std: Option<f32>,
    /// Device to train on: auto (a GPU if this program can use one), cpu, cuda, cuda:N or metal
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    #[command(flatten)]
    threads: threads::Options,
}

/// Parses a number or a fraction such as 1/255.
fn number(text: &str) -> Result<f32, String> {
    let part = |text: &str| {
        let number: Result<f64, _> = text.trim().parse();
        number.map_err(|_| format!("{text:?} is not a number"))
    };
    Ok(match text.split_once('/') {
        None => part(text)? as f32,
        Some((a, b)) => (part(a)? / part(b)?) as f32,
    })
}

impl Options {
    /// Loads the dataset `name`, with the normalisation that the network expects.
    pub(super) fn data(&self, name: &str, console: &Console) -> Result<Dataset> {
        let data = data::load_as(name, (self.mean, self.std), console)?;
        if let (Some(path), None, None) = (&self.weights, self.mean, self.std) {
            let Normalisation { mean, std, .. } = data.normalisation;
            console.note(&format!(
                "assuming that {} expects inputs (pixel / 255 - {mean}) / {std}, the normalisation of {name}: give another with --mean and --std",
                path.display()
            ));
        }
        Ok(data)
    }

    /// Returns the pruner's name.
    pub(super) fn pruner(&self) -> &str {
        &self.pruning.pruner
    }

    /// Returns the recipe of these options for `data`, which was given as `name`.
    pub(super) fn recipe(&self, name: &str, data: &Dataset) -> Result<Recipe> {
        let graph = graph::load(&self.pruning.arch)?;
        let weights_fingerprint = self.weights.as_deref().map(recipe::fingerprint);
        Ok(Recipe {
            arch_file: (graph.name() != self.pruning.arch)
                .then(|| PathBuf::from(&self.pruning.arch)),
            pruner: self.pruning.pruner.clone(),
            target: self.pruning.target,
            compression: self.pruning.compression()?,
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

    /// Checks that the shape of the architecture does not rule out an export.
    pub(super) fn check_limits(&self, data: &Dataset) -> Result<()> {
        let pixels = (data.normalisation.mean, data.normalisation.std);
        match limits::forbids(&graph::load(&self.pruning.arch)?, pixels) {
            Some(reason) => Err(reason.into()),
            None => Ok(()),
        }
    }

    /// Sets the number of threads and opens the device to train on.
    pub(super) fn device(&self, console: &Console) -> Result<Device> {
        self.threads.apply(console)?;
        self.device.open(console)
    }
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let Options { pruning, seed, .. } = &arguments.options;
    let pruning::Options { arch, pruner, .. } = pruning;
    // Wrong names are reported before the data is read.
    Pruner::by_name(pruner)?;
    let graph = graph::load(arch)?;
    let data = arguments.options.data(&arguments.data, console)?;
    let pixels = (data.normalisation.mean, data.normalisation.std);
    let limits = limits::before_training(&graph, pixels);
    for reason in &limits {
        console.note(&format!("warning: as it stands, {reason}"));
    }
    let recipe = arguments.options.recipe(&arguments.data, &data)?;
    let folder = arguments.out.clone().unwrap_or_else(|| {
        let pruner = pruner.replace('/', "-");
        PathBuf::from(format!(
            "runs/{}_{pruner}_{}_{}_{seed}",
            recipe.arch,
            in_name(recipe.compression),
            data.name.replace('/', "-")
        ))
    });
    let device = arguments.options.device(console)?;
    let report = train(&recipe, &data, &folder, arguments.force, &device, console);
    let report = report.map_err(|error| match error.downcast_ref() {
        Some(TrainError::Interrupted { .. }) if arguments.force => {
            anyhow!("{error}, without --force")
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
            "{}: accuracy {}{dense}; {} of {} weights connected ({:.1}x), {} kept by the mask ({:.1}x); {:.0} s",
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

/// Formats `compression` for a folder name: in full, unless that takes too many digits.
fn in_name(compression: Compression) -> String {
    match compression.get() {
        large if large >= 1e15 => shown(large),
        _ => compression.to_string(),
    }
}

/// Returns whether the stripped network of the finished run in `folder` fits the container format.
fn is_exportable(folder: &Path) -> bool {
    let stripped =
        FinishedRun::open(folder).and_then(|run| Ok(strip::strip(&run.trained().fold()?)));
    stripped.is_ok_and(|network| limits::check(&network).is_ok())
}

/// Trains by `recipe`, with a progress bar.
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
        if force {
            Existing::Replace
        } else {
            Existing::Resume
        },
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
                // One bar per phase, in images, so that it shows the remaining time of the phase.
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
