//! Combines the moments of many batches; those of each batch are computed on the device of its
//! values.
//!
//! Batches are combined by their means and variances (Chan, Golub & LeVeque 1983), in f64 on the
//! host, after one copy from the device for all of them.

use candle_core::{DType, Result, Tensor};

use super::statistics::Moments;
use crate::transfer::read;

/// The moments of batches of values, which remain on their device until they are combined.
#[derive(Debug, Default)]
pub(super) struct Combined {
    /// Per batch, the means of all units, then their variances.
    parts: Vec<Tensor>,
    /// Per batch, the number of values per unit.
    counts: Vec<f64>,
}

impl Combined {
    /// Adds the values of a batch (images, units, ...). Returns the number of its images.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn add(&mut self, value: &Tensor, units: usize) -> Result<usize> {
        let images = value.dim(0)?;
        let runs = value.reshape((images, units, ()))?;
        let mean = runs.mean_keepdim((0, 2))?;
        let variance = runs.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2))?;
        let both = Tensor::cat(&[&mean, &variance], 1)?.flatten_all()?;
        self.parts.push(both.to_dtype(DType::F32)?);
        self.counts.push((images * runs.dim(2)?) as f64);
        Ok(images)
    }

    /// Adds the batches of `other`.
    pub(super) fn merge(&mut self, other: Self) {
        self.parts.extend(other.parts);
        self.counts.extend(other.counts);
    }

    /// Returns the mean and biased variance of each of the `units` over all batches.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn moments(&self, units: usize) -> Result<Moments> {
        let mut mean = vec![0.0; units];
        let mut variance = vec![0.0; units];
        if !self.parts.is_empty() {
            let values = read::<f32>(&Tensor::cat(&self.parts, 0)?)?;
            let all: f64 = self.counts.iter().sum();
            let batches = || values.chunks_exact(2 * units).zip(&self.counts);
            for (values, count) in batches() {
                for (mean, &own) in mean.iter_mut().zip(values) {
                    *mean += f64::from(own) * count / all;
                }
            }
            for (values, count) in batches() {
                let (means, variances) = values.split_at(units);
                let own = means.iter().zip(variances);
                for ((variance, mean), (&own, &spread)) in variance.iter_mut().zip(&mean).zip(own) {
                    let apart = f64::from(own) - mean;
                    *variance += (f64::from(spread) + apart * apart) * count / all;
                }
            }
        }
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Ok(Moments::new(narrow(mean), narrow(variance)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::random::Random;

    /// Compares with a computation in f64 over all values, with means far from 0, for which a
    /// difference of sums of squares in f32 would be too inaccurate.
    #[test]
    fn batches_of_several_sizes_combine_to_the_moments_of_all_values() {
        let (units, area) = (3, 4);
        let mut random = Random::new(5);
        let mut combined = Combined::default();
        let mut all = vec![Vec::new(); units];
        for images in [5, 2, 9] {
            let mut values = Vec::new();
            for _ in 0..images {
                for (unit, all) in all.iter_mut().enumerate() {
                    for _ in 0..area {
                        let value = (random.normal() + 300.0 * unit as f64) as f32;
                        values.push(value);
                        all.push(f64::from(value));
                    }
                }
            }
            let batch = Tensor::from_vec(values, (images, units, 2, 2), &Device::Cpu).unwrap();
            assert_eq!(combined.add(&batch, units).unwrap(), images);
        }
        let found = combined.moments(units).unwrap();
        for (unit, values) in all.iter().enumerate() {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares = values.iter().map(|value| (value - mean).powi(2));
            let variance = squares.sum::<f64>() / count;
            let close = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-5 * (1.0 + b.abs());
            assert!(close(found.mean[unit], mean), "{unit}");
            assert!(close(found.variance[unit], variance), "{unit}");
        }
    }
}
