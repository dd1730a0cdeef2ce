//! Quantizes biases and checks sums for 32-bit overflow.

use rarefy_format::SumRange;

use super::{Fit, Integers, LARGEST, ZERO};
use crate::deploy::quantize::short;
use crate::graph::Pooling;

/// The smallest and the largest sum of a row without its bias, over all possible inputs: \[least,
/// most\].
pub(super) type Reach = [i64; 2];

impl Fit<'_> {
    /// Returns the reach of each row, including its skip.
    pub(super) fn reach(&self, integers: &Integers) -> Vec<Reach> {
        let skip = match self.skip {
            Some(_) => 255_i64 << integers.skip_shift,
            None => 0,
        };
        let rows = integers.rows.iter().map(|row| {
            let part = |sign: i64| -> i64 {
                let weights = row
                    .iter()
                    .map(|&(_, weight)| (sign * i64::from(weight)).max(0));
                255 * weights.sum::<i64>()
            };
            [-part(-1), part(1) + skip]
        });
        rows.collect()
    }

    /// Returns the biases for this shift, including the outputs' zero point and half of the
    /// shift's rounding unit; `None` if they do not fit 32 bits.
    pub(super) fn biases(
        &self,
        centres: impl Iterator<Item = f64>,
        reach: &[Reach],
        shift: u8,
    ) -> Option<Vec<i32>> {
        let zero = if self.layer.relu { 0.0 } else { ZERO };
        let one = 2_f64.powi(shift.into());
        let more = match (self.storage.last, shift) {
            (true, _) => 0.0,
            (false, 0) => zero / self.area(),
            (false, _) => (zero + 0.5) * one / self.area(),
        };
        let rows = centres.zip(reach);
        let biases = rows.map(|(centre, reach)| self.limited(centre + more, *reach, one));
        let biases: Vec<f64> = biases.collect();
        let largest = biases
            .iter()
            .fold(0.0_f64, |most, bias| most.max(bias.abs()));
        if largest >= 2_f64.powi(31) {
            return None;
        }
        let rounded: Vec<i32> = biases.iter().map(|bias| bias.round() as i32).collect();
        Some(if self.storage.short_biases {
            short(&rounded)
        } else {
            rounded
        })
    }

    /// Returns `bias`, limited if the row's output saturates for all inputs: to the bias that just
    /// keeps the output at 0 or at 255.
    fn limited(&self, bias: f64, [least, most]: Reach, one: f64) -> f64 {
        if self.storage.last {
            return bias;
        }
        let below = -(most as f64) - 1.0;
        let above = (LARGEST + 1.0) * one - least as f64;
        if bias < below {
            below
        } else if bias > above && self.pooled.0 == Pooling::Max {
            above
        } else {
            bias
        }
    }

    /// Returns whether the sums of any row could overflow 32 bits.
    pub(super) fn overflows(&self, biases: &[i32], reach: &[Reach]) -> bool {
        let pooled = self.area() as i64;
        let mut rows = biases.iter().zip(reach);
        rows.any(|(&bias, &[least, most])| !SumRange::new(bias, least, most, pooled).fits())
    }
}
