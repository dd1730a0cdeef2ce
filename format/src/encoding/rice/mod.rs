//! Entropy-coded sparse layers: the smallest encoding, decoded row by row in order.
//!
//! A block is a byte-aligned stream of bits; the dimensions (`inputs`, `outputs`) come from outside.
//! [`Rice::check`] decodes it once and refuses what a kernel could trip over; after that
//! [`Rice::selection`] and [`RiceRows`] give its content again. The writer tries all parameters;
//! [`unit_order`] proposes the order of hidden units that the encoding is made for.
//!
//! # What makes it small, and quick to read
//!
//! - All numbers are in one code, Rice's, with a parameter that suits them: rows of one length have
//!   one for their gaps, from their density, and one for the steps between their first columns.
//! - Rows sorted by length need a number of rows for each length instead of lengths, and among rows
//!   of one length first columns do not fall: that is worth nearly `log2(outputs!)` bits.
//! - Weights on images come in clusters: half of them follow another one directly. One bit says so.
//! - Inputs that no row uses (an image's border) are listed once, as runs, and gathered away.
//! - Small magnitudes are more frequent than large ones, and Rice coded too.
//! - No code is longer than 25 bits, and neither are a weight and the gap behind it: so one load of
//!   four bytes, wherever they lie, shows all of it. The stream runs from the block's end to its front,
//!   where the head is: so these four bytes are always inside the block.
//!
//! # Bits
//!
//! The stream begins with the block's last byte and goes on to the byte before it, down to the one
//! behind the head. The first bit of a byte is its most significant; numbers have their most
//! significant bit first. (So the bytes behind the head are one little-endian number, read from its
//! most significant bit.) The last byte of the stream, the first in memory, is filled with zeros, and
//! nothing follows it.
//!
//! `R(k)`, a **Rice code**, is a number `n` of 0 or more: `n >> k` zeros, then a one, then the low `k`
//! bits of `n`. It has at most 25 bits. A weight's `R(weight_k)` and all that is coded from there to
//! the next weight have at most 25 bits together.
//!
//! **Folded** numbers carry a sign: 0, 1, 2, 3, 4, ... mean 0, -1, 1, -2, 2, ...
//!
//! `K(spread, weights)`, the parameter of distances, is the least `k` of 0 or more with
//! `weights << k >= columns * spread / 8` (the quotient rounded down); 0 if `weights` is 0.
//!
//! # Block
//!
//! ```text
//! the head:
//!   4 bytes, one number, most significant byte first:
//!     bit 31     sorted     rows are sorted, see below
//!     bit 30     selected   a list of used inputs follows
//!     bit 29     adjacent   a bit before each gap says whether there is one
//!     bit 28     listed     there is a codebook
//!     bits 24-27 first_spread 0..15
//!     bits 20-23 gap_spread   0..15
//!     bits 16-19 length_k     0..15
//!     bits 13-15 count_k      0..7
//!     bits 8-12  bias_k       0..31
//!     bits 4-7   bias_shift   0..15
//!     bits 0-3   weight_k     0..15
//!   if listed, the codebook:
//!     1 byte     its entries less one
//!     1 byte an entry: an i8, not 0
//!   if selected:
//!     2 bytes, most significant first: how many inputs the list has
//! the stream of bits, from the block's last byte to the one behind the head:
//!   if selected: 4 bits gap_k, 4 bits run_k, and from input 0 until the last input is reached
//!     R(gap_k)     unused inputs; between two runs one less than they are
//!     R(run_k)     used inputs that follow one another, less one; not if none is left
//!   the rows, one after another:
//!     if sorted, before the first row of each length:
//!       R(length_k)   by how much the length exceeds `least`: 0 at first, then one more than the
//!                     length before
//!       R(count_k)    `rows`, the rows of this length, less one
//!     if not sorted, before each row:
//!       R(length_k)   folded: what the length is more than that of the row before, or than 0;
//!                     `rows` is 1
//!     R(bias_k)       folded: the bias >> bias_shift
//!     if the row has weights:
//!       R(K(first_spread, length * rows))   the first column, less that of the row before if both
//!                                           are of the same `rows`
//!     for each weight of the row:
//!       R(weight_k)   the weight's number
//!       unless it is the row's last, the gap: how many columns lie between it and the next one
//!         if adjacent:    one bit, 1 if the gap is 0, else R(K(gap_spread, length)) of the gap less one
//!         if not:         R(K(gap_spread, length)) of the gap
//! ```
//!
//! `columns` is the number of used inputs if there is a list, and then columns count these; else it is
//! the layer's inputs. A **weight's number** is `2 * (|w| - 1)`, plus 1 for a negative weight; with a
//! codebook it is the entry's place, from 0.
//!
//! For example `80 00 02 00 c0 c2 5f 66`, three inputs and the rows `5 - x[1]` and
//! `-2 + 3 x[0] + x[2]`: sorted, `bias_k` 2 and all other parameters 0. The stream is 66 5f c2 c0:
//!
//! ```text
//! 01 1         length 1 = 0 + 1, one row
//! 00110        bias 5 (folded 10)
//! 01 01        first column 1; weight -1 (number 1)
//! 1 1          length 2 = 2 + 0, one row
//! 111          bias -2 (folded 3)
//! 1 00001      first column 0; weight 3 (number 4)
//! 01 1         gap 1; weight 1 (number 0)
//! 000000       filled
//! ```

use core::fmt;

mod bits;
mod check;
#[cfg(feature = "alloc")]
mod order;
mod parameters;
#[cfg(feature = "alloc")]
mod parts;
mod rows;
mod selection;
#[cfg(feature = "alloc")]
mod write;

pub use check::Summary;
#[cfg(feature = "alloc")]
pub use order::{Pattern, unit_order};
pub use rows::{Rows as RiceRows, Stream as RiceStream};
pub use selection::Selection;
#[cfg(feature = "alloc")]
pub use write::{Parts, RiceRow, write_rice};

use super::{Dimensions, Rows};
use crate::error::ParseError;
use bits::Bits;
use parameters::{FIRST_SPREAD, GAP_SPREAD, Parameters, SELECTED, reach};

/// A checked block.
#[derive(Clone, Copy, Debug)]
pub struct Rice<'a> {
    block: &'a [u8],
    inputs: u16,
    outputs: u16,
    selected: Option<u16>,
}

impl<'a> Rice<'a> {
    /// The layer's inputs.
    #[must_use]
    pub const fn inputs(&self) -> u16 {
        self.inputs
    }

    /// The layer's outputs: so many rows there are.
    #[must_use]
    pub const fn outputs(&self) -> u16 {
        self.outputs
    }

    /// How many inputs [`Rice::selection`] lists, if there is a list: the columns of rows count
    /// these, and a kernel needs so many bytes to gather them in.
    #[must_use]
    pub const fn selected(&self) -> Option<u16> {
        self.selected
    }

    /// The inputs that are used; behind them come the rows.
    #[must_use]
    #[inline]
    pub const fn selection(&self) -> Selection<'a> {
        // `check` has read the same parameters, which say `selected` too.
        let listed = self.selected.is_some();
        Selection::new(Bits::new(self.block), listed, self.inputs as u32)
    }

    /// The rows from the first.
    #[must_use]
    #[inline]
    pub const fn rows(&self) -> RiceRows<'a> {
        self.selection().rows()
    }

    /// The block for a kernel that reads its bits itself.
    #[must_use]
    #[inline]
    pub const fn stream(&self) -> RiceStream<'a> {
        let parameters = match Parameters::read(self.block) {
            Ok(read) => read,
            Err(_) => Parameters::EMPTY,
        };
        let columns = match self.selected {
            Some(columns) => columns as u32,
            None => self.inputs as u32,
        };
        RiceStream {
            block: self.block,
            head: parameters.head,
            codebook: parameters.codebook,
            first_reach: reach(columns, parameters.get(FIRST_SPREAD)),
            gap_reach: reach(columns, parameters.get(GAP_SPREAD)),
        }
    }
}

impl<'a> Rice<'a> {
    /// The view of a block that [`check()`] has accepted; of another it is harmless nonsense.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        let selected = match Parameters::read(block) {
            Ok(parameters) if parameters.is(SELECTED) => Some(parameters.columns),
            _ => None,
        };
        Rice {
            block,
            inputs: dims.inputs as u16,
            outputs: dims.outputs as u16,
            selected,
        }
    }

    /// The rows with the columns that they really read.
    #[must_use]
    pub const fn each(&self) -> RiceReader<'a> {
        RiceReader {
            rice: *self,
            rows: self.rows(),
            left: self.outputs,
        }
    }
}

/// Checks a block; gives the length of the longest row.
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    if dims.inputs > u16::MAX as usize {
        return Err(ParseError::SourceTooLarge {
            layer,
            max: u16::MAX as usize,
            found: dims.inputs,
        });
    }
    match Rice::check(block, dims.inputs as u16, dims.outputs as u16) {
        Ok((_, summary)) => Ok(summary.longest_row as usize),
        Err(error) => Err(ParseError::Rice { layer, error }),
    }
}

/// The block of a layer; only that of a dense one may list the columns it uses.
#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
    dense: bool,
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    let inputs = u16::try_from(inputs).map_err(|_| super::Unfit::Columns(inputs))?;
    let rows = bias.iter().zip(rows).map(|(&bias, weights)| RiceRow {
        bias,
        weights: weights.clone(),
    });
    let rows: alloc::vec::Vec<RiceRow> = rows.collect();
    let written = write_rice(inputs, &rows, dense).map_err(super::Unfit::Rice)?;
    Ok(written.0)
}

/// The rows of a [`Rice`] that are left, with the columns that they really read: slower than
/// [`RiceRows`] where the block lists the columns it uses, since each row walks through the list.
#[derive(Clone, Debug)]
pub struct RiceReader<'a> {
    rice: Rice<'a>,
    rows: RiceRows<'a>,
    left: u16,
}

impl Rows for RiceReader<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        self.left = self.left.checked_sub(1)?;
        let bias = self.rows.start();
        if self.rice.selected.is_none() {
            self.rows
                .weights(|column, weight| visit(column as u16, weight as i16));
            return Some(bias);
        }
        let mut selection = self.rice.selection();
        // The columns of the list below `end` are inputs `shift` farther.
        let (mut end, mut shift) = (0, 0);
        self.rows.weights(|column, weight| {
            while column >= end {
                let Some((start, length)) = selection.next_run() else {
                    break;
                };
                shift = start.wrapping_sub(end);
                end += length;
            }
            visit(column.wrapping_add(shift) as u16, weight as i16);
        });
        Some(bias)
    }
}

/// Why a block was refused. Rows count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are named, and each variant's sentence says what they are"
)]
pub enum RiceError {
    /// The bytes end in this row or before, or a code there is longer than it may be.
    Ended { row: u16 },
    /// The list of used columns goes behind the layer's inputs, or has not as many as it states.
    Selection { inputs: u16 },
    /// A row with more weights than there are columns.
    Length { row: u16, length: u32, columns: u32 },
    /// A column that the layer does not have.
    Column { row: u16, column: u32, columns: u32 },
    /// A weight of 0, one of more than 16 bits, or one that the codebook does not have.
    Weight { row: u16 },
    /// More rows of one length than the layer has.
    Rows { outputs: u16 },
    /// A bit that is set behind the last row.
    Padding,
    /// Bytes behind the last row.
    Surplus { bytes: u32 },
    /// A row to be written with columns that do not ascend or lie outside, or with weights that this
    /// encoding does not have.
    Unwritable { row: u16 },
    /// Numbers that cannot be written so that a reader sees each at once.
    Overlong,
}

impl fmt::Display for RiceError {
    #[rustfmt::skip]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RiceError::Ended { row } => write!(f, "its bits end in row {row} or before, or a code there has more than 25"),
            RiceError::Selection { inputs } => write!(f, "its list of used columns does not fit {inputs} inputs"),
            RiceError::Length { row, length, columns } => write!(f, "row {row} has {length} weights in {columns} columns"),
            RiceError::Column { row, column, columns } => write!(f, "row {row} has a weight in column {column} of {columns}"),
            RiceError::Weight { row } => write!(f, "row {row} has a weight of 0, of more than 16 bits or of no entry of the codebook"),
            RiceError::Rows { outputs } => write!(f, "it announces more rows than the {outputs} there are"),
            RiceError::Padding => write!(f, "a bit is set behind its last row"),
            RiceError::Surplus { bytes } => write!(f, "{bytes} bytes follow its last row"),
            RiceError::Unwritable { row } => write!(f, "row {row} has columns out of order or weights of 0"),
            RiceError::Overlong => write!(f, "its biases, weights or rows need codes of more than 25 bits"),
        }
    }
}
