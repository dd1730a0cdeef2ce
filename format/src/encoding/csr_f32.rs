//! Compressed sparse rows of 32-bit floats: the network before quantization, for reference.
//!
//! ```text
//!  0                    4 * outputs             to a multiple of 4     + 4 * stored
//!  +--------------------+-----------------------+----------------------+----------------------+
//!  | f32 bias[outputs]  | u16 lengths[outputs]  | f32 values[stored]   | u16 columns[stored]  |
//!  +--------------------+-----------------------+----------------------+----------------------+
//! ```
//!
//! A block is rejected under the same conditions as in `csr`, and if the padding is not 0. The
//! floats are not checked: no float can harm a kernel.

use super::parts::BlockParts;
use super::rows::Dimensions;
#[cfg(feature = "alloc")]
use super::unfit::Unfit;
use crate::bytes::Bytes;
use crate::error::ParseError;

/// Weights stored as compressed sparse rows of floats.
#[derive(Clone, Copy, Debug)]
pub struct CsrF32<'a> {
    inputs: usize,
    bias: &'a [[u8; 4]],
    lengths: &'a [[u8; 2]],
    values: &'a [[u8; 4]],
    columns: &'a [[u8; 2]],
}

impl<'a> CsrF32<'a> {
    /// Returns a view of a block that [`check`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        match sections(dims, block) {
            Some(csr) => csr,
            None => CsrF32 {
                inputs: 0,
                bias: &[],
                lengths: &[],
                values: &[],
                columns: &[],
            },
        }
    }

    /// Returns the number of inputs, which exceeds every column.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Reads the next row. Returns its bias and an iterator over its weights as (column, weight),
    /// in order, or `None` after the last row.
    #[inline]
    pub fn next_row(&mut self) -> Option<(f32, impl Iterator<Item = (usize, f32)> + use<'a>)> {
        let (&this, bias) = self.bias.split_first()?;
        let (&length, lengths) = self.lengths.split_first()?;
        let length = usize::from(u16::from_le_bytes(length));
        let (row_columns, columns) = self.columns.split_at_checked(length)?;
        let (row_values, values) = self.values.split_at_checked(length)?;
        *self = CsrF32 {
            inputs: self.inputs,
            bias,
            lengths,
            values,
            columns,
        };
        let weights = row_columns.iter().zip(row_values).map(|(&column, &value)| {
            let column = usize::from(u16::from_le_bytes(column));
            (column, f32::from_le_bytes(value))
        });
        Some((f32::from_le_bytes(this), weights))
    }

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        let values = self.values.iter();
        values
            .filter(|&&value| f32::from_le_bytes(value) != 0.0)
            .count()
    }

    /// Returns the sizes of the block's parts.
    pub(super) fn parts(&self) -> BlockParts {
        let lengths = self.lengths.as_flattened().len();
        BlockParts {
            positions: lengths + self.columns.as_flattened().len(),
            values: self.values.as_flattened().len(),
            biases: self.bias.as_flattened().len(),
            // The padding after the lengths.
            parameters: lengths % 4,
            value_bits: 32,
        }
    }
}

/// Splits a block into its sections; returns `None` if it is too short or its last weight is
/// incomplete, or if the padding is not 0.
#[inline(always)]
const fn sections(dims: Dimensions, block: &[u8]) -> Option<CsrF32<'_>> {
    let mut bytes = Bytes::new(block);
    let Some(bias) = bytes.elements(dims.outputs) else {
        return None;
    };
    let Some(lengths) = bytes.elements(dims.outputs) else {
        return None;
    };
    if dims.outputs % 2 == 1 && !matches!(bytes.array::<2>(), Some([0, 0])) {
        return None;
    }
    let stored = bytes.rest().len() / 6;
    let Some(values) = bytes.elements(stored) else {
        return None;
    };
    let (columns, []) = bytes.rest().as_chunks() else {
        return None;
    };
    if columns.len() != stored {
        return None;
    }
    Some(CsrF32 {
        inputs: dims.inputs,
        bias,
        lengths,
        values,
        columns,
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
    super::csr::check_columns(layer, dims.inputs, csr.lengths, csr.columns)
}

/// Returns the block of these biases and rows, or why the encoding cannot represent them.
#[cfg(feature = "alloc")]
pub(crate) fn write(
    bias: &[f32],
    rows: &[alloc::vec::Vec<(u16, f32)>],
) -> Result<alloc::vec::Vec<u8>, Unfit> {
    let mut block: alloc::vec::Vec<u8> = bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    for row in rows {
        let length = u16::try_from(row.len()).map_err(|_| Unfit::Row(row.len()))?;
        block.extend(length.to_le_bytes());
    }
    block.resize(block.len().next_multiple_of(4), 0);
    let weights = || rows.iter().flatten();
    block.extend(weights().flat_map(|(_, value)| value.to_le_bytes()));
    block.extend(weights().flat_map(|(column, _)| column.to_le_bytes()));
    Ok(block)
}
