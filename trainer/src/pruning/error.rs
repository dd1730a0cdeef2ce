//! Why a network cannot be pruned as asked.

use super::Pruner;
use super::quota::Quota;
use crate::atomic::FileError;
use crate::names;

/// A refusal to prune; every message names the option or tensor at fault and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A pruner's name that is not known.
    #[error("{}", names::unknown("pruner", .name, Pruner::names(), "`rarefy prune --help` lists all"))]
    UnknownPruner {
        /// The name asked for.
        name: String,
    },
    /// A quota's name that is not known.
    #[error("{}", names::unknown("quota", .name, Quota::ALL.map(Quota::name), "`rarefy quotas --help` lists all"))]
    UnknownQuota {
        /// The name asked for.
        name: String,
    },
    /// A compression that is not a number of at least 1.
    #[error("a compression of {compression} makes no sense: give a number of at least 1")]
    Compression {
        /// The compression asked for.
        compression: f64,
    },
    /// A quota that is for convolutional networks alone.
    #[error("quota {quota} is for networks that begin with a convolution: choose another")]
    NoConvolution {
        /// The quota.
        quota: &'static str,
    },
    /// A quota that asks a layer for less than nothing or more than all.
    #[error(
        "{quota} at compression {} would keep {} of {tensor}: on this network it is valid for \
         compressions from {} to {}", shown(*.compression), percent(*.share), shown(*.least), shown(*.most)
    )]
    InvalidQuota {
        /// The quota.
        quota: &'static str,
        /// The (direct) compression asked for.
        compression: f64,
        /// The tensor whose share is impossible.
        tensor: String,
        /// The share of it that would be kept, in percent.
        share: f64,
        /// The lowest valid compression.
        least: f64,
        /// The highest valid compression.
        most: f64,
    },
    /// An effective compression below those at which a quota is valid.
    #[error(
        "{pruner} leaves effective compressions from {} on, not {}: for more, {tensor} would have \
         to keep more than all of its weights", shown(up(*.least)), shown(*.compression)
    )]
    TooDense {
        /// The pruner.
        pruner: String,
        /// The effective compression asked for.
        compression: f64,
        /// The lowest one there is.
        least: f64,
        /// The tensor that is full.
        tensor: String,
    },
    /// An effective compression above those at which a quota is valid.
    #[error(
        "{pruner} leaves effective compressions up to {}, not {}: for less, {tensor} would have to \
         keep less than none of its weights", shown(up(*.most)), shown(*.compression)
    )]
    TooSparse {
        /// The pruner.
        pruner: String,
        /// The effective compression asked for.
        compression: f64,
        /// The highest one there is.
        most: f64,
        /// The tensor that is empty.
        tensor: String,
    },
    /// Weights whose products along every path are zero.
    #[error(
        "synflow finds no flow through the network: the weights are zero or so small that their \
         products vanish; scale them up"
    )]
    NoFlow,
    /// An order in which input and output are never joined.
    #[error("{pruner} joins input and output of this network at no compression: choose another")]
    NeverConnected {
        /// The pruner.
        pruner: String,
    },
    /// A compression at which no path from input to output is left.
    #[error(
        "{pruner} at {kind} compression {} disconnects the network: no path from input to output \
         is left; it can go as far as {kind} compression {}", shown(*.compression), shown(reach(kind, *.reachable))
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
    /// Scores that are all the same.
    #[error(
        "{pruner} has nothing to rank by: every connection has the same score, {value}; the weights \
         are all equal, or so small (or their gradients) that the scores vanish"
    )]
    AllTied {
        /// The pruner.
        pruner: String,
        /// The score.
        value: f64,
    },
    /// A compression that leaves too little for any path, whatever the scores.
    #[error(
        "{pruner} at {kind} compression {} disconnects the network: it would keep {left}, and a path \
         from input to output takes {shortest}; no pruner gets beyond {kind} compression {}",
        shown(*.compression), shown(reach(kind, *.most))
    )]
    NoPath {
        /// The pruner.
        pruner: &'static str,
        /// "direct" or "effective".
        kind: &'static str,
        /// The compression asked for.
        compression: f64,
        /// What would be kept, in words.
        left: String,
        /// The fewest weights on a path.
        shortest: usize,
        /// The compression that leaves as many.
        most: f64,
    },
    /// A score that cannot be ranked.
    #[error(
        "the score of {tensor} at element {index} is {value}: only finite scores can be ranked; its \
         weights are too large to be scored, scale them down"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The element, counted from 0 in row-major order.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A pruner that ranks trained weights, and no trained weights.
    #[error("{pruner} ranks the weights of a trained dense network: give them with --weights")]
    NeedsTraining {
        /// The pruner.
        pruner: &'static str,
    },
    /// A score that reads images, and no data.
    #[error("{reader} reads gradients on training images: give them with --data")]
    NeedsData {
        /// The score.
        reader: &'static str,
    },
    /// Data that does not fit the architecture.
    #[error("{0}")]
    Data(String),
    /// The user asked to stop.
    #[error("interrupted while scoring connections; run the same command again")]
    Interrupted,
    /// A weights file that does not belong to the architecture.
    #[error("{path}: {reason}")]
    WeightsFile {
        /// The file.
        path: String,
        /// What is wrong and what was expected.
        reason: String,
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
    /// candle or its device refused.
    #[error("the tensor library failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl PruneError {
    /// Returns whether the request alone is at fault: a name, a number out of range, something left
    /// out. What only computing or reading files could tell is not.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownPruner { .. }
                | Self::UnknownQuota { .. }
                | Self::Compression { .. }
                | Self::NoConvolution { .. }
                | Self::InvalidQuota { .. }
                | Self::NeedsTraining { .. }
                | Self::NeedsData { .. }
        )
    }
}

/// A share of a layer that is not possible.
fn percent(share: f64) -> String {
    if share < 0.0 {
        "less than 0 %".into()
    } else {
        format!("{:.2} %", share.max(100.01))
    }
}

/// Returns `compression` with at most two decimals, or as a power of ten where it is too large to be
/// read otherwise.
pub fn shown(compression: f64) -> String {
    match compression {
        large if large >= 1e15 => format!("{large:e}"),
        _ => ((compression * 100.0).round() / 100.0).to_string(),
    }
}

/// Rounds the highest compression of a kind to two decimals so that asking for it succeeds and asking
/// for the next number does not: a direct one down, an effective one up, since it asks for at least so
/// many connections.
fn reach(kind: &str, reachable: f64) -> f64 {
    match kind {
        "direct" => hundredths(reachable, f64::floor),
        _ => up(reachable),
    }
}

/// Rounds up to two decimals.
fn up(compression: f64) -> f64 {
    hundredths(compression, f64::ceil)
}

/// Rounds to two decimals by `round` what is not one of them but for the rounding of the division.
fn hundredths(compression: f64, round: fn(f64) -> f64) -> f64 {
    let hundredths = compression * 100.0;
    let nearest = hundredths.round();
    let is_near = (hundredths - nearest).abs() < 1e-13 * hundredths;
    (if is_near { nearest } else { round(hundredths) }) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::search::is_beyond;

    #[test]
    fn what_is_printed_can_be_asked_for_and_the_next_number_cannot() {
        for (total, counts) in [(266_200, 1..3000), (20_070_080, 1..300)] {
            for count in counts {
                let text = shown(reach("effective", total as f64 / count as f64));
                let printed: f64 = text.parse().unwrap();
                assert!(!is_beyond(printed, total, count), "{text} of {count}");
                let next = format!("{:.2}", printed + 0.01).parse().unwrap();
                assert!(is_beyond(next, total, count), "{text} of {count}");
            }
        }
        assert_eq!(reach("effective", 266_200.0 / 3.0), 88_733.34);
        assert_eq!(reach("direct", 266_200.0 / 3.0), 88_733.33);
        let texts = [100.0, 43.984, 1e9, 1e15, 1e308].map(shown);
        assert_eq!(texts, ["100", "43.98", "1000000000", "1e15", "1e308"]);
    }
}
