//! SynFlow by its definition (Tanaka et al. 2020, with the schedule of the paper's code), computed
//! link by link.
//!
//! The network is linear: no batch norm, no activation, average pooling, all weights |w|, an input
//! of ones. A weight's score is |w| times the derivative of the sum of the outputs with respect to
//! it. Each of 100 rounds removes the weights with the lowest scores. Values are f64 and are not
//! rescaled, so the networks must be small.

use rarefy_trainer::graph::{Graph, Operation};
use rarefy_trainer::pruning::effective::Mode;

use super::PerLayer;
use super::reachability::links;

/// Rounds of the schedule.
pub const ROUNDS: usize = 100;

/// Returns how many of `total` weights have been removed after round `round` on the way to
/// `sparsity`.
pub fn removed(total: usize, sparsity: f64, round: usize) -> usize {
    let total = total as f64;
    let left = total * (1.0 - sparsity).powf(round as f64 / ROUNDS as f64);
    (total - left) as usize
}

/// Scores every weight of `kernels` that `mask` keeps; the others score 0.
pub fn scores(graph: &Graph, kernels: &[Vec<f64>], mask: &[Vec<bool>]) -> PerLayer<f64> {
    let nodes = graph.nodes();
    let tensors = graph.prunable();
    let place = |index: usize| tensors.iter().position(|tensor| tensor.node == index);
    let factor = |index: usize, weight: usize| match (place(index), nodes[index].operation) {
        (Some(tensor), _) => kernels[tensor][weight].abs(),
        (None, Operation::Pool { window, .. }) => 1.0 / (window.size[0] * window.size[1]) as f64,
        (None, _) => 1.0,
    };
    let kept = |index: usize| place(index).map(|tensor| mask[tensor].as_slice());
    let zeros = || -> PerLayer<f64> {
        let units = nodes.iter().map(|node| node.shape.iter().product());
        units.map(|units| vec![0.0; units]).collect()
    };

    let mut values = zeros();
    values[0].fill(1.0);
    for index in 1..nodes.len() {
        let mut sums = vec![0.0; values[index].len()];
        links(graph, index, kept(index), Mode::Exact, &mut |link| {
            sums[link.to] += factor(index, link.weight) * values[link.source][link.from];
        });
        values[index] = sums;
    }
    let mut slopes = zeros();
    slopes[nodes.len() - 1].fill(1.0);
    for index in (1..nodes.len()).rev() {
        let after = slopes[index].clone();
        links(graph, index, kept(index), Mode::Exact, &mut |link| {
            slopes[link.source][link.from] += factor(index, link.weight) * after[link.to];
        });
    }
    let mut scores: PerLayer<f64> = kernels.iter().map(|k| vec![0.0; k.len()]).collect();
    for (scores, tensor) in scores.iter_mut().zip(&tensors) {
        let index = tensor.node;
        links(graph, index, kept(index), Mode::Exact, &mut |link| {
            let (value, slope) = (values[link.source][link.from], slopes[index][link.to]);
            scores[link.weight] += factor(index, link.weight) * value * slope;
        });
    }
    scores
}
