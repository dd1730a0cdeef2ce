//! Ideal gas quota (IGQ): one force F compresses every layer like an ideal gas (paper, section 4).
//!
//! A layer of `n` weights has density `1 / (F n + 1)`, where F is the root of
//! `sum n / (F n + 1) = N d` for the overall density `d`. The sum decreases strictly with F, so
//! the quota is monotone, and valid for every density in (0, 1].

use super::half_rounds_up;

/// Returns the force F at which layers of the given `sizes` keep `budget` weights in total.
///
/// Newton's method starts left of the root. The sum is convex and decreasing, so no step passes
/// the root; the iteration ends when F no longer grows, at full f64 precision.
pub fn force(sizes: &[usize], budget: f64) -> f64 {
    let mut force = 0.0_f64;
    for _ in 0..200 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for &size in sizes {
            let held = size as f64 / (force * size as f64 + 1.0);
            sum += held;
            slope += held * held;
        }
        let next = force + (sum - budget) / slope;
        if next <= force {
            break;
        }
        force = next;
    }
    force
}

/// Returns the density of each layer of the given `sizes` at the overall `density`.
pub fn densities(sizes: &[usize], density: f64) -> Vec<f64> {
    let total: usize = sizes.iter().sum();
    let force = force(sizes, total as f64 * density);
    sizes
        .iter()
        .map(|&size| 1.0 / (force * size as f64 + 1.0))
        .collect()
}

/// Returns, for each layer and rank `r`, the smallest budget at which the layer keeps more than
/// `r` weights; births above `budget` are left out.
///
/// A layer of `n` weights keeps more than `r` once `n / (F n + 1)` passes `h = r + 1/2`, which
/// happens at the force `F = 1/h - 1/n`. At this force, a layer of `m` weights keeps
/// `h n m / (m (n - h) + h n)`, and the birth is the sum of these numbers over all layers, rounded
/// up. If the sum is an integer (typically with layers of equal size), the layer keeps exactly `h`
/// weights at that budget, and the number that it loses is rounded half to even.
pub fn births(sizes: &[usize], budget: u32) -> Vec<Vec<u32>> {
    let total: usize = sizes.iter().sum();
    let force = force(sizes, f64::from(budget));
    // Each term has a rounding error of at most one unit in the last place, so the sum of L terms
    // has one of less than L units.
    let rounding = sizes.len() as f64 * f64::EPSILON;
    let births_of = |&size: &usize| {
        let n = size as f64;
        let held = n / (force * n + 1.0);
        // One rank more than the layer keeps at `budget`: its birth is computed and left out.
        let ranks = size.min(held.ceil() as usize + 1);
        let mut sums = vec![0.0_f64; ranks];
        for &other in sizes {
            let m = other as f64;
            for (rank, sum) in (0_i32..).zip(&mut sums) {
                let half = f64::from(rank) + 0.5;
                *sum += m * half * n / (m * (n - half) + half * n);
            }
        }
        let birth = |(rank, sum): (usize, f64)| {
            let whole = sum.round();
            let birth = if (sum - whole).abs() > rounding * sum {
                sum.ceil()
            } else if half_rounds_up(size, rank) {
                whole
            } else {
                whole + 1.0
            };
            (birth as u32).clamp(1, total as u32)
        };
        let births = sums.into_iter().enumerate().map(birth);
        births.take_while(|&birth| birth <= budget).collect()
    };
    sizes.iter().map(births_of).collect()
}
