//! Dense weights: every weight of the layer as one signed byte, row by row.
//!
//! ```text
//!  0                      4 * outputs
//!  +----------------------+-----------------------------+
//!  | i32 bias[outputs]    | i8 values[outputs * inputs] |
//!  +----------------------+-----------------------------+
//! ```
//!
//! Refused when the block has another length.

use super::{Dimensions, Rows};
use crate::bytes::{Bytes, u32_at};
use crate::error::ParseError;

/// Weights stored whole.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    inputs: usize,
    bias: &'a [[u8; 4]],
    values: &'a [u8],
}

impl<'a> Dense<'a> {
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

    /// The length of a row.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// A little-endian `i32` an output.
    #[must_use]
    pub const fn bias(&self) -> &'a [[u8; 4]] {
        self.bias
    }

    /// The weights as `i8`, row-major: `outputs` rows of `inputs` values.
    #[must_use]
    pub const fn values(&self) -> &'a [u8] {
        self.values
    }

    /// The rows.
    #[must_use]
    pub const fn rows(&self) -> DenseRows<'a> {
        DenseRows { rest: *self }
    }
}

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

/// The rows of a [`Dense`] that are left; weights of 0 are not told.
#[derive(Clone, Copy, Debug)]
pub struct DenseRows<'a> {
    rest: Dense<'a>,
}

impl Rows for DenseRows<'_> {
    #[inline]
    fn next_row(&mut self, mut visit: impl FnMut(u16, i16)) -> Option<i32> {
        let (_, behind) = self.rest.bias.split_first()?;
        let (row, values) = self.rest.values.split_at_checked(self.rest.inputs)?;
        let bias = u32_at(self.rest.bias, 0) as i32;
        self.rest = Dense {
            bias: behind,
            values,
            ..self.rest
        };
        // Not by a `u16` that counts: behind 65,535 columns it would be one too far.
        for (column, &value) in row.iter().enumerate() {
            if value != 0 {
                visit(column as u16, i16::from(value as i8));
            }
        }
        Some(bias)
    }
}

#[cfg(feature = "alloc")]
pub(crate) fn write(
    inputs: usize,
    bias: &[i32],
    rows: &[alloc::vec::Vec<(u16, i16)>],
) -> Result<alloc::vec::Vec<u8>, super::Unfit> {
    let mut block: alloc::vec::Vec<u8> = bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    for row in rows {
        let start = block.len();
        block.resize(start + inputs, 0);
        for &(column, weight) in row {
            let value = i8::try_from(weight).map_err(|_| super::Unfit::Weight(weight))?;
            block[start + usize::from(column)] = value as u8;
        }
    }
    Ok(block)
}
