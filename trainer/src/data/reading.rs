//! How files other than images of bytes become a dataset: options, and the map that was fitted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::input_map::{InputMap, InputRange};
use super::targets::TargetSource;

/// How a dataset is read where its files leave a choice. A run records it, so that later commands
/// read the same samples.
///
/// Datasets of bytes with a test part, such as IDX files, leave no choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Which features share a range that becomes the bytes 0 to 255. By default, unsigned bytes
    /// are kept, signed bytes are shifted by 128, features of rows without an image shape get one
    /// range each, and all other features get one range per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_range: Option<InputRange>,
    /// The share of each class that is held out for testing if there is no test part, by default
    /// [`TestShare::default`]. `None` in a dataset that has a test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_share: Option<TestShare>,
    /// The column of labels in a table: its name, or its number from 1. By default the one called
    /// `label`, `class`, `target` or `y` (unless there is an `x`), or else the last.
    /// [`NO_LABELS`] says that arrays have no labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The targets, if they are numbers instead of classes. [`label`](Self::label) then has no
    /// effect, except that a table's column of that name is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetSource>,
    /// The shape (channels, height, width) of a row's features, in row-major order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Extent<3>>,
    /// The height and width to which pictures are resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Extent<2>>,
    /// The columns of a table that are left out: their names, or their numbers from 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// The names of the classes, in the order of their labels. If they are given, labels are
    /// numbered by them, and not every class needs a sample; otherwise names are numbered in
    /// alphabetical order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The map from features to bytes. If it is given, none is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<InputMap>,
}

/// The value of [`Reading::label`] for samples without labels, such as those of an autoencoder.
pub const NO_LABELS: &str = "none";

impl Reading {
    /// Checks whether the samples have labels, or targets that are numbers.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.targets.is_some() || self.label.as_deref() != Some(NO_LABELS)
    }

    /// Checks whether the files have labels, or targets that are numbers, beside the features.
    #[must_use]
    pub(super) fn reads_labels(&self) -> bool {
        self.targets != Some(TargetSource::Inputs) && self.has_labels()
    }

    /// Checks whether the samples have classes.
    #[must_use]
    pub fn has_classes(&self) -> bool {
        self.targets.is_none() && self.has_labels()
    }

    /// Checks whether the files left no choice.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// A share of a dataset, above 0 and at most 1. A share of 1 holds nothing out: all samples are for
/// training and for testing, as suits a network that is only evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct TestShare(f64);

impl Default for TestShare {
    /// Returns 1/6, between the shares of a fold in 10-fold and in 5-fold cross-validation.
    fn default() -> Self {
        Self(1.0 / 6.0)
    }
}

impl TestShare {
    /// Checks whether all samples are for testing.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.0 == 1.0
    }

    /// Returns the number of samples out of `count` to hold out: rounded, but at least one, and not
    /// all. Returns `None` if there are fewer than two.
    #[must_use]
    pub fn of(self, count: usize) -> Option<usize> {
        let share = (self.0 * count as f64).round() as usize;
        (count >= 2).then(|| share.clamp(1, count - 1))
    }
}

impl From<TestShare> for f64 {
    fn from(share: TestShare) -> Self {
        share.0
    }
}

impl TryFrom<f64> for TestShare {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        match share > 0.0 && share <= 1.0 {
            true => Ok(Self(share)),
            false => Err(format!(
                "the test share is {share}, but must be above 0 and at most 1"
            )),
        }
    }
}

impl FromStr for TestShare {
    type Err = String;

    /// Parses a number or a fraction such as 1/6.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let parsed = text.trim().parse::<f64>();
            parsed.map_err(|_| format!("{text:?} is not a number"))
        };
        match text.split_once('/') {
            Some((a, b)) => (number(a)? / number(b)?).try_into(),
            None => number(text)?.try_into(),
        }
    }
}

/// The most elements that an [`Extent`] can have.
const MOST_ELEMENTS: usize = 1 << 28;

/// Positive lengths of the axes of an image, written as `1x28x28`. Their product is at most 2^28.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Extent<const AXES: usize>(pub [usize; AXES]);

impl<const AXES: usize> fmt::Display for Extent<AXES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|length| length.to_string()).join("x"))
    }
}

impl<const AXES: usize> From<Extent<AXES>> for String {
    fn from(extent: Extent<AXES>) -> Self {
        extent.to_string()
    }
}

impl<const AXES: usize> FromStr for Extent<AXES> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lengths: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        let lengths = lengths.ok().filter(|all| all.iter().all(|&it| it > 0));
        let lengths = lengths.and_then(|lengths| <[usize; AXES]>::try_from(lengths).ok());
        let lengths = lengths.ok_or_else(|| {
            let example = ["28", "28x28", "1x28x28"][AXES.min(3) - 1];
            format!("{text:?} is not {AXES} positive lengths such as {example}")
        })?;
        let product = (lengths.iter()).try_fold(1_usize, |a, &b| a.checked_mul(b));
        match product.is_some_and(|product| product <= MOST_ELEMENTS) {
            true => Ok(Self(lengths)),
            false => Err(format!(
                "{text} has more than {MOST_ELEMENTS} elements, the most that a sample can have"
            )),
        }
    }
}

impl<const AXES: usize> TryFrom<String> for Extent<AXES> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_but_leaves_something_in_both_parts() {
        let share = TestShare::default();
        let of = |count| share.of(count);
        assert_eq!((of(0), of(1), of(2)), (None, None, Some(1)));
        assert_eq!(
            (of(9), of(10), of(60_000)),
            (Some(2), Some(2), Some(10_000))
        );
        let most: TestShare = "0.999".parse().unwrap();
        assert_eq!(most.of(10), Some(9));
        assert_eq!("1/6".parse(), Ok(share));
        assert!("1".parse::<TestShare>().unwrap().is_whole() && !most.is_whole());
        for wrong in ["0", "1.1", "-0.1", "nan", "1/0", "x", "5/4"] {
            assert!(wrong.parse::<TestShare>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reading_survives_a_file() {
        let reading = Reading {
            input_range: Some(InputRange::Fixed(-1.0, 0.5)),
            test_share: Some(TestShare::default()),
            label: Some("kind".into()),
            targets: Some("a,b".parse().unwrap()),
            shape: Some("1x28x28".parse().unwrap()),
            resize: Some("32x48".parse().unwrap()),
            drop: vec!["7".into()],
            class_names: vec!["no".into(), "yes".into()],
            map: Some(InputMap::new(vec![-1.0], vec![0.5]).unwrap()),
        };
        let text = toml::to_string(&reading).unwrap();
        assert_eq!(toml::from_str::<Reading>(&text).unwrap(), reading);
        assert!(toml::from_str::<Reading>("").unwrap().is_plain());
        for wrong in ["test_share = 1.5", "shape = \"28x28\"", "range = \"all\""] {
            assert!(toml::from_str::<Reading>(wrong).is_err(), "{wrong}");
        }
        for wrong in ["0x1", "axb", "28x28x28", "70000x70000"] {
            assert!(wrong.parse::<Extent<2>>().is_err(), "{wrong}");
        }
        let error = "70000x70000".parse::<Extent<2>>().unwrap_err();
        assert!(error.contains("more than 268435456 elements"), "{error}");
    }
}
