//! The oracle: naive implementations of the definitions, which the trainer must reproduce.
//!
//! Nothing here calls the trainer's pruning; a network is read from its [`Graph`] alone. Masks are
//! lists of `bool`, one per prunable tensor, row-major. Counts are exact: where a quota comes
//! close to a tie, integers decide instead of floating point, so tests need no tolerance.
//!
//! [`Graph`]: rarefy_trainer::graph::Graph

pub(crate) mod family;
pub(crate) mod ideal_gas;
pub(crate) mod reachability;
pub(crate) mod sharing;
pub(crate) mod synflow;

pub(crate) use family::Family;
pub(crate) use reachability::effective;
pub(crate) use sharing::Sharing;

/// One list of values per prunable tensor, such as a mask or scores.
pub(crate) type PerLayer<T> = Vec<Vec<T>>;

/// Returns the number of weights kept per layer.
pub(crate) fn counts(masks: &[Vec<bool>]) -> Vec<usize> {
    let kept = |mask: &Vec<bool>| mask.iter().filter(|&&keep| keep).count();
    masks.iter().map(kept).collect()
}

/// Returns the number of weights kept.
pub(crate) fn count(masks: &[Vec<bool>]) -> usize {
    counts(masks).iter().sum()
}

/// Returns the smallest number of effective weights, out of `total`, whose compression is at most
/// `compression`.
pub(crate) fn wanted(total: usize, compression: f64) -> usize {
    let total = total as f64;
    (total / compression - 1e-9 * total).ceil() as usize
}
