//! Erdős-Rényi-Kernel quota: a layer keeps connections in proportion to the sum of its dimensions
//! (Evci et al. 2020), with the surplus redistributed as in Vysogorets and Kempe's code (see
//! section 4 of their paper).
//!
//! At overall density `d` of `N` weights, a layer whose dimensions sum to `q` is assigned
//! `N d q / Q` connections, where `Q` sums the dimensions of all layers. A layer that would keep
//! more connections than it has passes the surplus to the layer before it. (RigL, in contrast,
//! makes such layers dense and solves again for the others.) What a layer is assigned and what it
//! passes on grow with `d`, so the quota is monotone. It is valid until the first layer, which has
//! none before it, is full.

use crate::graph::Prunable;

/// Returns the density of each layer at the overall `density`. That of the first layer exceeds 1
/// where the quota is not valid.
pub fn densities(tensors: &[Prunable], density: f64) -> Vec<f64> {
    let total: usize = tensors.iter().map(Prunable::len).sum();
    let dimensions = |tensor: &Prunable| tensor.shape.iter().sum::<usize>() as f64;
    let share = total as f64 * density / tensors.iter().map(dimensions).sum::<f64>();
    let mut surplus = 0.0;
    let mut densities: Vec<f64> = tensors
        .iter()
        .rev()
        .map(|tensor| {
            let size = tensor.len() as f64;
            let kept = share * dimensions(tensor) + surplus;
            surplus = (kept - size).max(0.0);
            (kept - surplus) / size
        })
        .collect();
    densities.reverse();
    if let (Some(first), Some(tensor)) = (densities.first_mut(), tensors.first()) {
        *first += surplus / tensor.len() as f64;
    }
    densities
}
