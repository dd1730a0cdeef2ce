//! Magnitude: the larger |w| after training, the earlier in (Han et al. 2015).

use super::Scores;

/// |w| of every weight.
pub fn scores(kernels: &[Vec<f64>]) -> Scores {
    let magnitudes = |kernel: &Vec<f64>| kernel.iter().map(|w| w.abs()).collect();
    kernels.iter().map(magnitudes).collect()
}
