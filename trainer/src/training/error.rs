//! Why a training run failed.

use std::fmt;

use crate::atomic::FileError;
use crate::graph::ArchitectureError;
use crate::memory::OutOfMemory;
use crate::network::state::StateError;
use crate::pruning::PruneError;

/// Why a training run failed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss is infinite or NaN.
    #[error(
        "the loss became {loss} in epoch {epoch} of the {phase} phase, step {step}: training \
         diverged; lower the learning rate, which is {learning_rate:?}"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The phase, such as "dense".
        phase: String,
        /// The epoch, from 1.
        epoch: usize,
        /// The step of that epoch, from 1.
        step: usize,
        /// The initial learning rate.
        learning_rate: f64,
    },
    /// The run was asked to stop.
    #[error("interrupted after {done} of {all} epochs; the same command resumes from {folder}")]
    Interrupted {
        /// The number of epochs done.
        done: usize,
        /// The number of epochs of all phases.
        all: usize,
        /// The run folder.
        folder: String,
    },
    /// The run folder cannot be used.
    #[error("{folder} {reason}: {remedy}")]
    Folder {
        /// The folder.
        folder: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: Remedy,
    },
    /// A field of the recipe is out of range.
    #[error("{field} {value} {reason}")]
    Value {
        /// The field of [`Recipe`](super::Recipe).
        field: &'static str,
        /// Its value.
        value: String,
        /// The values allowed.
        reason: String,
    },
    /// The recipe or its file makes no sense.
    #[error("{reason}")]
    Recipe {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The run failed after its dense network was trained.
    #[error(
        "{error}; the dense network is kept: give {dense} as the weights of a run in another folder, \
         or replace the run"
    )]
    AfterDense {
        /// Why the run failed.
        error: Box<TrainError>,
        /// The file of the dense network.
        dense: String,
    },
    /// The recipe fine-tunes, but no dense network is trained or given.
    #[error(
        "fine-tuning starts from a trained dense network, but {pruner} trains none: provide the \
         weights of one"
    )]
    NothingToFinetune {
        /// The pruner.
        pruner: &'static str,
    },
    /// The recipe names trained weights that nothing reads.
    #[error("{pruner} does not read trained weights: leave them out, or fine-tune from them")]
    UnusedWeights {
        /// The pruner.
        pruner: &'static str,
    },
    /// The recipe normalizes pixels in another way than the dataset.
    #[error(
        "the recipe normalizes pixels with mean {} and standard deviation {}, but dataset {dataset} \
         with {} and {}: use the same for both",
        .recipe[0], .recipe[1], .found[0], .found[1]
    )]
    Normalization {
        /// Mean and standard deviation of the recipe.
        recipe: [f32; 2],
        /// The dataset.
        dataset: String,
        /// Mean and standard deviation of the dataset.
        found: [f32; 2],
    },
    /// The weights to fine-tune from are incomplete.
    #[error(
        "{path} lacks {}: fine-tuning starts from the whole network; add these tensors to the file, \
         or rewind to the initial weights", .missing.join(", ")
    )]
    IncompleteWeights {
        /// The weights file.
        path: String,
        /// The names of the missing tensors.
        missing: Vec<String>,
    },
    /// The weights file has changed since the run started.
    #[error(
        "{path} is not the weights file that the run started with (its SHA-256 is now {found}): \
         restore that file, or repeat the run from the start"
    )]
    WeightsChanged {
        /// The weights file.
        path: String,
        /// The SHA-256 of the file as it is now.
        found: String,
    },
    /// Replacing the run would delete a file that the new run reads.
    #[error(
        "{path} is a file of the run that would be replaced: copy it elsewhere first, or choose \
         another folder for the new run"
    )]
    ReplacesInput {
        /// The file.
        path: String,
    },
    /// The data, the weights or the device do not fit the recipe or the architecture.
    #[error("{0}")]
    Mismatch(String),
    /// The architecture is unknown, or its file is invalid.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Pruning failed.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A weights file is invalid.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network is too large for this machine.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// candle or its device failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// What to do about a run folder that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Name a folder that holds a run.
    NameRun,
    /// Wait for the other process, or choose another folder.
    Wait,
    /// Choose another folder.
    Elsewhere,
    /// Choose another folder, or replace the run.
    ElsewhereOrReplace,
    /// Finish the run by the same command.
    Finish,
    /// Repeat the run from the start.
    Repeat,
    /// Restore the original file, or repeat the run from the start.
    RestoreOrRepeat,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameRun => "give a folder made by `rarefy train`",
            Self::Wait => "wait until that process has ended, or choose another folder",
            Self::Elsewhere => "choose another folder",
            Self::ElsewhereOrReplace => "choose another folder, or replace the run",
            Self::Finish => "run the same `rarefy train` again",
            Self::Repeat => "repeat the run from the start",
            Self::RestoreOrRepeat => "restore the original, or repeat the run from the start",
        })
    }
}

impl TrainError {
    /// Returns the error for a `field` of a recipe whose `value` is out of range; `reason` names
    /// the range.
    pub(super) fn value(
        field: &'static str,
        value: impl ToString + Copy,
        reason: impl Into<String>,
    ) -> Self {
        Self::Value {
            field,
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// Checks whether the request itself is wrong: the values of the recipe or how they combine.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        match self {
            Self::Value { .. }
            | Self::Recipe { .. }
            | Self::NothingToFinetune { .. }
            | Self::UnusedWeights { .. }
            | Self::Normalization { .. } => true,
            Self::Prune(error) => error.is_wrong_usage(),
            _ => false,
        }
    }
}
