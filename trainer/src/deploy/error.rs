//! Why a network cannot be deployed as asked.

use crate::artifact::FileError;
use crate::network::state::StateError;
use crate::pruning::PruneError;
use crate::training::TrainError;

/// A refusal to export or to evaluate.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// An architecture with something that cannot be folded.
    #[error("layer {layer} of {arch} cannot be exported: {reason}")]
    Fold {
        /// The architecture.
        arch: String,
        /// The layer.
        layer: String,
        /// What is in the way.
        reason: String,
    },
    /// A layer whose numbers do not fit integers.
    #[error("layer {layer} cannot be quantized: {reason}")]
    Quantize {
        /// The layer.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// An encoding that does not hold a layer.
    #[error(
        "layer {layer} cannot be stored as {encoding}: {reason}; export it with --encoding auto"
    )]
    Encoding {
        /// The layer.
        layer: String,
        /// The encoding.
        encoding: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// The format cannot hold a layer.
    #[error("layer {layer} does not fit the container: {reason}")]
    Layer {
        /// The layer.
        layer: String,
        /// What does not fit.
        reason: rarefy_format::SpecError,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Options(String),
    /// The format cannot hold the network.
    #[error("the network does not fit the container: {0}")]
    Write(rarefy_format::WriteError),
    /// A network that is not written as code.
    #[error("the network cannot be written as code: {0}")]
    Emit(super::emit::EmitError),
    /// A container that is not whole or not one.
    #[error("{path}: {reason}; export the model again")]
    Container {
        /// The file.
        path: String,
        /// What the reader found.
        reason: rarefy_format::ParseError,
    },
    /// A file that is no companion of a container, where one is to be written.
    #[error(
        "{path} is in the way: what is known of the container is written there, and it is another file; move it, or choose another -o"
    )]
    InTheWay {
        /// The file.
        path: String,
    },
    /// A model and data that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// The run's weights cannot be used.
    #[error("{0}; repeat the run: give its command again with --force")]
    Weights(StateError),
    /// The run's masks cannot be used.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The run folder cannot be used.
    #[error(transparent)]
    Run(#[from] TrainError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DeployError {
    /// Returns whether the request alone is at fault: options that make no sense. What a run folder
    /// says is no request.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::Options(_))
    }
}
