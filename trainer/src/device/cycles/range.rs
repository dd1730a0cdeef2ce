//! Ranges of cycles.

use std::ops::{Add, AddAssign, Mul};

use serde::Serialize;

/// A number of which only bounds are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Lower bound.
    pub low: u64,
    /// Upper bound.
    pub high: u64,
}

impl Range {
    /// Creates the range of a number that is known.
    #[must_use]
    pub fn exactly(number: u64) -> Self {
        Self {
            low: number,
            high: number,
        }
    }

    /// Returns the smallest range that contains both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// Subtracts `other` bound by bound, down to 0.
    #[must_use]
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_sub(other.low),
            high: self.high.saturating_sub(other.high),
        }
    }
}

impl Add for Range {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            high: self.high + other.high,
        }
    }
}

impl AddAssign for Range {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Range {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            low: self.low * times,
            high: self.high * times,
        }
    }
}
