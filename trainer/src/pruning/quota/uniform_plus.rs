//! Uniform+ quota: uniform, except that the first layer is dense and the last keeps at least a
//! fifth of its weights (Gale et al. 2019; paper, section 4). For convolutional networks only.
//!
//! Let `N` be the number of prunable weights and `n_1` that of the first layer. At overall sparsity
//! `s`, the other layers would each have sparsity `t = s N / (N - n_1)`, but that of the last is
//! capped at 0.8 and the layers between make up for the difference. No density grows with `s`, so
//! the quota is monotone. It is valid until the layers between are empty.

use crate::graph::Prunable;

/// The highest sparsity of the last layer, if there are layers between it and the first.
const MOST_OF_LAST: f64 = 0.8;

/// Checks whether the quota applies to a network with these `tensors`: the first must belong to a
/// convolution, and there must be another.
pub fn is_for(tensors: &[Prunable]) -> bool {
    tensors.first().is_some_and(|first| first.shape.len() > 2) && tensors.len() > 1
}

/// Returns the density of each layer at the overall `density`. It is below 0 for the layers
/// between the first and the last where the quota is not valid.
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
