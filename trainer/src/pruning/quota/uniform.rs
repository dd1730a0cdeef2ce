//! Uniform quota: every layer has the overall density, so the quota is monotone and always valid.

use super::half_rounds_up;

/// Returns the overall `density` for each of `layers`.
pub fn densities(layers: usize, density: f64) -> Vec<f64> {
    vec![density; layers]
}

/// Returns, for each layer of the given `sizes` and each rank `r`, the smallest budget at which
/// the layer keeps more than `r` weights; births above `budget` are left out.
///
/// For a layer of `n` weights, a birth is the smallest `b` with `n b / N > r + 1/2`, or with
/// equality where the half rounds up, computed in integers.
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
