//! The sizes of a block's parts, for reports and the cost model.

use super::bits::fold;
use super::block::Rice;
use super::parameters::{BIAS_K, BIAS_SHIFT, Parameters, WEIGHT_K};
use crate::encoding::parts::BlockParts;
use crate::encoding::rows::count_nonzeros;

/// The sizes of the parts of a block in bits, without the padding of the last byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parts {
    /// The head, codebook included.
    pub parameters: usize,
    /// The list of used inputs, row lengths, first columns, gaps.
    pub positions: usize,
    /// Weights.
    pub values: usize,
    /// Biases.
    pub biases: usize,
}

impl Parts {
    /// Returns the sum of all parts.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.parameters + self.positions + self.values + self.biases
    }
}

impl Rice<'_> {
    /// Returns the sizes of the block's parts, as [`write_rice`](super::write_rice) returned them.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let Ok(parameters) = Parameters::read(self.block) else {
            return Parts::default();
        };
        let mut parts = Parts {
            parameters: 8 * parameters.length,
            ..Parts::default()
        };
        let mut rows = self.rows();
        for _ in 0..self.outputs {
            let bias = rows.start() >> parameters.get(BIAS_SHIFT);
            parts.biases += length(parameters.get(BIAS_K), fold(bias));
            rows.weights(|_, weight| {
                let number = parameters.number(weight as i16);
                parts.values += length(parameters.get(WEIGHT_K), number);
            });
        }
        // All other bits state positions.
        let unread = rows.row.bits.left(parameters.length).max(0) as usize;
        let others = parts.bits() + unread;
        parts.positions = (8 * self.block.len()).saturating_sub(others);
        parts
    }

    /// Returns the number of bits that a weight would take if all codes had the same length: enough
    /// for the codebook, or for all weights up to the largest magnitude.
    #[must_use]
    pub fn value_bits(&self) -> u32 {
        let Ok(parameters) = Parameters::read(self.block) else {
            return 0;
        };
        let mut values = parameters.codebook.len() as u32;
        if values == 0 {
            let mut rows = self.rows();
            for _ in 0..self.outputs {
                rows.start();
                rows.weights(|_, weight| values = values.max(2 * weight.unsigned_abs()));
            }
        }
        values.next_power_of_two().ilog2()
    }

    /// Counts the runs of rows, each of which has parameters that a kernel computes once. Without
    /// sorting, each row is a run.
    #[must_use]
    pub fn runs(&self) -> usize {
        let mut rows = self.rows();
        let starts = |_: &u16| {
            let starts = rows.run == 0;
            rows.start();
            rows.weights(|_, _| ());
            starts
        };
        (0..self.outputs).filter(starts).count()
    }

    /// Counts the weights, none of which is 0.
    #[must_use]
    pub fn nonzeros(&self) -> usize {
        count_nonzeros(self.each())
    }

    /// Returns the parts in whole bytes; the padding of the last byte counts as positions.
    pub(in crate::encoding) fn block_parts(&self) -> BlockParts {
        let parts = self.parts();
        let (values, biases) = ((parts.values + 4) / 8, (parts.biases + 4) / 8);
        let parameters = parts.parameters / 8;
        let others = parameters + values + biases;
        BlockParts {
            positions: self.block.len().saturating_sub(others),
            values,
            biases,
            parameters,
            value_bits: self.value_bits() as usize,
        }
    }
}

/// Returns the length of a Rice code in bits.
fn length(k: u32, number: u32) -> usize {
    ((number >> k) + 1 + k) as usize
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::encoding::rice::{RiceRow, write_rice};

    /// Returns `count` rows of `columns` columns; `weight` and `keep` take (row, column).
    fn rows(
        count: u16,
        columns: u16,
        weight: impl Fn(u16, u16) -> i16,
        keep: impl Fn(u16, u16) -> bool,
    ) -> Vec<RiceRow> {
        let row = |row: u16| RiceRow {
            bias: i32::from(row) * 24 - 96,
            weights: (0..columns)
                .filter(|&column| keep(row, column))
                .map(|column| (column, weight(row, column)))
                .collect(),
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn the_parts_are_those_that_the_writer_returned() {
        let sign = |row: u16, column: u16| if (row ^ column) & 1 == 0 { 1 } else { -1 };
        let few = |row, column| sign(row, column) * [3, 50, 111][usize::from(column % 3)];
        let small = |row: u16, column: u16| sign(row, column) * (1 + (row * column % 8) as i16);
        let sparse = |row: u16, column: u16| (row * 7 + column * 13).is_multiple_of(11);
        let border = |row: u16, column: u16| column > 20 && sparse(row, column);
        for (rows, value_bits) in [
            (rows(9, 40, sign, sparse), 1),
            (rows(9, 40, small, sparse), 4),
            (rows(20, 90, few, sparse), 3),
            (rows(20, 90, small, border), 4),
            (rows(5, 12, sign, |_, _| true), 1),
            (rows(5, 12, sign, |_, _| false), 0),
        ] {
            let inputs = if rows.len() == 20 { 90 } else { 40 };
            let outputs = rows.len() as u16;
            let (block, parts) = write_rice(inputs, &rows, true).unwrap();
            let (rice, _) = Rice::check(&block, inputs, outputs).unwrap();
            assert_eq!(rice.parts(), parts);
            let sorted = block[0] >> 7 != 0;
            let alike = |a: &RiceRow, b: &RiceRow| sorted && a.weights.len() == b.weights.len();
            assert_eq!(rice.runs(), rows.chunk_by(alike).count());
            assert!(parts.bits() <= 8 * block.len() && 8 * block.len() < parts.bits() + 8);
            assert_eq!(rice.value_bits(), value_bits);
        }
    }
}
