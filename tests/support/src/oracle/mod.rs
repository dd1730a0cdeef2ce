//! Naive pruning, straight from the definitions: the trainer's sweeps must reproduce its results.
//!
//! Nothing here calls the trainer's pruning; a network is read only from its [`Graph`]. Masks are
//! lists of `bool`, one list per prunable tensor, in row-major order. Counts are exact: where a
//! quota comes close to a tie, integers decide instead of floating point, so tests need no
//! tolerance.
//!
//! [`Graph`]: rarefy_trainer::graph::Graph

pub mod family;
pub mod ideal_gas;
pub mod reachability;
pub mod sharing;
pub mod synflow;

pub use family::Family;
pub use reachability::effective;
pub use sharing::Sharing;

/// One mask or one score per prunable tensor.
pub type PerLayer<T> = Vec<Vec<T>>;

/// Counts the kept weights of each layer.
pub fn counts(masks: &[Vec<bool>]) -> Vec<usize> {
    let kept = |mask: &Vec<bool>| mask.iter().filter(|&&keep| keep).count();
    masks.iter().map(kept).collect()
}

/// Counts the kept weights of all layers.
pub fn count(masks: &[Vec<bool>]) -> usize {
    counts(masks).iter().sum()
}

/// Returns the smallest number of weights, out of `total`, whose compression is at most
/// `compression`.
pub fn wanted(total: usize, compression: f64) -> usize {
    let total = total as f64;
    (total / compression - 1e-9 * total).ceil() as usize
}
