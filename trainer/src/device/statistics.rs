//! Statistics over samples.

use serde::Serialize;

/// Statistics of the counts of all samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Minimum.
    pub min: u64,
    /// Median; for an even number of counts, the lower of the two middle ones.
    pub median: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Maximum.
    pub max: u64,
}

impl Counts {
    /// Computes the statistics of `counts`; `None` if there are none.
    #[must_use]
    pub fn over(counts: &[u64]) -> Option<Self> {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let sum: u128 = sorted.iter().map(|&count| u128::from(count)).sum();
        let mean = sum as f64 / sorted.len() as f64;
        Some(Self {
            min,
            median: sorted[(sorted.len() - 1) / 2],
            mean,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_the_statistics_of_the_samples() {
        let counts = Counts::over(&[5, 1, 9, 3]).unwrap();
        assert_eq!((counts.min, counts.median, counts.max), (1, 3, 9));
        assert!((counts.mean - 4.5).abs() < 1e-12);
        assert_eq!(Counts::over(&[]), None);
    }
}
