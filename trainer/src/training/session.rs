//! A run in progress: its inputs, its folder and its progress.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use candle_core::{Device, Result as TensorResult};

use super::error::TrainError;
use super::folder::RunFolder;
use super::layout::{self, ARCHITECTURE, DENSE, MASKS, MASKS_DIRECT, RECIPE};
use super::objective::Teacher;
use super::recipe::Recipe;
use super::recipe::stages::Stage;
use super::sums::Sums;
use super::units::TrainingUnits;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::Graph;
use crate::network::State;

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
    /// The units of the outputs while training.
    pub(super) units: TrainingUnits,
    /// The variance of the test targets, in their own squared units; `None` if they are classes.
    pub(super) variance: Option<f64>,
    pub(super) stop: &'a AtomicBool,
    pub(super) progress: Progress,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    /// The number of connections kept only by a tie-break on their index, because pruned
    /// connections have the same score; `None` before pruning, and in runs that an earlier version
    /// pruned.
    pub(super) kept_by_index: Option<usize>,
    /// The number of effective weights at the start of the current phase.
    pub(super) left_at_start: usize,
    /// The network that the current phase learns from, if there is one.
    pub(super) teacher: Option<Teacher>,
    /// The network at the end of the current phase, if its last epoch has evaluated it.
    pub(super) evaluated: Option<Trained>,
}

/// A trained network.
pub(super) struct Trained {
    /// Its weights and population statistics.
    pub(super) state: State,
    /// Its accuracy on the test images.
    pub(super) accuracy: f64,
}

/// How much of a run is done.
pub(super) struct Progress {
    /// The number of epochs done, over all phases.
    pub(super) done: usize,
    /// The number of epochs of all phases.
    pub(super) all: usize,
    /// The number of steps of the current epoch that are done.
    pub(super) step: usize,
    /// The number of steps of the current epoch.
    pub(super) steps: usize,
}

impl Progress {
    /// Creates the progress of a run of `all` epochs, of which none is done.
    pub(super) fn new(all: usize) -> Self {
        Self {
            done: 0,
            all,
            step: 0,
            steps: 0,
        }
    }
}

/// When checkpoints within an epoch are due.
pub(super) struct Pace {
    /// The time from one checkpoint to the next.
    every: Duration,
    /// When the last checkpoint was written, within an epoch or at its end.
    last: Instant,
}

impl Pace {
    /// Creates the pace of checkpoints at intervals of `every`, starting now.
    pub(super) fn new(every: Duration) -> Self {
        let last = Instant::now();
        Self { every, last }
    }

    /// Checks whether a checkpoint is due.
    pub(super) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// Records that a checkpoint has been written.
    pub(super) fn written(&mut self) {
        self.last = Instant::now();
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
    /// Returns the names of the files that are written before step `at` of phase `index`.
    pub(super) fn made_before(&self, index: usize, at: usize) -> Vec<String> {
        let mut names = vec![RECIPE.to_owned()];
        if self.keeps_given_masks() {
            names.extend([MASKS_DIRECT, MASKS].map(str::to_owned));
        }
        for stage in &self.stages[..index] {
            names.extend(stage.ends_dense.then(|| DENSE.to_owned()));
            names.extend(stage.keeps.iter().map(|&step| layout::rewind(step)));
            names.extend(stage.masks.iter().flatten().cloned());
        }
        let kept = self.stages[index].keeps.range(..at);
        names.extend(kept.map(|&step| layout::rewind(step)));
        names
    }

    /// Checks whether the run ends with the masks that its recipe names, because no phase makes
    /// others. The folder has a copy of them from the start.
    pub(super) fn keeps_given_masks(&self) -> bool {
        let makes_masks = self.stages.iter().any(|stage| stage.masks.is_some());
        self.recipe.masks.is_some() && !makes_masks
    }

    /// Returns the index of the phase called `name`; 0 if there is none.
    pub(super) fn index(&self, name: &str) -> usize {
        let mut stages = self.stages.iter();
        stages.position(|stage| stage.name == name).unwrap_or(0)
    }

    /// Returns the number of steps of an epoch of `stage`.
    pub(super) fn steps(&self, stage: &Stage) -> usize {
        self.train.split().len() / stage.hyperparameters.batch
    }

    /// Returns the checksums of the files written before phase `index`, which its checkpoints list.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read.
    pub(super) fn files_before(&self, index: usize) -> Result<Sums, TrainError> {
        let names = self.made_before(index, 0);
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push(ARCHITECTURE);
        Ok(Sums::of(self.folder.path(), &names)?)
    }

    /// Returns the error for an interrupted run.
    pub(super) fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            done: self.progress.done,
            all: self.progress.all,
            step: self.progress.step,
            steps: self.progress.steps,
            folder: self.folder.path().display().to_string(),
        }
    }

    /// Checks whether the run was asked to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Returns [`ControlFlow::Break`] if a checkpoint is due before the next step, or if the run
    /// was asked to stop.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        match self.is_stopped() || self.pace.is_due() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Converts the `result` of an evaluation: if the run was asked to stop, an error means that
    /// it was interrupted.
    pub(super) fn unless_interrupted<T>(&self, result: TensorResult<T>) -> Result<T, TrainError> {
        result.map_err(|error| match self.is_stopped() {
            true => self.interrupted(),
            false => error.into(),
        })
    }
}
