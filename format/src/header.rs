//! The first 16 bytes: what this is, how long, whether it arrived whole, what it needs.
//!
//! ```text
//!  0      3         4        8          12       15          16
//!  +------+---------+--------+----------+--------+-----------+
//!  | RFY  | version | length | checksum | arena  | layers    | layer records ...
//!  +------+---------+--------+----------+--------+-----------+
//! ```
//!
//! `length` is checked against the bytes given before the checksum is computed, and the checksum
//! before anything behind the header is looked at.

use crate::checksum::crc32;
use crate::error::ParseError;

/// The first three bytes of every container.
pub const MAGIC: [u8; 3] = *b"RFY";

/// The version of the layout, byte 3. It is not the version of this crate: it changes with the
/// layout, the meaning of a field or the arithmetic. 0 is a draft, promised to nobody; a reader
/// refuses every version but its own.
pub const VERSION: u8 = 0;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;

/// Where the checksum lies (4 bytes): the only bytes that it does not cover.
pub const CHECKSUM_OFFSET: usize = 8;

/// The most layers a container may hold.
pub const MAX_LAYERS: usize = 64;

/// The largest arena the header can state, in 32-bit words.
#[cfg(feature = "alloc")]
pub(crate) const MAX_ARENA_WORDS: usize = 0xFF_FFFF;

/// The header's fields, as integers.
pub(crate) struct Header {
    pub(crate) arena_words: usize,
    pub(crate) layers: usize,
}

impl Header {
    /// Reads the header of `bytes` and checks magic, version, length and checksum, in this order.
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, ParseError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(ParseError::TooShort {
                needed: HEADER_BYTES,
                found: bytes.len(),
            });
        };
        let [
            m0,
            m1,
            m2,
            version,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            a0,
            a1,
            a2,
            layers,
        ] = *header;
        if [m0, m1, m2] != MAGIC {
            return Err(ParseError::WrongMagic {
                found: [m0, m1, m2],
            });
        }
        if version != VERSION {
            return Err(ParseError::UnsupportedVersion {
                found: version,
                supported: VERSION,
            });
        }
        let stated = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if stated != bytes.len() {
            return Err(ParseError::WrongLength {
                stated,
                found: bytes.len(),
            });
        }
        let stated = u32::from_le_bytes([c0, c1, c2, c3]);
        let computed = container_checksum(bytes);
        if stated != computed {
            return Err(ParseError::WrongChecksum { stated, computed });
        }
        let layers = layers as usize;
        if layers == 0 || layers > MAX_LAYERS {
            return Err(ParseError::LayerCount {
                found: layers,
                max: MAX_LAYERS,
            });
        }
        Ok(Header {
            arena_words: u32::from_le_bytes([a0, a1, a2, 0]) as usize,
            layers,
        })
    }
}

/// The checksum that belongs into the container `bytes`: CRC-32 of everything before and behind the
/// checksum's own place. Bytes shorter than a header count as far as they go.
#[must_use]
pub fn container_checksum(bytes: &[u8]) -> u32 {
    let before = bytes.get(..CHECKSUM_OFFSET).unwrap_or(bytes);
    let behind = bytes.get(CHECKSUM_OFFSET + 4..).unwrap_or(&[]);
    crc32(&[before, behind])
}
