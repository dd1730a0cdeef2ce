//! SNIP score: connection sensitivity at initialization (Lee et al. 2019).
//!
//! The score is `|g w|`, where `g` is the mean gradient of the loss over images drawn from the
//! training set. The paper's code uses 300 times as many images as one round of iterative SNIP. It
//! swaps prediction and label in the loss, which
//! [`Loss::Reference`] reproduces.

use super::{Scores, gradient};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::Loss;
use crate::pruning::error::PruneError;
use crate::pruning::source::{SnipOptions, Source};
use crate::pruning::weights::Weights;
use crate::random::Random;

/// The number of rounds of iterative SNIP. SNIP reads this many times the images of one round.
pub const ROUNDS: usize = 300;

/// Returns the number of images per round of iterative SNIP: that of the paper's code for the
/// architectures it covers, otherwise 100.
fn images_per_round(graph: &Graph) -> usize {
    match graph.name() {
        "lenet-5" | "vgg-16" => 128,
        "vgg-19" => 1280,
        "resnet-18" => 2560,
        _ => 100,
    }
}

/// Returns the total number of images over which SNIP averages gradients.
pub fn images(graph: &Graph, options: SnipOptions) -> usize {
    options.samples.unwrap_or(ROUNDS * images_per_round(graph))
}

/// Returns the SNIP score of every weight of `kernels`, on the training images of `source`.
///
/// # Errors
/// Returns an error if there is no data, if the device fails, or if the pruner is interrupted.
pub fn scores(source: &Source<'_>, kernels: &Weights) -> Result<Scores, PruneError> {
    let data = source.data("snip")?;
    check_loss(source.snip.loss, data)?;
    // The variance of a batch norm needs two images.
    let count = images(source.graph, source.snip).max(2);
    let mut random = Random::stream(source.seed, "snip images");
    let indices = gradient::draw(&mut random, data.train.len(), count);
    let network = kernels.network(
        source.graph,
        kernels.values(),
        kernels.is_double(),
        source.device,
    )?;
    let all = gradient::parts(&indices, gradient::BATCH).len();
    let (gradient, _) = gradient::mean(
        &network,
        gradient::minibatches(data, &indices, gradient::BATCH, source.device),
        |logits, classes| source.snip.loss.mean(logits, classes),
        |done| source.step(done, all),
    )?;
    Ok(saliency(kernels.values(), gradient))
}

/// Checks that `loss` is one for the targets of `data`.
pub(super) fn check_loss(loss: Loss, data: &Dataset) -> Result<(), PruneError> {
    let (needed, targets) = match data.has_targets() {
        true => ("mse", "numbers"),
        false => ("cross-entropy or reference", "classes"),
    };
    match (loss == Loss::Mse) == data.has_targets() {
        true => Ok(()),
        false => Err(PruneError::Data(format!(
            "the targets of dataset {} are {targets}, which snip's loss does not take: choose the loss {needed}",
            data.name
        ))),
    }
}

/// Returns the connection sensitivity `|g w|` of every weight of `kernels`.
pub fn saliency(kernels: &[Vec<f64>], mut gradient: Scores) -> Scores {
    for (gradient, kernel) in gradient.iter_mut().zip(kernels) {
        for (g, w) in gradient.iter_mut().zip(kernel) {
            *g = (*g * w).abs();
        }
    }
    gradient
}
