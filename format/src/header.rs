//! The first 16 bytes: what this is, whether it arrived whole, what it needs and reads.
//!
//! ```text
//!  0      3         4          8        9       12            14             15               16
//!  +------+---------+----------+--------+-------+-------------+--------------+----------------+
//!  | RFY  | version | checksum | layers | arena | input width | input height | input channels | layer records ...
//!  +------+---------+----------+--------+-------+-------------+--------------+----------------+
//! ```

use crate::bytes::Bytes;
use crate::checksum::crc32;
use crate::error::ParseError;
use crate::shape::Shape;

/// The first three bytes of every container.
pub const MAGIC: [u8; 3] = *b"RFY";

/// The version of the layout, byte 3. It is not the version of this crate: it changes with the
/// layout, the meaning of a field or the arithmetic. A reader refuses every version but its own.
pub const VERSION: u8 = 1;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;

/// Where the checksum lies (4 bytes): the only bytes that it does not cover.
pub const CHECKSUM_OFFSET: usize = 4;

/// The most layers a container may hold.
pub const MAX_LAYERS: usize = 64;

/// The largest arena the header can state, in 32-bit words.
#[cfg(feature = "alloc")]
pub(crate) const MAX_ARENA_WORDS: usize = 0xFF_FFFF;

/// The header's fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) checksum: u32,
    pub(crate) layers: usize,
    pub(crate) arena_words: usize,
    pub(crate) input: Shape,
}

impl Header {
    /// Reads the header of `bytes` and checks magic, version and the number of layers.
    #[inline(always)]
    pub(crate) const fn read(bytes: &mut Bytes<'_>) -> Result<Header, ParseError> {
        let found = bytes.rest().len();
        let Some(header) = bytes.array::<HEADER_BYTES>() else {
            return Err(ParseError::TooShort {
                needed: HEADER_BYTES,
                found,
            });
        };
        let [
            m0,
            m1,
            m2,
            version,
            c0,
            c1,
            c2,
            c3,
            layers,
            a0,
            a1,
            a2,
            w0,
            w1,
            height,
            channels,
        ] = header;
        if m0 != MAGIC[0] || m1 != MAGIC[1] || m2 != MAGIC[2] {
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
        let layers = layers as usize;
        if layers == 0 || layers > MAX_LAYERS {
            return Err(ParseError::LayerCount {
                found: layers,
                max: MAX_LAYERS,
            });
        }
        Ok(Header {
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
            layers,
            arena_words: u32::from_le_bytes([a0, a1, a2, 0]) as usize,
            input: Shape {
                channels: channels as u16,
                height: height as u16,
                width: u16::from_le_bytes([w0, w1]),
            },
        })
    }
}

/// The checksum that belongs into the container `bytes`: CRC-32 of everything before and behind the
/// checksum's own place. Bytes shorter than a header count as far as they go.
#[must_use]
pub const fn container_checksum(bytes: &[u8]) -> u32 {
    match bytes.split_first_chunk::<CHECKSUM_OFFSET>() {
        Some((before, rest)) => {
            let behind = match rest.split_first_chunk::<4>() {
                Some((_, behind)) => behind,
                None => &[],
            };
            crc32(&[before, behind])
        }
        None => crc32(&[bytes, &[]]),
    }
}
