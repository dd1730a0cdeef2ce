//! Why a training run failed.

use std::fmt;

use crate::atomic::FileError;
use crate::data::Scaling;
use crate::graph::ArchitectureError;
use crate::masks::MaskError;
use crate::memory::OutOfMemory;
use crate::network::state::StateError;
use crate::pruning::PruneError;

pub use crate::remedy::Remedy;

/// Why a training run failed. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss is infinite or NaN.
    #[error(
        "the loss became {loss} in epoch {epoch} of the {phase} phase, step {step}: training \
         diverged with {}; {remedy}",
        cause(*.learning_rate, *.remedy)
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
        /// What to do, which depends on what can have caused it.
        remedy: Remedy,
    },
    /// The run was asked to stop.
    #[error(
        "interrupted after {done} of {all} epochs{}; the same command resumes from {folder}",
        and_steps(*.step, *.steps)
    )]
    Interrupted {
        /// The number of epochs done.
        done: usize,
        /// The number of epochs of all phases.
        all: usize,
        /// The number of steps of the next epoch that are done.
        step: usize,
        /// The number of steps of that epoch.
        steps: usize,
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
    #[error("{}{field} is {value}, but {reason}", before(.phase.as_ref()))]
    Value {
        /// The phase that the field belongs to; `None` if it belongs to all phases.
        phase: Option<PhaseAt>,
        /// The field of [`Recipe`](super::Recipe).
        field: &'static str,
        /// Its value.
        value: String,
        /// The values allowed.
        reason: String,
    },
    /// The recipe or its file is contradictory or malformed.
    #[error("{reason}")]
    Recipe {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// An N:M pattern does not divide the inputs of a layer.
    #[error(
        "the pattern {pattern} does not divide {tensor}, whose outputs read {inputs} inputs each: \
         {remedy}"
    )]
    Pattern {
        /// The pattern, such as "2:4".
        pattern: String,
        /// The name of the layer's weight tensor.
        tensor: String,
        /// The number of inputs of each of its outputs.
        inputs: usize,
        /// What to do.
        remedy: Remedy,
    },
    /// The run failed after its dense network was trained.
    #[error(
        "{error}; the dense network is kept in {dense}: {}",
        Remedy::ReuseDense
    )]
    AfterDense {
        /// Why the run failed.
        error: Box<TrainError>,
        /// The file of the dense network.
        dense: String,
    },
    /// The recipe fine-tunes, but no dense network is trained or given.
    #[error(
        "{pruner} trains no dense network, but fine-tuning starts from a trained one: {}",
        Remedy::GiveWeights
    )]
    NothingToFinetune {
        /// The pruner.
        pruner: &'static str,
    },
    /// The recipe names trained weights that nothing reads.
    #[error(
        "{pruner} does not read trained weights: {}",
        Remedy::LeaveOutOrFinetune
    )]
    UnusedWeights {
        /// The pruner.
        pruner: &'static str,
    },
    /// The recipe normalises pixels differently from the dataset.
    #[error(
        "the recipe normalises pixels with mean {} and standard deviation {}, but dataset {dataset} \
         uses {} and {}: {}",
        .recipe.mean, .recipe.std, .found.mean, .found.std, Remedy::SameNormalization
    )]
    Normalization {
        /// Mean and standard deviation of the recipe.
        recipe: Box<Scaling>,
        /// The dataset.
        dataset: String,
        /// Mean and standard deviation of the dataset.
        found: Box<Scaling>,
    },
    /// The weights to fine-tune from are incomplete.
    #[error(
        "{path} lacks {}: fine-tuning starts from the whole network; {}", .missing.join(", "),
        Remedy::CompleteOrRewind
    )]
    IncompleteWeights {
        /// The weights file.
        path: String,
        /// The names of the missing tensors.
        missing: Vec<String>,
    },
    /// The file of weights or of masks has changed since the run started.
    #[error(
        "{path} is not the {what} file that the run started with (the SHA-256 of {path} is now \
         {found}): {}",
        Remedy::RestoreOrRepeat
    )]
    InputChanged {
        /// The file.
        path: String,
        /// What it holds: "weights" or "masks".
        what: &'static str,
        /// The SHA-256 of the file as it is now.
        found: String,
    },
    /// Replacing the run would delete a file that the new run reads.
    #[error(
        "{path} is a file of the run that would be replaced: {}",
        Remedy::CopyOrElsewhere
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
    /// A masks file is invalid.
    #[error(transparent)]
    Masks(#[from] MaskError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network is too large for this machine.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The GPU's free memory is less than training takes.
    #[error(
        "training {arch} in batches of {batch} images takes at least {} MiB of the GPU's memory, of which \
         {} MiB are free: {}",
        needed.div_ceil(1 << 20), free >> 20, Remedy::SmallerBatches
    )]
    DeviceMemory {
        /// The architecture.
        arch: String,
        /// The batch size.
        batch: usize,
        /// A lower bound on the bytes that training takes.
        needed: usize,
        /// The free bytes.
        free: usize,
    },
    /// An allocation on the GPU failed.
    #[error(
        "the memory of the GPU is not enough for training in batches of {batch} images beside what else \
         it holds: {}",
        Remedy::SmallerBatches
    )]
    DeviceExhausted {
        /// The largest batch size of the recipe.
        batch: usize,
    },
    /// candle or its device failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// A phase of a recipe, for messages: its number and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseAt {
    /// Its number in the list of phases, from 1.
    pub number: usize,
    /// Its kind, such as "train".
    pub kind: String,
}

impl PhaseAt {
    /// Names the phase at `index`, counted from 0, which has this `kind`.
    pub(super) fn new(index: usize, kind: &str) -> Self {
        Self {
            number: index + 1,
            kind: kind.into(),
        }
    }
}

impl fmt::Display for PhaseAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phase {} ({})", self.number, self.kind)
    }
}

/// Returns the beginning of a message that names the phase; empty if there is none.
fn before(phase: Option<&PhaseAt>) -> String {
    phase.map_or_else(String::new, |phase| format!("{phase}: "))
}

/// Returns the possible causes of divergence that `remedy` addresses, in words.
fn cause(learning_rate: f64, remedy: Remedy) -> String {
    let others = match remedy {
        Remedy::LowerRateOrDecay => " and a strong weight decay",
        Remedy::LowerRateOrAugmentLess => " and augmented images",
        Remedy::LowerRateOrDecayOrAugmentLess => ", a strong weight decay and augmented images",
        _ => "",
    };
    format!("learning rate {learning_rate:?}{others}")
}

/// Returns the words for the steps done of an epoch; empty if no step is done.
fn and_steps(step: usize, steps: usize) -> String {
    match step {
        0 => String::new(),
        _ => format!(" and {step} of {steps} steps"),
    }
}

impl TrainError {
    /// Returns the remedy in the message, which a program may replace by its own words; `None` if
    /// the message contains none.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::Diverged { remedy, .. }
            | Self::Folder { remedy, .. }
            | Self::Pattern { remedy, .. } => *remedy,
            Self::AfterDense { .. } => Remedy::ReuseDense,
            Self::NothingToFinetune { .. } => Remedy::GiveWeights,
            Self::UnusedWeights { .. } => Remedy::LeaveOutOrFinetune,
            Self::Normalization { .. } => Remedy::SameNormalization,
            Self::IncompleteWeights { .. } => Remedy::CompleteOrRewind,
            Self::InputChanged { .. } => Remedy::RestoreOrRepeat,
            Self::ReplacesInput { .. } => Remedy::CopyOrElsewhere,
            Self::DeviceMemory { .. } | Self::DeviceExhausted { .. } => Remedy::SmallerBatches,
            Self::Prune(error) => return error.remedy(),
            _ => return None,
        })
    }

    /// Returns the error for a `field` of a recipe whose `value` is out of range; `reason` names
    /// the range.
    pub(super) fn value(
        field: &'static str,
        value: impl ToString + Copy,
        reason: impl Into<String>,
    ) -> Self {
        Self::Value {
            phase: None,
            field,
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// Adds the phase at `index`, counted from 0, of this `kind`, to an error about a value,
    /// unless it names a phase already.
    #[must_use]
    pub(super) fn in_phase(mut self, index: usize, kind: &str) -> Self {
        if let Self::Value { phase, .. } = &mut self {
            phase.get_or_insert_with(|| PhaseAt::new(index, kind));
        }
        self
    }

    /// Checks whether the request itself is wrong: a value of the recipe, or a combination of
    /// values.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        match self {
            Self::Value { .. }
            | Self::Recipe { .. }
            | Self::Pattern { .. }
            | Self::NothingToFinetune { .. }
            | Self::UnusedWeights { .. }
            | Self::Normalization { .. }
            | Self::ReplacesInput { .. } => true,
            Self::Prune(error) => error.is_wrong_usage(),
            _ => false,
        }
    }
}
