//! The header: magic, version, checksum, number of layers (with a bit for the units), size of the
//! arena, shape of the input.
//!
//! ```text
//!  0      3         4          8        9       12      14       15         16
//!  +------+---------+----------+--------+-------+-------+--------+----------+
//!  |      |         |          |        |       |       input               |
//!  | RFY  | version | checksum | layers | arena | width | height | channels | layer records ...
//!  +------+---------+----------+--------+-------+-------+--------+----------+
//! ```

use crate::bytes::Bytes;
use crate::checksum::checksum;
use crate::error::ParseError;
use crate::shape::Shape;

/// The first three bytes of every container.
pub const MAGIC: [u8; 3] = *b"RFY";

/// The version of the format, stored in byte 3.
///
/// It changes with the layout, the meaning of a field, or the arithmetic, independently of the
/// version of this crate. A reader rejects every other version.
pub const VERSION: u8 = 1;

/// The size of the header in bytes.
pub const HEADER_BYTES: usize = 16;

/// The offset of the checksum (4 bytes), which covers all bytes after it.
pub const CHECKSUM_OFFSET: usize = 4;

/// The maximum number of layers.
pub const MAX_LAYERS: usize = 64;

/// The bit of the number of layers that announces the units of the network's numbers.
#[cfg(any(feature = "units", feature = "alloc"))]
pub(crate) const UNITS_BIT: u8 = 0x80;

/// The largest arena that the header can state, in 32-bit words.
#[cfg(feature = "alloc")]
pub(crate) const MAX_ARENA_WORDS: usize = 0xFF_FFFF;

/// The header's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) layers: usize,
    /// Whether the container ends with the units of the network's numbers.
    #[cfg(feature = "units")]
    units: bool,
    pub(crate) arena_words: usize,
    pub(crate) input: Shape,
}

impl Header {
    /// Returns whether the container ends with the units of the network's numbers. Builds without
    /// the feature `units` reject such containers.
    pub(crate) const fn has_units(&self) -> bool {
        #[cfg(feature = "units")]
        return self.units;
        #[cfg(not(feature = "units"))]
        false
    }

    /// Reads the header and checks magic, version and the number of layers. Returns the header and
    /// the stated checksum.
    #[inline(always)]
    pub(crate) const fn read(bytes: &mut Bytes<'_>) -> Result<(Header, u32), ParseError> {
        let found = bytes.rest().len();
        let Some(header) = bytes.array::<HEADER_BYTES>() else {
            return Err(ParseError::TooShort {
                needed: HEADER_BYTES,
                found,
            });
        };
        // Reading four 32-bit numbers takes fewer instructions than reading sixteen bytes.
        let ([start, checksum, sizes, input], _) = header.as_chunks::<4>() else {
            return Err(ParseError::TooShort {
                needed: HEADER_BYTES,
                found,
            });
        };
        let [m0, m1, m2, version] = *start;
        let [w0, w1, w2] = MAGIC;
        let start = u32::from_le_bytes(*start);
        if (start ^ u32::from_le_bytes([w0, w1, w2, 0])) << 8 != 0 {
            return Err(ParseError::WrongMagic {
                found: [m0, m1, m2],
            });
        }
        if start >> 24 != VERSION as u32 {
            return Err(ParseError::UnsupportedVersion {
                found: version,
                supported: VERSION,
            });
        }
        let sizes = u32::from_le_bytes(*sizes);
        let layers = sizes as usize & if cfg!(feature = "units") { 0x7F } else { 0xFF };
        if layers.wrapping_sub(1) >= MAX_LAYERS {
            return Err(ParseError::LayerCount {
                found: layers,
                max: MAX_LAYERS,
            });
        }
        let input = u32::from_le_bytes(*input);
        let header = Header {
            layers,
            #[cfg(feature = "units")]
            units: sizes & UNITS_BIT as u32 != 0,
            arena_words: sizes as usize >> 8,
            input: Shape {
                channels: (input >> 24) as u16,
                height: (input >> 16) as u8 as u16,
                width: input as u16,
            },
        };
        Ok((header, u32::from_le_bytes(*checksum)))
    }
}

/// Computes the checksum that the container `bytes` must state.
///
/// The checksum covers all bytes after itself; the bytes before it have fixed values. If `bytes`
/// has fewer than 8 bytes, returns the checksum of no bytes.
#[must_use]
#[inline(always)]
pub const fn container_checksum(bytes: &[u8]) -> u32 {
    match bytes.split_at_checked(CHECKSUM_OFFSET + 4) {
        Some((_, covered)) => checksum(covered),
        None => checksum(&[]),
    }
}
