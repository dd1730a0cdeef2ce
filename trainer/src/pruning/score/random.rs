//! Random: one priority per weight, drawn once, so that the masks of growing budgets are nested.

use super::Scores;
use crate::graph::Prunable;
use crate::random::Random;

/// Uniform priorities for `tensors` from `seed`.
pub fn scores(tensors: &[Prunable], seed: u64) -> Scores {
    let mut random = Random::stream(seed, "random scores");
    tensors
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.unit()).collect())
        .collect()
}

/// `scores` dealt out anew inside each layer. A global order of what comes out gives each layer
/// what a global order of `scores` gives it, at every budget, but to connections at random; those of
/// growing budgets are nested as before.
pub fn dealt(mut scores: Scores, seed: u64) -> Scores {
    let mut random = Random::stream(seed, "random scores");
    scores.iter_mut().for_each(|layer| random.shuffle(layer));
    scores
}
