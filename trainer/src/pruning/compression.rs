//! The compression ratio, and which weights it counts.

use std::fmt;
use std::str::FromStr;

/// A compression ratio: total weights / remaining weights. It is finite and at least 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Compression(f64);

/// The weights that a compression ratio counts as remaining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The weights that the mask keeps
    Direct,
    /// Of these, the weights on a path from input to output
    Effective,
}

impl Target {
    /// Returns "direct" or "effective".
    pub fn name(self) -> &'static str {
        match self {
            Target::Direct => "direct",
            Target::Effective => "effective",
        }
    }
}

/// Why a string or a number is not a [`Compression`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a compression of {given} is impossible: give a finite number of at least 1")]
pub struct InvalidCompression {
    /// The string or number given.
    pub given: String,
}

impl Compression {
    /// The ratio of a network that keeps all weights.
    pub const NONE: Self = Self(1.0);

    /// Creates the compression ratio `ratio`.
    ///
    /// # Errors
    /// Returns an error if `ratio` is below 1 or not finite.
    pub fn new(ratio: f64) -> Result<Self, InvalidCompression> {
        if ratio.is_finite() && ratio >= 1.0 {
            Ok(Self(ratio))
        } else {
            Err(InvalidCompression {
                given: ratio.to_string(),
            })
        }
    }

    /// Returns the compression ratio of a network of `total` weights that keeps `kept` of them,
    /// where `kept` is clamped to the range from 1 to `total`.
    pub fn of(total: usize, kept: usize) -> Self {
        Self((total as f64 / kept.max(1) as f64).max(1.0))
    }

    /// Returns the ratio as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Returns the fraction of weights that are kept, in (0, 1].
    pub fn density(self) -> f64 {
        1.0 / self.0
    }

    /// Returns the fraction of weights that are removed, in [0, 1).
    pub fn sparsity(self) -> f64 {
        1.0 - self.density()
    }

    /// Returns the number of weights, not rounded, that this compression keeps of `total`.
    pub fn share_of(self, total: usize) -> f64 {
        total as f64 / self.0
    }

    /// Returns the number of effective weights that this compression keeps of `total`: the lowest
    /// count whose ratio is at most this one, but at least 1.
    pub(super) fn effective_count(self, total: usize) -> usize {
        // The last term tolerates the rounding error of N / c where the exact value is an integer.
        let count = (self.share_of(total) - 1e-9 * total as f64).ceil() as usize;
        count.max(1)
    }

    /// Checks whether this compression keeps fewer than `fewest` of `total` weights.
    ///
    /// The ratio of `fewest` is rounded up to two decimals, as messages print it: rounded down, it
    /// would ask for one more weight.
    pub(super) fn is_beyond(self, total: usize, fewest: usize) -> bool {
        self.0 > (100 * total).div_ceil(fewest.max(1)) as f64 / 100.0
    }
}

/// The compression ratio of the paper's main comparison, 100.
impl Default for Compression {
    fn default() -> Self {
        Self(100.0)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Compression {
    type Err = InvalidCompression;

    fn from_str(text: &str) -> Result<Self, InvalidCompression> {
        let number = text
            .parse()
            .map_err(|_| InvalidCompression { given: text.into() })?;
        Self::new(number)
    }
}

impl TryFrom<f64> for Compression {
    type Error = InvalidCompression;

    fn try_from(ratio: f64) -> Result<Self, InvalidCompression> {
        Self::new(ratio)
    }
}

impl From<Compression> for f64 {
    fn from(compression: Compression) -> Self {
        compression.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Table {
        compression: Compression,
    }

    #[test]
    fn only_finite_numbers_of_at_least_one_are_accepted() {
        for ratio in [0.99, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            let error = Compression::new(ratio).unwrap_err();
            assert_eq!(error.given, ratio.to_string());
            assert!(Compression::try_from(ratio).is_err());
            assert_eq!(ratio.to_string().parse::<Compression>(), Err(error));
        }
        let error = "ten".parse::<Compression>().unwrap_err().to_string();
        assert!(error.contains("compression of ten "), "{error}");
        for ratio in [1.0, 1.5, 100.0, 1e308] {
            let compression = Compression::new(ratio).unwrap();
            assert_eq!(compression.get(), ratio);
            assert_eq!(ratio.to_string().parse(), Ok(compression));
            assert_eq!(compression.to_string(), ratio.to_string());
        }
    }

    #[test]
    fn files_hold_the_number_and_are_validated() {
        let table = Table {
            compression: Compression::default(),
        };
        let text = toml::to_string(&table).unwrap();
        assert_eq!(text, "compression = 100.0\n");
        assert_eq!(toml::from_str::<Table>(&text).unwrap(), table);
        for ratio in ["inf", "0.5", "nan"] {
            let error = toml::from_str::<Table>(&format!("compression = {ratio}"));
            let message = error.unwrap_err().to_string();
            assert!(message.contains("compression of "), "{message}");
        }
    }

    #[test]
    fn counts_become_ratios_within_bounds() {
        let ratios = [(10, 4), (10, 10), (10, 12), (10, 0)];
        let ratios = ratios.map(|(total, kept)| Compression::of(total, kept).get());
        assert_eq!(ratios, [2.5, 1.0, 1.0, 10.0]);
    }
}
