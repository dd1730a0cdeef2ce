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
