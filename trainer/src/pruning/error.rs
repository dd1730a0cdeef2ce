//! Why a network cannot be pruned as requested.

use super::compression::{InvalidCompression, Target};
use super::hundredths::{down, shown, up};
use crate::atomic::FileError;
use crate::names;
use crate::remedy::Remedy;

/// Why pruning failed. Each message names what is at fault and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// There is no pruner of that name.
    #[error("{}", names::unknown("pruner", .name, .known.iter().copied(), &listed(.known)))]
    UnknownPruner {
        /// The name.
        name: String,
        /// The names of all pruners.
        known: Vec<&'static str>,
    },
    /// There is no quota of that name.
    #[error("{}", names::unknown("quota", .name, .known.iter().copied(), &listed(.known)))]
    UnknownQuota {
        /// The name.
        name: String,
        /// The names of all quotas.
        known: Vec<&'static str>,
    },
    /// The compression is not a finite number of at least 1.
    #[error(transparent)]
    Compression(#[from] InvalidCompression),
    /// The quota applies only to networks that begin with a convolution.
    #[error(
        "quota {quota} applies only to networks that begin with a convolution: choose another quota"
    )]
    NoConvolution {
        /// The quota.
        quota: &'static str,
    },
    /// The quota gives a layer a density below 0 or above 1.
    #[error(
        "{quota} at compression {} would keep {} of {tensor}: on this network it is valid for \
         compressions from {} to {}; {}",
        shown(*.compression), percent(*.share), shown(*.least), shown(*.most),
        Remedy::CompressionInRange
    )]
    InvalidQuota {
        /// The quota.
        quota: &'static str,
        /// The direct compression.
        compression: f64,
        /// The tensor whose density is invalid.
        tensor: String,
        /// That density, in percent.
        share: f64,
        /// The lowest valid compression.
        least: f64,
        /// The highest valid compression.
        most: f64,
    },
    /// The effective compression is below those at which the quota is valid.
    #[error(
        "{pruner} reaches only effective compressions from {}, not {}: below that, the quota would \
         give {tensor} a density above 1; {}",
        shown(up(*.least)), shown(*.compression), Remedy::HigherCompressionOrOtherPruner
    )]
    TooDense {
        /// The pruner.
        pruner: String,
        /// The requested effective compression.
        compression: f64,
        /// The lowest one that can be reached.
        least: f64,
        /// The tensor that is full.
        tensor: String,
    },
    /// The effective compression is above those at which the quota is valid.
    #[error(
        "{pruner} reaches only effective compressions up to {}, not {}: above that, the quota would \
         give {tensor} a density below 0; {}",
        shown(up(*.most)), shown(*.compression), Remedy::LowerCompressionOrOtherPruner
    )]
    TooSparse {
        /// The pruner.
        pruner: String,
        /// The requested effective compression.
        compression: f64,
        /// The highest one that can be reached.
        most: f64,
        /// The tensor that is empty.
        tensor: String,
    },
    /// The products of weights along every path are zero.
    #[error(
        "synflow finds no flow through the network: the weights are zero, or so small that their \
         products underflow; scale them up"
    )]
    NoFlow,
    /// No mask of the ordering connects input and output.
    #[error(
        "{pruner} connects input and output of this network at no compression: choose another pruner"
    )]
    NeverConnected {
        /// The pruner.
        pruner: String,
    },
    /// No path from input to output is left at the compression.
    #[error(
        "{pruner} at {} compression {} disconnects the network: no path from input to output is \
         left; the highest {} compression that it reaches is {}: {}",
        .target.name(), shown(*.compression), .target.name(), shown(limit(*.target, *.reachable)),
        Remedy::LowerCompressionOrOtherPruner
    )]
    Disconnected {
        /// The pruner.
        pruner: String,
        /// The weights that the compression counts.
        target: Target,
        /// The requested compression.
        compression: f64,
        /// The highest compression of that kind at which a path is left.
        reachable: f64,
    },
    /// All scores are equal.
    #[error(
        "{pruner} has nothing to rank by: every connection has the same score, {value}; the weights \
         are all equal, or they or their gradients are so small that the scores underflow: \
         give other weights, or choose another pruner"
    )]
    AllTied {
        /// The pruner.
        pruner: String,
        /// The score.
        value: f64,
    },
    /// The compression leaves no path from input to output, whatever the scores.
    #[error(
        "{pruner} at {} compression {} disconnects the network: {}a path from input to output \
         needs {shortest} of {total} weights; no pruner reaches a higher {} compression than {}: {}",
        .target.name(), shown(*.compression), but(.left), .target.name(),
        shown(limit(*.target, *.most)), Remedy::LowerCompression
    )]
    NoPath {
        /// The pruner.
        pruner: &'static str,
        /// The weights that the compression counts.
        target: Target,
        /// The requested compression.
        compression: f64,
        /// What would be kept, in words; empty for an effective compression, which keeps whole
        /// paths or nothing.
        left: String,
        /// The number of weights on the shortest path.
        shortest: usize,
        /// The number of all prunable weights.
        total: usize,
        /// The highest compression that keeps `shortest` weights.
        most: f64,
    },
    /// A score cannot be ranked.
    #[error(
        "the score of {tensor} at element {index} is {value}, but only finite scores can be ranked: \
         the weights are probably too large; scale them down"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The flat index, row-major.
        index: usize,
        /// The score.
        value: f64,
    },
    /// The pruner ranks trained weights, and the source has none.
    #[error(
        "{pruner} ranks the weights of a trained dense network: {}",
        Remedy::GiveWeights
    )]
    NeedsTraining {
        /// The pruner.
        pruner: &'static str,
    },
    /// The score reads images, and the source has no dataset.
    #[error("{reader} computes gradients on training images: {}", Remedy::GiveData)]
    NeedsData {
        /// The score.
        reader: &'static str,
    },
    /// The dataset does not fit the architecture.
    #[error("{0}")]
    Data(String),
    /// The network has more nodes than gradients are computed for.
    #[error(
        "{network} is too deep for gradients: it has {nodes} layers, counting batch norms, ReLUs and \
         additions, and at most {most} are supported; use fewer layers"
    )]
    TooDeep {
        /// The architecture's name.
        network: String,
        /// The number of its nodes.
        nodes: usize,
        /// The largest number supported.
        most: usize,
    },
    /// The pruner was asked to stop.
    #[error("interrupted while scoring connections; run the same command again")]
    Interrupted,
    /// A weights file does not fit the architecture.
    #[error("{path}: {reason}")]
    WeightsFile {
        /// The file.
        path: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// candle or its device failed.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl PruneError {
    /// Returns the remedy in the message, if a program may replace its words.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NeedsTraining { .. } => Some(Remedy::GiveWeights),
            Self::NeedsData { .. } => Some(Remedy::GiveData),
            Self::InvalidQuota { .. } => Some(Remedy::CompressionInRange),
            Self::TooDense { .. } => Some(Remedy::HigherCompressionOrOtherPruner),
            Self::TooSparse { .. } | Self::Disconnected { .. } => {
                Some(Remedy::LowerCompressionOrOtherPruner)
            }
            Self::NoPath { .. } => Some(Remedy::LowerCompression),
            _ => None,
        }
    }

    /// Checks whether the request itself is wrong (an unknown name, a number out of range, a
    /// missing input), as opposed to faults that only scores, masks or files can reveal.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownPruner { .. }
                | Self::UnknownQuota { .. }
                | Self::Compression(_)
                | Self::NoConvolution { .. }
                | Self::InvalidQuota { .. }
                | Self::NeedsTraining { .. }
                | Self::NeedsData { .. }
                | Self::Data(_)
        )
    }
}

/// Returns the sentence that lists the `known` names.
fn listed(known: &[&str]) -> String {
    format!("choose one of {}", known.join(", "))
}

/// Returns the clause that says what would be kept, if there is one.
fn but(left: &str) -> String {
    match left {
        "" => String::new(),
        left => format!("it would keep {left}, but "),
    }
}

/// Formats an invalid density: `share` is in percent, below 0 or above 100.
fn percent(share: f64) -> String {
    if share < 0.0 {
        "less than 0 %".into()
    } else {
        format!("{:.2} %", share.max(100.01))
    }
}

/// Rounds the highest compression of the kind `target` to two decimals, so that requesting it
/// succeeds and requesting the next higher number fails.
fn limit(target: Target, reachable: f64) -> f64 {
    match target {
        Target::Direct => down(reachable),
        Target::Effective => up(reachable),
    }
}
