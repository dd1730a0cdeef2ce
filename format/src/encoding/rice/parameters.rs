//! What a block says about itself in front of its bits: four bytes, and the codebook if there is one.

use super::RiceError;
use super::bits::HEAD;

/// The parameters of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    /// Rows are sorted by their number of weights, then by their first column.
    pub(super) sorted: bool,
    /// Only the columns of a list are used.
    pub(super) selected: bool,
    /// A bit says of each gap whether there is one.
    pub(super) adjacent: bool,
    /// How far first columns of a run lie apart, and the weights of a row, in eighths of what they
    /// would if they were spread evenly: 0 to 15.
    pub(super) first_spread: u32,
    pub(super) gap_spread: u32,
    /// Rice parameter of row lengths, 0 to 15.
    pub(super) length_k: u32,
    /// Rice parameter of the numbers of rows of one length, 0 to 7.
    pub(super) count_k: u32,
    /// Rice parameter of folded biases, 0 to 31.
    pub(super) bias_k: u32,
    /// What biases are shifted left by, 0 to 15.
    pub(super) bias_shift: u32,
    /// Rice parameter of a weight's number, 0 to 15.
    pub(super) weight_k: u32,
    /// The weights by their numbers; empty if they are uniform.
    pub(super) codebook: &'a [u8],
    /// How many columns the list has; 0 without a list.
    pub(super) columns: u16,
    /// The bytes of all this: behind them are those of the bits.
    pub(super) length: usize,
}

impl<'a> Parameters<'a> {
    /// Of rows without weights.
    pub(super) const EMPTY: Self = Parameters {
        sorted: false,
        selected: false,
        adjacent: false,
        first_spread: 0,
        gap_spread: 0,
        length_k: 0,
        count_k: 0,
        bias_k: 0,
        bias_shift: 0,
        weight_k: 0,
        codebook: &[],
        columns: 0,
        length: HEAD,
    };

    /// The parameters of a block.
    pub(super) const fn read(block: &'a [u8]) -> Result<Self, RiceError> {
        let Some((&head, mut rest)) = block.split_first_chunk::<HEAD>() else {
            return Err(RiceError::Ended { row: 0 });
        };
        let head = u32::from_be_bytes(head);
        let mut parameters = Parameters {
            sorted: head >> 31 != 0,
            selected: head >> 30 & 1 != 0,
            adjacent: head >> 29 & 1 != 0,
            first_spread: head >> 24 & 15,
            gap_spread: head >> 20 & 15,
            length_k: head >> 16 & 15,
            count_k: head >> 13 & 7,
            bias_k: head >> 8 & 31,
            bias_shift: head >> 4 & 15,
            weight_k: head & 15,
            ..Self::EMPTY
        };
        if head >> 28 & 1 != 0 {
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
        parameters.length = block.len() - rest.len();
        Ok(parameters)
    }

    /// The first four bytes.
    #[cfg(feature = "alloc")]
    pub(super) const fn head(&self) -> [u8; 4] {
        let flags = (self.sorted as u32) << 31
            | (self.selected as u32) << 30
            | (self.adjacent as u32) << 29
            | (!self.codebook.is_empty() as u32) << 28;
        let spreads = self.first_spread << 24 | self.gap_spread << 20;
        let rows = self.length_k << 16 | self.count_k << 13;
        let biases = self.bias_k << 8 | self.bias_shift << 4;
        (flags | spreads | rows | biases | self.weight_k).to_be_bytes()
    }
}

/// The Rice parameter of distances between `weights` in so many columns, of which `spread` says how
/// evenly they lie there: the least `k` with `weights << k` at least `columns * spread / 8`.
#[inline]
pub(super) const fn gap_k(columns: u32, spread: u32, weights: u32) -> u32 {
    let reach = columns.wrapping_mul(spread) / 8;
    let (mut k, mut covered) = (0, weights);
    while covered < reach && covered != 0 {
        covered = covered.wrapping_shl(1);
        k += 1;
    }
    k
}
