//! GraSP: what a connection adds to the gradient flow (Wang, Zhang & Grosse 2020).
//!
//! Removing a weight `w` changes the squared norm of the gradient `g` by about `-w (H g)`, `H` the
//! Hessian; the authors' code removes where that is largest, so the score is `w (H g)`. As there,
//! the class scores are divided by a temperature of 200 and ten images of each class are looked at.
//!
//! `H g` is the directional derivative of the gradient, by central differences in f64:
//! `(g(w + h g) - g(w - h g)) / 2h`. Truncation costs `O(h^2)`, rounding `O(eps / h)`; both are least
//! together where the step is about `eps^(1/3)` of what is moved, so `h = eps^(1/3) |w| / |g|`. That
//! leaves some ten digits, and a step of 6e-6 of the weights' length crosses hardly a ReLU's kink.

use candle_core::Tensor;

use super::{Scores, gradient, gradient::Loss};
use crate::graph::Graph;
use crate::pruning::{Kernels, PruneError, Source};
use crate::random::Random;

/// What class scores are divided by.
const TEMPERATURE: f64 = 200.0;

/// Images of each class.
const IMAGES: usize = 10;

/// Images in a minibatch: with ten classes half of them, as in the authors' code.
const BATCH: usize = 50;

/// Values of one minibatch, over all nodes, that memory is trusted with: plain operations in f64
/// keep some 70 bytes for each.
const VALUES: usize = 1 << 25;

/// The scores of `kernels` on the source's data.
///
/// # Errors
/// When there is no data, the device refuses, or it is interrupted.
pub fn scores(source: &Source<'_>, kernels: &Kernels) -> Result<Scores, PruneError> {
    let data = source.data("grasp")?;
    let mut random = Random::stream(source.seed, "grasp images");
    let mut wanted = vec![IMAGES; data.classes];
    let mut indices = gradient::draw(&mut random, data.train.len(), data.train.len());
    indices.retain(|&index| {
        let wanted = &mut wanted[usize::from(data.train.label(index as usize))];
        let takes = *wanted > 0;
        *wanted -= usize::from(takes);
        takes
    });
    let size = minibatch(source.graph);
    let all = 3 * gradient::parts(&indices, size).len();
    let mut passed = 0;
    let gradient_at = |values: &[Vec<f64>]| {
        let network = kernels.network(source.graph, values, true, source.device)?;
        let loss = |scores: &Tensor, classes: &Tensor| {
            Loss::CrossEntropy.mean(&(scores / TEMPERATURE)?, classes)
        };
        let batches = gradient::minibatches(data, &indices, size, source.device);
        let (gradient, _) = gradient::mean(&network, batches, loss, |done| {
            source.step(passed + done, all)
        })?;
        passed += all / 3;
        Ok(gradient)
    };
    importance(kernels.values(), gradient_at)
}

/// Images in a minibatch, fewer where maps are large.
fn minibatch(graph: &Graph) -> usize {
    let nodes = graph.nodes().iter();
    let values: usize = nodes.map(|node| node.shape.iter().product::<usize>()).sum();
    (VALUES / values).clamp(10, BATCH)
}

/// `w (H g)` for a gradient `g` that is a function of the weights.
fn importance(
    weights: &[Vec<f64>],
    mut gradient_at: impl FnMut(&[Vec<f64>]) -> Result<Scores, PruneError>,
) -> Result<Scores, PruneError> {
    let gradient = gradient_at(weights)?;
    let length = |lists: &[Vec<f64>]| lists.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
    let steps = length(weights) / length(&gradient);
    let step = f64::EPSILON.cbrt() * if steps.is_normal() { steps } else { 1.0 };
    let mut moved = |step: f64| {
        let layers = weights.iter().zip(&gradient);
        let moved: Vec<Vec<f64>> = layers
            .map(|(w, g)| w.iter().zip(g).map(|(w, g)| w + step * g).collect())
            .collect();
        gradient_at(&moved)
    };
    let (mut scores, back) = (moved(step)?, moved(-step)?);
    for ((scores, back), weights) in scores.iter_mut().zip(&back).zip(weights) {
        for ((score, back), w) in scores.iter_mut().zip(back).zip(weights) {
            *score = w * (*score - back) / (2.0 * step);
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L = a^2 b + exp(b) + a c^3`, whose Hessian is written down.
    #[test]
    fn differences_give_the_hessian_of_an_analytic_loss() {
        let gradient = |values: &[Vec<f64>]| {
            let (a, b, c) = (values[0][0], values[0][1], values[1][0]);
            let g = [2.0 * a * b + c.powi(3), a * a + b.exp(), 3.0 * a * c * c];
            Ok(vec![vec![g[0], g[1]], vec![g[2]]])
        };
        let (a, b, c) = (0.7, -0.4, 1.3_f64);
        let weights = [vec![a, b], vec![c]];
        let g = gradient(&weights).unwrap().concat();
        let hessian = [
            [2.0 * b, 2.0 * a, 3.0 * c * c],
            [2.0 * a, b.exp(), 0.0],
            [3.0 * c * c, 0.0, 6.0 * a * c],
        ];
        let found = importance(&weights, gradient).unwrap().concat();
        for ((found, row), w) in found.iter().zip(hessian).zip([a, b, c]) {
            let expected = w * row.iter().zip(&g).map(|(h, g)| h * g).sum::<f64>();
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        }
    }
}
