//! Entropy-coded sparse layers: the smallest encoding, decoded row by row in order.
//!
//! A block is a byte-aligned stream of bits; the dimensions (`inputs`, `outputs`) come from outside.
//! [`Rice::check`] decodes it once and refuses what a kernel could trip over; after that
//! [`Rice::selection`] and [`RiceRows`] give its content again. The writer tries all parameters;
//! [`unit_order`] proposes the order of hidden units that the encoding is made for.
//!
//! # What makes it small
//!
//! - A row's gaps have the Rice parameter that suits its density, and no number of a row is coded
//!   longer than what is still possible needs: a full row's positions cost nothing.
//! - Rows sorted by length need a number of rows for each length instead of lengths, and among rows
//!   of one length first columns do not fall: that is worth nearly `log2(outputs!)` bits.
//! - Weights on images come in clusters: half of them follow another one directly. One bit says so.
//! - Inputs that no row uses (an image's border) are listed once, as runs, and gathered away.
//! - Small magnitudes are more frequent than large ones, and Rice coded too.
//!
//! # Bits
//!
//! The first bit of a byte is its most significant; numbers have their most significant bit first.
//! The last byte is filled with zeros, and nothing follows it.
//!
//! `R(k, max)`, a **bounded Rice code**, is a number `n` in `0..=max`. Quotient `q = n >> k` first:
//! `q` zeros, then a one, which is left out if `q` is the largest, `max >> k`. Then the remainder,
//! the low `k` bits of `n`; behind the largest quotient it only has as many bits as its own largest
//! value needs (the bit length of the low `k` bits of `max`). So `R(k, 2^k - 1)` are plainly `k`
//! bits, and `R(k, 0)` is nothing.
//!
//! **Folded** numbers carry a sign: 0, 1, 2, 3, 4, ... mean 0, -1, 1, -2, 2, ...
//!
//! `K(columns, weights)`, the parameter of a gap: `d = max(0, columns - weights / 2)` (halves are
//! dropped); the largest `k` with `d >> k >= weights` and `d >> k > 0`, or 0 if there is none; plus
//! the flag `wide`.
//!
//! # Block
//!
//! ```text
//! 4 bytes, one number, most significant byte first:
//!   bit 31     sorted     rows are sorted, see below
//!   bit 30     selected   a list of used inputs follows
//!   bit 29     adjacent   a bit before each gap says whether there is one
//!   bit 28     wide       gaps have a bit more in their remainder
//!   bits 25-27 length_k   0..7
//!   bits 22-24 count_k    0..7
//!   bits 16-21 bias_bits  0..32
//!   bits 13-15 bias_unary 0..7, at most bias_bits
//!   bits 8-12  bias_shift 0..31
//!   bits 4-7   weight_bits 0..9; 0: there is a codebook
//!   bits 0-3   weight_k   0..15
//! if weight_bits is 0, the codebook:
//!   1 byte     its entries less one
//!   1 byte an entry: an i8, not 0
//! if selected:
//!   2 bytes, most significant first: how many inputs the list has
//! the stream of bits:
//!   if selected: 4 bits gap_k, 4 bits run_k, and from input 0 until the last input is reached
//!     R(gap_k, most)     unused inputs; between two runs one less than they are
//!     R(run_k, most)     used inputs that follow one another, less one; not if none is left
//!   the rows, one after another:
//!     if sorted, before the first row of each length:
//!       R(length_k, columns - least)   by how much the length exceeds `least`: 0 at first,
//!                                      then one more than the length before
//!       R(count_k, rows left - 1)      rows of this length, less one
//!     if not sorted, before each row:
//!       R(length_k, 2 columns)         folded: what the length is more than that of the row
//!                                      before, or than 0
//!     R(bias_bits - bias_unary, 2^bias_bits - 1)   folded: the bias >> bias_shift
//!     for each weight of the row:
//!       if it is the first:  R(K(columns - start, length * rows), slack)   the gap
//!       else if adjacent:    if slack > 0: one bit, 1 if the gap is 0, else
//!                            R(K(columns, length), slack - 1)              the gap less one
//!       else:                R(K(columns, length), slack)                  the gap
//!       R(weight_k, weights)                                    the weight's number
//! ```
//!
//! `most` is the largest number that stays inside the inputs. `columns` is the number of used
//! inputs if there is a list, and then columns count these; else it is `inputs`. The **gap** of a
//! row's first weight counts from `start`, which is the first column of the row before if that has
//! the same length and rows are sorted, and else 0; `rows` counts the rows of this length from this
//! one on, 1 if not sorted. Each other gap counts from the column behind the weight before. `slack`
//! is the most that the gap may be for the row's weights to fit: `columns - start - length` first,
//! and less by every gap.
//!
//! A **weight's number** is `2 * (|w| - 1)`, plus 1 for a negative weight, and `weights` is
//! `2^weight_bits - 1`; with a codebook it is the entry's place, and `weights` the largest place.
//! In both cases the low `weight_k` bits of `weights` count as ones. `weight_k` and the
//! largest quotient add up to 1 to 16: so many bits a weight takes at most.
//!
//! For example `80 04 00 31 75 f3 92`, three inputs and the rows `5 - x[1]` and
//! `-2 + 3 x[0] + x[2]`: sorted, four bits a bias, three bits a weight, of which one is a remainder.
//!
//! ```text
//! 01 1       length 1 = 0 + 1, one row
//! 1010 11 11   bias 5; gap 1 (K = 1, slack 2); weight -1 (number 1)
//! 1            length 2 = 2 + 0 (and one row, for no bit)
//! 0011 1 0010  bias -2; gap 0 (K = 0, slack 1); weight 3 (number 4)
//! 0 10         gap 1 (the most there is: no one behind the zero); weight 1 (number 0)
//! ```

use core::fmt;

mod bits;
mod check;
#[cfg(feature = "alloc")]
mod order;
mod parameters;
mod rows;
mod selection;
#[cfg(feature = "alloc")]
mod write;

pub use check::Summary;
#[cfg(feature = "alloc")]
pub use order::{Pattern, unit_order};
pub use rows::{Rows as RiceRows, Run as RiceRun};
pub use selection::Selection;
#[cfg(feature = "alloc")]
pub use write::{Parts, RiceRow, write_rice};

use super::{Dimensions, Rows};
use crate::error::ParseError;
use bits::Bits;
use parameters::{Parameters, SELECTED};

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
        // `check` has read the same parameters.
        let parameters = match Parameters::read(self.block) {
            Ok(read) => read,
            Err(_) => Parameters::EMPTY,
        };
        Selection::new(Bits::new(self.block), parameters, self.inputs as u32)
    }

    /// The rows from the first.
    #[must_use]
    #[inline]
    pub const fn rows(&self) -> RiceRows<'a> {
        self.selection().rows()
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
    /// A weight of 0, or one that the codebook does not have.
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
            RiceError::Weight { row } => write!(f, "row {row} has a weight of 0 or of no entry of the codebook"),
            RiceError::Rows { outputs } => write!(f, "it announces more rows than the {outputs} there are"),
            RiceError::Padding => write!(f, "a bit is set behind its last row"),
            RiceError::Surplus { bytes } => write!(f, "{bytes} bytes follow its last row"),
            RiceError::Unwritable { row } => write!(f, "row {row} has columns out of order or weights of 0"),
            RiceError::Overlong => write!(f, "its biases, weights or rows need codes of more than 25 bits"),
        }
    }
}
