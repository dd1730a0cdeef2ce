//! Why training stopped.

use crate::atomic::FileError;
use crate::graph::ArchitectureError;
use crate::memory::OutOfMemory;
use crate::network::state::StateError;
use crate::pruning::PruneError;

/// A training run that did not end well; every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch} of the {phase} phase, step {step}: training \
         diverged; lower --learning-rate (it was {learning_rate})"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// The phase, "dense" or "pruned".
        phase: String,
        /// The epoch, from 1.
        epoch: usize,
        /// The step of that epoch, from 1.
        step: usize,
        /// The initial learning rate.
        learning_rate: f64,
    },
    /// The user asked to stop.
    #[error("interrupted after {done} of {all} epochs; the same command goes on from {folder}")]
    Interrupted {
        /// Epochs done.
        done: usize,
        /// Epochs in all.
        all: usize,
        /// The run folder.
        folder: String,
    },
    /// The run folder holds something else.
    #[error("{folder} {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The data does not fit the architecture.
    #[error("{0}")]
    Mismatch(String),
    /// An option that is out of range, or options that contradict each other.
    #[error("{0}")]
    Options(String),
    /// The architecture is not known or its file unusable.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Pruning refused.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A weights file is unusable.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network is too large for this machine.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// candle or its device refused.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl TrainError {
    /// Returns whether the request alone is at fault: options that make no sense.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        match self {
            Self::Options(_) => true,
            Self::Prune(error) => error.is_wrong_usage(),
            _ => false,
        }
    }
}
