//! What pruners look at, from the command line: weights, data, a seed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use candle_core::Device;
use clap::Args;

use super::accelerator::DeviceChoice;
use super::console::{Bar, Console};
use super::{data, interrupt, output, threads, usage};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::{Loss, Pruner, SnipOptions, Source, Weights};

/// The options that say what a pruner looks at.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The weights to rank, a safetensors file with the tensors of `rarefy arch` (without it, those
    /// that training from the seed starts from)
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The dataset whose training images snip and grasp read: a name of `rarefy data list`, or a
    /// folder with IDX files
    #[arg(long)]
    data: Option<String>,
    /// The seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The loss whose gradients snip reads
    #[arg(long, value_enum, default_value_t)]
    loss: Loss,
    /// Images that snip looks at [default: as many as the paper's code, 30,000 for LeNet-300-100]
    #[arg(long, value_name = "IMAGES", value_parser = usage::count)]
    samples: Option<NonZeroUsize>,
    /// Where to compute gradients
    #[arg(long, value_enum, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    #[command(flatten)]
    threads: threads::Options,
}

/// What the options name, in memory.
pub(super) struct Material<'a> {
    graph: &'a Graph,
    options: &'a Options,
    /// None where those that training starts from are to be drawn, if anybody looks.
    weights: Option<Weights>,
    data: Option<Dataset>,
    device: Device,
}

impl Options {
    /// The seed.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let data = self.data.as_deref().map(output::of_data);
        self.weights
            .clone()
            .into_iter()
            .chain(data.into_iter().flatten())
    }

    /// The first option that was given of those that name something to look at.
    pub(super) fn given(&self) -> Option<&'static str> {
        match (&self.weights, &self.data, self.samples) {
            (Some(_), ..) => Some("--weights"),
            (_, Some(_), _) => Some("--data"),
            (.., Some(_)) => Some("--samples"),
            _ => None,
        }
    }

    /// Reads what `pruners` will look at.
    pub(super) fn gather<'a>(
        &'a self,
        graph: &'a Graph,
        pruners: &[Pruner],
        console: &Console,
    ) -> Result<Material<'a>> {
        self.threads.apply(console)?;
        let weights = match &self.weights {
            Some(path) => Some(Weights::load(graph, path)?),
            None => {
                if let Some(pruner) = pruners.iter().find(|p| p.needs_dense_training()) {
                    console.note(&format!(
                        "without --weights {} ranks untrained weights, those of seed {}",
                        pruner.name(),
                        self.seed
                    ));
                }
                let read = pruners.iter().any(Pruner::reads_weights);
                read.then(|| Weights::initial(graph, self.seed))
            }
        };
        let needed = pruners.iter().any(Pruner::needs_data);
        let data = match &self.data {
            Some(name) if needed => Some(data::load(name, console)?),
            _ => None,
        };
        if let (Some(samples), Some(data)) = (self.samples, &data) {
            console.most(
                ("--samples", samples),
                data.train.len(),
                &format!("training images of {}", data.name),
            );
        }
        Ok(Material {
            graph,
            options: self,
            weights,
            data,
            device: self.device.open()?,
        })
    }
}

impl Material<'_> {
    /// The source that a pruner takes, telling its progress to `progress`.
    pub(super) fn source<'a>(&'a self, progress: &'a dyn Fn(usize, usize)) -> Source<'a> {
        Source {
            initial: self.weights.as_ref(),
            trained: self.weights.as_ref(),
            data: self.data.as_ref(),
            device: &self.device,
            seed: self.options.seed,
            snip: SnipOptions {
                loss: self.options.loss,
                samples: self.options.samples.map(NonZeroUsize::get),
            },
            progress,
            stop: interrupt::flag(),
            ..Source::new(self.graph)
        }
    }
}

/// Moves `bar` as a pruner's steps are done.
pub(super) fn follow(bar: &Bar) -> impl Fn(usize, usize) {
    |done, all| {
        bar.length(all as u64);
        bar.at(done as u64);
    }
}
