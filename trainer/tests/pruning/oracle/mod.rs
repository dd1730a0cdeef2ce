//! The definitions, written naively: what the sweeps of the trainer must reproduce.
//!
//! Nothing here calls the trainer's pruning; a network is read from its [`Graph`] alone. Masks are
//! plain `bool`s per prunable tensor, in the tensor's own layout. Counts are exact: wherever a
//! quota comes so close to a half that floating point could fall on either side, whole numbers
//! decide, so that tests need no tolerance.
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

/// One mask or one score per prunable tensor.
pub(crate) type PerLayer<T> = Vec<Vec<T>>;

/// Weights kept per layer.
pub(crate) fn counts(masks: &[Vec<bool>]) -> Vec<usize> {
    let kept = |mask: &Vec<bool>| mask.iter().filter(|&&keep| keep).count();
    masks.iter().map(kept).collect()
}

pub(crate) fn count(masks: &[Vec<bool>]) -> usize {
    counts(masks).iter().sum()
}

/// The fewest effective weights out of `total` that have a compression of at most `compression`.
pub(crate) fn wanted(total: usize, compression: f64) -> usize {
    let total = total as f64;
    (total / compression - 1e-9 * total).ceil() as usize
}
