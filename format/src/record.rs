//! Layer records, and the links of layers that do not simply read the previous layer.
//!
//! ```text
//!  0                                1                2         4                6        8
//!  +--------------------------------+----------------+---------+----------------+--------+
//!  | encoding | operation | links|0 | shift | length | outputs | original       | length |
//!  |                                |       | 16..19 |         | outputs        | 0..16  |
//!  +--------------------------------+----------------+---------+----------------+--------+
//! ```

use crate::encoding::{self, Encoding};
use crate::error::ParseError;

/// The size of a layer record in bytes.
pub const RECORD_BYTES: usize = 8;

/// The size of a layer's links in bytes.
pub const LINKS_BYTES: usize = 4;

/// The largest block that a record can state, in bytes.
#[cfg(feature = "alloc")]
pub const MAX_BLOCK_BYTES: usize = 0x7_FFFF;

/// The fields of a layer record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) encoding: Encoding,
    pub(crate) operation: u8,
    pub(crate) links: bool,
    pub(crate) shift: u8,
    pub(crate) outputs: u16,
    pub(crate) original_outputs: u16,
    pub(crate) length: usize,
}

impl Record {
    /// Returns the alignment of the block that the record in `bytes` describes, even if this build
    /// does not read its encoding.
    #[inline(always)]
    pub(crate) const fn alignment(bytes: [u8; RECORD_BYTES]) -> usize {
        encoding::alignment(bytes[0] & 15)
    }

    /// Returns whether the record in `bytes` describes a dense layer without links.
    pub(crate) const fn is_chained(bytes: [u8; RECORD_BYTES]) -> bool {
        bytes[0] & 0x70 == 0
    }

    /// Returns the length in bytes of the block that the record in `bytes` describes.
    #[inline(always)]
    pub(crate) const fn length(bytes: [u8; RECORD_BYTES]) -> usize {
        let [k, s, o0, o1, p0, p1, l0, l1] = bytes;
        let (head, tail) = ([k, s, o0, o1], [p0, p1, l0, l1]);
        let above = (u32::from_le_bytes(head) & 0xE000) << 3;
        (above | u32::from_le_bytes(tail) >> 16) as usize
    }

    /// Reads a record. Rejects an encoding that this build does not read, and an operation or a bit
    /// that the format does not define.
    #[inline(always)]
    pub(crate) const fn read(
        layer: usize,
        bytes: [u8; RECORD_BYTES],
    ) -> Result<Record, ParseError> {
        let [kind, shift, o0, o1, p0, p1, ..] = bytes;
        let Some(encoding) = Encoding::from_code(kind & 15) else {
            return Err(ParseError::UnknownEncoding {
                layer,
                found: kind & 15,
            });
        };
        let operation = (kind >> 4) & 3;
        if kind & 0x80 != 0 || operation == 3 {
            return Err(ParseError::UnknownOperation { layer, found: kind });
        }
        Ok(Record {
            encoding,
            operation,
            links: kind & 0x40 != 0,
            shift: shift & 31,
            outputs: u16::from_le_bytes([o0, o1]),
            original_outputs: u16::from_le_bytes([p0, p1]),
            length: Record::length(bytes),
        })
    }

    /// Returns the bytes of the record.
    #[cfg(feature = "alloc")]
    pub(crate) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let kind = self.encoding.code() | self.operation << 4 | u8::from(self.links) << 6;
        let [l0, l1, l2, _] = (self.length as u32).to_le_bytes();
        let [o0, o1] = self.outputs.to_le_bytes();
        let [p0, p1] = self.original_outputs.to_le_bytes();
        [kind, self.shift | l2 << 5, o0, o1, p0, p1, l0, l1]
    }
}

/// The source, skip and place of a layer. All layers of a network have links if one of them reads
/// a layer other than the previous one or adds a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Links {
    /// The distance to the source, in layers: 1 is the previous layer, and one more than the
    /// layer's index is the network's input.
    pub source: u8,
    /// The distance, in layers, to the map that is added before the ReLU; 0 for none.
    pub skip: u8,
    /// The left shift of the added map, 0..=31.
    pub skip_shift: u8,
    /// The index in the arena of the first word of the output.
    pub place: u16,
}

impl Links {
    /// The links of a layer without any: it reads the previous layer and adds nothing.
    pub(crate) const NONE: Links = Links {
        source: 1,
        skip: 0,
        skip_shift: 0,
        place: 0,
    };

    /// Reads links.
    #[inline(always)]
    pub(crate) const fn from_bytes([back, skip_shift, p0, p1]: [u8; LINKS_BYTES]) -> Links {
        Links {
            source: back & 15,
            skip: back >> 4,
            skip_shift,
            place: u16::from_le_bytes([p0, p1]),
        }
    }

    /// Returns the bytes of the links.
    #[cfg(feature = "alloc")]
    pub(crate) const fn to_bytes(self) -> [u8; LINKS_BYTES] {
        let [p0, p1] = self.place.to_le_bytes();
        [self.source | self.skip << 4, self.skip_shift, p0, p1]
    }
}
