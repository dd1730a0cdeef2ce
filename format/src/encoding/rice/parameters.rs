//! The head of a block: four bytes of parameters, the codebook and the length of the list of used
//! inputs, if there are any.

use super::bits::HEAD;
use crate::error::RiceError;

/// The parameters of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a> {
    /// The first four bytes, which contain the [`Field`]s.
    pub(super) head: u32,
    /// The weights, indexed by their numbers; empty if there is no codebook.
    pub(super) codebook: &'a [u8],
    /// The length of the list of used inputs; 0 without a list.
    pub(super) columns: u16,
    /// The number of bytes before the bit stream.
    pub(super) length: usize,
}

/// A field of the first four bytes: its lowest bit, and its number of bits.
#[derive(Clone, Copy)]
pub(super) struct Field(u32, u32);

/// Whether rows are sorted by their number of weights, then by their first column.
pub(super) const SORTED: Field = Field(31, 1);
/// Whether there is a list of used inputs.
pub(super) const SELECTED: Field = Field(30, 1);
/// Whether there is a bit before each gap, which states whether the gap is 0.
pub(super) const ADJACENT: Field = Field(29, 1);
/// Whether there is a codebook.
pub(super) const LISTED: Field = Field(28, 1);
/// The distance between the first columns of the rows of a run, in eighths of the distance that
/// evenly spread columns have.
pub(super) const FIRST_SPREAD: Field = Field(24, 4);
/// The distance between the weights of a row, in eighths of the distance that evenly spread weights
/// have.
pub(super) const GAP_SPREAD: Field = Field(20, 4);
/// Rice parameter of row lengths.
pub(super) const LENGTH_K: Field = Field(16, 4);
/// Rice parameter of the number of rows of one length.
pub(super) const COUNT_K: Field = Field(13, 3);
/// Rice parameter of biases, whose sign is in the lowest bit.
pub(super) const BIAS_K: Field = Field(8, 5);
/// The left shift of biases.
pub(super) const BIAS_SHIFT: Field = Field(4, 4);
/// Rice parameter of a weight's number.
pub(super) const WEIGHT_K: Field = Field(0, 4);

impl<'a> Parameters<'a> {
    /// The parameters of an empty head.
    pub(super) const EMPTY: Self = Parameters {
        head: 0,
        codebook: &[],
        columns: 0,
        length: HEAD,
    };

    /// Reads the parameters of a block.
    pub(super) const fn read(block: &'a [u8]) -> Result<Self, RiceError> {
        let Some((&head, mut rest)) = block.split_first_chunk::<HEAD>() else {
            return Err(RiceError::Ended { row: 0 });
        };
        let mut parameters = Parameters {
            head: u32::from_be_bytes(head),
            ..Self::EMPTY
        };
        if parameters.is(LISTED) {
            let Some((&last, after)) = rest.split_first() else {
                return Err(RiceError::Ended { row: 0 });
            };
            let Some((codebook, after)) = after.split_at_checked(last as usize + 1) else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.codebook = codebook;
            rest = after;
        }
        if parameters.is(SELECTED) {
            let Some((&columns, after)) = rest.split_first_chunk::<2>() else {
                return Err(RiceError::Ended { row: 0 });
            };
            parameters.columns = u16::from_be_bytes(columns);
            rest = after;
        }
        parameters.length = block.len() - rest.len();
        Ok(parameters)
    }

    /// Returns the number of a weight, or 0 if there is a codebook that lacks it.
    pub(super) fn number(&self, weight: i16) -> u32 {
        match self.codebook {
            [] => (u32::from(weight.unsigned_abs()).wrapping_sub(1)) << 1 | u32::from(weight < 0),
            book => book
                .iter()
                .position(|&entry| i16::from(entry as i8) == weight)
                .unwrap_or(0) as u32,
        }
    }

    /// Returns the value of a field.
    #[inline(always)]
    pub(super) const fn get(&self, Field(low, bits): Field) -> u32 {
        self.head >> low & ((1 << bits) - 1)
    }

    /// Returns whether a field of one bit is set.
    #[inline(always)]
    pub(super) const fn is(&self, field: Field) -> bool {
        self.get(field) != 0
    }

    /// Sets a field to the low bits of `value`.
    #[cfg(feature = "alloc")]
    pub(super) const fn set(&mut self, Field(low, bits): Field, value: u32) {
        let mask = ((1 << bits) - 1) << low;
        self.head = self.head & !mask | value << low & mask;
    }
}

/// Returns the Rice parameter of the distances between `weights` weights in `columns` columns: the
/// smallest `k` with `weights << k` at least `columns * spread / 8`, or 0 without weights.
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

/// Returns `columns * spread / 8`.
#[inline(always)]
pub(super) const fn reach(columns: u32, spread: u32) -> u32 {
    columns.wrapping_mul(spread) / 8
}
