//! Cutting the bytes behind the layer records into sections.
//!
//! Sections follow one another without gaps, each padded with zeros to a multiple of four bytes, so
//! their places follow from the records alone and every section starts on a word.

use bytemuck::AnyBitPattern;

use crate::error::ParseError;

/// The bytes of a container that no section has taken yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Sections { rest }
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next section: `count` elements and their padding. Refuses what does not fit, and padding
    /// that is not zero.
    #[inline(always)]
    pub(crate) fn take<T: AnyBitPattern>(
        &mut self,
        layer: usize,
        count: usize,
    ) -> Result<&'a [T], ParseError> {
        let available = self.rest.len();
        let bytes = count.saturating_mul(size_of::<T>());
        let past_end = ParseError::SectionPastEnd {
            layer,
            needed: bytes,
            available,
        };
        let padded = padded(bytes);
        let Some((section, rest)) = self.rest.split_at_checked(padded) else {
            return Err(past_end);
        };
        let Some(elements) = section.get(..bytes) else {
            return Err(past_end);
        };
        // The padding is what the last word holds behind the elements.
        if let (Some(&last), used @ 1..) = (section.last_chunk::<4>(), bytes % 4) {
            let found = u32::from_le_bytes(last) >> (8 * used);
            if found != 0 {
                return Err(ParseError::PaddingNotZero { layer, found });
            }
        }
        self.rest = rest;
        // Sections start on words of a container that lies on a word: this cast cannot fail.
        bytemuck::try_cast_slice(elements).map_err(|_| past_end)
    }
}

/// `bytes` rounded up to whole words; near the largest `usize` rounded down, to a length that no
/// container has.
#[inline(always)]
pub(crate) const fn padded(bytes: usize) -> usize {
    bytes.saturating_add(3) & !3
}
