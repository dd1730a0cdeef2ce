//! Magnitude: the larger |w| after training, the earlier in (Han et al. 2015).

use super::Scores;

/// |w| of every weight.
pub fn scores(weights: &[Vec<f32>]) -> Scores {
    weights
        .iter()
        .map(|tensor| tensor.iter().map(|w| f64::from(w.abs())).collect())
        .collect()
}
