//! A run in progress: its inputs, its folder and how far it is.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;

use super::error::TrainError;
use super::folder::RunFolder;
use super::layout::{ARCHITECTURE, DENSE, RECIPE, REWIND};
use super::recipe::Recipe;
use super::recipe::stages::Stage;
use super::sums::Sums;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::Graph;

/// A run in progress.
pub(super) struct Session<'a> {
    pub(super) recipe: &'a Recipe,
    /// The phases of the recipe.
    pub(super) stages: Vec<Stage>,
    pub(super) data: &'a Dataset,
    pub(super) graph: Graph,
    pub(super) device: Device,
    pub(super) folder: RunFolder,
    pub(super) train: Batches<'a>,
    pub(super) test: Batches<'a>,
    /// The training images over which the statistics of each epoch are computed.
    pub(super) sample: Batches<'a>,
    pub(super) stop: &'a AtomicBool,
    pub(super) progress: Progress,
    pub(super) clock: Clock,
    /// The number of connections kept only by their index; `None` before pruning, and in runs that
    /// an earlier version pruned.
    pub(super) kept_by_index: Option<usize>,
    /// The number of weights left at the start of the current phase.
    pub(super) left_at_start: usize,
}

/// How many epochs are done.
pub(super) struct Progress {
    /// Epochs done, of all phases.
    pub(super) done: usize,
    /// Epochs of all phases.
    pub(super) all: usize,
}

impl Progress {
    /// Creates the progress of a run of `all` epochs, of which none is done.
    pub(super) fn new(all: usize) -> Self {
        Self { done: 0, all }
    }
}

/// The time spent on a run.
pub(super) struct Clock {
    /// The seconds spent by earlier processes.
    pub(super) before: f64,
    /// The start of this process's part.
    pub(super) start: Instant,
}

impl Clock {
    /// Starts the clock of a new run.
    pub(super) fn start() -> Self {
        Self {
            before: 0.0,
            start: Instant::now(),
        }
    }

    /// Returns the seconds spent by this process and by earlier ones.
    pub(super) fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

impl Session<'_> {
    /// Returns the names of the files that the phases before `index` make.
    pub(super) fn made_before(&self, index: usize) -> Vec<String> {
        let mut names = vec![RECIPE.to_owned()];
        for stage in &self.stages[..index] {
            names.extend(stage.ends_dense.then(|| DENSE.to_owned()));
            names.extend(stage.keeps.map(|_| REWIND.to_owned()));
            names.extend(stage.masks.iter().flatten().cloned());
        }
        names
    }

    /// Returns the checksums of the files made before the phase `index`, which its checkpoints
    /// name.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub(super) fn files_before(&self, index: usize) -> Result<Sums, TrainError> {
        let names = self.made_before(index);
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push(ARCHITECTURE);
        Ok(Sums::of(self.folder.path(), &names)?)
    }

    /// Returns the error for an interrupted run.
    pub(super) fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            done: self.progress.done,
            all: self.progress.all,
            folder: self.folder.path().display().to_string(),
        }
    }
}
