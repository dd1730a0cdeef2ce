//! SynFlow by its definition (Tanaka et al. 2020, with the schedule of the paper's code), link by
//! link.
//!
//! The network is linear: no batch norm, no activation, average pooling, all weights |w|, an input
//! of ones. A weight's score is |w| times the derivative by it of the sum of the outputs. In each of
//! 100 iterations the lowest scores go; f64 throughout, unscaled, so the networks must be small.

use rarefy_trainer::graph::{Graph, Operation};
use rarefy_trainer::pruning::effective::Mode;

use super::PerLayer;
use super::reachability::links;

/// Iterations of the schedule.
const ITERATIONS: usize = 100;

/// What pruning went through.
pub(crate) struct Run {
    /// For each iteration, the sum of the outputs before and the weights removed after it.
    pub(crate) history: Vec<(f64, usize)>,
    /// (tensor, element) of all weights in the order of removal; the survivors last, by the last
    /// scores.
    pub(crate) removal: Vec<(usize, usize)>,
}

impl Run {
    /// The mask after iteration `iteration`, counted from 1.
    pub(crate) fn mask(&self, graph: &Graph, iteration: usize) -> PerLayer<bool> {
        let tensors = graph.prunable();
        let mut mask: PerLayer<bool> = tensors.iter().map(|t| vec![true; t.len()]).collect();
        for &(tensor, element) in &self.removal[..self.history[iteration - 1].1] {
            mask[tensor][element] = false;
        }
        mask
    }

    /// Scores whose order is that of removal.
    pub(crate) fn scores(&self, graph: &Graph) -> PerLayer<f64> {
        let tensors = graph.prunable();
        let mut scores: PerLayer<f64> = tensors.iter().map(|t| vec![0.0; t.len()]).collect();
        for (place, &(tensor, element)) in self.removal.iter().enumerate() {
            scores[tensor][element] = place as f64;
        }
        scores
    }
}

/// Prunes to `sparsity` from the weights `kernels`.
pub(crate) fn prune(graph: &Graph, kernels: &[Vec<f64>], sparsity: f64) -> Run {
    let total = graph.total() as f64;
    let alive = kernels.iter().enumerate();
    let mut alive: Vec<(usize, usize)> = alive
        .flat_map(|(tensor, kernel)| (0..kernel.len()).map(move |element| (tensor, element)))
        .collect();
    let mut mask: PerLayer<bool> = kernels.iter().map(|k| vec![true; k.len()]).collect();
    let mut run = Run {
        history: Vec::new(),
        removal: Vec::new(),
    };
    for iteration in 1..=ITERATIONS {
        let (sum, scores) = scores(graph, kernels, &mask);
        let left = total * (1.0 - sparsity).powf(iteration as f64 / ITERATIONS as f64);
        let removed = (total - left) as usize;
        // As everywhere, of equals the last goes first.
        alive.sort_by(|a, b| b.cmp(a));
        alive.sort_by(|a, b| scores[a.0][a.1].partial_cmp(&scores[b.0][b.1]).unwrap());
        for (tensor, element) in alive.drain(..removed - run.removal.len()) {
            mask[tensor][element] = false;
            run.removal.push((tensor, element));
        }
        run.history.push((sum, removed));
    }
    run.removal.extend(alive);
    run
}

/// The sum of the outputs, and the score of every weight.
pub(crate) fn scores(
    graph: &Graph,
    kernels: &[Vec<f64>],
    mask: &[Vec<bool>],
) -> (f64, PerLayer<f64>) {
    let nodes = graph.nodes();
    let tensors = graph.prunable();
    let place = |index: usize| tensors.iter().position(|tensor| tensor.node == index);
    let factor = |index: usize, weight: usize| match (place(index), nodes[index].operation) {
        (Some(tensor), _) => kernels[tensor][weight].abs(),
        (None, Operation::Pool { window, .. }) => 1.0 / (window.size * window.size) as f64,
        (None, _) => 1.0,
    };
    let zeros = || -> PerLayer<f64> {
        let units = nodes.iter().map(|node| node.shape.iter().product());
        units.map(|units| vec![0.0; units]).collect()
    };
    let kept = |index: usize| place(index).map(|tensor| mask[tensor].as_slice());

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
            scores[link.weight] += factor(index, link.weight)
                * values[link.source][link.from]
                * slopes[index][link.to];
        });
    }
    (values[nodes.len() - 1].iter().sum(), scores)
}
