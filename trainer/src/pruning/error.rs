//! Why a network cannot be pruned as asked.

use crate::artifact::FileError;

/// A refusal to prune; every message names the option or tensor at fault and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A pruner's name that is not known.
    #[error("there is no pruner {name:?}: the known ones are {known}")]
    UnknownPruner {
        /// The name asked for.
        name: String,
        /// The known names.
        known: String,
    },
    /// A quota's name that is not known.
    #[error("there is no quota {name:?}: the known ones are {known}")]
    UnknownQuota {
        /// The name asked for.
        name: String,
        /// The known names.
        known: String,
    },
    /// A compression that is not a number of at least 1.
    #[error("a compression of {compression} makes no sense: give a number of at least 1")]
    Compression {
        /// The compression asked for.
        compression: f64,
    },
    /// No subnetwork of that compression joins input and output.
    #[error(
        "{pruner} at {kind} compression {compression} disconnects the network: no path from input \
         to output is left; it can go as far as {kind} compression {}", floor(*.reachable)
    )]
    Disconnected {
        /// The pruner.
        pruner: String,
        /// "direct" or "effective".
        kind: &'static str,
        /// The compression asked for.
        compression: f64,
        /// The highest compression of that kind that keeps a path.
        reachable: f64,
    },
    /// A score that cannot be ranked.
    #[error("tensor {tensor} holds {value} at element {index}: only finite numbers can be ranked")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The element, counted from 0 in row-major order.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A mask file that does not belong to the architecture.
    #[error("{path}: {reason}")]
    MaskFile {
        /// The file.
        path: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// One decimal, rounded down so that what the message promises can be reached.
fn floor(compression: f64) -> f64 {
    if compression >= 2.0 {
        (compression * 10.0).floor() / 10.0
    } else {
        1.0
    }
}
