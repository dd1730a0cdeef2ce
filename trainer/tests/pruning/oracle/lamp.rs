//! LAMP scores by their definition (Lee et al. 2021, with the paper's code's 1e-8).

use super::PerLayer;

/// w^2 over the sum of the squares of its layer that are not smaller, and 1e-8.
pub(crate) fn scores(kernels: &[Vec<f64>]) -> PerLayer<f64> {
    let of = |layer: &Vec<f64>| {
        let score = |weight: &f64| {
            let square = weight * weight;
            let larger = layer.iter().map(|w| w * w).filter(|&w| w >= square);
            square / (larger.sum::<f64>() + 1e-8)
        };
        layer.iter().map(score).collect()
    };
    kernels.iter().map(of).collect()
}
