//! Packed words by column: for each pair of neighbouring inputs, the rows that read it.
//!
//! An engine skips inputs that are zero, and computes two products of a row at once.
//!
//! ```text
//!  0    1      2       4                   4 + 4 * outputs         to a multiple of 4
//!  +----+------+-------+-------------------+-----------------------+-------+---------------+
//!  | c  | skip | pairs | i32 bias[outputs] | u16 starts[pairs], 0  | u32 0 | pairs' blocks |
//!  +----+------+-------+-------------------+-----------------------+-------+---------------+
//!
//!  block:  [ both : 10 | first : 11 | second : 11 ]   the number of entries that follow (32 bits)
//!           31            21            10       0
//!          both:    [ word of 2k + 1 : 16 | word of 2k : 16 ]   a row that reads both inputs
//!          first:   [ word : 16 | word : 16 ]                   rows that read only input 2k
//!          second:  [ word : 16 | word : 16 ]                   rows that read only input 2k + 1
//!
//!  word (16 bits):  [ weight : 16 - c | row : c ]
//! ```
//!
//! Pair k consists of the inputs 2k and 2k + 1; if the number of inputs is odd, the last one has no
//! partner. No row reads the first `4 * skip` inputs or the inputs after the last pair, so the
//! empty margin of an image costs nothing. `starts[k - 2 * skip]` is the offset of the block of
//! pair k from the `u32 0`, in units of 4 bytes. It is 0 if no row reads the pair: the `u32 0` is
//! an empty block. As with packed words, the whole word, as `i16`, is the weight. If `first` or
//! `second` is odd, a word of 0 precedes its words, so that an engine's loop over whole `u32`s
//! ends with the last word.
//!
//! A writer puts a row into only one section of a block. If a container has a row in two, both
//! weights count; no kernel depends on this rule, so parsing does not check it.
//!
//! The encoding is for dense layers only. A block is rejected if
//! - `c` is above 15 or too small for the rows, or a pair lies beyond the inputs,
//! - no row reads the first four inputs of the pairs (unless `skip` is 255) or the last pair,
//! - padding is not 0,
//! - a start is neither 0 nor the end of the block before it,
//! - a block is empty, ends after the last byte, or has weights for an absent input,
//! - bytes follow the last block,
//! - a row is not below the outputs, the rows of a section are not strictly increasing, or the two
//!   words of a row name different rows, or
//! - a word is 0.

mod check;
#[cfg(feature = "alloc")]
mod write;

pub(crate) use check::check;
#[cfg(feature = "alloc")]
pub(crate) use write::write;

use super::parts::BlockParts;
use super::rows::Dimensions;
use crate::bytes::Bytes;

/// The number of bytes before the biases.
const HEAD_BYTES: usize = 4;

/// Weights stored by pairs of columns.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The first input of the first pair, and the end of the last pair.
    inputs: [usize; 2],
    index_bits: u8,
    bias: &'a [[u8; 4]],
    starts: &'a [[u8; 2]],
    blocks: &'a [[u8; 4]],
}

/// The counts in the first `u32` of a block.
#[derive(Clone, Copy)]
struct Counts {
    /// Rows that read both inputs, a `u32` each.
    both: usize,
    /// Rows that read only the first input, half a `u32` each.
    first: usize,
    /// Rows that read only the second input, half a `u32` each.
    second: usize,
}

impl Counts {
    /// Reads the counts from the first `u32` of a block.
    const fn of(header: [u8; 4]) -> Self {
        let header = u32::from_le_bytes(header);
        Counts {
            both: (header >> 22) as usize,
            first: (header >> 11 & 0x7FF) as usize,
            second: (header & 0x7FF) as usize,
        }
    }

    /// Returns the length of the block in units of 4 bytes.
    const fn length(self) -> usize {
        1 + self.both + self.first.div_ceil(2) + self.second.div_ceil(2)
    }

    /// Returns the ranges of the packed words of the three sections, in units of 2 bytes. The
    /// block begins at `block`, in units of 4 bytes.
    const fn sections(self, block: usize) -> [[usize; 2]; 3] {
        let both = 2 * block + 2;
        let first = both + 2 * self.both + self.first % 2;
        let second = first + self.first + self.second % 2;
        [
            [both, both + 2 * self.both],
            [first, first + self.first],
            [second, second + self.second],
        ]
    }
}

impl<'a> Columns<'a> {
    /// Returns a view of a block that [`check()`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        match sections(dims, block) {
            Some((columns, _)) => columns,
            None => Columns {
                inputs: [0, 0],
                index_bits: 0,
                bias: &[],
                starts: &[],
                blocks: &[],
            },
        }
    }

    /// Returns the inputs that the pairs cover; no row reads the others.
    #[must_use]
    pub const fn inputs(&self) -> core::ops::Range<usize> {
        self.inputs[0]..self.inputs[1]
    }

    /// Returns the mask that extracts the row from a word.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        (1 << (self.index_bits & 15)) - 1
    }

    /// Returns the biases: one little-endian `i32` per output. Every row is an index into them.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// Returns the index of each pair's block in [`Columns::blocks`], as `u16`.
    #[must_use]
    pub const fn starts(&self) -> &'a [[u8; 2]] {
        self.starts
    }

    /// Returns all blocks as `u32`, the empty one first.
    #[must_use]
    pub const fn blocks(&self) -> &'a [[u8; 4]] {
        self.blocks
    }

    /// Calls `visit` with every weight as (column, row, weight), pair by pair. The columns of a
    /// row increase.
    pub fn each(&self, mut visit: impl FnMut(u16, u16, i16)) {
        let mask = self.mask() as u16;
        let words: &[[u8; 2]] = self.blocks.as_flattened().as_chunks().0;
        for (pair, &start) in self.starts.iter().enumerate() {
            // There are no more than 65,535 columns.
            let column = (self.inputs[0] + 2 * pair) as u16;
            let start = usize::from(u16::from_le_bytes(start));
            let Some(&header) = self.blocks.get(start) else {
                return;
            };
            let sections = Counts::of(header).sections(start);
            for (section, [start, end]) in sections.into_iter().enumerate() {
                let words = words.get(start..end).unwrap_or(&[]);
                for (place, word) in words.iter().enumerate() {
                    let word = u16::from_le_bytes(*word);
                    let second = match section {
                        0 => (place % 2) as u16,
                        1 => 0,
                        _ => 1,
                    };
                    visit(column + second, word & mask, word as i16);
                }
            }
        }
    }

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        let mut count = 0;
        self.each(|_, _, weight| count += usize::from(weight != 0));
        count
    }

    /// Returns the sizes of the block's parts.
    pub(super) fn parts(&self) -> BlockParts {
        let index_bits = self.mask().count_ones() as usize;
        let mut stored = 0;
        self.each(|_, _, _| stored += 1);
        let indices = (stored * index_bits + 4) / 8;
        let (words, biases) = (2 * stored, self.bias.as_flattened().len());
        // Starts, counts and padding count as positions, too.
        let starts = self.starts.as_flattened().len().next_multiple_of(4);
        let blocks = self.blocks.as_flattened().len();
        BlockParts {
            positions: starts + blocks - words + indices,
            values: words - indices,
            biases,
            parameters: HEAD_BYTES,
            value_bits: 16 - index_bits,
        }
    }
}

/// Splits a block into its sections. Also returns the bytes of the padding and of the empty block,
/// combined by OR, which must be 0. Returns `None` if the block is too short or a pair lies beyond
/// the inputs.
#[inline(always)]
const fn sections(dims: Dimensions, block: &[u8]) -> Option<(Columns<'_>, u8)> {
    let mut bytes = Bytes::new(block);
    let Some([index_bits, skip, p0, p1]) = bytes.array::<4>() else {
        return None;
    };
    let first = 4 * skip as usize;
    let pairs = u16::from_le_bytes([p0, p1]) as usize;
    // The last input may have no partner.
    let mut end = first + 2 * pairs;
    if end == dims.inputs + 1 {
        end = dims.inputs;
    }
    if end > dims.inputs {
        return None;
    }
    let Some(bias) = bytes.elements(dims.outputs) else {
        return None;
    };
    let Some(starts) = bytes.elements(pairs) else {
        return None;
    };
    let mut zeros = 0;
    if starts.len() % 2 == 1 {
        match bytes.array::<2>() {
            Some([z0, z1]) => zeros |= z0 | z1,
            None => return None,
        }
    }
    let (blocks, []) = bytes.rest().as_chunks() else {
        return None;
    };
    match blocks {
        &[[e0, e1, e2, e3], ..] => zeros |= e0 | e1 | e2 | e3,
        [] => return None,
    }
    let columns = Columns {
        inputs: [first, end],
        index_bits,
        bias,
        starts,
        blocks,
    };
    Some((columns, zeros))
}
