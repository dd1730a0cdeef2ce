//! Targets that are numbers, as in regression, instead of classes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::input_map::InputMap;

/// Where targets come from. In files and options it is `inputs`, or the names of columns separated
/// by commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TargetSource {
    /// The inputs themselves, in the units of the data: an autoencoder.
    Inputs,
    /// Columns of a table: their names, or their numbers from 1. Arrays have the one name `y`.
    Columns(Vec<String>),
}

/// The name of the arrays of targets.
pub(super) const ARRAY: &str = "y";

/// The word that stands for the inputs.
const INPUTS: &str = "inputs";

impl fmt::Display for TargetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inputs => f.write_str(INPUTS),
            Self::Columns(names) => f.write_str(&names.join(",")),
        }
    }
}

impl From<TargetSource> for String {
    fn from(source: TargetSource) -> Self {
        source.to_string()
    }
}

impl FromStr for TargetSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == INPUTS {
            return Ok(Self::Inputs);
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().any(String::is_empty) {
            true => Err(format!(
                "{text:?} names no targets: give {INPUTS}, or columns separated by commas"
            )),
            false => Ok(Self::Columns(names)),
        }
    }
}

impl TryFrom<String> for TargetSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The targets of the samples of a split: for each sample, one number per output of the network.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Given numbers.
    Numbers {
        /// The numbers of all samples, in row-major order.
        values: Vec<f32>,
        /// The numbers per sample.
        width: usize,
    },
    /// The bytes of the sample itself: `factor * byte + offset`, with a factor and an offset per
    /// feature.
    Inputs {
        /// The extent of a byte in the units of the targets.
        factor: Vec<f64>,
        /// The target of the byte 0.
        offset: Vec<f64>,
    },
}

impl Targets {
    /// Returns the targets of an autoencoder of `features` inputs: the features in their own units,
    /// from which `map` makes bytes, or the bytes themselves.
    #[must_use]
    pub fn inputs(map: Option<&InputMap>, features: usize) -> Self {
        let Some(map) = map else {
            return Self::Inputs {
                factor: vec![1.0; features],
                offset: vec![0.0; features],
            };
        };
        let share = features / map.minimum().len();
        let ranges = || map.minimum().iter().zip(map.maximum());
        let each = |of: fn(f64, f64) -> f64| {
            ranges()
                .flat_map(|(&low, &high)| vec![of(low, high); share])
                .collect()
        };
        Self::Inputs {
            factor: each(|low, high| (high - low) / 255.0),
            offset: each(|low, _| low),
        }
    }

    /// Returns how many numbers a sample has.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Numbers { width, .. } => *width,
            Self::Inputs { factor, .. } => factor.len(),
        }
    }

    /// Appends the targets of sample `index`, whose bytes are `image`, to `row`.
    pub(super) fn append(&self, index: usize, image: &[u8], row: &mut Vec<f32>) {
        match self {
            Self::Numbers { values, width } => {
                row.extend(&values[index * width..(index + 1) * width]);
            }
            Self::Inputs { factor, offset } => {
                let maps = factor.iter().zip(offset);
                row.extend(
                    image.iter().zip(maps).map(|(&byte, (factor, offset))| {
                        (factor * f64::from(byte) + offset) as f32
                    }),
                );
            }
        }
    }

    /// Returns the targets of no samples, of the same kind.
    pub(super) fn empty(&self) -> Self {
        match self {
            Self::Numbers { width, .. } => Self::Numbers {
                values: Vec::new(),
                width: *width,
            },
            inputs => inputs.clone(),
        }
    }

    /// Appends the targets of sample `index` of `other`, which are of the same kind.
    pub(super) fn push(&mut self, other: &Self, index: usize) {
        if let (Self::Numbers { values, width }, Self::Numbers { values: from, .. }) = (self, other)
        {
            values.extend(&from[index * *width..(index + 1) * *width]);
        }
    }

    /// Returns the targets in the units of `standard`.
    pub(super) fn standardised(&self, standard: &Standard) -> Self {
        let Standard { mean, scale } = standard;
        match self {
            Self::Numbers { values, width } => {
                let columns = mean.iter().cycle();
                let values = values.iter().zip(columns);
                Self::Numbers {
                    values: values
                        .map(|(&value, mean)| ((f64::from(value) - mean) / scale) as f32)
                        .collect(),
                    width: *width,
                }
            }
            Self::Inputs { factor, offset } => Self::Inputs {
                factor: factor.iter().map(|factor| factor / scale).collect(),
                offset: (offset.iter().zip(mean))
                    .map(|(offset, mean)| (offset - mean) / scale)
                    .collect(),
            },
        }
    }
}

/// The units in which a network is trained: targets less their mean, divided by a common scale.
///
/// One scale for all targets keeps the loss proportional to the mean squared error in the targets'
/// own units.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    /// The mean of each target.
    pub mean: Vec<f64>,
    /// A power of two, by which weights are scaled exactly: the one nearest to the root mean square
    /// of the targets' deviations from their means.
    pub scale: f64,
}

/// The means and the mean variance of numbers that are added row by row.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    count: f64,
    means: Vec<f64>,
    /// The sums of the squared deviations from the means.
    squares: Vec<f64>,
}

impl Spread {
    /// Creates the spread of no rows of `width` numbers.
    pub(super) fn new(width: usize) -> Self {
        Self {
            count: 0.0,
            means: vec![0.0; width],
            squares: vec![0.0; width],
        }
    }

    /// Adds a row (Welford 1962).
    pub(super) fn add(&mut self, row: &[f32]) {
        self.count += 1.0;
        for ((mean, squares), &value) in self.means.iter_mut().zip(&mut self.squares).zip(row) {
            let value = f64::from(value);
            let apart = value - *mean;
            *mean += apart / self.count;
            *squares += apart * (value - *mean);
        }
    }

    /// Returns the variance, averaged over the columns; 0 without rows.
    pub(super) fn variance(&self) -> f64 {
        let all = self.count.max(1.0) * self.means.len().max(1) as f64;
        self.squares.iter().sum::<f64>() / all
    }

    /// Returns the units in which the rows are standardised; `None` if all are equal.
    pub(super) fn standard(self) -> Option<Standard> {
        let deviation = self.variance().sqrt();
        (deviation > 0.0 && deviation.is_finite()).then(|| Standard {
            mean: self.means,
            scale: deviation.log2().round().exp2(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_parsed_and_written() {
        for text in ["inputs", "y", "a,b"] {
            let source: TargetSource = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
        assert_eq!("inputs".parse(), Ok(TargetSource::Inputs));
        for wrong in ["", "a,,b", ","] {
            assert!(wrong.parse::<TargetSource>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn inputs_have_the_units_of_the_data() {
        let map = InputMap::new(vec![-1.0, 0.0], vec![1.0, 510.0]).unwrap();
        let targets = Targets::inputs(Some(&map), 4);
        let mut row = Vec::new();
        targets.append(0, &[0, 255, 1, 255], &mut row);
        assert_eq!(row, [-1.0, 1.0, 2.0, 510.0]);
        row.clear();
        Targets::inputs(None, 2).append(0, &[7, 255], &mut row);
        assert_eq!(row, [7.0, 255.0]);
    }

    #[test]
    fn targets_are_standardised_by_their_means_and_a_power_of_two() {
        // numpy: y = [[1, 10], [3, 30], [8, 20]]; y.mean(0) = [4, 20], y.var(0).mean() = 37.6667,
        // whose root, 6.137, is nearest to 8 of the powers of two by ratio.
        let targets = Targets::Numbers {
            values: vec![1.0, 10.0, 3.0, 30.0, 8.0, 20.0],
            width: 2,
        };
        let mut spread = Spread::new(2);
        for row in [[1.0, 10.0], [3.0, 30.0], [8.0, 20.0]] {
            spread.add(&row);
        }
        assert!((spread.variance() - 113.0 / 3.0).abs() < 1e-12);
        let standard = spread.standard().unwrap();
        assert_eq!(standard.scale, 8.0);
        assert!((standard.mean[0] - 4.0).abs() < 1e-12 && (standard.mean[1] - 20.0).abs() < 1e-12);
        let mut row = Vec::new();
        targets.standardised(&standard).append(1, &[], &mut row);
        assert_eq!(row, [-0.125, 1.25]);
        let mut constant = Spread::new(1);
        for row in [[2.0], [2.0]] {
            constant.add(&row);
        }
        assert_eq!(constant.standard(), None);
    }
}
