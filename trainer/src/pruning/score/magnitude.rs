//! Magnitude score: `|w|`, usually after training (Han et al. 2015).

use super::Scores;

/// Returns `|w|` of every weight of `kernels`.
pub fn scores(kernels: &[Vec<f64>]) -> Scores {
    let magnitudes = |kernel: &Vec<f64>| kernel.iter().map(|w| w.abs()).collect();
    kernels.iter().map(magnitudes).collect()
}
