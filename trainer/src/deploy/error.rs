//! Errors of deployment.

use super::network::name_in_architecture;
use crate::atomic::FileError;
use crate::network::state::StateError;
use crate::pruning::PruneError;
use crate::training::TrainError;

/// An error of exporting or evaluating a network.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A layer that the device cannot compute, found by folding.
    #[error("layer {layer} of {arch} cannot be exported: {reason}")]
    Fold {
        /// The architecture's name.
        arch: String,
        /// The layer.
        layer: String,
        /// The reason and a remedy.
        reason: String,
    },
    /// A network whose shape exceeds a limit of the container format.
    #[error("{what} cannot be exported: {reason}")]
    Limit {
        /// What exceeds it: "layer conv1", "the network".
        what: String,
        /// The limit and a remedy.
        reason: String,
    },
    /// A layer that cannot be quantized.
    #[error("layer {} cannot be quantized: {reason}", name_in_architecture(layer))]
    Quantize {
        /// The layer.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// A layer whose sums overflow 32 bits in an encoding, at every scale that keeps the requested
    /// bits.
    #[error(
        "layer {} cannot be stored as {}: its sums would overflow 32 bits; let the encoding be chosen, or use fewer bits",
        name_in_architecture(layer), encoding.name()
    )]
    Overflow {
        /// The layer.
        layer: String,
        /// Its index in the network.
        index: usize,
        /// The encoding.
        encoding: rarefy_format::Encoding,
    },
    /// A container that loses too much accuracy.
    #[error(
        "the container would classify {deployed} of the test images correctly, the trained network {trained}: {reason}, or allow the loss"
    )]
    Loss {
        /// The accuracy of the trained network, in percent.
        trained: String,
        /// The accuracy of the container, in percent.
        deployed: String,
        /// Where accuracy is lost, and a remedy.
        reason: String,
    },
    /// An encoding that cannot represent a layer.
    #[error(
        "layer {} cannot be stored as {encoding}: {reason}; let the encoding be chosen",
        name_in_architecture(layer)
    )]
    Encoding {
        /// The layer.
        layer: String,
        /// The encoding.
        encoding: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A layer that the container format cannot represent.
    #[error(
        "layer {} does not fit the container: {reason}",
        name_in_architecture(layer)
    )]
    Layer {
        /// The layer.
        layer: String,
        /// What does not fit.
        reason: rarefy_format::SpecError,
    },
    /// Conflicting options.
    #[error("{0}")]
    Options(String),
    /// A network that the container format cannot represent.
    #[error("the network does not fit the container: {0}")]
    Write(rarefy_format::WriteError),
    /// A network that cannot be written as code.
    #[error("the network cannot be written as code: {0}")]
    Emit(super::emit::EmitError),
    /// A file that is not a complete, valid container.
    #[error("{path}: {reason}; export the model again")]
    Container {
        /// The file.
        path: String,
        /// The parser's reason.
        reason: rarefy_format::ParseError,
    },
    /// A file that is not a companion but has the name of the one to be written.
    #[error(
        "{path} is in the way: the container's companion would overwrite it; move it, or choose another output file"
    )]
    InTheWay {
        /// The file.
        path: String,
    },
    /// A model and a dataset that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// Weights, masks and an architecture that do not form a trained network.
    #[error("the network cannot be deployed: {0}")]
    Trained(String),
    /// A run whose weights cannot be used.
    #[error("{0}; repeat the run")]
    Weights(StateError),
    /// A run whose masks cannot be used.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A run folder that cannot be used.
    #[error(transparent)]
    Run(#[from] TrainError),
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DeployError {
    /// Returns whether the request alone is at fault: conflicting options. The contents of a run
    /// folder are not part of the request.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::Options(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_layers_of_the_architecture() {
        for (layer, named) in [
            ("conv1.input", "conv1"),
            ("add2.source1", "add2"),
            ("stage1.conv1", "stage1.conv1"),
        ] {
            let reason = String::from("it is for dense layers only");
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
