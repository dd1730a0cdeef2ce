//! Options that give pruners their input: weights, data, a seed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use candle_core::Device;
use clap::Args;

use super::accelerator::DeviceChoice;
use super::bar::Bar;
use super::console::Console;
use super::{interrupt, network, overwrite, reading, threads};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::{Loss, Pruner, SnipOptions, Source, Weights};

/// The input of pruners.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Safetensors file of the weights to rank, with the tensors listed by `rarefy arch`, or a
    /// folder with a weights.safetensors [default: the initial weights of --seed]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Dataset whose training images snip and grasp read: a name listed by `rarefy data list`, or
    /// a path as in `rarefy train --data`
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Loss whose gradients snip computes
    #[arg(long, value_enum, default_value_t)]
    loss: Loss,
    /// Number of training images for snip [default: as in the paper's code, 30,000 for
    /// LeNet-300-100]
    #[arg(long, value_name = "IMAGES")]
    samples: Option<NonZeroUsize>,
    /// Device to compute gradients on: auto (a GPU if this program can use one), cpu, cuda, cuda:N
    /// or metal
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    #[command(flatten)]
    threads: threads::Options,
}

/// The inputs that the options name, loaded into memory.
pub(super) struct Material<'a> {
    graph: &'a Graph,
    options: &'a Options,
    /// `None` if no pruner reads weights.
    weights: Option<Weights>,
    data: Option<Dataset>,
    device: Device,
}

impl Options {
    /// Returns the seed.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let data = self.data.as_deref().map(overwrite::of_data);
        self.weights().into_iter().chain(data.into_iter().flatten())
    }

    /// Returns the file of weights, if one is given.
    pub(super) fn weights(&self) -> Option<PathBuf> {
        self.weights.as_deref().map(network::weights)
    }

    /// Returns the given options that name inputs; of those for reading data, the first.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let options = [
            self.weights.as_ref().map(|_| "--weights"),
            self.data.as_ref().map(|_| "--data"),
            self.samples.map(|_| "--samples"),
            self.reading.given(),
        ];
        options.into_iter().flatten()
    }

    /// Prints a note for each given option that none of `pruners` uses.
    fn note_unread(&self, pruners: &[Pruner], console: &Console) {
        let any = |reads: fn(&Pruner) -> bool| pruners.iter().any(reads);
        let names: Vec<&str> = pruners.iter().map(Pruner::name).collect();
        let by = match names[..] {
            [name] => format!("{name} reads"),
            _ => format!("{} read", names.join(", ")),
        };
        for (is_ignored, option, what) in [
            (
                self.weights.is_some() && !any(Pruner::reads_weights),
                "--weights",
                "weights",
            ),
            (
                self.data.is_some() && !any(Pruner::needs_data),
                "--data",
                "images",
            ),
            (
                self.samples.is_some() && !any(Pruner::reads_samples),
                "--samples",
                "sample count",
            ),
        ] {
            if is_ignored {
                console.note(&format!("{option} is ignored: {by} no {what}"));
            }
        }
    }

    /// Reads the input of `pruners`.
    pub(super) fn gather<'a>(
        &'a self,
        graph: &'a Graph,
        pruners: &[Pruner],
        console: &Console,
    ) -> Result<Material<'a>> {
        self.reading.check_use(self.data.is_some())?;
        self.threads.apply(console)?;
        self.note_unread(pruners, console);
        let weights = match self.weights() {
            // Checked even if no pruner reads them.
            Some(path) => Some(Weights::load(graph, &path)?),
            None => {
                if let Some(pruner) = pruners.iter().find(|p| p.needs_dense_training()) {
                    console.note(&format!(
                        "without --weights, {} ranks the initial weights of seed {}",
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
            Some(name) if needed => Some(reading::load(name, &self.reading, console)?),
            _ => None,
        };
        if let (Some(samples), Some(data)) = (self.samples, &data) {
            console.most(
                ("--samples", samples),
                data.train.len(),
                &format!("training {} of {}", data.noun(), data.name),
            );
        }
        Ok(Material {
            graph,
            options: self,
            weights,
            data,
            device: self.device.open(console)?,
        })
    }
}

impl Material<'_> {
    /// Returns the source for a pruner. The pruner calls `progress` with the number of steps done
    /// and the total.
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

/// Returns a callback that updates `bar` with a pruner's steps.
pub(super) fn follow(bar: &Bar) -> impl Fn(usize, usize) {
    |done, all| {
        bar.length(all as u64);
        bar.at(done as u64);
    }
}
