//! What the bits of a block are for, for reports.

use super::bits::fold;
use super::parameters::Parameters;
use super::{Parts, Rice};

impl Rice<'_> {
    /// What the parts of the block take, in bits: the same that its writer told.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let Ok((parameters, _)) = Parameters::read(self.block) else {
            return Parts::default();
        };
        let book = match parameters.codebook.len() {
            0 => 0,
            entries => 1 + entries,
        };
        let mut parts = Parts {
            parameters: 8 * (4 + book),
            ..Parts::default()
        };
        let bias_k = parameters.bias_bits - parameters.bias_unary;
        let bias_limit = (1 << parameters.bias_unary) - 1;
        let mut rows = self.rows();
        for _ in 0..self.outputs {
            let bias = fold(rows.start() >> parameters.bias_shift);
            parts.biases += length(bias_k, bias, bias_limit);
            rows.weights(|_, weight| {
                let number = parameters.number(weight as i16);
                parts.values += length(parameters.weight_k, number, parameters.weight_limit());
            });
        }
        // Everything else says where weights are.
        let unread = rows.row.bits.unread();
        let others = parts.bits() + unread;
        parts.positions = (8 * self.block.len()).saturating_sub(others);
        parts
    }

    /// Bits that tell one weight from the others that the block could have, were all codes of one
    /// length.
    #[must_use]
    pub fn value_bits(&self) -> u32 {
        match Parameters::read(self.block) {
            Ok((parameters, _)) if parameters.codebook.is_empty() => parameters.weight_bits,
            Ok((parameters, _)) => parameters.codebook.len().next_power_of_two().ilog2(),
            Err(_) => 0,
        }
    }
}

/// Bits of a number whose quotient is at most `limit`.
fn length(k: u32, number: u32, limit: u32) -> usize {
    let quotient = number.checked_shr(k).unwrap_or(0);
    ((quotient + 1).min(limit) + k) as usize
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::encoding::rice::{RiceRow, write_rice};

    /// Rows of so many columns; `weight` and `keep` of (row, column).
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
    fn parts_are_those_that_the_writer_told() {
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
            (rows(5, 12, sign, |_, _| false), 1),
        ] {
            let inputs = if rows.len() == 20 { 90 } else { 40 };
            let outputs = rows.len() as u16;
            let (block, parts) = write_rice(inputs, &rows, true).unwrap();
            let (rice, _) = Rice::check(&block, inputs, outputs).unwrap();
            assert_eq!(rice.parts(), parts);
            assert!(parts.bits() <= 8 * block.len() && 8 * block.len() < parts.bits() + 8);
            assert_eq!(rice.value_bits(), value_bits);
        }
    }
}
