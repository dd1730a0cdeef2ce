//! Uniform: every layer at the overall density.

use super::half_rounds_up;

/// The overall density for each of `layers`.
pub fn densities(layers: usize, density: f64) -> Vec<f64> {
    vec![density; layers]
}

/// The smallest budgets `b` with `n b / N > r + 1/2` (or equal, where the half rounds up), in
/// whole numbers; those beyond `budget` are left out.
pub fn births(sizes: &[usize], budget: u32) -> Vec<Vec<u32>> {
    let total: u64 = sizes.iter().map(|&size| size as u64).sum();
    let births_of = |&size: &usize| {
        let step = 2 * size as u64;
        let birth = |rank: usize| {
            let half = total * (2 * rank as u64 + 1);
            let at_tie = half.is_multiple_of(step) && half_rounds_up(size, rank);
            (if at_tie { half / step } else { half / step + 1 }) as u32
        };
        let births = (0..size).map(birth);
        births.take_while(|&birth| birth <= budget).collect()
    };
    sizes.iter().map(births_of).collect()
}
