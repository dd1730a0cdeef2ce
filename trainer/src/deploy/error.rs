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
    /// A network whose shape exceeds a limit of the container.
    #[error("{what} cannot be exported: {reason}")]
    Limit {
        /// The layer, or the network.
        what: String,
        /// The limit, and what to do.
        reason: String,
    },
    /// A layer whose numbers do not fit integers.
    #[error("layer {} cannot be quantized: {reason}", of_architecture(layer))]
    Quantize {
        /// The layer.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// An encoding in which a layer's sums leave 32 bits at every scale that keeps the bits asked for.
    #[error(
        "layer {layer} cannot be stored as {}: its sums would not fit 32 bits; export it with --encoding auto or fewer bits",
        encoding.name()
    )]
    Overflow {
        /// The layer.
        layer: String,
        /// Its place in the network.
        index: usize,
        /// The encoding.
        encoding: rarefy_format::Encoding,
    },
    /// A container that would lose much of what was trained.
    #[error(
        "the network would have {deployed} of test images right, {trained} trained: {reason}, or write it all the same with --allow-loss"
    )]
    Loss {
        /// The accuracy of the trained network.
        trained: String,
        /// The accuracy of the container.
        deployed: String,
        /// Where it is lost, and what to do.
        reason: String,
    },
    /// An encoding that does not hold a layer.
    #[error(
        "layer {} cannot be stored as {encoding}: {reason}; export it with --encoding auto",
        of_architecture(layer)
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
    #[error(
        "layer {} does not fit the container: {reason}",
        of_architecture(layer)
    )]
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

/// What folding appends to a layer's name to name one that it inserts for it.
const INSERTED: [&str; 5] = [".input", ".output", ".source1", ".source2", ".skip"];

/// Returns the layer of the architecture that `layer` was inserted for, or its own name: users know no
/// others.
fn of_architecture(layer: &str) -> &str {
    let inserted = INSERTED.iter().find_map(|end| layer.strip_suffix(end));
    inserted.unwrap_or(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_layers_that_the_architecture_has() {
        for (layer, named) in [
            ("conv1.input", "conv1"),
            ("add2.source1", "add2"),
            ("stage1.conv1", "stage1.conv1"),
        ] {
            let reason = String::from("it is for dense layers alone");
            let encoding = DeployError::Encoding {
                layer: layer.into(),
                encoding: "columns",
                reason: reason.clone(),
            };
            let layer = layer.into();
            let quantize = DeployError::Quantize { layer, reason };
            for error in [encoding, quantize] {
                let start = format!("layer {named} cannot");
                assert!(error.to_string().starts_with(&start), "{error}");
            }
        }
    }
}
