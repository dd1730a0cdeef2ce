//! Dense weights: every weight of the layer as a signed byte, row by row.
//!
//! ```text
//!  0                      4 * outputs
//!  +----------------------+-----------------------------+
//!  | i32 bias[outputs]    | i8 values[outputs * inputs] |
//!  +----------------------+-----------------------------+
//! ```
//!
//! A block of any other length is rejected.

use super::parts::BlockParts;
use super::rows::{Dimensions, Rows};
use crate::bytes::{Bytes, u32_at};
use crate::error::ParseError;

/// Weights that are all stored, zeros included.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    inputs: usize,
    bias: &'a [[u8; 4]],
    values: &'a [u8],
}

impl<'a> Dense<'a> {
    /// Returns a view of a block that [`check`] accepted. A view of any other block returns wrong
    /// numbers, but does not panic.
    #[inline(always)]
    pub(crate) const fn read(dims: Dimensions, block: &'a [u8]) -> Self {
        let mut bytes = Bytes::new(block);
        let bias = match bytes.elements(dims.outputs) {
            Some(bias) => bias,
            None => &[],
        };
        Dense {
            inputs: dims.inputs,
            bias,
            values: bytes.rest(),
        }
    }

    /// Returns the number of inputs, which is the length of a row.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the biases: one little-endian `i32` per output.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// Returns the weights as `i8`, row-major: `outputs` rows of `inputs` values.
    #[must_use]
    pub const fn values(&self) -> &'a [u8] {
        self.values
    }

    /// Returns an iterator over the rows.
    #[must_use]
    pub const fn rows(&self) -> DenseRows<'a> {
        DenseRows { rest: *self }
    }

    /// Counts the weights that are not 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        self.values.iter().filter(|&&value| value != 0).count()
    }

    /// Returns the sizes of the block's parts.
    pub(super) fn parts(&self) -> BlockParts {
        BlockParts {
            values: self.values.len(),
            biases: self.bias.as_flattened().len(),
            value_bits: 8,
            ..BlockParts::default()
        }
    }
}

/// Checks a block and returns the length of its longest row.
pub(crate) const fn check(
    layer: usize,
    dims: Dimensions,
    block: &[u8],
) -> Result<usize, ParseError> {
    let needed = dims.inputs.saturating_add(4).saturating_mul(dims.outputs);
    if block.len() != needed {
        return Err(ParseError::BlockLength {
            layer,
            needed,
            found: block.len(),
        });
    }
    Ok(dims.inputs)
}

/// The remaining rows of a [`Dense`]; weights of 0 are not visited.
#[derive(Clone, Copy, Debug)]
pub struct DenseRows<'a> {
    rest: Dense<'a>,
}

impl Rows for DenseRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        let (_, rest_bias) = self.rest.bias.split_first()?;
        let (row, values) = self.rest.values.split_at_checked(self.rest.inputs)?;
        let bias = u32_at(self.rest.bias, 0) as i32;
        self.rest = Dense {
            bias: rest_bias,
            values,
            ..self.rest
        };
        // Not zipped with a range of `u16`, which would overflow after 65,535 columns.
        for (column, &value) in row.iter().enumerate() {
            if value != 0 {
                visit(column as u16, i16::from(value as i8));
            }
        }
        Some(bias)
    }
}

/// Returns the block of these biases and rows, or why the encoding cannot represent them.
#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::unfit::Unfit> {
    let mut block: alloc::vec::Vec<u8> = bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    for row in rows {
        let start = block.len();
        block.resize(start + inputs, 0);
        for &(column, weight) in row {
            let value = i8::try_from(weight).map_err(|_| super::unfit::Unfit::Weight(weight))?;
            block[start + usize::from(column)] = value as u8;
        }
    }
    Ok(block)
}
