//! What a network expects of its input, stated in the units of the data.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::input_map::InputMap;
use super::normalisation::{PerChannel, Scaling};

/// The range of bytes, by which pixels are divided by default.
const BYTES: f64 = 255.0;

/// The divisors that single precision can represent, and their reciprocals too.
const DIVISORS: RangeInclusive<f64> = 1e-30..=1e30;

/// The input normalisation that a network expects: an input is `(value / divide - mean) / std`,
/// where `value` is a number of the data in its own units, such as a pixel from 0 to 255 or a
/// sensor's reading. Files and options state any of the three.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputScale {
    /// The mean; by default the dataset's, or 0 if only `divide` is stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<PerChannel>,
    /// The standard deviation; by default the dataset's, or 1 if only `divide` is stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<PerChannel>,
    /// The divisor; by default 255 for unsigned bytes, and 1 for features of other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divide: Option<f64>,
}

/// Why inputs cannot be normalised as stated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// A number is unusable.
    #[error("{field} is {value}, but {reason}")]
    Value {
        /// The field: `mean`, `std` or `divide`.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        reason: String,
    },
    /// The features of a channel become bytes by different maps.
    #[error(
        "its features have a range each, so one mean and one standard deviation cannot be applied to a channel: use one range per channel, one for all features, or a fixed one, or state a mean and a standard deviation per feature"
    )]
    Ranges,
}

impl InputScale {
    /// Checks whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what this scale or else `other` states.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            mean: self.mean.clone().or(other.mean.clone()),
            std: self.std.clone().or(other.std.clone()),
            divide: self.divide.or(other.divide),
        }
    }

    /// Checks whether a mean without a standard deviation is stated, or the reverse, so that the
    /// other one would be the dataset's. Returns the fields, the missing one first.
    #[must_use]
    pub fn lacks_one(&self) -> Option<[&'static str; 2]> {
        match (&self.mean, &self.std) {
            (None, Some(_)) => Some(["mean", "std"]),
            (Some(_), None) => Some(["std", "mean"]),
            _ => None,
        }
    }

    /// Checks that data of `shape` (channels, height, width), or rows of a table, can be
    /// normalised.
    ///
    /// # Errors
    /// Returns an error that names the field at fault.
    pub fn check_for(&self, shape: &[usize]) -> Result<(), ScaleError> {
        let channels = shape.first().copied().unwrap_or(1);
        match self.features(shape) {
            Some(features) => self.check(features),
            None => self.check(channels),
        }
    }

    /// Returns the number of features of a row of `shape`, if a number per feature is stated.
    fn features(&self, shape: &[usize]) -> Option<usize> {
        let features = match *shape {
            [1, 1, features] | [features] => features,
            _ => return None,
        };
        let is_list = |values: &Option<PerChannel>| {
            let values = values.as_ref().map(PerChannel::values);
            values.is_some_and(|values| values.len() > 1 && values.len() == features)
        };
        (is_list(&self.mean) || is_list(&self.std)).then_some(features)
    }

    /// Returns the map of features to bytes, and the scaling of these bytes, that this scale means
    /// for rows of a table with a mean or a standard deviation per feature; `None` if it states
    /// none for rows of `shape`. The features for training have the ranges in `map`, or are
    /// unsigned bytes if there is none.
    ///
    /// A byte stands for the same normalised value in every feature, so that the network's inputs
    /// have one scaling. No feature of the training part lies outside its range.
    ///
    /// # Errors
    /// Returns an error if the numbers are unusable, or if only one of both is stated.
    pub fn per_feature(
        &self,
        map: Option<&InputMap>,
        shape: [usize; 3],
    ) -> Result<Option<(InputMap, Scaling)>, ScaleError> {
        let Some(features) = self.features(&shape) else {
            return Ok(None);
        };
        self.check(features)?;
        let fault = |field, value: String, reason: &str| ScaleError::Value {
            field,
            value,
            reason: reason.into(),
        };
        let (Some(mean), Some(std)) = (&self.mean, &self.std) else {
            let [missing, _] = self.lacks_one().unwrap_or(["mean", "std"]);
            let reason = "must be stated, too, if the other one is stated per feature";
            return Err(fault(missing, "not stated".into(), reason));
        };
        let default = if map.is_some() { 1.0 } else { BYTES };
        let divide = self.divide.unwrap_or(default);
        let stated = |feature| [mean, std].map(|values| f64::from(values.get(feature)) * divide);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for feature in 0..features {
            let [mean, std] = stated(feature);
            let (least, most) = match map {
                None => (0.0, BYTES),
                Some(map) => {
                    let range = feature * map.minimum().len() / features;
                    (map.minimum()[range], map.maximum()[range])
                }
            };
            low = low.min((least - mean) / std);
            high = high.max((most - mean) / std);
        }
        if high <= low {
            high = low + 1.0;
        }
        let ends = |at: f64| (0..features).map(move |feature| (feature, at));
        let end = |(feature, at): (usize, f64)| {
            let [mean, std] = stated(feature);
            mean + at * std
        };
        let map = InputMap::new(ends(low).map(end).collect(), ends(high).map(end).collect());
        let scaling = Scaling::from(((-low / (high - low)) as f32, (1.0 / (high - low)) as f32));
        match map {
            Ok(map) if scaling.is_usable(1) => Ok(Some((map, scaling))),
            _ => {
                let reason = "leaves no range of features that can be represented";
                Err(fault("std", std.to_string(), reason))
            }
        }
    }

    /// Checks that data of `channels` channels can be normalised.
    ///
    /// # Errors
    /// Returns an error that names the field at fault.
    pub fn check(&self, channels: usize) -> Result<(), ScaleError> {
        let fault = |field, value: &dyn ToString, reason: String| {
            let value = value.to_string();
            Err(ScaleError::Value {
                field,
                value,
                reason,
            })
        };
        let positive = || "must be a positive number".to_owned();
        if let Some(divide) = self.divide.filter(|it| !DIVISORS.contains(it)) {
            let (least, most) = (DIVISORS.start(), DIVISORS.end());
            let reason = format!("must be from {least:e} to {most:e}");
            return fault("divide", &divide, reason);
        }
        if let Some(mean) = self.mean.as_ref().filter(|mean| !mean.is_finite()) {
            return fault("mean", mean, "must be a number".into());
        }
        if let Some(std) = self.std.as_ref().filter(|std| !std.is_positive()) {
            return fault("std", std, positive());
        }
        for (field, values) in [("mean", &self.mean), ("std", &self.std)] {
            if let Some(values) = values.as_ref().filter(|values| !values.fits(channels)) {
                let reason = format!(
                    "must be one number, or one for each of the channels, of which there are {channels}"
                );
                return fault(field, values, reason);
            }
        }
        Ok(())
    }

    /// Returns the scaling of `pixel / 255` that this scale means for data whose features become
    /// bytes by `map`, or are unsigned bytes if there is none. What is not stated is as in `own`.
    ///
    /// # Errors
    /// Returns an error if the numbers are unusable for `channels` channels, or if the features of
    /// a channel have different ranges in `map`.
    pub fn scaling(
        &self,
        own: &Scaling,
        map: Option<&InputMap>,
        channels: usize,
    ) -> Result<Scaling, ScaleError> {
        self.check(channels)?;
        let only_divides = self.divide.is_some() && self.mean.is_none() && self.std.is_none();
        let or = |stated: &Option<PerChannel>, value: f32| {
            stated.clone().or(only_divides.then_some(value.into()))
        };
        let (mean, std) = (or(&self.mean, 0.0), or(&self.std, 1.0));
        if mean.is_none() && std.is_none() {
            return Ok(own.clone());
        }
        let ranges = match map {
            None => vec![(0.0, BYTES)],
            Some(map) => ranges(map, channels)?,
        };
        let default = if map.is_some() { 1.0 } else { BYTES };
        let divide = self.divide.unwrap_or(default);
        // A feature is `low + pixel / 255 * (high - low)`.
        let convert = |values: PerChannel, shift: &dyn Fn(f64, f64) -> f64| -> PerChannel {
            if ranges == [(0.0, divide)] {
                return values;
            }
            let count = values.values().len().max(ranges.len());
            let of = |channel: usize| {
                let (low, high) = ranges[channel.min(ranges.len() - 1)];
                // The value of a channel without extent does not matter: its bytes are all 0.
                let extent = if high > low { high - low } else { 1.0 };
                let value = f64::from(values.get(channel)) * divide;
                (shift(value, low) / extent) as f32
            };
            (0..count).map(of).collect::<Vec<f32>>().into()
        };
        let found = Scaling {
            mean: (mean.clone()).map_or(own.mean.clone(), |mean| {
                convert(mean, &|value, low| value - low)
            }),
            std: (std.clone()).map_or(own.std.clone(), |std| convert(std, &|value, _| value)),
        };
        // Numbers that are finite may not be so in the units of pixels.
        let (field, stated) = match found.mean.is_finite() {
            true if found.std.is_positive() => return Ok(found),
            true => ("std", std),
            false => ("mean", mean),
        };
        Err(ScaleError::Value {
            field,
            value: stated.map_or(String::new(), |stated| stated.to_string()),
            reason: format!("is out of range once multiplied by {divide:e}"),
        })
    }
}

/// Returns the range of the features of each channel in `map`: one for all, or one per channel.
///
/// # Errors
/// Returns an error if the features of a channel have different ranges.
fn ranges(map: &InputMap, channels: usize) -> Result<Vec<(f64, f64)>, ScaleError> {
    let (low, high) = (map.minimum().iter().copied(), map.maximum().iter().copied());
    let all: Vec<(f64, f64)> = low.zip(high).collect();
    if all.len() == 1 {
        return Ok(all);
    }
    let share = (all.len() / channels.max(1)).max(1);
    let mut of_channels = all.chunks(share);
    match of_channels.all(|channel| channel.iter().all(|range| *range == channel[0])) {
        true => Ok(all.iter().copied().step_by(share).collect()),
        false => Err(ScaleError::Ranges),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(mean: &[f32], std: &[f32], divide: Option<f64>) -> InputScale {
        let of = |values: &[f32]| (!values.is_empty()).then(|| values.to_vec().into());
        InputScale {
            mean: of(mean),
            std: of(std),
            divide,
        }
    }

    /// Checks that a pixel becomes the same input by `scale` in the units of the data and by the
    /// scaling of pixels, in each channel.
    fn agrees(scale: &InputScale, map: Option<&InputMap>, channels: usize) {
        let found = scale.scaling(&(0.3, 0.7).into(), map, channels).unwrap();
        for channel in 0..channels {
            for pixel in [0.0, 1.0, 77.0, 255.0] {
                let (low, high) = match map {
                    None => (0.0, 255.0),
                    Some(map) => {
                        let at = channel.min(map.minimum().len() - 1);
                        (map.minimum()[at], map.maximum()[at])
                    }
                };
                let value = low + pixel / 255.0 * (high - low);
                let divide = scale
                    .divide
                    .unwrap_or(if map.is_some() { 1.0 } else { 255.0 });
                let of = |values: &Option<PerChannel>, or: f64| {
                    values
                        .as_ref()
                        .map_or(or, |values| f64::from(values.get(channel)))
                };
                let expected = (value / divide - of(&scale.mean, 0.0)) / of(&scale.std, 1.0);
                let [mean, std] = [&found.mean, &found.std].map(|it| f64::from(it.get(channel)));
                let input = (pixel / 255.0 - mean) / std;
                let error = (input - expected).abs() / expected.abs().max(1.0);
                assert!(
                    error < 1e-5,
                    "{scale:?} {channel} {pixel}: {input} {expected}"
                );
            }
        }
    }

    #[test]
    fn inputs_are_the_same_in_either_unit() {
        // MLPerf Tiny's keyword spotting: int8, floats are (x - 83) * 0.5847029.
        let shifted = InputMap::new(vec![-128.0], vec![127.0]).unwrap();
        let spotting = stated(&[83.0], &[1.7102703], None);
        agrees(&spotting, Some(&shifted), 1);
        let found = spotting.scaling(&(0.0, 1.0).into(), Some(&shifted), 1);
        let Scaling { mean, std } = found.unwrap();
        assert!((mean.get(0) - 211.0 / 255.0).abs() < 1e-6);
        assert!((1.0 / (255.0 * std.get(0)) - 0.584_702_9).abs() < 1e-6);

        let two = InputMap::new(vec![-1.0, 0.0], vec![1.0, 4096.0]).unwrap();
        let all = InputMap::new(vec![-8.0], vec![8.0]).unwrap();
        for scale in [
            stated(&[0.25], &[0.5], None),
            stated(&[0.25, 1000.0], &[0.5, 70.0], None),
            stated(&[0.25], &[0.5, 2.0], Some(4.0)),
            stated(&[], &[], Some(16.0)),
        ] {
            for map in [None, Some(&two), Some(&all)] {
                agrees(&scale, map, 2);
            }
        }
    }

    #[test]
    fn pixels_are_divided_by_255_and_keep_their_numbers() {
        let own = Scaling::from((0.3, 0.7));
        let scaling = |scale: InputScale| scale.scaling(&own, None, 3).unwrap();
        let pytorch = [0.485, 0.456, 0.406];
        for divide in [None, Some(255.0)] {
            let found = scaling(stated(&pytorch, &[0.229, 0.224, 0.225], divide));
            assert_eq!(found.mean, pytorch.to_vec().into());
            assert_eq!(found.std, vec![0.229, 0.224, 0.225].into());
        }
        let raw = scaling(stated(&[127.5], &[127.5], Some(1.0)));
        assert_eq!(raw, (0.5, 0.5).into());
        // What is not stated is the dataset's.
        assert_eq!(scaling(stated(&[0.1], &[], None)), (0.1, 0.7).into());
        assert_eq!(scaling(InputScale::default()), own);
        assert_eq!(scaling(stated(&[], &[], Some(255.0))), (0.0, 1.0).into());
    }

    #[test]
    fn numbers_that_cannot_be_used_are_named() {
        let own = Scaling::from((0.3, 0.7));
        let map = InputMap::new(vec![0.0, 0.0, 1.0, 1.0], vec![1.0, 2.0, 2.0, 2.0]).unwrap();
        for (scale, map, words) in [
            (
                stated(&[0.1, 0.2], &[], None),
                None,
                "mean is [0.1, 0.2], but must be one number",
            ),
            (stated(&[f32::NAN], &[], None), None, "mean is NaN"),
            (
                stated(&[], &[0.0], None),
                None,
                "std is 0, but must be a positive",
            ),
            (stated(&[], &[1.0; 2], None), None, "of which there are 3"),
            (stated(&[], &[], Some(0.0)), None, "divide is 0"),
            (
                stated(&[], &[], Some(1e-300)),
                None,
                "must be from 1e-30 to 1e30",
            ),
            (
                stated(&[1.0], &[1e-30], Some(1e-20)),
                None,
                "std is 0.000000000000000000000000000001, but is out of range",
            ),
            (stated(&[0.1], &[], None), Some(&map), "a range each"),
        ] {
            let channels = if map.is_some() { 2 } else { 3 };
            let error = scale.scaling(&own, map, channels).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        // Nothing is converted unless something is stated.
        assert_eq!(
            InputScale::default().scaling(&own, Some(&map), 2),
            Ok(own.clone())
        );
        let equal = InputMap::new(vec![0.0, 0.0, 1.0, 1.0], vec![1.0, 1.0, 2.0, 2.0]).unwrap();
        assert!(
            stated(&[0.1], &[], None)
                .scaling(&own, Some(&equal), 2)
                .is_ok()
        );
    }

    #[test]
    fn rows_of_a_table_are_normalised_per_feature() {
        let ranges = InputMap::new(vec![-2.0, 100.0, 5.0], vec![4.0, 900.0, 5.0]).unwrap();
        let columns = ([1.0, 500.0, 3.0], [2.0, 250.0, 0.5]);
        for divide in [None, Some(4.0)] {
            let scale = stated(&columns.0, &columns.1, divide);
            for map in [None, Some(&ranges)] {
                let (found, pixels) = scale.per_feature(map, [1, 1, 3]).unwrap().unwrap();
                let divide = divide.unwrap_or(if map.is_some() { 1.0 } else { 255.0 });
                for feature in 0..3 {
                    let (low, high) = (found.minimum()[feature], found.maximum()[feature]);
                    for share in [0.0, 0.25, 1.0] {
                        let value = low + share * (high - low);
                        let [mean, std] = [columns.0[feature], columns.1[feature]].map(f64::from);
                        let expected = (value / divide - mean) / std;
                        let [mean, std] =
                            [&pixels.mean, &pixels.std].map(|it| f64::from(it.get(0)));
                        let input = (share - mean) / std;
                        let error = (input - expected).abs() / expected.abs().max(1.0);
                        assert!(error < 1e-5, "{feature} {share}: {input} {expected}");
                    }
                    let (least, most) = match map {
                        None => (0.0, 255.0),
                        Some(map) => (map.minimum()[feature], map.maximum()[feature]),
                    };
                    assert!(low <= least + 1e-6 && most - 1e-6 <= high, "{low} {high}");
                }
            }
            assert_eq!(scale.check_for(&[1, 1, 3]), Ok(()));
            assert_eq!(scale.check_for(&[3]), Ok(()));
            assert!(scale.check_for(&[1, 3, 1]).is_err());
            assert_eq!(scale.per_feature(None, [3, 1, 1]), Ok(None));
        }
        let error = stated(&columns.0, &[], None).per_feature(None, [1, 1, 3]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("std is not stated, but must be"),
            "{error}"
        );
        let one = stated(&[0.1], &[0.2], None);
        assert_eq!(one.per_feature(Some(&ranges), [1, 1, 3]), Ok(None));
        assert_eq!(one.lacks_one(), None);
        assert_eq!(stated(&[0.1], &[], None).lacks_one(), Some(["std", "mean"]));
    }

    #[test]
    fn a_scale_survives_a_file() {
        let scale = stated(&[83.0], &[1.7102703], None);
        let text = toml::to_string(&scale).unwrap();
        assert_eq!(toml::from_str::<InputScale>(&text).unwrap(), scale);
        assert_eq!(
            toml::from_str::<InputScale>("divide = 255").unwrap().divide,
            Some(255.0)
        );
        assert!(toml::from_str::<InputScale>("means = 1").is_err());
        let more = stated(&[1.0], &[], Some(2.0));
        assert_eq!(more.or(&scale), stated(&[1.0], &[1.7102703], Some(2.0)));
        assert!(InputScale::default().is_empty() && !scale.is_empty());
    }
}
