//! LAMP: a weight's square against those of its layer that are no smaller (Lee et al. 2021).
//!
//! In a layer's ascending order of squares the score of rank `i` is
//! `w_(i)^2 / (sum over j >= i of w_(j)^2 + 1e-8)`; one global order then prunes each layer as far
//! as its own energy allows, and no layer loses its last weight before all others have one left.

use super::Scores;

/// Added to the sums, as in the paper's code.
const EPSILON: f64 = 1e-8;

/// The LAMP score of every weight.
pub fn scores(kernels: &[Vec<f64>]) -> Scores {
    kernels.iter().map(|kernel| layer(kernel)).collect()
}

fn layer(kernel: &[f64]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..kernel.len() as u32).collect();
    // Stable: of equal weights the first ranks lower.
    order.sort_by(|&a, &b| {
        let (a, b) = (kernel[a as usize], kernel[b as usize]);
        (a * a).total_cmp(&(b * b))
    });
    let mut scores = vec![0.0; kernel.len()];
    let mut sum = 0.0;
    for &element in order.iter().rev() {
        let square = kernel[element as usize] * kernel[element as usize];
        sum += square;
        scores[element as usize] = square / (sum + EPSILON);
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_weight_is_held_against_those_no_smaller() {
        let found = scores(&[vec![1.0, -3.0, 2.0, 1.0], vec![1e-6], vec![]]);
        let expected = [1.0 / 15.0, 9.0 / 9.0, 4.0 / 13.0, 1.0 / 14.0];
        for (found, expected) in found[0].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
        // A layer of next to no energy does not score one.
        assert!((found[1][0] - 1e-12 / (1e-12 + 1e-8)).abs() < 1e-15);
        assert!(found[2].is_empty());
    }
}
