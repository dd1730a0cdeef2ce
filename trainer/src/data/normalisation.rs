//! The conversion of pixels to network inputs: `(pixel / 255 - mean) / std`, with one mean and
//! standard deviation for all channels or one of each per channel.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number for all channels of an image, or one per channel. In files it is a number or a list.
#[derive(Debug, Clone, PartialEq)]
pub enum PerChannel {
    /// One number for all channels.
    All(f32),
    /// One number per channel, of several channels.
    Each(Vec<f32>),
}

impl PerChannel {
    /// Returns the number of `channel`. Channels beyond the end of a list get its last number.
    #[must_use]
    pub fn get(&self, channel: usize) -> f32 {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values
                .get(channel)
                .or(values.last())
                .copied()
                .unwrap_or(0.0),
        }
    }

    /// Returns the numbers: a single one if it holds for all channels.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match self {
            Self::All(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }

    /// Checks whether there is one number for all channels, or one for each of `channels`.
    #[must_use]
    pub fn fits(&self, channels: usize) -> bool {
        matches!(self.values().len(), 1) || self.values().len() == channels
    }

    /// Checks that every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.values().iter().all(|value| value.is_finite())
    }

    /// Checks that every number is finite and positive.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.is_finite() && self.values().iter().all(|&value| value > 0.0)
    }
}

impl From<f32> for PerChannel {
    fn from(value: f32) -> Self {
        Self::All(value)
    }
}

impl From<Vec<f32>> for PerChannel {
    /// Converts a list; a single number in it applies to all channels.
    fn from(values: Vec<f32>) -> Self {
        match values[..] {
            [value] => Self::All(value),
            _ => Self::Each(values),
        }
    }
}

impl fmt::Display for PerChannel {
    /// Writes a number, or a list in brackets, with the formatter's precision.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(value) => value.fmt(f),
            Self::Each(values) => {
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { "[" } else { ", " })?;
                    value.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

impl Serialize for PerChannel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(value) => value.serialize(serializer),
            Self::Each(values) => values.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PerChannel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrList)
    }
}

/// Reads a number, or a list of at least one.
struct NumberOrList;

impl<'de> Visitor<'de> for NumberOrList {
    type Value = PerChannel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list with one per channel")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<PerChannel, E> {
        Ok(PerChannel::All(value as f32))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<PerChannel, E> {
        Ok(PerChannel::All(value as f32))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<PerChannel, E> {
        Ok(PerChannel::All(value as f32))
    }

    /// Reads a number that serde_json passes on as a map, if a crate enables its
    /// `arbitrary_precision`.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PerChannel, A::Error> {
        let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map));
        let number = number.ok().and_then(|number| number.as_f64());
        match number {
            Some(number) => self.visit_f64(number),
            None => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PerChannel, A::Error> {
        let mut values: Vec<f32> = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        match values.is_empty() {
            true => Err(A::Error::invalid_length(0, &self)),
            false => Ok(values.into()),
        }
    }
}

/// The mean and standard deviation of `pixel / 255` that inputs are normalised by.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// The mean.
    pub mean: PerChannel,
    /// The standard deviation; positive.
    pub std: PerChannel,
}

impl Scaling {
    /// Checks whether it can convert images of `channels` channels: means are finite, deviations
    /// are positive, and there is one of each for all channels or per channel.
    #[must_use]
    pub fn is_usable(&self, channels: usize) -> bool {
        let fit = self.mean.fits(channels) && self.std.fits(channels);
        fit && self.mean.is_finite() && self.std.is_positive()
    }
}

impl From<(f32, f32)> for Scaling {
    /// Takes a mean and a standard deviation for all channels.
    fn from((mean, std): (f32, f32)) -> Self {
        Self {
            mean: mean.into(),
            std: std.into(),
        }
    }
}

impl From<&Normalisation> for Scaling {
    fn from(normalisation: &Normalisation) -> Self {
        Self {
            mean: normalisation.mean.clone(),
            std: normalisation.std.clone(),
        }
    }
}

/// Origin of the values of a [`Normalisation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalisationSource {
    /// The values commonly used with the dataset.
    Published,
    /// Computed from the training images.
    Computed,
    /// Given by the user, as the network expects them.
    Stated,
}

/// Conversion of a pixel to a network input: `(pixel / 255 - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Normalisation {
    /// Mean of `pixel / 255`.
    pub mean: PerChannel,
    /// Standard deviation of `pixel / 255`; positive.
    pub std: PerChannel,
    /// Origin of the values.
    pub source: NormalisationSource,
}

impl Normalisation {
    /// Creates a normalisation with published values for all channels.
    #[must_use]
    pub const fn published(mean: f32, std: f32) -> Self {
        Self {
            mean: PerChannel::All(mean),
            std: PerChannel::All(std),
            source: NormalisationSource::Published,
        }
    }

    /// Computes the mean and population standard deviation of `pixels`, over all channels. Returns
    /// `None` if all pixels are equal, in which case there is nothing to learn from them.
    #[must_use]
    pub fn computed(pixels: &[u8]) -> Option<Self> {
        let (mean, std) = moments([pixels])?;
        Some(Self {
            mean: mean.into(),
            std: std.into(),
            source: NormalisationSource::Computed,
        })
    }

    /// Computes the mean and population standard deviation of each channel of `images`, which are
    /// stored consecutively, each of `shape` (channels, height, width). Returns `None` if all
    /// pixels are equal; a channel of equal pixels gets the standard deviation of all channels.
    #[must_use]
    pub fn per_channel(images: &[u8], [channels, height, width]: [usize; 3]) -> Option<Self> {
        let whole = Self::computed(images)?;
        let area = (height * width).max(1);
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for channel in 0..channels {
            let planes = images.chunks_exact(area).skip(channel).step_by(channels);
            let first = images[channel * area];
            let (own_mean, own_std) =
                moments(planes).unwrap_or((f32::from(first) / 255.0, whole.std.get(0)));
            mean.push(own_mean);
            std.push(own_std);
        }
        Some(Self {
            mean: mean.into(),
            std: std.into(),
            source: NormalisationSource::Computed,
        })
    }

    /// Returns the input value of `pixel` in `channel`.
    #[must_use]
    pub fn apply(&self, pixel: u8, channel: usize) -> f32 {
        (f32::from(pixel) / 255.0 - self.mean.get(channel)) / self.std.get(channel)
    }

    /// Returns the input values of the pixels 0 to 255 as lookup tables: one for all channels, or
    /// one per channel.
    #[must_use]
    pub fn tables(&self) -> Vec<[f32; 256]> {
        let count = self.mean.values().len().max(self.std.values().len());
        let table = |channel| std::array::from_fn(|pixel| self.apply(pixel as u8, channel));
        (0..count).map(table).collect()
    }
}

/// Returns the mean and population standard deviation of the pixels of all `parts`, divided by
/// 255; `None` if they are all equal.
fn moments<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Option<(f32, f32)> {
    let mut counts = [0_u64; 256];
    for &pixel in parts.into_iter().flatten() {
        counts[usize::from(pixel)] += 1;
    }
    if counts.iter().filter(|&&count| count > 0).count() < 2 {
        return None;
    }
    let n = counts.iter().sum::<u64>() as f64;
    let moment = |power: i32| -> f64 {
        let values = counts.iter().enumerate();
        values
            .map(|(v, &c)| (v as f64 / 255.0).powi(power) * c as f64)
            .sum::<f64>()
            / n
    };
    let mean = moment(1);
    let std = (moment(2) - mean * mean).sqrt();
    Some((mean as f32, std as f32))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_computed_normalisation_is_mean_and_deviation() {
        let half = Normalisation::computed(&[0, 255, 255, 0]).unwrap();
        assert_eq!(
            (half.mean.clone(), half.std.clone()),
            (0.5.into(), 0.5.into())
        );
        assert_eq!(half.source, NormalisationSource::Computed);
        assert_eq!((half.apply(0, 0), half.apply(255, 0)), (-1.0, 1.0));
        assert_eq!(half.tables().len(), 1);
        assert_eq!(half.tables()[0][255], 1.0);
        assert_eq!(Normalisation::computed(&[7; 12]), None);
        assert_eq!(Normalisation::computed(&[]), None);
    }

    #[test]
    fn channels_are_normalised_on_their_own() {
        // Two images of three channels of two pixels; the last channel is constant.
        let images = [0, 51, 255, 255, 102, 102, 51, 0, 0, 0, 102, 102];
        let found = Normalisation::per_channel(&images, [3, 1, 2]).unwrap();
        assert_eq!(found.mean, vec![0.1, 0.5, 0.4].into());
        let whole = Normalisation::computed(&images).unwrap();
        assert_eq!(found.std, vec![0.1, 0.5, whole.std.get(0)].into());
        let tables = found.tables();
        assert_eq!(tables.len(), 3);
        let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} {b}");
        close(tables[0][0], -1.0);
        close(tables[0][51], 1.0);
        close(tables[1][255], 1.0);
        close(tables[2][102], 0.0);
        assert_eq!(Normalisation::per_channel(&[7; 6], [3, 1, 2]), None);
        // One channel is all channels.
        let grey = Normalisation::per_channel(&images, [1, 2, 3]);
        assert_eq!(grey, Normalisation::computed(&images));
    }

    #[test]
    fn a_number_or_a_list_is_read_and_written_as_such() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Field {
            mean: PerChannel,
        }
        for (text, mean, shown) in [
            ("mean = 0.5\n", PerChannel::All(0.5), "0.50"),
            ("mean = 0.0\n", PerChannel::All(0.0), "0.00"),
            (
                "mean = [0.5, 0.25, 0.0]\n",
                PerChannel::Each(vec![0.5, 0.25, 0.0]),
                "[0.50, 0.25, 0.00]",
            ),
        ] {
            let field: Field = toml::from_str(text).unwrap();
            assert_eq!(field, Field { mean: mean.clone() });
            assert_eq!(toml::to_string(&field).unwrap(), text);
            assert_eq!(format!("{mean:.2}"), shown);
        }
        let field = |text: &str| toml::from_str::<Field>(text);
        assert_eq!(field("mean = 1").unwrap().mean, PerChannel::All(1.0));
        assert_eq!(field("mean = [1]").unwrap().mean, PerChannel::All(1.0));
        for number in [json!(0.5), json!([0.5, 0.25])] {
            let field: Field = serde_json::from_value(json!({ "mean": number })).unwrap();
            let text = serde_json::to_string(&field).unwrap();
            assert_eq!(text, json!({ "mean": number }).to_string());
            assert_eq!(serde_json::from_str::<Field>(&text).unwrap(), field);
        }
        for wrong in [
            "mean = []",
            "mean = { a = 1 }",
            "mean = \"a\"",
            "mean = [[1.0]]",
            "mean = true",
        ] {
            assert!(field(wrong).is_err(), "{wrong}");
        }
        let error = field("mean = \"a\"").unwrap_err().to_string();
        assert!(error.contains("a list with one per channel"), "{error}");
    }

    #[test]
    fn usable_values_fit_the_channels() {
        let scaling = |mean: &[f32], std: &[f32]| Scaling {
            mean: mean.to_vec().into(),
            std: std.to_vec().into(),
        };
        assert!(scaling(&[0.1], &[0.3]).is_usable(3));
        assert!(scaling(&[0.1, 0.0, -1.0], &[0.3]).is_usable(3));
        for wrong in [
            scaling(&[0.1, 0.2], &[0.3]),
            scaling(&[0.1], &[0.3, 0.3]),
            scaling(&[0.1, f32::NAN, 0.1], &[0.3]),
            scaling(&[0.1], &[0.3, 0.0, 0.3]),
            scaling(&[0.1], &[0.3, f32::INFINITY, 0.3]),
        ] {
            assert!(!wrong.is_usable(3), "{wrong:?}");
        }
    }
}
