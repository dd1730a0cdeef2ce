//! Dense weights: every weight of the layer as one signed byte, row by row (a row an output).
//!
//! Sections: values `i8[outputs * inputs]`. Refused when the record's count of stored weights is
//! another, or when a row's accumulator could overflow.

use super::check_row;
use crate::arithmetic::rounding;
use crate::error::ParseError;
use crate::layer::Record;
use crate::sections::Sections;

/// Weights stored whole.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    inputs: usize,
    values: &'a [i8],
}

impl<'a> Dense<'a> {
    /// The layer's inputs: the length of a row.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The weights, row-major: `outputs` rows of `inputs` values.
    #[must_use]
    pub const fn values(&self) -> &'a [i8] {
        self.values
    }

    #[inline(always)]
    pub(crate) fn read(
        layer: usize,
        record: &Record,
        sections: &mut Sections<'a>,
    ) -> Result<Self, ParseError> {
        // 16 bits times 16 bits.
        let expected = u32::from(record.inputs) * u32::from(record.outputs);
        if record.stored != expected {
            let (stated, expected) = (record.stored as usize, expected as usize);
            return Err(ParseError::WeightCount {
                layer,
                stated,
                expected,
            });
        }
        Ok(Dense {
            inputs: usize::from(record.inputs),
            values: sections.take(layer, expected as usize)?,
        })
    }

    pub(crate) fn validate(
        &self,
        layer: usize,
        record: &Record,
        bias: &[i32],
    ) -> Result<(), ParseError> {
        let rounding = rounding(u32::from(record.shift));
        // An empty layer was refused before; `max` only spares the compiler a panic.
        let rows = self.values.chunks_exact(usize::from(record.inputs).max(1));
        for (row, (values, &bias)) in rows.zip(bias).enumerate() {
            check_row(layer, row, bias, values, rounding)?;
        }
        Ok(())
    }
}
