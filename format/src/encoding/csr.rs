//! Compressed sparse rows: the number of weights per row, and the column and value of each weight.
//!
//! ```text
//!  0                    4 * outputs              6 * outputs
//!  +--------------------+------------------------+-----------------------+--------------------+
//!  | i32 bias[outputs]  | u16 lengths[outputs]   | u16 columns[stored]   | i8 values[stored]  |
//!  +--------------------+------------------------+-----------------------+--------------------+
//! ```
//!
//! A block is rejected if
//! - it is too short, or its last weight is incomplete,
//! - the lengths do not add up to the number of stored weights,
//! - a column is not below the layer's inputs, or
//! - the columns of a row are not strictly increasing.

use super::parts::BlockParts;
use super::rows::{Dimensions, Rows};
#[cfg(feature = "alloc")]
use super::unfit::Unfit;
use crate::bytes::{Bytes, u16_at, u32_at};
use crate::error::ParseError;

/// Weights stored as compressed sparse rows.
#[derive(Clone, Copy, Debug)]
pub struct Csr<'a> {
    inputs: usize,
    bias: &'a [[u8; 4]],
    lengths: &'a [[u8; 2]],
    columns: &'a [[u8; 2]],
    values: &'a [u8],
}

impl<'a> Csr<'a> {
    /// Returns a view of a block that [`check`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        match sections(dims, block) {
            Some(csr) => csr,
            None => Csr {
                inputs: 0,
                bias: &[],
                lengths: &[],
                columns: &[],
                values: &[],
            },
        }
    }

    /// Returns the number of inputs, which exceeds every column.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the biases: one little-endian `i32` per output.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// Returns the number of weights of each row, as little-endian `u16`.
    #[must_use]
    pub const fn lengths(&self) -> &'a [[u8; 2]] {
        self.lengths
    }

    /// Returns the column of each weight, as little-endian `u16`, row by row. Columns increase
    /// strictly within a row.
    #[must_use]
    pub const fn columns(&self) -> &'a [[u8; 2]] {
        self.columns
    }

    /// Returns the weights as `i8`, in the order of [`Csr::columns`].
    #[must_use]
    pub const fn values(&self) -> &'a [u8] {
        self.values
    }

    /// Returns an iterator over the rows.
    #[must_use]
    pub const fn rows(&self) -> CsrRows<'a> {
        CsrRows { rest: *self }
    }

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        self.values.iter().filter(|&&value| value != 0).count()
    }

    /// Returns the sizes of the block's parts.
    pub(super) fn parts(&self) -> BlockParts {
        BlockParts {
            positions: self.lengths.as_flattened().len() + self.columns.as_flattened().len(),
            values: self.values.len(),
            biases: self.bias.as_flattened().len(),
            value_bits: 8,
            ..BlockParts::default()
        }
    }
}

/// Splits a block into its sections; returns `None` if it is too short or its last weight is
/// incomplete.
#[inline(always)]
const fn sections(dims: Dimensions, block: &[u8]) -> Option<Csr<'_>> {
    let mut bytes = Bytes::new(block);
    let Some(bias) = bytes.elements(dims.outputs) else {
        return None;
    };
    let Some(lengths) = bytes.elements(dims.outputs) else {
        return None;
    };
    let stored = bytes.rest().len() / 3;
    let Some(columns) = bytes.elements(stored) else {
        return None;
    };
    let values = bytes.rest();
    if values.len() != stored {
        return None;
    }
    Some(Csr {
        inputs: dims.inputs,
        bias,
        lengths,
        columns,
        values,
    })
}

/// Checks a block and returns the length of its longest row.
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let Some(csr) = sections(dims, block) else {
        return Err(ParseError::BlockLength {
            layer,
            needed: dims.outputs.saturating_mul(6),
            found: block.len(),
        });
    };
    check_columns(layer, dims.inputs, csr.lengths, csr.columns)
}

/// Checks the row lengths and the columns, and returns the largest length.
pub(crate) const fn check_columns(
    layer: usize,
    inputs: usize,
    lengths: &[[u8; 2]],
    mut columns: &[[u8; 2]],
) -> Result<usize, ParseError> {
    let (mut row, mut position, mut longest) = (0, 0, 0);
    while row < lengths.len() {
        let length = u16_at(lengths, row) as usize;
        let Some((row_columns, rest)) = columns.split_at_checked(length) else {
            return Err(ParseError::RowLengths {
                layer,
                stated: position + length,
                found: position + columns.len(),
            });
        };
        columns = rest;
        let (mut floor, mut at) = (0, row_columns);
        while let [column, rest @ ..] = at {
            let column = u16::from_le_bytes(*column);
            if column as usize >= inputs || (column as usize) < floor {
                return Err(ParseError::Column {
                    layer,
                    position: position + row_columns.len() - at.len(),
                    column,
                    floor,
                    inputs,
                });
            }
            floor = column as usize + 1;
            at = rest;
        }
        position += length;
        if length > longest {
            longest = length;
        }
        row += 1;
    }
    if !columns.is_empty() {
        return Err(ParseError::RowLengths {
            layer,
            stated: position,
            found: position + columns.len(),
        });
    }
    Ok(longest)
}

/// The remaining rows of a [`Csr`].
#[derive(Clone, Copy, Debug)]
pub struct CsrRows<'a> {
    rest: Csr<'a>,
}

impl Rows for CsrRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        let csr = self.rest;
        let (_, bias) = csr.bias.split_first()?;
        let (&length, lengths) = csr.lengths.split_first()?;
        let length = usize::from(u16::from_le_bytes(length));
        let (row_columns, columns) = csr.columns.split_at_checked(length)?;
        let (row_values, values) = csr.values.split_at_checked(length)?;
        self.rest = Csr {
            bias,
            lengths,
            columns,
            values,
            ..csr
        };
        for (&column, &value) in row_columns.iter().zip(row_values) {
            visit(u16::from_le_bytes(column), i16::from(value as i8));
        }
        Some(u32_at(csr.bias, 0) as i32)
    }
}

/// Returns the block of these biases and rows, or why the encoding cannot represent them.
#[cfg(feature = "alloc")]
pub(crate) fn write(
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, Unfit> {
    let mut block: alloc::vec::Vec<u8> = bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    for row in rows {
        let length = u16::try_from(row.len()).map_err(|_| Unfit::Row(row.len()))?;
        block.extend(length.to_le_bytes());
    }
    let weights = || rows.iter().flatten();
    block.extend(weights().flat_map(|(column, _)| column.to_le_bytes()));
    for &(_, weight) in weights() {
        let value = i8::try_from(weight).map_err(|_| Unfit::Weight(weight))?;
        block.push(value as u8);
    }
    Ok(block)
}
