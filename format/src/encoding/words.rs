//! Packed words: column and weight of a connection in 16 bits, rows of one length together.
//!
//! ```text
//!  0    1      2   4
//!  +----+------+---+-------------------------+-----------------------------------------------+
//!  | c  | runs | 0 | u16 length, u16 rows    | rows: i32 bias, then ceil(length / 2) pairs   |
//!  +----+------+---+-- for each run ---------+-- for each row, run by run -------------------+
//!
//!  pair (32 bits):  [ weight : 16 - c | column : c ] [ weight : 16 - c | column : c ]
//!                    31         second word       16   15          first word        0
//! ```
//!
//! The low `c` bits of a word are its column. The whole word, as `i16`, is the weight that is
//! multiplied: the column is a known fraction of it, so an engine extracts nothing and the quantizer
//! loses nothing. The hidden units of a network can be ordered so that rows of equal length follow one
//! another: then a kernel has a body without a loop for each length.
//!
//! A row ends with words of 0 where it is shorter than its run, and in the second half of its last pair
//! where the run's length is odd: they add nothing.
//!
//! Refused when `c` is above 15 or too few for the columns, when a run has no row, when the runs' rows
//! are not the layer's outputs, when the block has another length, when a column is not below the inputs, when the
//! columns of a row do not rise, or when something but 0 follows a word of 0.

use super::{Dimensions, Rows};
use crate::bytes::{Bytes, u16_at};
use crate::error::ParseError;

/// Weights stored as packed words.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    inputs: usize,
    outputs: usize,
    index_bits: u8,
    runs: &'a [[u8; 4]],
    stream: &'a [[u8; 4]],
}

/// Bits that a word needs to name one of `count` columns (or rows): at least 1.
#[must_use]
pub const fn index_bits(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    if bits == 0 { 1 } else { bits as u8 }
}

impl<'a> Words<'a> {
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        let mut bytes = Bytes::new(block);
        let (index_bits, runs) = match bytes.array::<4>() {
            Some([index_bits, runs, ..]) => (index_bits, runs as usize),
            None => (0, 0),
        };
        let runs = match bytes.elements(runs) {
            Some(runs) => runs,
            None => &[],
        };
        Words {
            inputs: dims.inputs,
            outputs: dims.outputs,
            index_bits,
            runs,
            stream: bytes.rest().as_chunks().0,
        }
    }

    /// The layer's inputs: every column is below this.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The layer's outputs: as many rows as the runs have.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The mask that leaves of a word its column.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        (1 << (self.index_bits & 15)) - 1
    }

    /// For each run its rows' length in words and their number, a `u16` each.
    #[must_use]
    pub const fn runs(&self) -> &'a [[u8; 4]] {
        self.runs
    }

    /// The rows, run by run: a bias (`i32`) and pairs of words.
    #[must_use]
    pub const fn stream(&self) -> &'a [[u8; 4]] {
        self.stream
    }

    /// The rows.
    #[must_use]
    pub const fn rows(&self) -> WordsRows<'a> {
        WordsRows {
            words: *self,
            run: 0,
            rows: 0,
        }
    }
}

/// The length and the number of rows of a run.
const fn run(run: [u8; 4]) -> (usize, usize) {
    let [l0, l1, r0, r1] = run;
    (
        u16::from_le_bytes([l0, l1]) as usize,
        u16::from_le_bytes([r0, r1]) as usize,
    )
}

pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let mut bytes = Bytes::new(block);
    let Some([index_bits, count, z0, z1]) = bytes.array::<4>() else {
        return Err(ParseError::BlockLength {
            layer,
            needed: 4,
            found: block.len(),
        });
    };
    if index_bits > 15 || dims.inputs > 1 << index_bits {
        return Err(ParseError::IndexBits {
            layer,
            found: index_bits,
            count: dims.inputs,
        });
    }
    if z0 != 0 || z1 != 0 {
        return Err(ParseError::NotZero {
            layer,
            found: z0 | z1,
        });
    }
    let Some(mut runs) = bytes.elements::<4>(count as usize) else {
        return Err(ParseError::BlockLength {
            layer,
            needed: 4 + 4 * count as usize,
            found: block.len(),
        });
    };
    let mask = (1u16 << index_bits) - 1;
    let (mut longest, mut outputs, mut position) = (0, 0, 0);
    while let Some((&this, rest)) = runs.split_first() {
        let (length, rows) = run(this);
        if rows == 0 {
            return Err(ParseError::RowLengths {
                layer,
                stated: 0,
                found: dims.outputs,
            });
        }
        let mut row = 0;
        while row < rows {
            let Some(pairs) = bytes.take(4 + length.div_ceil(2) * 4) else {
                return Err(ParseError::BlockLength {
                    layer,
                    needed: block.len() + 4 + length.div_ceil(2) * 4,
                    found: block.len(),
                });
            };
            let words: &[[u8; 2]] = pairs.as_chunks().0;
            // The bias takes the place of two words.
            let (mut at, mut floor) = (2, 0);
            while at < words.len() {
                let word = u16_at(words, at);
                let column = (word & mask) as usize;
                if word == 0 {
                    // Nothing but 0 may follow.
                    floor = dims.inputs;
                } else if at - 2 >= length || column >= dims.inputs || column < floor {
                    return Err(ParseError::Column {
                        layer,
                        position,
                        column: word & mask,
                        floor,
                        inputs: dims.inputs,
                    });
                } else {
                    floor = column + 1;
                }
                at += 1;
                position += 1;
            }
            row += 1;
        }
        outputs += rows;
        if length > longest {
            longest = length;
        }
        runs = rest;
    }
    if outputs != dims.outputs {
        return Err(ParseError::RowLengths {
            layer,
            stated: outputs,
            found: dims.outputs,
        });
    }
    if !bytes.rest().is_empty() {
        return Err(ParseError::BlockLength {
            layer,
            needed: block.len() - bytes.rest().len(),
            found: block.len(),
        });
    }
    Ok(longest)
}

/// The rows of [`Words`] that are left.
#[derive(Clone, Copy, Debug)]
pub struct WordsRows<'a> {
    words: Words<'a>,
    /// The length of the rows of this run.
    run: usize,
    /// The rows of it that are left.
    rows: usize,
}

impl Rows for WordsRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        while self.rows == 0 {
            let (&next, runs) = self.words.runs.split_first()?;
            (self.run, self.rows) = run(next);
            self.words.runs = runs;
        }
        self.rows -= 1;
        let (&bias, rest) = self.words.stream.split_first()?;
        let (pairs, rest) = rest.split_at_checked(self.run.div_ceil(2))?;
        self.words.stream = rest;
        let mask = self.words.mask() as u16;
        for word in pairs.as_flattened().as_chunks().0 {
            let word = u16::from_le_bytes(*word);
            if word != 0 {
                visit(word & mask, word as i16);
            }
        }
        Some(i32::from_le_bytes(bias))
    }
}

#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    let index_bits = index_bits(inputs);
    if index_bits > 15 {
        return Err(super::Unfit::Columns(inputs));
    }
    let mask = (1u16 << index_bits) - 1;
    let lengths: alloc::vec::Vec<usize> = rows.iter().map(alloc::vec::Vec::len).collect();
    let runs = runs(&lengths);
    let count = u8::try_from(runs.len()).map_err(|_| super::Unfit::Runs(runs.len()))?;
    let mut block = alloc::vec![index_bits, count, 0, 0];
    for &(length, rows) in &runs {
        let length = u16::try_from(length).map_err(|_| super::Unfit::Row(length))?;
        block.extend(length.to_le_bytes());
        // At most 65,535 outputs.
        block.extend((rows as u16).to_le_bytes());
    }
    let lengths = runs
        .iter()
        .flat_map(|&(length, rows)| core::iter::repeat_n(length, rows));
    for ((bias, row), length) in bias.iter().zip(rows).zip(lengths) {
        block.extend(bias.to_le_bytes());
        for &(column, word) in row {
            if word as u16 & mask != column || word == 0 {
                return Err(super::Unfit::Weight(word));
            }
            block.extend(word.to_le_bytes());
        }
        let zeros = 2 * length.div_ceil(2) - row.len();
        block.extend(core::iter::repeat_n(0, 2 * zeros));
    }
    Ok(block)
}

/// Instructions that a run costs besides its rows, in units of a weight's: where it is cheaper to give
/// rows a few words of 0 than a run of their own, they get them.
#[cfg(feature = "alloc")]
const RUN_COST: usize = 3;

/// The runs of rows with these lengths, in their order: (length, rows). Neighbours share a run where
/// filling the shorter ones up costs less than another run. The words of 0 cost flash in pairs, so
/// odd lengths are filled for nothing.
#[cfg(feature = "alloc")]
fn runs(lengths: &[usize]) -> alloc::vec::Vec<(usize, usize)> {
    // Shortest paths over the boundaries between groups of equal neighbours.
    let mut groups: alloc::vec::Vec<(usize, usize)> = alloc::vec::Vec::new();
    for &length in lengths {
        match groups.last_mut() {
            Some((last, rows)) if *last == length => *rows += 1,
            _ => groups.push((length, 1)),
        }
    }
    let count = groups.len();
    let mut best = alloc::vec![(usize::MAX, 0); count + 1];
    best[0] = (0, 0);
    for end in 1..=count {
        let (mut longest, mut rows, mut weights) = (0, 0, 0);
        for start in (0..end).rev() {
            let (length, number) = groups[start];
            longest = longest.max(length);
            rows += number;
            weights += length * number;
            let cost = best[start].0 + RUN_COST + rows * longest - weights;
            if cost < best[end].0 {
                best[end] = (cost, start);
            }
        }
    }
    let mut runs = alloc::vec::Vec::new();
    let mut end = count;
    while end > 0 {
        let start = best[end].1;
        let longest = groups[start..end].iter().map(|group| group.0).max();
        let rows = groups[start..end].iter().map(|group| group.1).sum();
        runs.push((longest.unwrap_or(0), rows));
        end = start;
    }
    runs.reverse();
    runs
}
