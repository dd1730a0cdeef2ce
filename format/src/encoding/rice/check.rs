//! Checking a block once, so that kernels have nothing left to check.

use super::bits::{Bits, WINDOW};
use super::parameters::{Parameters, SELECTED};
use super::selection::Selection;
use super::{Rice, RiceError};

/// What [`Rice::check`] found out about a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The stored weights.
    pub weights: u32,
    /// The longest row's number of weights.
    pub longest_row: u16,
}

impl<'a> Rice<'a> {
    /// Decodes a whole block for a layer of these dimensions, in time linear in them and in the
    /// block's length, without memory.
    ///
    /// # Errors
    ///
    /// All that [`RiceError`] lists. What is accepted has exactly `outputs` rows, columns that grow
    /// along a row and lie inside the layer, weights that are not 0, and
    /// neither bits nor bytes behind the last row that a writer would not have written.
    pub const fn check(
        block: &'a [u8],
        inputs: u16,
        outputs: u16,
    ) -> Result<(Rice<'a>, Summary), RiceError> {
        let parameters = match Parameters::read(block) {
            Ok(read) => read,
            Err(error) => return Err(error),
        };
        let front = parameters.length;
        let mut selection =
            Selection::new(Bits::new(block), parameters.is(SELECTED), inputs as u32);
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
            if length as u16 > summary.longest_row {
                summary.longest_row = length as u16;
            }
            summary.weights += length;
            row += 1;
        }
        if rows.overran() {
            return Err(RiceError::Rows { outputs });
        }
        let left = rows.row.bits.left(front) as u32;
        if left >= 8 {
            return Err(RiceError::Surplus { bytes: left / 8 });
        }
        if left > 0 && rows.row.bits.window() >> (32 - left) != 0 {
            return Err(RiceError::Padding);
        }
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
