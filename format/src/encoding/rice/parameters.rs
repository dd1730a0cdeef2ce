//! What a block says about itself in front of its bits: four bytes, and the codebook if there is one.

use super::RiceError;
use super::bits::HEAD;

/// The parameters of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    /// The first four bytes, which hold the [`Field`]s.
    pub(super) head: u32,
    /// The weights by their numbers; empty if they are uniform.
    pub(super) codebook: &'a [u8],
    /// How many columns the list has; 0 without a list.
    pub(super) columns: u16,
    /// The bytes of all this: behind them are those of the bits.
    pub(super) length: usize,
}

/// Some bits of the first four bytes: the lowest of them, and how many.
#[derive(Clone, Copy)]
pub(super) struct Field(u32, u32);

/// Rows are sorted by their number of weights, then by their first column.
pub(super) const SORTED: Field = Field(31, 1);
/// Only the columns of a list are used.
pub(super) const SELECTED: Field = Field(30, 1);
/// A bit says of each gap whether there is one.
pub(super) const ADJACENT: Field = Field(29, 1);
/// There is a codebook.
pub(super) const LISTED: Field = Field(28, 1);
/// How far first columns of a run lie apart, in eighths of what they would if they were spread evenly.
pub(super) const FIRST_SPREAD: Field = Field(24, 4);
/// How far weights of a row lie apart, likewise.
pub(super) const GAP_SPREAD: Field = Field(20, 4);
/// Rice parameter of row lengths.
pub(super) const LENGTH_K: Field = Field(16, 4);
/// Rice parameter of the numbers of rows of one length.
pub(super) const COUNT_K: Field = Field(13, 3);
/// Rice parameter of folded biases.
pub(super) const BIAS_K: Field = Field(8, 5);
/// What biases are shifted left by.
pub(super) const BIAS_SHIFT: Field = Field(4, 4);
/// Rice parameter of a weight's number.
pub(super) const WEIGHT_K: Field = Field(0, 4);

impl<'a> Parameters<'a> {
    /// All 0.
    pub(super) const EMPTY: Self = Parameters {
        head: 0,
        codebook: &[],
        columns: 0,
        length: HEAD,
    };

    /// The parameters of a block.
    pub(super) const fn read(block: &'a [u8]) -> Result<Self, RiceError> {
        let Some((&head, mut rest)) = block.split_first_chunk::<HEAD>() else {
            return Err(RiceError::Ended { row: 0 });
        };
        let mut parameters = Parameters {
            head: u32::from_be_bytes(head),
            ..Self::EMPTY
        };
        if parameters.is(LISTED) {
            let Some((&last, behind)) = rest.split_first() else {
                return Err(RiceError::Ended { row: 0 });
            };
            let Some((codebook, behind)) = behind.split_at_checked(last as usize + 1) else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.codebook = codebook;
            rest = behind;
        }
        if parameters.is(SELECTED) {
            let Some((&columns, behind)) = rest.split_first_chunk::<2>() else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.columns = u16::from_be_bytes(columns);
            rest = behind;
        }
        parameters.length = block.len() - rest.len();
        Ok(parameters)
    }

    /// The number of a weight; 0 for one that the codebook does not have.
    #[cfg(feature = "alloc")]
    pub(super) fn number(&self, weight: i16) -> u32 {
        match self.codebook {
            [] => (u32::from(weight.unsigned_abs()).wrapping_sub(1)) << 1 | u32::from(weight < 0),
            book => book
                .iter()
                .position(|&entry| i16::from(entry as i8) == weight)
                .unwrap_or(0) as u32,
        }
    }

    /// What a field holds.
    #[inline(always)]
    pub(super) const fn get(&self, Field(low, bits): Field) -> u32 {
        self.head >> low & ((1 << bits) - 1)
    }

    /// Whether a field of one bit is set.
    #[inline(always)]
    pub(super) const fn is(&self, field: Field) -> bool {
        self.get(field) != 0
    }

    /// Sets a field to a value that it holds.
    #[cfg(feature = "alloc")]
    pub(super) const fn set(&mut self, Field(low, bits): Field, value: u32) {
        let mask = ((1 << bits) - 1) << low;
        self.head = self.head & !mask | value << low & mask;
    }
}

/// The Rice parameter of distances between `weights` in so many columns, of which `spread` says how
/// evenly they lie there: the least `k` with `weights << k` at least `columns * spread / 8`.
#[inline(never)]
pub(super) const fn gap_k(columns: u32, spread: u32, weights: u32) -> u32 {
    let reach = reach(columns, spread);
    let (mut k, mut covered) = (0, weights);
    while covered < reach && covered != 0 {
        covered = covered.wrapping_shl(1);
        k += 1;
    }
    k
}

/// `columns * spread / 8`.
#[inline(always)]
pub(super) const fn reach(columns: u32, spread: u32) -> u32 {
    columns.wrapping_mul(spread) / 8
}
