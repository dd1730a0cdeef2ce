//! Errors of deployment.

use super::network::name_in_architecture;
use crate::atomic::FileError;
use crate::masks::MaskError;
use crate::network::state::StateError;
use crate::remedy::Remedy;
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
        /// What exceeds the limit: "layer conv1", "the network".
        what: String,
        /// The limit and a remedy.
        reason: String,
    },
    /// A layer that cannot be quantized.
    #[error("layer {} cannot be quantized: {reason}", name_in_architecture(layer))]
    Quantize {
        /// The layer.
        layer: String,
        /// The reason.
        reason: String,
    },
    /// A layer whose sums overflow 32 bits in an encoding, at every scale that keeps the requested
    /// bits.
    #[error(
        "layer {} cannot be stored as {}: its sums would overflow 32 bits; {}",
        name_in_architecture(layer), encoding.name(), Remedy::AnyEncodingOrFewerBits
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
        "the {measure} on the test images would drop from {trained} (trained network) to {deployed} (container): {reason}; {remedy}"
    )]
    Loss {
        /// What drops: the accuracy or, for targets that are numbers, R².
        measure: &'static str,
        /// The accuracy of the trained network, in percent, or its R².
        trained: String,
        /// The accuracy of the container, in percent, or its R².
        deployed: String,
        /// Where accuracy is lost.
        reason: String,
        /// What to do.
        remedy: Remedy,
    },
    /// An encoding that cannot represent a layer.
    #[error(
        "layer {} cannot be stored as {encoding}: {reason}; {}",
        name_in_architecture(layer),
        Remedy::AnyEncoding
    )]
    Encoding {
        /// The layer.
        layer: String,
        /// The encoding.
        encoding: &'static str,
        /// The limit that the layer exceeds.
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
        /// The limit that the layer exceeds.
        reason: rarefy_format::SpecError,
    },
    /// An encoding was requested although the weights are to be stored as floats.
    #[error(
        "floats are stored in an encoding of their own: {}",
        Remedy::NoEncodingOrIntegers
    )]
    EncodingOfFloats,
    /// A network that cannot be stored as floats.
    #[error(
        "layer {} cannot be stored as floats: only chains of dense layers with ReLUs can; {}",
        name_in_architecture(layer),
        Remedy::Integers
    )]
    Floats {
        /// The layer that cannot be part of such a chain.
        layer: String,
    },
    /// A network that the container format cannot represent.
    #[error("the network cannot be stored as a container: {0}")]
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
        "{path} is not a report of `rarefy export`, but one would overwrite it; {}",
        Remedy::MoveOrOtherFile
    )]
    InTheWay {
        /// The file.
        path: String,
    },
    /// A model and a dataset that do not belong together.
    #[error("{0}; {remedy}", remedy = Remedy::SameData)]
    Mismatch(String),
    /// A container that the caller does not accept, for this reason.
    #[error("{0}")]
    NotAccepted(String),
    /// The engine rejects the model.
    #[error("the model cannot be run: {0}")]
    Engine(String),
    /// Weights, masks and an architecture that do not form a trained network.
    #[error("the network cannot be deployed: {0}")]
    Trained(String),
    /// A run whose weights cannot be used.
    #[error("{0}; {remedy}", remedy = Remedy::Repeat)]
    Weights(StateError),
    /// A run whose masks cannot be used.
    #[error(transparent)]
    Masks(#[from] MaskError),
    /// A run folder that cannot be used.
    #[error(transparent)]
    Run(#[from] TrainError),
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DeployError {
    /// Returns the remedy in the message if it is one that a program may replace by words of its
    /// own, such as the names of its options.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::Overflow { .. } => Remedy::AnyEncodingOrFewerBits,
            Self::Loss { remedy, .. } => *remedy,
            Self::Encoding { .. } => Remedy::AnyEncoding,
            Self::EncodingOfFloats => Remedy::NoEncodingOrIntegers,
            Self::Floats { .. } => Remedy::Integers,
            Self::InTheWay { .. } => Remedy::MoveOrOtherFile,
            Self::Mismatch(_) => Remedy::SameData,
            Self::Weights(_) => Remedy::Repeat,
            Self::Run(error) => return error.remedy(),
            _ => return None,
        })
    }

    /// Returns whether the request alone is at fault: conflicting options, or a model and a
    /// dataset that do not belong together. The contents of a run folder are not part of the
    /// request.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::EncodingOfFloats | Self::Mismatch(_))
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
            let reason = String::from("only dense layers support this encoding");
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
