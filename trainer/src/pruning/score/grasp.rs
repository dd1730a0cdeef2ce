//! GraSP score: the contribution of a connection to the gradient flow (Wang, Zhang & Grosse 2020).
//!
//! Removing a weight `w` changes the squared norm of the gradient `g` by about `-2 w (H g)`, where
//! `H` is the Hessian. The authors' code removes the weights for which this is largest, so the
//! score is `w (H g)`. As in that code, logits are divided by a temperature of 200, and gradients
//! are computed on ten images per class. For targets that are numbers, the loss is the mean squared
//! error, without a temperature, on a hundred images.
//!
//! `H g` is a directional derivative of the gradient, computed by central differences in f64 as
//! `(g(w + h g) - g(w - h g)) / 2h`. The truncation error is `O(h^2)` and the rounding error
//! `O(eps / h)`. Their sum is smallest if the step is about `eps^(1/3)` relative to the weights:
//! `h = eps^(1/3) |w| / |g|`. About ten digits remain, and a step of 6e-6 times the norm
//! of the weights crosses almost no kinks of ReLUs.

use candle_core::Tensor;

use super::{Scores, gradient};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::error::PruneError;
use crate::pruning::loss::Loss;
use crate::pruning::source::Source;
use crate::pruning::weights::Weights;
use crate::random::Random;

/// The temperature that divides the logits.
const TEMPERATURE: f64 = 200.0;

/// The number of images per class.
const IMAGES: usize = 10;

/// The number of images if targets are numbers: as many as of ten classes.
const WITHOUT_CLASSES: usize = 10 * IMAGES;

/// The maximum number of images in a minibatch. With ten classes, this is half of all images, as in
/// the authors' code.
const BATCH: usize = 50;

/// The number of values of a minibatch, over all nodes, above which minibatches become smaller, to
/// save memory: backpropagation through plain f64 operations stores about 70 bytes per value.
const VALUES: usize = 1 << 25;

/// Returns the GraSP score of every weight of `kernels`, on the training images of `source`.
///
/// # Errors
/// Returns an error if there is no data, if the device fails, or if the pruner is interrupted.
pub fn scores(source: &Source<'_>, kernels: &Weights) -> Result<Scores, PruneError> {
    let data = source.data("grasp")?;
    let mut random = Random::stream(source.seed, "grasp images");
    let indices = images(data, &mut random);
    let size = minibatch(source.graph);
    let all = 3 * gradient::parts(&indices, size).len();
    let mut passed = 0;
    let gradient_at = |values: &[Vec<f64>]| {
        let network = kernels.network(source.graph, values, true, source.device)?;
        let loss = |logits: &Tensor, targets: &Tensor| match data.has_targets() {
            true => Loss::Mse.mean(logits, targets),
            false => Loss::CrossEntropy.mean(&(logits / TEMPERATURE)?, targets),
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

/// Draws the indices of the training images of `data` that are read.
fn images(data: &Dataset, random: &mut Random) -> Vec<u32> {
    let images = data.train.len();
    if data.has_targets() {
        return gradient::draw(random, images, WITHOUT_CLASSES);
    }
    let mut missing = vec![IMAGES; data.classes];
    let mut indices = gradient::draw(random, images, images);
    indices.retain(|&index| {
        let missing = &mut missing[usize::from(data.train.label(index as usize))];
        let is_taken = *missing > 0;
        *missing -= usize::from(is_taken);
        is_taken
    });
    indices
}

/// Returns the number of images in a minibatch for `graph`: fewer if its feature maps are large,
/// but at least ten.
fn minibatch(graph: &Graph) -> usize {
    let nodes = graph.nodes().iter();
    let values: usize = nodes.map(|node| node.shape.iter().product::<usize>()).sum();
    (VALUES / values).clamp(10, BATCH)
}

/// Returns `w (H g)` for every weight; `gradient_at` computes the gradient `g` at given weights.
fn importance(
    weights: &[Vec<f64>],
    mut gradient_at: impl FnMut(&[Vec<f64>]) -> Result<Scores, PruneError>,
) -> Result<Scores, PruneError> {
    let gradient = gradient_at(weights)?;
    let norm = |lists: &[Vec<f64>]| lists.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
    let ratio = norm(weights) / norm(&gradient);
    let step = f64::EPSILON.cbrt() * if ratio.is_normal() { ratio } else { 1.0 };
    let mut gradient_after = |step: f64| {
        let layers = weights.iter().zip(&gradient);
        let moved: Vec<Vec<f64>> = layers
            .map(|(w, g)| w.iter().zip(g).map(|(w, g)| w + step * g).collect())
            .collect();
        gradient_at(&moved)
    };
    let (mut scores, back) = (gradient_after(step)?, gradient_after(-step)?);
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

    /// Compares the result with the Hessian of `L = a^2 b + exp(b) + a c^3`, written out by hand.
    #[test]
    fn central_differences_match_an_analytic_hessian() {
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
