//! Checking a block once, so that kernels need no checks.

use super::bits::{Bits, WINDOW};
use super::block::Rice;
use super::parameters::{Parameters, SELECTED};
use super::rows::Rows;
use super::selection::Selection;
use crate::bytes::check;
use crate::encoding::rows::Dimensions;
use crate::error::{ParseError, RiceError};

/// Statistics of a layer, which [`Rice::check`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The number of stored weights.
    pub weights: u32,
    /// The number of weights in the longest row.
    pub longest_row: u16,
}

impl<'a> Rice<'a> {
    /// Decodes and checks a whole block for a layer of these dimensions, in time linear in the
    /// dimensions and the block's length, without allocating.
    ///
    /// An accepted block has exactly `outputs` rows. The columns of a row increase strictly and lie
    /// inside the layer, no weight is 0, and nothing follows the last row but the padding of the
    /// byte in which it ends.
    ///
    /// # Errors
    ///
    /// Returns an error for the first violation found.
    pub const fn check(
        block: &'a [u8],
        inputs: u16,
        outputs: u16,
    ) -> Result<(Rice<'a>, Summary), RiceError> {
        let parameters = check!(Parameters::read(block));
        let front = parameters.length;
        let mut selection =
            Selection::new(Bits::new(block), parameters.is(SELECTED), inputs as u32);
        check!(check_selection(&mut selection, front, inputs));
        let mut rows = selection.rows();
        let columns = rows.columns() as u32;
        if parameters.is(SELECTED) && columns != parameters.columns as u32 {
            return Err(RiceError::Selection { inputs });
        }
        let mut summary = Summary {
            weights: 0,
            longest_row: 0,
        };
        let mut row = 0;
        while row < outputs {
            let length = check!(check_row(&mut rows, row, front, columns));
            if length as u16 > summary.longest_row {
                summary.longest_row = length as u16;
            }
            summary.weights += length;
            row += 1;
        }
        if rows.overran() {
            return Err(RiceError::Rows { outputs });
        }
        check!(check_end(&rows, front));
        let selected = if parameters.is(SELECTED) {
            Some(columns as u16)
        } else {
            None
        };
        let rice = Rice {
            block,
            inputs,
            outputs,
            selected,
        };
        Ok((rice, summary))
    }
}

/// Checks the list of used inputs.
#[inline(always)]
const fn check_selection(
    selection: &mut Selection<'_>,
    front: usize,
    inputs: u16,
) -> Result<(), RiceError> {
    while selection.next_run().is_some() {
        if selection.bits.left(front) < 0 {
            break;
        }
    }
    if selection.bits.left(front) < 0 {
        return Err(RiceError::Ended { row: 0 });
    }
    if selection.overran() {
        return Err(RiceError::Selection { inputs });
    }
    Ok(())
}

/// Starts and checks the next row, and returns its number of weights.
#[inline(always)]
const fn check_row(
    rows: &mut Rows<'_>,
    row: u16,
    front: usize,
    columns: u32,
) -> Result<u32, RiceError> {
    rows.start();
    if rows.row.bits.left(front) < 0 {
        return Err(RiceError::Ended { row });
    }
    let length = rows.length() as u32;
    if length > columns {
        return Err(RiceError::Length {
            row,
            length,
            columns,
        });
    }
    let mut more = length > 0;
    while more {
        let column = rows.row.column;
        let before = rows.row.bits.left(front);
        let weight;
        (weight, more) = rows.row.step();
        let left = rows.row.bits.left(front);
        if left < 0 || before - left > WINDOW as i32 {
            return Err(RiceError::Ended { row });
        }
        if column >= columns {
            return Err(RiceError::Column {
                row,
                column,
                columns,
            });
        }
        if weight == 0 || weight != weight as i16 as i32 {
            return Err(RiceError::Weight { row });
        }
    }
    Ok(length)
}

/// Checks that only padding follows the last row.
#[inline(always)]
const fn check_end(rows: &Rows<'_>, front: usize) -> Result<(), RiceError> {
    let left = rows.row.bits.left(front) as u32;
    if left >= 8 {
        return Err(RiceError::Surplus { bytes: left / 8 });
    }
    if left > 0 && rows.row.bits.window() >> (32 - left) != 0 {
        return Err(RiceError::Padding);
    }
    Ok(())
}

/// Checks a block and returns the length of its longest row.
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
