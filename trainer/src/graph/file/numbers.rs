//! Numbers of an architecture file: counts, sizes along two axes, paddings, and bounds of ReLUs.

use std::fmt;

use serde::de::{Error, IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::LIMIT;
use crate::graph::window::Padding;

/// A number of channels, units, taps or positions: from 1 to [`LIMIT`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) usize);

impl Count {
    /// Converts an integer of the file. `expected` describes what may be written in its place.
    fn checked<E: Error>(number: i64, expected: &dyn serde::de::Expected) -> Result<usize, E> {
        match usize::try_from(number) {
            Ok(count @ 1..=LIMIT) => Ok(count),
            _ => Err(E::invalid_value(Unexpected::Signed(number), expected)),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {LIMIT}")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                Count::checked(number, &self).map(Count)
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

/// The shape of the input: (channels, height, width).
#[derive(Debug, Clone, Copy)]
pub(super) struct InputShape(pub(super) [usize; 3]);

impl<'de> Deserialize<'de> for InputShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lengths = Vec::<Count>::deserialize(deserializer)?;
        match lengths.as_slice() {
            &[Count(channels), Count(height), Count(width)] => Ok(Self([channels, height, width])),
            other => Err(D::Error::invalid_length(
                other.len(),
                &"three: channels, height and width",
            )),
        }
    }
}

/// A number along height and one along width: two, or one for both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair(pub(super) [usize; 2]);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = deserializer.deserialize_any(Axes { map: false })?;
        match size {
            PoolSize::Of(pair) => Ok(pair),
            PoolSize::Map => unreachable!("only the size of pooling may be a word"),
        }
    }
}

/// The size of a pooling window.
#[derive(Debug, Clone, Copy)]
pub(super) enum PoolSize {
    /// That of the map it reads.
    Map,
    /// The given size.
    Of(Pair),
}

impl<'de> Deserialize<'de> for PoolSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Axes { map: true })
    }
}

/// Reads one number, a list of two, or, if `map` is set, the word "map".
struct Axes {
    map: bool,
}

impl<'de> Visitor<'de> for Axes {
    type Value = PoolSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.map { ", or \"map\"" } else { "" };
        write!(
            f,
            "a whole number from 1 to {LIMIT}, or a list of a height and a width{word}"
        )
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<PoolSize, E> {
        let count = Count::checked(number, &self)?;
        Ok(PoolSize::Of(Pair([count; 2])))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<PoolSize, E> {
        match word {
            "map" if self.map => Ok(PoolSize::Map),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PoolSize, A::Error> {
        let mut axes = [0; 2];
        for (length, axis) in axes.iter_mut().enumerate() {
            let Some(Count(number)) = list.next_element()? else {
                return Err(A::Error::invalid_length(length, &self));
            };
            *axis = number;
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(PoolSize::Of(Pair(axes))),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

/// The bounds of the values after a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clip {
    /// None.
    Nothing,
    /// At least 0.
    Relu,
    /// From 0 to 6.
    Relu6,
}

impl<'de> Deserialize<'de> for Clip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounds;
        impl Visitor<'_> for Bounds {
            type Value = Clip;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "true, false, or 6 for a ReLU that also clips at 6")
            }

            fn visit_bool<E: Error>(self, relu: bool) -> Result<Clip, E> {
                Ok(if relu { Clip::Relu } else { Clip::Nothing })
            }

            fn visit_i64<E: Error>(self, most: i64) -> Result<Clip, E> {
                match most {
                    6 => Ok(Clip::Relu6),
                    _ => Err(E::invalid_value(Unexpected::Signed(most), &self)),
                }
            }
        }
        deserializer.deserialize_any(Bounds)
    }
}

/// Returns the default padding.
pub(super) fn valid() -> Padding {
    Padding::Valid
}

/// The forms of a padding.
const PADDINGS: &str = "\"valid\", \"same\", the number of zeros on each side (at most 65535), or a list of the zeros above, left, below and right";

/// Deserialises a padding: a word, the number of zeros on each side, or four such numbers.
pub(super) fn padding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Zeros(u16),
        Sides([u16; 4]),
        Word(String),
    }
    let written = Written::deserialize(deserializer);
    match written.map_err(|_| D::Error::custom(format!("expected {PADDINGS}")))? {
        Written::Zeros(zeros) => Ok(Padding::Each(zeros.into())),
        Written::Sides(zeros) => {
            let [top, left, bottom, right] = zeros.map(usize::from);
            Ok(Padding::Sides {
                before: [top, left],
                after: [bottom, right],
            })
        }
        Written::Word(word) if word == "valid" => Ok(Padding::Valid),
        Written::Word(word) if word == "same" => Ok(Padding::Same),
        Written::Word(word) => Err(D::Error::invalid_value(Unexpected::Str(&word), &PADDINGS)),
    }
}
