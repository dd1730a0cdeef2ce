//! Erdős-Rényi-Kernel quota as in RigL (Evci et al. 2020, section 3): layers whose density
//! would exceed 1 are dense, and the formula is solved again for the others.
//!
//! At overall density `d` of `N` weights, a layer of `n` weights whose dimensions sum to `q` keeps
//! `min(n, e q)` of them, where `e` is such that all layers together keep `N d`. `e` grows with
//! `d`, so the quota is monotone. It is valid at every density.

use crate::graph::Prunable;

/// Returns the density of each layer at the overall `density`.
pub fn densities(tensors: &[Prunable], density: f64) -> Vec<f64> {
    let size = |layer: usize| tensors[layer].len() as f64;
    let dimensions = |layer: usize| tensors[layer].shape.iter().sum::<usize>() as f64;
    let fill = |layer: usize| dimensions(layer) / size(layer);
    // The layers that fill up first come first.
    let mut layers: Vec<usize> = (0..tensors.len()).collect();
    layers.sort_by(|&a, &b| fill(b).total_cmp(&fill(a)));
    let mut densities = vec![1.0; tensors.len()];
    let mut left = density * layers.iter().map(|&layer| size(layer)).sum::<f64>();
    for dense in 0..layers.len() {
        let rest = &layers[dense..];
        let share = left / rest.iter().map(|&layer| dimensions(layer)).sum::<f64>();
        if share * fill(rest[0]) <= 1.0 {
            for &layer in rest {
                densities[layer] = share * fill(layer);
            }
            break;
        }
        left -= size(rest[0]);
    }
    densities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::quota::tests::tensors;

    /// Follows the procedure in RigL's paper and code: while a layer has a probability above one,
    /// the layers of the highest raw probability become dense, and epsilon is computed again.
    fn rigl(tensors: &[Prunable], density: f64) -> Vec<f64> {
        let mut dense = vec![false; tensors.len()];
        loop {
            let (mut divisor, mut rhs, mut raw) = (0.0, 0.0, vec![0.0; tensors.len()]);
            for (layer, tensor) in tensors.iter().enumerate() {
                let n = tensor.len() as f64;
                if dense[layer] {
                    rhs -= n * (1.0 - density);
                } else {
                    rhs += n - n * (1.0 - density);
                    raw[layer] = tensor.shape.iter().sum::<usize>() as f64
                        / tensor.shape.iter().product::<usize>() as f64;
                    divisor += raw[layer] * n;
                }
            }
            let epsilon = rhs / divisor;
            let most = raw.iter().copied().fold(0.0, f64::max);
            if most * epsilon <= 1.0 {
                let of = |layer: usize| match dense[layer] {
                    true => 1.0,
                    false => epsilon * raw[layer],
                };
                return (0..tensors.len()).map(of).collect();
            }
            for (layer, raw) in raw.iter().enumerate() {
                dense[layer] |= *raw == most;
            }
        }
    }

    #[test]
    fn lenet_300_100_has_the_densities_of_rigls_formula() {
        let lenet = tensors(&[&[300, 784], &[100, 300], &[10, 100]]);
        // By hand at compression 10: in proportion to dimensions of 1084 + 400 + 110 = 1594, 26,620
        // weights would give fc3 1837 of its 1000, so fc3 is dense. The other 25,620 are shared by
        // dimensions of 1484, so that fc1 keeps 25,620 * 1084 / 1484 = 18,714.3 of 235,200, and fc2
        // keeps 6905.7 of 30,000.
        let found = densities(&lenet, 0.1);
        for (found, expected) in found.iter().zip([0.079_567_6, 0.230_188_7, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }

    #[test]
    fn every_density_is_that_of_rigls_procedure() {
        for shapes in [
            &[&[300, 784][..], &[100, 300], &[10, 100]][..],
            &[
                &[6, 1, 5, 5],
                &[16, 6, 5, 5],
                &[120, 400],
                &[84, 120],
                &[10, 84],
            ],
            &[&[4, 4], &[4, 4], &[2, 4]],
            // A convolution, a depthwise and a pointwise one.
            &[&[64, 1, 10, 4], &[64, 1, 3, 3], &[64, 64, 1, 1], &[12, 64]],
        ] {
            let tensors = tensors(shapes);
            for percent in 1..100 {
                let density = f64::from(percent) / 100.0;
                let expected = rigl(&tensors, density);
                for (found, expected) in densities(&tensors, density).iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-12, "{shapes:?} {percent}");
                }
            }
        }
    }
}
