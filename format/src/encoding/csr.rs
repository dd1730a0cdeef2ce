//! Compressed sparse rows: for each output row how many weights it keeps, and for each kept weight
//! its column and its value.
//!
//! Sections: row lengths `u16[outputs]`, columns `u16[stored]`, values `i8[stored]`. Refused when
//! the row lengths do not add up to the record's count of stored weights, when a column is not an
//! input of the layer, when the columns of a row do not increase strictly (so no row is longer than
//! the layer has inputs), or when a row's accumulator could overflow.

use super::check_row;
use crate::arithmetic::rounding;
use crate::error::ParseError;
use crate::layer::Record;
use crate::sections::Sections;

/// Weights stored as compressed sparse rows.
#[derive(Clone, Copy, Debug)]
pub struct Csr<'a> {
    inputs: usize,
    row_lengths: &'a [u16],
    columns: &'a [u16],
    values: &'a [i8],
}

impl<'a> Csr<'a> {
    /// The layer's inputs: every column is below this.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many weights each output row stores; they add up to the length of [`Csr::columns`].
    #[must_use]
    pub const fn row_lengths(&self) -> &'a [u16] {
        self.row_lengths
    }

    /// The input each stored weight reads: row by row, increasing inside a row, below the layer's
    /// number of inputs.
    #[must_use]
    pub const fn columns(&self) -> &'a [u16] {
        self.columns
    }

    /// The stored weights, as many as columns.
    #[must_use]
    pub const fn values(&self) -> &'a [i8] {
        self.values
    }

    /// The rows in order, each as its columns and its values.
    #[must_use]
    pub const fn rows(&self) -> Rows<'a> {
        Rows {
            row_lengths: self.row_lengths,
            columns: self.columns,
            values: self.values,
        }
    }

    #[inline(always)]
    pub(crate) fn read(
        layer: usize,
        record: &Record,
        sections: &mut Sections<'a>,
    ) -> Result<Self, ParseError> {
        let stored = record.stored as usize;
        Ok(Csr {
            inputs: usize::from(record.inputs),
            row_lengths: sections.take(layer, usize::from(record.outputs))?,
            columns: sections.take(layer, stored)?,
            values: sections.take(layer, stored)?,
        })
    }

    pub(crate) fn validate(
        &self,
        layer: usize,
        record: &Record,
        bias: &[i32],
    ) -> Result<(), ParseError> {
        // At most 65,535 rows of at most 65,535 weights: the sum fits.
        let found: u32 = self
            .row_lengths
            .iter()
            .map(|&length| u32::from(length))
            .sum();
        if found != record.stored {
            let (stated, found) = (record.stored as usize, found as usize);
            return Err(ParseError::RowLengths {
                layer,
                stated,
                found,
            });
        }
        let rounding = rounding(u32::from(record.shift));
        let mut position = 0;
        for (row, ((columns, values), &bias)) in self.rows().zip(bias).enumerate() {
            let mut previous = None;
            for &column in columns {
                if column >= record.inputs {
                    let inputs = record.inputs;
                    return Err(ParseError::ColumnOutOfRange {
                        layer,
                        position,
                        column,
                        inputs,
                    });
                }
                if let Some(previous) = previous
                    && column <= previous
                {
                    return Err(ParseError::ColumnOrder {
                        layer,
                        position,
                        column,
                        previous,
                    });
                }
                previous = Some(column);
                position += 1;
            }
            check_row(layer, row, bias, values, rounding)?;
        }
        Ok(())
    }
}

/// The rows of a [`Csr`] in order, each as its columns and its values.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    row_lengths: &'a [u16],
    columns: &'a [u16],
    values: &'a [i8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = (&'a [u16], &'a [i8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&length, row_lengths) = self.row_lengths.split_first()?;
        let (row_columns, columns) = self.columns.split_at_checked(usize::from(length))?;
        let (row_values, values) = self.values.split_at_checked(usize::from(length))?;
        *self = Rows {
            row_lengths,
            columns,
            values,
        };
        Some((row_columns, row_values))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.row_lengths.len()))
    }
}
