//! Reading the rows of a block, one after another: a bias, then columns and weights.
//!
//! Reading never panics; an invalid stream yields wrong numbers. [`super::Rice::check`], which
//! rejects invalid streams, decodes them with the same code as the portable kernel.

use super::bits::{Bits, rice, unfold};
use super::parameters::{
    ADJACENT, BIAS_K, BIAS_SHIFT, COUNT_K, FIRST_SPREAD, GAP_SPREAD, LENGTH_K, Parameters, SORTED,
    WEIGHT_K, gap_k,
};

/// Reads the rows of a layer in order.
///
/// For each of the layer's outputs, call [`Rows::start`] once, then [`Rows::weights`].
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    parameters: Parameters<'a>,
    columns: u32,
    /// The number of rows of the current run that are not yet started.
    pub(super) run: u32,
    length: u32,
    /// The first column of the previous row of this run.
    first: u32,
    /// The Rice parameter of the step from the first column of a row to that of the next row.
    first_k: u32,
    pub(super) row: Row<'a>,
}

impl<'a> Rows<'a> {
    /// Starts reading rows of `columns` columns.
    pub(super) const fn new(bits: Bits<'a>, columns: u32) -> Self {
        // `check` has read the same parameters without an error.
        let parameters = match Parameters::read(bits.block()) {
            Ok(read) => read,
            Err(_) => Parameters::EMPTY,
        };
        Rows {
            columns,
            run: 0,
            // Sorted lengths grow by at least one, and the first may be 0.
            length: if parameters.is(SORTED) { u32::MAX } else { 0 },
            first: 0,
            first_k: 0,
            row: Row {
                bits,
                column: 0,
                left: 0,
                gap_k: 0,
                weight_k: parameters.get(WEIGHT_K),
                adjacent: parameters.get(ADJACENT) << 31,
                codebook: parameters.codebook,
            },
            parameters,
        }
    }

    /// Returns the number of columns: the length of the list of used inputs, or the layer's
    /// inputs.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns as usize
    }

    /// Returns the number of weights of the row that was started last.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length as usize
    }

    /// Starts the next row and returns its bias.
    #[inline(never)]
    pub const fn start(&mut self) -> i32 {
        if self.run == 0 {
            self.start_run();
        }
        self.run = self.run.wrapping_sub(1);
        let bias = self.row.bits.rice(self.parameters.get(BIAS_K));
        self.row.left = self.length;
        if self.length != 0 {
            let step = self.row.bits.rice(self.first_k);
            self.first = self.first.wrapping_add(step);
            self.row.column = self.first;
        }
        unfold(bias).wrapping_shl(self.parameters.get(BIAS_SHIFT))
    }

    /// Starts a run: reads the length of its rows and, if rows are sorted, their number.
    const fn start_run(&mut self) {
        let bits = &mut self.row.bits;
        let change = bits.rice(self.parameters.get(LENGTH_K));
        if self.parameters.is(SORTED) {
            self.length = self.length.wrapping_add(1).wrapping_add(change);
            self.run = bits.rice(self.parameters.get(COUNT_K)).wrapping_add(1);
        } else {
            self.length = self.length.wrapping_add_signed(unfold(change));
            self.run = 1;
        }
        self.first = 0;
        let weights = self.length.wrapping_mul(self.run);
        self.first_k = gap_k(self.columns, self.parameters.get(FIRST_SPREAD), weights);
        self.row.gap_k = gap_k(self.columns, self.parameters.get(GAP_SPREAD), self.length);
    }

    /// Calls `each` with the column and value of each weight of the row, in order of columns.
    #[inline(always)]
    pub fn weights(&mut self, mut each: impl FnMut(usize, i32)) {
        // A local copy can be kept in registers.
        let mut row = self.row;
        if row.left != 0 {
            loop {
                let column = row.column as usize;
                let (weight, more) = row.step();
                each(column, weight);
                if !more {
                    break;
                }
            }
        }
        self.row = row;
    }

    /// Returns whether the current run announces more rows than were started.
    pub(super) const fn overran(&self) -> bool {
        self.run != 0
    }
}

/// A block for a kernel that reads the bits itself (see the [module](super)).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stream<'a> {
    /// The block, which is read from its end.
    pub block: &'a [u8],
    /// The block's first four bytes, as one number.
    pub head: u32,
    /// The weights, indexed by their numbers; empty if there is no codebook.
    pub codebook: &'a [u8],
    /// The Rice parameter of first columns is the smallest `k` for which `length * rows << k` is at
    /// least this.
    pub first_reach: u32,
    /// The Rice parameter of gaps is the smallest `k` for which `length << k` is at least this.
    pub gap_reach: u32,
}

/// The state of reading a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) bits: Bits<'a>,
    /// The column of the next weight.
    pub(super) column: u32,
    pub(super) left: u32,
    gap_k: u32,
    weight_k: u32,
    /// A mask of the window's bit that states whether a gap is 0: the most significant bit, or none
    /// if there is no such bit.
    adjacent: u32,
    codebook: &'a [u8],
}

impl Row<'_> {
    /// Reads the weight at `column`, which must exist, and the gap after it. Returns the weight,
    /// and whether another one follows.
    #[inline(always)]
    pub(super) const fn step(&mut self) -> (i32, bool) {
        let mut window = self.bits.window();
        let (number, mut taken) = rice(&mut window, self.weight_k & 15);
        let weight = if self.codebook.is_empty() {
            let sign = -((number & 1) as i32);
            ((number >> 1) as i32 ^ sign) + (1 + sign)
        } else {
            codebook_entry(self.codebook, number)
        };
        self.left -= 1;
        let more = self.left != 0;
        if more {
            self.column = self.column.wrapping_add(1);
            if window & self.adjacent != 0 {
                taken += 1;
            } else {
                // In adjacent mode a bit of 0 has been seen, and the gap is at least one column.
                let known = self.adjacent >> 31;
                window <<= known;
                let (gap, bits) = rice(&mut window, self.gap_k & 31);
                self.column = self.column.wrapping_add(gap).wrapping_add(known);
                taken += bits + known;
            }
        }
        self.bits.skip(taken);
        (weight, more)
    }
}

/// Returns the codebook's entry for a number, or 0 if there is none.
#[inline(always)]
const fn codebook_entry(codebook: &[u8], number: u32) -> i32 {
    // `split_at_checked` because `get` is not `const`.
    match codebook.split_at_checked(number as usize) {
        Some((_, [entry, ..])) => *entry as i8 as i32,
        _ => 0,
    }
}
