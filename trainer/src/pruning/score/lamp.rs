//! LAMP score: the square of a weight relative to the sum of the squares in its layer that are no
//! smaller (Lee et al. 2021).
//!
//! With the weights of a layer in ascending order of their squares, the score of rank `i` is
//! `w_(i)^2 / (sum over j >= i of w_(j)^2 + 1e-8)`. The largest weight of each layer scores about
//! 1, so in a global order no layer is emptied before all others are down to their last weight.

use super::Scores;

/// The constant added to each sum, as in the paper's code.
const EPSILON: f64 = 1e-8;

/// Returns the LAMP score of every weight of `kernels`, one list per layer.
pub fn scores(kernels: &[Vec<f64>]) -> Scores {
    kernels.iter().map(|kernel| layer(kernel)).collect()
}

/// Returns the LAMP scores of one layer.
fn layer(kernel: &[f64]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..kernel.len() as u32).collect();
    // The sort is stable: of equal squares the first ranks lower.
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
    fn each_square_is_relative_to_those_no_smaller() {
        let found = scores(&[vec![1.0, -3.0, 2.0, 1.0], vec![1e-6], vec![]]);
        let expected = [1.0 / 15.0, 9.0 / 9.0, 4.0 / 13.0, 1.0 / 14.0];
        for (found, expected) in found[0].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
        // The constant dominates in a layer of tiny weights, which scores far below 1.
        assert!((found[1][0] - 1e-12 / (1e-12 + 1e-8)).abs() < 1e-15);
        assert!(found[2].is_empty());
    }
}
