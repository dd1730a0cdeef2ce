//! What a block says about itself before its first bit: four bytes, and the codebook if there is one.

use super::RiceError;

/// The parameters of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    /// Rows are sorted by their number of weights, then by their first column.
    pub(super) sorted: bool,
    /// Only the columns of a list are used.
    pub(super) selected: bool,
    /// A bit before each gap tells whether there is one.
    pub(super) adjacent: bool,
    /// Gaps have one more bit in their remainder than their density says.
    pub(super) wide: bool,
    /// Rice parameter of row lengths, 0 to 7.
    pub(super) length_k: u32,
    /// Rice parameter of the numbers of rows of one length, 0 to 7.
    pub(super) count_k: u32,
    /// Bits of a folded bias, 0 to 32.
    pub(super) bias_bits: u32,
    /// How many of these, the upper ones, are in unary: 0 to 7.
    pub(super) bias_unary: u32,
    /// What biases are shifted left by, 0 to 31.
    pub(super) bias_shift: u32,
    /// Bits of a weight's number, 1 to 9; 0 if the codebook says.
    pub(super) weight_bits: u32,
    /// Rice parameter of a weight's number, 0 to 15.
    pub(super) weight_k: u32,
    /// The weights by their numbers; empty if they are uniform.
    pub(super) codebook: &'a [u8],
    /// How many columns the list has; 0 without a list.
    pub(super) columns: u16,
}

impl<'a> Parameters<'a> {
    /// Of rows without weights.
    pub(super) const EMPTY: Self = Parameters {
        sorted: false,
        selected: false,
        adjacent: false,
        wide: false,
        length_k: 0,
        count_k: 0,
        bias_bits: 0,
        bias_unary: 0,
        bias_shift: 0,
        weight_bits: 1,
        weight_k: 0,
        codebook: &[],
        columns: 0,
    };

    /// The parameters of a block, and the bytes behind them.
    pub(super) const fn read(block: &'a [u8]) -> Result<(Self, &'a [u8]), RiceError> {
        let Some((&head, mut rest)) = block.split_first_chunk::<4>() else {
            return Err(RiceError::Ended { row: 0 });
        };
        let head = u32::from_be_bytes(head);
        let mut parameters = Parameters {
            sorted: head >> 31 != 0,
            selected: head >> 30 & 1 != 0,
            adjacent: head >> 29 & 1 != 0,
            wide: head >> 28 & 1 != 0,
            length_k: head >> 25 & 7,
            count_k: head >> 22 & 7,
            bias_bits: head >> 16 & 63,
            bias_unary: head >> 13 & 7,
            bias_shift: head >> 8 & 31,
            weight_bits: head >> 4 & 15,
            weight_k: head & 15,
            codebook: &[],
            columns: 0,
        };
        if parameters.bias_bits > 32
            || parameters.weight_bits > 9
            || parameters.bias_unary > parameters.bias_bits
        {
            return Err(RiceError::Parameters { found: head });
        }
        if parameters.weight_bits == 0 {
            let Some((&last, behind)) = rest.split_first() else {
                return Err(RiceError::Ended { row: 0 });
            };
            let Some((codebook, behind)) = behind.split_at_checked(last as usize + 1) else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.codebook = codebook;
            rest = behind;
        }
        if parameters.selected {
            let Some((&columns, behind)) = rest.split_first_chunk::<2>() else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.columns = u16::from_be_bytes(columns);
            rest = behind;
        }
        // A weight takes a bit at least, so that the bits bound the work, and 16 at most, so that a
        // kernel need not look whether they are there.
        let longest = parameters.weight_k + parameters.weight_limit();
        if longest == 0 || longest > 16 {
            return Err(RiceError::Parameters { found: head });
        }
        Ok((parameters, rest))
    }

    /// The largest quotient of a weight's number.
    pub(super) const fn weight_limit(&self) -> u32 {
        let max = if self.weight_bits == 0 {
            // Not empty: `read` has taken one entry at least.
            (self.codebook.len() as u32).wrapping_sub(1)
        } else {
            (1 << self.weight_bits) - 1
        };
        max >> self.weight_k
    }

    /// The Rice parameter of a gap where `weights` are spread over `columns`: the logarithm of their
    /// mean distance, less half a column, rounded down.
    #[inline(always)]
    pub(super) const fn gap_k(&self, columns: u32, weights: u32) -> u32 {
        let mut k = self.wide as u32;
        let mut distance = columns.saturating_sub(weights / 2) / 2;
        while distance >= weights && distance > 0 {
            distance /= 2;
            k += 1;
        }
        k
    }

    /// The first four bytes.
    #[cfg(feature = "alloc")]
    pub(super) const fn head(&self) -> [u8; 4] {
        let flags = (self.sorted as u32) << 31
            | (self.selected as u32) << 30
            | (self.adjacent as u32) << 29
            | (self.wide as u32) << 28;
        let rows = self.length_k << 25 | self.count_k << 22;
        let bias = self.bias_bits << 16 | self.bias_unary << 13 | self.bias_shift << 8;
        (flags | rows | bias | self.weight_bits << 4 | self.weight_k).to_be_bytes()
    }
}
