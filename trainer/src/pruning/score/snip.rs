//! SNIP: how much the loss feels each connection at initialisation (Lee et al. 2019).
//!
//! The score is `|g w|`, `g` the mean gradient over images drawn from the training set. The paper's
//! code looks at 300 times as many as its iterative variant does in a round; it passes prediction
//! and label to the loss in exchanged order, which [`Loss::Reference`] repeats.

use serde::{Deserialize, Serialize};

use super::{Scores, gradient};
use crate::graph::Graph;
use crate::pruning::{Kernels, PruneError, Source};
use crate::random::Random;

pub use gradient::Loss;

/// How SNIP looks at the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    /// The loss.
    pub loss: Loss,
    /// Images looked at in all; by default [`images`].
    pub samples: Option<usize>,
}

/// Rounds of the iterative variant, and images of the other for one of a round.
pub const ROUNDS: usize = 300;

/// Images that the paper's code looks at in a round of the iterative variant (paper's code).
fn images_a_round(graph: &Graph) -> usize {
    match graph.name() {
        "lenet-5" | "vgg-16" => 128,
        "vgg-19" => 1280,
        "resnet-18" => 2560,
        _ => 100,
    }
}

/// How many images are looked at in all.
pub fn images(graph: &Graph, options: Options) -> usize {
    options.samples.unwrap_or(ROUNDS * images_a_round(graph))
}

/// The scores of `kernels` on the source's data.
///
/// # Errors
/// When there is no data, the device refuses, or it is interrupted.
pub fn scores(source: &Source<'_>, kernels: &Kernels) -> Result<Scores, PruneError> {
    let data = source.data("snip")?;
    // Batch norm needs two images to tell apart.
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
        |scores, classes| source.snip.loss.mean(scores, classes),
        |done| source.step(done, all),
    )?;
    Ok(saliency(kernels.values(), gradient))
}

/// `|g w|`.
pub fn saliency(kernels: &[Vec<f64>], mut gradient: Scores) -> Scores {
    for (gradient, kernel) in gradient.iter_mut().zip(kernels) {
        for (g, w) in gradient.iter_mut().zip(kernel) {
            *g = (*g * w).abs();
        }
    }
    gradient
}
