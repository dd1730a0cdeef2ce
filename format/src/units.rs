//! The units of a network's numbers: what its input bytes and its logits stand for.
//!
//! A container may end with this section, which no inference reads:
//!
//! ```text
//!  0             4       8         12       16
//!  +-------------+-------+---------+--------+---------+--------+-----
//!  | output step | maps  | minimum | factor | minimum | factor | ...
//!  +-------------+-------+---------+--------+---------+--------+-----
//! ```
//!
//! It begins at the next multiple of 4 after the last block.

use crate::bytes::{Bytes, check};
use crate::error::{ParseError, UnitsError};

/// The size of the section in bytes, without its maps.
pub(crate) const UNITS_BYTES: usize = 8;

/// The size of a map in bytes.
pub(crate) const MAP_BYTES: usize = 8;

/// The bits of the `f32` infinity; those of larger magnitudes are NaN.
const INFINITY: u32 = f32::INFINITY.to_bits();

/// An affine map from numbers, such as a sensor's readings, to the bytes that a network takes.
///
/// ```
/// use rarefy_format::ByteMap;
///
/// // An accelerometer: -16 to 16 g become the bytes 0 to 255.
/// let map = ByteMap::new(-16.0, 16.0);
/// assert_eq!([-20.0, -16.0, 0.0, 9.8, 16.0].map(|g| map.byte(g)), [0, 0, 128, 206, 255]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ByteMap {
    /// The number that becomes 0.
    pub minimum: f32,
    /// The number of bytes per unit: 255 divided by the extent of the numbers; 0 if all numbers
    /// become 0.
    pub factor: f32,
}

impl ByteMap {
    /// The map of bytes to themselves.
    pub const IDENTITY: ByteMap = ByteMap {
        minimum: 0.0,
        factor: 1.0,
    };

    /// Creates the map from `minimum..=maximum` to 0..=255. A range without extent, or with one
    /// that `f32` cannot represent, gets a factor of 0.
    #[must_use]
    pub const fn new(minimum: f64, maximum: f64) -> ByteMap {
        let factor = (255.0 / (maximum - minimum)) as f32;
        let usable = maximum > minimum && factor.is_finite();
        ByteMap {
            minimum: minimum as f32,
            factor: if usable { factor } else { 0.0 },
        }
    }

    /// Returns the byte of `value`, rounded to the nearest. Numbers outside the range become 0 or
    /// 255, and NaN becomes 0.
    ///
    /// All arithmetic is in `f32`, so a device computes the same bytes as the workstation.
    #[must_use]
    #[inline]
    pub const fn byte(self, value: f32) -> u8 {
        // The conversion truncates and saturates.
        ((value - self.minimum) * self.factor + 0.5) as u8
    }

    /// Reads a map.
    #[inline]
    const fn read([m0, m1, m2, m3, f0, f1, f2, f3]: [u8; MAP_BYTES]) -> ByteMap {
        ByteMap {
            minimum: f32::from_le_bytes([m0, m1, m2, m3]),
            factor: f32::from_le_bytes([f0, f1, f2, f3]),
        }
    }

    /// Returns the bytes of the map.
    #[cfg(feature = "alloc")]
    pub(crate) fn to_bytes(self) -> [u8; MAP_BYTES] {
        let ([m0, m1, m2, m3], [f0, f1, f2, f3]) =
            (self.minimum.to_le_bytes(), self.factor.to_le_bytes());
        [m0, m1, m2, m3, f0, f1, f2, f3]
    }

    /// Returns whether both numbers are finite and the factor is not negative. Compares bits, which
    /// is cheap without floating-point hardware.
    const fn is_valid(self) -> bool {
        self.minimum.to_bits() << 1 < INFINITY << 1 && self.factor.to_bits() < INFINITY
    }
}

/// The units of a [`crate::Model`]'s numbers, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    output_step: f32,
    maps: &'a [[u8; MAP_BYTES]],
    /// The number of consecutive inputs that each map applies to.
    share: usize,
}

impl<'a> Units<'a> {
    /// Returns what a logit of 1 stands for: an output in its own units is its logit times this
    /// step. A logit of 0 stands for 0.
    #[must_use]
    pub const fn output_step(&self) -> f32 {
        self.output_step
    }

    /// Returns the maps from numbers to input bytes: one for all inputs, one per channel, or one
    /// per input. Each applies to [`Units::share`] consecutive inputs.
    pub fn maps(&self) -> impl ExactSizeIterator<Item = ByteMap> + Clone + use<'a> {
        self.maps.iter().map(|&map| ByteMap::read(map))
    }

    /// Returns the number of consecutive inputs that each map applies to, at least 1.
    #[must_use]
    pub const fn share(&self) -> usize {
        self.share
    }

    /// Returns the map of the input at `index`, or `None` if there is no such input.
    #[must_use]
    pub fn map(&self, index: usize) -> Option<ByteMap> {
        let map = self.maps.get(index.checked_div(self.share)?)?;
        Some(ByteMap::read(*map))
    }

    /// Reads the section that begins at `start` in the container `bytes`, for a network with
    /// `inputs` inputs. Returns `None` if it does not end within them.
    const fn read(bytes: &'a [u8], start: usize, inputs: usize) -> Option<Units<'a>> {
        let Some((_, section)) = bytes.split_at_checked(start) else {
            return None;
        };
        let mut section = Bytes::new(section);
        let (Some(step), Some(count)) = (section.array::<4>(), section.array::<4>()) else {
            return None;
        };
        let count = u32::from_le_bytes(count) as usize;
        let Some(maps) = section.elements::<MAP_BYTES>(count) else {
            return None;
        };
        let share = match inputs.checked_div(count) {
            Some(share) => share,
            None => 0,
        };
        Some(Units {
            output_step: f32::from_le_bytes(step),
            maps,
            share,
        })
    }

    /// Returns the section of the valid container `bytes`, whose blocks end at `end`.
    pub(crate) const fn of(bytes: &'a [u8], end: usize, inputs: usize) -> Option<Units<'a>> {
        Units::read(bytes, end.next_multiple_of(4), inputs)
    }

    /// Checks the section of the container `bytes`, whose blocks end at `end`. Returns its end.
    pub(crate) const fn check(
        bytes: &'a [u8],
        end: usize,
        inputs: usize,
    ) -> Result<usize, ParseError> {
        let start = end.next_multiple_of(4);
        let Some(units) = Units::read(bytes, start, inputs) else {
            return Err(ParseError::WrongLength {
                stated: Units::stated_end(bytes, end),
                found: bytes.len(),
            });
        };
        if let Some((front, _)) = bytes.split_at_checked(start) {
            check!(check_padding(front, start - end));
        }
        let step = units.output_step.to_bits();
        if step.wrapping_sub(1) >= INFINITY - 1 {
            return Err(fault(UnitsError::Step { bits: step }));
        }
        let count = units.maps.len();
        if count == 0 || units.share.wrapping_mul(count) != inputs {
            return Err(fault(UnitsError::Maps {
                found: count,
                inputs,
            }));
        }
        let mut maps = units.maps;
        while let Some((map, rest)) = maps.split_first() {
            if !ByteMap::read(*map).is_valid() {
                let map = count - maps.len();
                return Err(fault(UnitsError::Map { map }));
            }
            maps = rest;
        }
        Ok(start + UNITS_BYTES + MAP_BYTES * count)
    }

    /// Returns where the section ends according to its own numbers, in a container whose blocks end
    /// at `end`.
    pub(crate) const fn stated_end(bytes: &[u8], end: usize) -> usize {
        let start = end.next_multiple_of(4);
        let mut count = 1;
        if let Some((_, rest)) = bytes.split_at_checked(start + 4)
            && let Some((stated, _)) = rest.split_first_chunk::<4>()
        {
            count = u32::from_le_bytes(*stated) as usize;
        }
        (start + UNITS_BYTES).saturating_add(count.saturating_mul(MAP_BYTES))
    }
}

/// Checks that the bytes of `front`, of which `skipped` are between the blocks and the section, end
/// with zeros.
const fn check_padding(front: &[u8], skipped: usize) -> Result<(), ParseError> {
    let mut padding = match front.split_at_checked(front.len().saturating_sub(skipped)) {
        Some((_, padding)) => padding,
        None => &[],
    };
    while let Some((&found, rest)) = padding.split_first() {
        if found != 0 {
            return Err(fault(UnitsError::Padding { found }));
        }
        padding = rest;
    }
    Ok(())
}

/// Returns `error` as that of a container.
#[cold]
const fn fault(error: UnitsError) -> ParseError {
    ParseError::Units { error }
}
