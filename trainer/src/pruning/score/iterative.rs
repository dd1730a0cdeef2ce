//! Iterative SNIP: SNIP in rounds (Verdenius et al. 2020; de Jorge et al. 2021).
//!
//! Each round draws new images and scores the network that the previous round left, so a
//! connection is scored together with those that it will be trained with.

use super::rounds::Rounds;
use super::{Scores, gradient, snip};
use crate::pruning::compression::Compression;
use crate::pruning::error::PruneError;
use crate::pruning::source::Source;
use crate::pruning::ties;
use crate::pruning::weights::Weights;
use crate::random::Random;

/// Prunes the weights of `kernels` to `compression` in rounds, by their scores on the training
/// images of `source`. Returns their [keys](Rounds::keys): the later a round prunes a weight, the
/// higher its key.
///
/// # Errors
/// Returns an error if there is no data, if all scores are equal, if the device fails, or if the
/// pruner is interrupted.
pub fn scores(
    source: &Source<'_>,
    kernels: &Weights,
    compression: Compression,
) -> Result<Scores, PruneError> {
    let data = source.data("snip/iterative")?;
    snip::check_loss(source.snip.loss, data)?;
    // The variance of a batch norm needs two images.
    let count = (snip::images(source.graph, source.snip) / snip::ROUNDS).max(2);
    let mut rounds = Rounds::new(
        &source.graph.prunable(),
        kernels.values(),
        snip::ROUNDS,
        compression,
    );
    let mut masked = kernels.values().to_vec();
    for round in 0..snip::ROUNDS {
        source.step(round, snip::ROUNDS)?;
        if rounds.is_idle() {
            rounds.remove();
            continue;
        }
        let mut random = Random::stream(source.seed, &format!("snip images {round}"));
        let indices = gradient::draw(&mut random, data.train.len(), count);
        let double = kernels.is_double();
        let network = kernels.network(source.graph, &masked, double, source.device)?;
        let (gradient, _) = gradient::mean(
            &network,
            gradient::minibatches(data, &indices, gradient::BATCH, source.device),
            |logits, classes| source.snip.loss.mean(logits, classes),
            |_| source.step(round, snip::ROUNDS),
        )?;
        set_scores(&mut rounds, &gradient);
        if round == 0 || rounds.left() == source.graph.total() {
            ties::check("snip/iterative", rounds.scores())?;
        }
        rounds.remove();
        apply_mask(&mut masked, kernels.values(), &rounds);
    }
    Ok(rounds.keys())
}

/// Sets the scores of the remaining connections to `|g w|`.
fn set_scores(rounds: &mut Rounds, gradient: &Scores) {
    for (alive, gradient) in rounds.alive.iter_mut().zip(gradient) {
        let weights = alive.elements.iter().zip(&alive.magnitudes);
        for (score, (&element, magnitude)) in alive.scores.iter_mut().zip(weights) {
            *score = magnitude * gradient[element as usize].abs();
        }
    }
}

/// Sets `masked` to the weights of the remaining connections, and to 0 elsewhere.
fn apply_mask(masked: &mut [Vec<f64>], kernels: &[Vec<f64>], rounds: &Rounds) {
    for ((alive, masked), kernel) in rounds.alive.iter().zip(masked).zip(kernels) {
        masked.fill(0.0);
        for &element in &alive.elements {
            let element = element as usize;
            masked[element] = kernel[element];
        }
    }
}
