//! Packed words: column and weight of a connection in 16 bits, rows grouped by length.
//!
//! ```text
//!  0        4
//!  +--------+------+-----------------------------------------------+------+------ ... -+-----+
//!  | 2^c -1 | head | rows: i32 bias, then ceil(length / 2) pairs   | head | rows       | 34  |
//!  +--------+------+----------- one run ---------------------------+------+------ ... -+-----+
//!
//!  head (32 bits):  [ 0 : 1 | rows - 1 : 15 | form : 16 ]
//!  pair (32 bits):  [ weight : 16 - c | column : c ] [ weight : 16 - c | column : c ]
//!                    31         second word       16   15          first word        0
//! ```
//!
//! The low `c` bits of a word are its column. The whole word, as `i16`, is the weight that is
//! multiplied: the column acts as the fractional part of the weight, which the quantizer knows and
//! compensates for, so an engine extracts nothing. The hidden units of a network can be ordered
//! such that rows of equal length are neighbours; a kernel can then have an unrolled loop body for
//! each length.
//!
//! A kernel selects its code by the form, with one load and one jump per run. The form is
//! `2 * length + e` for rows of up to 14 words and `30 + e` for longer ones, whose length is the
//! 32-bit number after the head. `e` is 1 if the number of rows is even, so that a loop body may
//! compute two rows at a time. The number 34 in place of a head ends the block.
//!
//! Words of 0 fill up rows with fewer weights than the length of their run, and the last pair of
//! each row if that length is odd.
//!
//! A block is rejected if
//! - `c` is 0, above 15, or too small for the columns,
//! - a head is invalid,
//! - the runs have more or fewer rows than the layer has outputs,
//! - the block ends before the number 34 or does not end directly after it,
//! - a column is not below the inputs,
//! - the columns of a row are not strictly increasing, or
//! - a word other than 0 follows a word of 0.

mod check;
#[cfg(feature = "alloc")]
mod write;

pub(crate) use check::check;
#[cfg(feature = "alloc")]
pub(crate) use write::write;

use super::parts::BlockParts;
use super::rows::{Dimensions, Rows, count_nonzeros};
use crate::bytes::Bytes;

/// The length of the longest rows whose form states their length.
const LONGEST: usize = 14;

/// The form of longer rows, if their number is odd.
const LONG: u32 = 30;

/// The number after the last run.
const END: u32 = 34;

/// The size of the mask in bytes.
const MASK_BYTES: usize = 4;

/// Weights stored as packed words.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    inputs: usize,
    outputs: usize,
    block: &'a [[u8; 4]],
}

/// Returns the number of bits, at least 1, that a word needs for the index of one of `count`
/// columns (or rows).
#[must_use]
pub const fn index_bits(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    if bits == 0 { 1 } else { bits as u8 }
}

/// Packs an index into the low `index_bits` bits of a word whose upper bits are `high`.
///
/// The result is the weight that an engine multiplies by. Bits of `high` that the shift moves
/// beyond the 16th are lost.
///
/// ```
/// use rarefy_format::{index_bits, pack_word};
/// assert_eq!(pack_word(-3, 9, index_bits(12)), -3 * 16 + 9);
/// ```
#[must_use]
pub const fn pack_word(high: i16, index: u16, index_bits: u8) -> i16 {
    ((high as i32) << index_bits | index as i32) as i16
}

impl<'a> Words<'a> {
    /// Returns a view of a block that [`check()`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        Words {
            inputs: dims.inputs,
            outputs: dims.outputs,
            block: block.as_chunks().0,
        }
    }

    /// Returns the number of inputs, which exceeds every column.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the number of outputs, which is the number of rows in all runs.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the mask that extracts the column from a word.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        match self.block {
            [mask, ..] => u32::from_le_bytes(*mask),
            [] => 0,
        }
    }

    /// Returns the block as 32-bit words: the mask, the runs, and the number 34. A run is a head
    /// and its rows; a row is a bias and pairs of packed words.
    #[must_use]
    pub const fn block(&self) -> &'a [[u8; 4]] {
        self.block
    }

    /// Returns an iterator over the runs.
    #[must_use]
    pub const fn runs(&self) -> WordsRuns<'a> {
        WordsRuns {
            stream: match self.block {
                [_, stream @ ..] => stream,
                [] => &[],
            },
        }
    }

    /// Returns an iterator over the rows.
    #[must_use]
    pub const fn rows(&self) -> WordsRows<'a> {
        WordsRows {
            mask: self.mask() as u16,
            runs: self.runs(),
            length: 0,
            rows: 0,
        }
    }

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        count_nonzeros(self.rows())
    }

    /// Returns the sizes of the block's parts.
    pub(super) fn parts(&self) -> BlockParts {
        let index_bits = self.mask().count_ones() as usize;
        let pairs = self
            .runs()
            .map(|run| run.length.div_ceil(2) * run.rows)
            .sum::<usize>();
        let (words, biases) = (4 * pairs, 4 * self.outputs);
        let indices = (words / 2 * index_bits + 4) / 8;
        // The heads of the runs and the end count as positions, too.
        let heads = 4 * self.block.len() - MASK_BYTES - words - biases;
        BlockParts {
            positions: heads + indices,
            values: words - indices,
            biases,
            parameters: MASK_BYTES,
            value_bits: 16 - index_bits,
        }
    }
}

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The number of packed words per row, including words of 0 that fill up shorter rows.
    pub length: usize,
    /// The number of rows, at least one.
    pub rows: usize,
}

impl Run {
    /// Returns the size of a row in 32-bit words: its bias and its pairs.
    #[inline(always)]
    const fn row(&self) -> usize {
        1 + self.length.div_ceil(2)
    }

    /// Reads the size of the run that begins with `head`; returns `None` if the head is invalid.
    #[inline(always)]
    const fn read(head: u32, rest: &mut Bytes<'_>) -> Option<Run> {
        let (form, rows) = (head & 0xFFFF, (head >> 16) as usize + 1);
        let even = (rows as u32 + 1) & 1;
        let long = form == LONG | even;
        let length = if long {
            match rest.array() {
                Some(length) => u32::from_le_bytes(length) as usize,
                None => return None,
            }
        } else {
            form as usize / 2
        };
        let is_wrong_form = length > 0xFFFF || long != (length > LONGEST);
        if is_wrong_form || form & 1 != even || head >> 31 != 0 {
            return None;
        }
        Some(Run { length, rows })
    }
}

/// The remaining runs of [`Words`].
#[derive(Clone, Copy, Debug)]
pub struct WordsRuns<'a> {
    stream: &'a [[u8; 4]],
}

impl<'a> WordsRuns<'a> {
    /// Reads the head of the next run, whose rows follow in the stream; returns `None` after the
    /// last.
    #[inline(always)]
    fn head(&mut self) -> Option<Run> {
        let (head, stream) = self.stream.split_first()?;
        let mut rest = Bytes::new(stream.as_flattened());
        let run = match u32::from_le_bytes(*head) {
            END => None,
            head => Run::read(head, &mut rest),
        };
        self.stream = rest.rest().as_chunks().0;
        run
    }

    /// Takes the next `count` words of the stream.
    #[inline(always)]
    fn words(&mut self, count: usize) -> Option<&'a [[u8; 4]]> {
        let (taken, stream) = self.stream.split_at_checked(count)?;
        self.stream = stream;
        Some(taken)
    }
}

impl Iterator for WordsRuns<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let run = self.head()?;
        self.words(run.row().saturating_mul(run.rows))?;
        Some(run)
    }
}

/// The remaining rows of [`Words`].
#[derive(Clone, Copy, Debug)]
pub struct WordsRows<'a> {
    mask: u16,
    /// The stream, whose next rows are the rest of the current run.
    runs: WordsRuns<'a>,
    /// The length of the rows of the current run.
    length: usize,
    /// The remaining rows of the current run.
    rows: usize,
}

impl Rows for WordsRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        if self.rows == 0 {
            let run = self.runs.head()?;
            (self.length, self.rows) = (run.length, run.rows);
        }
        self.rows -= 1;
        let &bias = self.runs.words(1)?.first()?;
        let pairs = self.runs.words(self.length.div_ceil(2))?;
        for word in pairs.as_flattened().as_chunks().0 {
            let word = u16::from_le_bytes(*word);
            if word != 0 {
                visit(word & self.mask, word as i16);
            }
        }
        Some(i32::from_le_bytes(bias))
    }
}
