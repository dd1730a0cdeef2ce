//! Columns: for each input the rows that read it, so that an engine skips inputs that are zero.
//!
//! ```text
//!  0    1   4                     4 + 4 * outputs              to a multiple of 4
//!  +----+---+---------------------+----------------------------+--------------------------+
//!  | c  | 0 | i32 bias[outputs]   | u16 starts[inputs + 1], 0  | pairs of words           |
//!  +----+---+---------------------+----------------------------+--------------------------+
//!
//!  pair (32 bits):  [ weight : 16 - c | row : c ] [ weight : 16 - c | row : c ]
//!                    31       second word      16   15         first word     0
//! ```
//!
//! The pairs of input i are those from `starts[i]` to before `starts[i + 1]`. As with packed words the
//! whole word, as `i16`, is the weight. The last word of a column is 0 where it has an odd number.
//!
//! For dense layers only. Refused when `c` is above 15 or too few for the rows, when the starts do not
//! begin at 0, fall, or do not end at the number of pairs, when a row is not below the outputs, when
//! the rows of a column do not rise, or when something but 0 follows a word of 0.

use super::Dimensions;
use crate::bytes::{Bytes, u16_at};
use crate::error::ParseError;

/// Weights stored by column.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    inputs: usize,
    index_bits: u8,
    bias: &'a [[u8; 4]],
    starts: &'a [[u8; 2]],
    pairs: &'a [[u8; 4]],
}

impl<'a> Columns<'a> {
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        match sections(dims, block) {
            Some((columns, _)) => columns,
            None => Columns {
                inputs: 0,
                index_bits: 0,
                bias: &[],
                starts: &[],
                pairs: &[],
            },
        }
    }

    /// The layer's inputs: so many columns there are.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The mask that leaves of a word its row.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        (1 << (self.index_bits & 15)) - 1
    }

    /// A little-endian `i32` an output: every row is below their number.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// Where the pairs of each input begin, and behind them the number of pairs: `u16`.
    #[must_use]
    pub const fn starts(&self) -> &'a [[u8; 2]] {
        self.starts
    }

    /// All pairs of words.
    #[must_use]
    pub const fn pairs(&self) -> &'a [[u8; 4]] {
        self.pairs
    }

    /// Tells every weight to `visit` as (column, row, weight), column by column.
    pub fn each(&self, mut visit: impl FnMut(u16, u16, i16)) {
        let mask = self.mask() as u16;
        for (column, bounds) in (0..).zip(self.starts.windows(2)) {
            let [start, end] = [0, 1].map(|at| usize::from(u16_at(bounds, at)));
            let pairs = self.pairs.get(start..end).unwrap_or(&[]);
            for word in pairs.as_flattened().as_chunks().0 {
                let word = u16::from_le_bytes(*word);
                if word != 0 {
                    visit(column, word & mask, word as i16);
                }
            }
        }
    }
}

/// Cuts the sections and joins the bits between them that must be zero.
#[inline(always)]
const fn sections(dims: Dimensions, block: &[u8]) -> Option<(Columns<'_>, u8)> {
    let mut bytes = Bytes::new(block);
    let Some([index_bits, z0, z1, z2]) = bytes.array::<4>() else {
        return None;
    };
    let Some(bias) = bytes.elements(dims.outputs) else {
        return None;
    };
    let Some(starts) = bytes.elements(dims.inputs + 1) else {
        return None;
    };
    let mut zeros = z0 | z1 | z2;
    if starts.len() % 2 == 1 {
        match bytes.array::<2>() {
            Some([p0, p1]) => zeros |= p0 | p1,
            None => return None,
        }
    }
    let (pairs, []) = bytes.rest().as_chunks() else {
        return None;
    };
    let columns = Columns {
        inputs: dims.inputs,
        index_bits,
        bias,
        starts,
        pairs,
    };
    Some((columns, zeros))
}

pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let Some((columns, zeros)) = sections(dims, block) else {
        return Err(ParseError::BlockLength {
            layer,
            needed: 6 + dims.outputs * 4 + dims.inputs * 2,
            found: block.len(),
        });
    };
    if columns.index_bits > 15 || dims.outputs > 1 << columns.index_bits {
        return Err(ParseError::IndexBits {
            layer,
            found: columns.index_bits,
            count: dims.outputs,
        });
    }
    if zeros != 0 {
        return Err(ParseError::NotZero {
            layer,
            found: zeros,
        });
    }
    let words: &[[u8; 2]] = columns.pairs.as_flattened().as_chunks().0;
    let mask = columns.mask() as u16;
    let (mut input, mut at) = (0, 0);
    while input < columns.starts.len() {
        // What lies before this start is the column of the input before; nothing before the first.
        let end = 2 * u16_at(columns.starts, input) as usize;
        if end < at || end > words.len() || (input == 0 && end != 0) {
            return Err(ParseError::RowLengths {
                layer,
                stated: end / 2,
                found: words.len() / 2,
            });
        }
        let mut floor = 0;
        while at < end {
            let word = u16_at(words, at);
            let row = (word & mask) as usize;
            if word == 0 {
                // Nothing but 0 may follow.
                floor = dims.outputs;
            } else if row >= dims.outputs || row < floor {
                return Err(ParseError::Column {
                    layer,
                    position: at,
                    column: word & mask,
                    floor,
                    inputs: dims.outputs,
                });
            } else {
                floor = row + 1;
            }
            at += 1;
        }
        input += 1;
    }
    if at != words.len() {
        return Err(ParseError::RowLengths {
            layer,
            stated: at / 2,
            found: words.len() / 2,
        });
    }
    Ok(0)
}

#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    let index_bits = super::words::index_bits(rows.len());
    if index_bits > 15 {
        return Err(super::Unfit::Columns(rows.len()));
    }
    let mask = (1u16 << index_bits) - 1;
    let mut columns = alloc::vec![alloc::vec::Vec::new(); inputs];
    for (row, weights) in (0u16..).zip(rows) {
        for &(column, word) in weights {
            if word as u16 & mask != row || word == 0 {
                return Err(super::Unfit::Weight(word));
            }
            columns[usize::from(column)].push(word);
        }
    }
    let mut block = alloc::vec![index_bits, 0, 0, 0];
    block.extend(bias.iter().flat_map(|bias| bias.to_le_bytes()));
    let mut start = 0;
    block.extend(0u16.to_le_bytes());
    for column in &columns {
        start += column.len().div_ceil(2);
        let start = u16::try_from(start).map_err(|_| super::Unfit::Row(start))?;
        block.extend(start.to_le_bytes());
    }
    block.resize(block.len().next_multiple_of(4), 0);
    for column in &columns {
        block.extend(column.iter().flat_map(|word| word.to_le_bytes()));
        block.resize(block.len().next_multiple_of(4), 0);
    }
    Ok(block)
}
