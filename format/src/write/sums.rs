//! The overflow bound: the range of a row's sum over all possible inputs.

use super::spec::{LayerSpec, WeightsSpec};
use crate::operation::{Operation, Pooling};

/// The range of a row's accumulator over all possible inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SumRange {
    /// The smallest accumulator.
    pub least: i64,
    /// The largest accumulator, after fused average pooling if there is any.
    pub most: i64,
    /// A bound on the magnitude of every partial sum, whatever the order of addition.
    pub partial: i64,
}

impl SumRange {
    /// Returns the range of the sum of `bias` and of terms (products and a skip) that add up to a
    /// value in `least..=most`. Average pooling adds up `pooled` such sums; without it, `pooled`
    /// is 1.
    ///
    /// ```
    /// use rarefy_format::SumRange;
    /// let range = SumRange::new(7, -10, 20, 4);
    /// assert_eq!((range.least, range.most, range.partial), (-3, 108, 148));
    /// assert!(!SumRange::new(i32::MAX, 0, 1, 1).fits());
    /// ```
    #[must_use]
    pub const fn new(bias: i32, least: i64, most: i64, pooled: i64) -> SumRange {
        let bias = bias as i64;
        // Average pooling adds up only positive sums.
        SumRange {
            least: bias + least,
            most: (bias + most) * pooled,
            partial: (bias.abs() + most - least) * pooled,
        }
    }

    /// Returns whether the accumulator fits 32 bits. Partial sums may wrap: arithmetic is modulo
    /// 2^32.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.most <= i32::MAX as i64 && self.least >= i32::MIN as i64
    }
}

impl LayerSpec {
    /// Returns an iterator over the ranges of all rows' sums, which is empty for floats and pooling
    /// layers.
    pub fn sum_ranges(&self) -> impl Iterator<Item = SumRange> + '_ {
        let (bias, rows) = match &self.weights {
            WeightsSpec::Integers { bias, rows } => (&bias[..], &rows[..]),
            WeightsSpec::Floats { .. } | WeightsSpec::None => (&[][..], &[][..]),
        };
        let pooled = match self.operation {
            Operation::Conv {
                pooling: Some((Pooling::Average, size)),
                ..
            } => i64::from(size) * i64::from(size),
            _ => 1,
        };
        let skip = self.skip.map_or(0, |skip| 255_i64 << skip.shift.min(32));
        bias.iter().zip(rows).map(move |(&bias, weights)| {
            let total = |sign: i64| -> i64 {
                let weights = weights
                    .iter()
                    .map(|&(_, weight)| (sign * i64::from(weight)).max(0));
                255 * weights.sum::<i64>()
            };
            SumRange::new(bias, -total(-1), total(1) + skip, pooled)
        })
    }
}
