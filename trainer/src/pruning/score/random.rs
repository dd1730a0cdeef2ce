//! Random scores, drawn once per weight, so that the masks of growing budgets are nested.

use super::Scores;
use crate::graph::Prunable;
use crate::random::Random;

/// Draws uniform scores in [0, 1) for the weights of `tensors` from `seed`.
pub fn scores(tensors: &[Prunable], seed: u64) -> Scores {
    let mut random = Random::stream(seed, "random scores");
    tensors
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.unit()).collect())
        .collect()
}

/// Returns `scores` shuffled within each layer, from `seed`.
///
/// At every budget, a global order of the result keeps as many connections per layer as a global
/// order of `scores`, but selects them at random. Its masks are nested too.
pub fn dealt(mut scores: Scores, seed: u64) -> Scores {
    let mut random = Random::stream(seed, "random scores");
    scores.iter_mut().for_each(|layer| random.shuffle(layer));
    scores
}
