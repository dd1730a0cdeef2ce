//! Uniform: every layer at the overall density.

use super::half_rounds_up;

/// The overall density for every layer.
pub fn densities(sizes: &[usize], density: f64) -> Vec<f64> {
    vec![density; sizes.len()]
}

/// The smallest budgets `b` with `n b / N > r + 1/2` (or equal, where the half rounds up),
/// in whole numbers.
pub fn births(sizes: &[usize]) -> Vec<Vec<u32>> {
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    let births_of = |size: usize| {
        let step = 2 * size as u64;
        (0..size).map(move |rank| {
            let half = total * (2 * rank as u64 + 1);
            let at_tie = half.is_multiple_of(step) && half_rounds_up(size, rank);
            (if at_tie { half / step } else { half / step + 1 }) as u32
        })
    };
    sizes
        .iter()
        .map(|&size| births_of(size).collect())
        .collect()
}
