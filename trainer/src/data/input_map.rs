//! The affine map from features, in their own units, to the bytes that networks take.

use std::fmt;
use std::str::FromStr;

use rarefy_format::ByteMap;
use serde::{Deserialize, Serialize};

/// Which features share a range that becomes the bytes 0 to 255. In files and options it is
/// `channel`, `feature`, `all` or `MIN:MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum InputRange {
    /// The features of a channel share the range that they have in the training part.
    Channel,
    /// Each feature has its own range in the training part.
    Feature,
    /// All features share the range that they have in the training part.
    All,
    /// All features have the range from the first number to the second, in the features' units.
    /// What lies outside becomes 0 or 255.
    Fixed(f64, f64),
}

impl fmt::Display for InputRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel => f.write_str("channel"),
            Self::Feature => f.write_str("feature"),
            Self::All => f.write_str("all"),
            Self::Fixed(minimum, maximum) => write!(f, "{minimum}:{maximum}"),
        }
    }
}

impl From<InputRange> for String {
    fn from(range: InputRange) -> Self {
        range.to_string()
    }
}

impl FromStr for InputRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no range: give channel, feature, all or MIN:MAX, such as -1:1");
        Ok(match text {
            "channel" => Self::Channel,
            "feature" => Self::Feature,
            "all" => Self::All,
            _ => {
                let (minimum, maximum) = text.split_once(':').ok_or_else(wrong)?;
                let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
                let (minimum, maximum) = (number(minimum)?, number(maximum)?);
                if !(maximum - minimum).is_finite() || minimum >= maximum {
                    return Err(format!(
                        "the range {text} has no extent: give a MIN below MAX, both finite"
                    ));
                }
                Self::Fixed(minimum, maximum)
            }
        })
    }
}

impl TryFrom<String> for InputRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Affine maps from features to bytes: one for all features, one per channel, or one per feature,
/// each with a range that becomes 0 to 255. Each applies to the same number of consecutive
/// features.
///
/// A [`ByteMap`] computes in `f32`, so a device makes the same bytes of the same numbers. A range
/// without extent, such as that of a feature that is constant in the training part, becomes 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ranges", into = "Ranges")]
pub struct InputMap {
    minimum: Vec<f64>,
    maximum: Vec<f64>,
}

/// An [`InputMap`] as it is written in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ranges {
    minimum: Vec<f64>,
    maximum: Vec<f64>,
}

impl From<InputMap> for Ranges {
    fn from(InputMap { minimum, maximum }: InputMap) -> Self {
        Self { minimum, maximum }
    }
}

impl TryFrom<Ranges> for InputMap {
    type Error = String;

    fn try_from(Ranges { minimum, maximum }: Ranges) -> Result<Self, String> {
        Self::new(minimum, maximum)
    }
}

impl InputMap {
    /// Creates a map with the given ranges, in the units of the features.
    ///
    /// # Errors
    /// Returns an error unless there are equally many minima and maxima, at least one of each, all
    /// finite, and no minimum is above its maximum.
    pub fn new(minimum: Vec<f64>, maximum: Vec<f64>) -> Result<Self, String> {
        if minimum.is_empty() || minimum.len() != maximum.len() {
            return Err(format!(
                "the map to bytes has {} minima and {} maxima: give as many of both",
                minimum.len(),
                maximum.len()
            ));
        }
        for (&low, &high) in minimum.iter().zip(&maximum) {
            if !(high - low).is_finite() || low > high {
                return Err(format!(
                    "the map to bytes has a range from {low} to {high}: give finite numbers in order"
                ));
            }
        }
        Ok(Self { minimum, maximum })
    }

    /// Fits the map to the training features `values`: rows of features of `shape` (channels,
    /// height, width). An [`InputRange::Fixed`] range does not depend on them.
    ///
    /// # Panics
    /// Panics if there are no features, or if one is not finite.
    #[must_use]
    pub fn fit(
        range: InputRange,
        values: impl Iterator<Item = f64>,
        [channels, height, width]: [usize; 3],
    ) -> Self {
        let features = channels * height * width;
        let ranges = match range {
            InputRange::Fixed(minimum, maximum) => {
                let ends = (vec![minimum], vec![maximum]);
                return Self::new(ends.0, ends.1).expect("a range has an extent");
            }
            InputRange::All => 1,
            InputRange::Channel => channels,
            InputRange::Feature => features,
        };
        let mut map = Self {
            minimum: vec![f64::INFINITY; ranges],
            maximum: vec![f64::NEG_INFINITY; ranges],
        };
        let share = features / ranges;
        for (index, value) in values.enumerate() {
            assert!(value.is_finite(), "a feature is {value}");
            let at = index % features / share;
            map.minimum[at] = map.minimum[at].min(value);
            map.maximum[at] = map.maximum[at].max(value);
        }
        assert!(map.minimum[0].is_finite(), "no features");
        map
    }

    /// Returns the least values of the ranges, in the units of the features: one for all features,
    /// one per channel, or one per feature.
    #[must_use]
    pub fn minimum(&self) -> &[f64] {
        &self.minimum
    }

    /// Returns the greatest values of the ranges, likewise.
    #[must_use]
    pub fn maximum(&self) -> &[f64] {
        &self.maximum
    }

    /// Checks that there is one range for all features, one per channel or one per feature of
    /// images of `shape` (channels, height, width).
    #[must_use]
    pub fn fits(&self, [channels, height, width]: [usize; 3]) -> bool {
        let ranges = self.minimum.len();
        ranges == 1 || ranges == channels || ranges == channels * height * width
    }

    /// Creates the map with the given minima and factors, such as those that a container states.
    ///
    /// # Errors
    /// Returns an error in the cases of [`InputMap::new`].
    pub fn of_byte_maps(maps: impl Iterator<Item = ByteMap>) -> Result<Self, String> {
        let range = |map: ByteMap| {
            let minimum = f64::from(map.minimum);
            let extent = match map.factor {
                0.0 => 0.0,
                factor => 255.0 / f64::from(factor),
            };
            (minimum, minimum + extent)
        };
        let (minimum, maximum) = maps.map(range).unzip();
        Self::new(minimum, maximum)
    }

    /// Returns the map of each range, in the order of the features. Its two numbers are all that a
    /// device needs to turn a sensor's number into an input of the network.
    pub fn byte_maps(&self) -> impl Iterator<Item = ByteMap> + '_ {
        let ranges = self.minimum.iter().zip(&self.maximum);
        ranges.map(|(&minimum, &maximum)| ByteMap::new(minimum, maximum))
    }

    /// Returns the first of `values`, rows of `features` features, that `f32` rounds by more than a
    /// quarter of a byte, because it is large for its range; `None` if there is none.
    ///
    /// # Panics
    /// Panics unless the number of ranges divides `features`.
    pub fn first_coarse(
        &self,
        mut values: impl Iterator<Item = f64>,
        features: usize,
    ) -> Option<f64> {
        let maps: Vec<ByteMap> = self.byte_maps().collect();
        assert_eq!(features % maps.len(), 0, "ranges of equal length");
        let (share, mut index) = (features / maps.len(), 0);
        values.find(|&value| {
            let range = index % features / share;
            index += 1;
            let (minimum, maximum) = (self.minimum[range], self.maximum[range]);
            let rounded = f64::from(value as f32);
            let moved = (value - rounded).abs() / (maximum - minimum) * 255.0;
            let fits = moved <= 0.25 && maps[range].factor > 0.0;
            minimum < maximum && (minimum..=maximum).contains(&value) && !fits
        })
    }

    /// Returns the bytes of `values`, which are rows of `features` features. NaN becomes 0.
    ///
    /// # Panics
    /// Panics unless the number of ranges divides `features`.
    #[must_use]
    pub fn bytes(&self, values: impl Iterator<Item = f64>, features: usize) -> Vec<u8> {
        let maps: Vec<ByteMap> = self.byte_maps().collect();
        assert_eq!(features % maps.len(), 0, "ranges of equal length");
        let share = features / maps.len();
        let byte = |(index, value): (usize, f64)| maps[index % features / share].byte(value as f32);
        values.enumerate().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for text in ["channel", "feature", "all", "-1:1", "0:4095.5", "-128:127"] {
            let range: InputRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
        }
        for wrong in ["", "chanel", "1", "1:1", "2:1", "0:inf", "nan:1", "a:b"] {
            assert!(wrong.parse::<InputRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_map_is_fitted_per_channel_per_feature_or_for_all() {
        // Two rows of two channels of two features.
        let values = [0.0, 1.0, -8.0, 5.0, 4.0, 2.0, 8.0, 5.0];
        let fit = |range| InputMap::fit(range, values.iter().copied(), [2, 1, 2]);
        for (range, minimum, maximum) in [
            (InputRange::All, &[-8.0][..], &[8.0][..]),
            (InputRange::Channel, &[0.0, -8.0], &[4.0, 8.0]),
            (
                InputRange::Feature,
                &[0.0, 1.0, -8.0, 5.0],
                &[4.0, 2.0, 8.0, 5.0],
            ),
            (InputRange::Fixed(-1.0, 3.0), &[-1.0], &[3.0]),
        ] {
            let map = fit(range);
            assert_eq!(
                (map.minimum(), map.maximum()),
                (minimum, maximum),
                "{range}"
            );
            assert!(map.fits([2, 1, 2]));
        }
        // numpy: np.clip(np.round(255 * (x - lo) / (hi - lo)), 0, 255) per channel.
        let bytes = fit(InputRange::Channel).bytes(values.iter().copied(), 4);
        assert_eq!(bytes, [0, 64, 0, 207, 255, 128, 255, 207]);
        // What lies outside the range is limited, and a constant feature becomes 0.
        let bytes = fit(InputRange::Feature).bytes([-9.0, 9.0, 0.0, 77.0].into_iter(), 4);
        assert_eq!(bytes, [0, 255, 128, 0]);
    }

    #[test]
    fn signed_bytes_are_only_shifted() {
        let map = InputMap::fit(
            InputRange::Fixed(-128.0, 127.0),
            std::iter::empty(),
            [1, 1, 1],
        );
        let shifted = ByteMap {
            minimum: -128.0,
            factor: 1.0,
        };
        assert!(map.byte_maps().eq([shifted]));
        let all = map.bytes((-128..128).map(f64::from), 1);
        assert_eq!(all, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn maps_in_files_are_checked() {
        let map = InputMap::new(vec![0.1, -3.0], vec![0.3, 1e-7]).unwrap();
        let text = toml::to_string(&map).unwrap();
        assert_eq!(toml::from_str::<InputMap>(&text).unwrap(), map);
        for wrong in [
            "minimum = [1]\nmaximum = [0]",
            "minimum = [0]\nmaximum = [1, 2]",
            "minimum = []\nmaximum = []",
            "minimum = [nan]\nmaximum = [1]",
            "minimum = [0]\nmaximum = [inf]",
            "minimum = [0]",
        ] {
            assert!(toml::from_str::<InputMap>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn maps_of_a_container_are_those_of_the_data() {
        let ranges = [
            (-0.11, 9.83),
            (0.0, 4095.0),
            (-40.25, 85.0),
            (1e6, 1e6 + 50.0),
            (7.5, 7.5),
            (-1e-20, 3e-20),
            (-128.0, 127.0),
        ];
        let (minimum, maximum) = ranges.into_iter().unzip();
        let map = InputMap::new(minimum, maximum).unwrap();
        let stated: Vec<ByteMap> = map.byte_maps().collect();
        let read = InputMap::of_byte_maps(stated.iter().copied()).unwrap();
        assert!(read.byte_maps().eq(stated));
        for index in 0..1000 {
            let value = |(low, high): (f64, f64)| low + (high - low) * f64::from(index) / 900.0;
            let values = || ranges.into_iter().map(value);
            assert_eq!(map.bytes(values(), 7), read.bytes(values(), 7));
        }
    }

    #[test]
    fn numbers_that_f32_rounds_too_much_are_found() {
        let coarse = |values: [f64; 3]| {
            let values = || values.into_iter();
            InputMap::fit(InputRange::All, values(), [1, 1, 1]).first_coarse(values(), 1)
        };
        for (values, found) in [
            // Seconds since 1970 are rounded to multiples of 128.
            ([1.7e9, 1.7e9 + 1.0, 1.7e9 + 60.0], Some(1.7e9 + 1.0)),
            ([1.7e9, 1.7e9 + 64.0, 1.7e9 + 1e5], None),
            ([0.0, 1e-300, -1e-300], Some(0.0)),
            ([1e300, 0.0, 1.0], Some(1e300)),
            ([1.7e9, 1.7e9, 1.7e9], None),
            ([1e7, 1e7 + 1.0, 1e7 + 100.0], None),
            ([0.1, -0.3, 1e-30], None),
            ([-1e30, 0.0, 1e30], None),
        ] {
            assert_eq!(coarse(values), found, "{values:?}");
        }
        // What lies outside the range is limited anyway.
        let map = InputMap::new(vec![0.0], vec![1.0]).unwrap();
        assert_eq!(map.first_coarse([1e9 + 0.3, 0.3].into_iter(), 1), None);
    }
}
