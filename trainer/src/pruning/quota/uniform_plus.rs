//! Uniform+: uniform, but for the first layer, which stays dense, and the last, which keeps a
//! fifth at least (Gale et al. 2019; paper, section 4). For convolutional networks only.
//!
//! With sparsity s overall, the others lose `t = s N / (N - n_1)`; what the last is spared beyond
//! 0.8 the middle layers lose as well. All shares fall as s grows, so the quota is monotone; it is
//! valid until the middle layers are empty.

use crate::graph::Prunable;

/// The share of the last layer that may go, where there are middle layers to take over the rest.
const MOST_OF_LAST: f64 = 0.8;

/// Whether the quota is for networks with these tensors.
pub fn is_for(tensors: &[Prunable]) -> bool {
    tensors.first().is_some_and(|first| first.shape.len() > 2) && tensors.len() > 1
}

/// The density of each layer at the overall `density`, below 0 where the quota is not valid.
pub fn densities(tensors: &[Prunable], density: f64) -> Vec<f64> {
    let sizes: Vec<f64> = tensors.iter().map(|tensor| tensor.len() as f64).collect();
    let (first, last) = (sizes[0], sizes[sizes.len() - 1]);
    let total: f64 = sizes.iter().sum();
    let lost = (1.0 - density) * total / (total - first);
    let middle = total - first - last;
    let most_of_last = if middle > 0.0 { MOST_OF_LAST } else { 1.0 };
    let more = match (lost - most_of_last) * last {
        spared if spared > 0.0 => spared / middle,
        _ => 0.0,
    };
    let mut densities = vec![1.0 - (lost + more); sizes.len()];
    densities[0] = 1.0;
    densities[sizes.len() - 1] = 1.0
        - if middle > 0.0 {
            lost.min(MOST_OF_LAST)
        } else {
            lost
        };
    densities
}
