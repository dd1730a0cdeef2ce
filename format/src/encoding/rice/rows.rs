//! The rows of a block, one after another: a bias, then columns and weights.
//!
//! Total for any bytes: what no writer made gives wrong numbers, never a panic. [`super::Rice::check`]
//! refuses it, and reads by the same code that kernels use.

use super::bits::{Bits, largest, unfold};
use super::parameters::Parameters;

/// Reads the rows of a layer in order.
///
/// For each of the layer's outputs call [`Rows::start`] once, then [`Rows::weights`].
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    parameters: Parameters<'a>,
    /// Rows not started yet: of the layer, and of the current length.
    rows: u32,
    run: u32,
    length: u32,
    /// The first column of the last row of this length.
    first: u32,
    pub(super) row: Row<'a>,
}

impl<'a> Rows<'a> {
    pub(super) const fn new(
        bits: Bits<'a>,
        parameters: Parameters<'a>,
        columns: u32,
        outputs: u32,
    ) -> Self {
        Rows {
            rows: outputs,
            run: 0,
            // Sorted lengths grow by at least one: the first may be 0.
            length: if parameters.sorted { u32::MAX } else { 0 },
            first: 0,
            row: Row {
                bits,
                columns,
                column: 0,
                slack: 0,
                left: 0,
                gap_k: 0,
                weight_k: parameters.weight_k,
                weight_limit: parameters.weight_limit(),
                adjacent: parameters.adjacent,
                codebook: parameters.codebook,
            },
            parameters,
        }
    }

    /// How many columns there are: every column is below. The layer's inputs, or as many as are
    /// selected.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.row.columns as usize
    }

    /// The number of weights of the row started last.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length as usize
    }

    /// Starts the next row: its bias.
    #[inline]
    pub const fn start(&mut self) -> i32 {
        if self.run == 0 {
            self.start_run();
        }
        let Parameters {
            bias_bits,
            bias_unary,
            ..
        } = self.parameters;
        let Row { columns, .. } = self.row;
        let bits = &mut self.row.bits;
        let bias = bits.rice(bias_bits - bias_unary, largest(bias_bits));
        if self.length > 0 {
            let behind = columns.wrapping_sub(self.first);
            let slack = behind.wrapping_sub(self.length);
            let weights = self.length.wrapping_mul(self.run);
            let gap = bits.rice(self.parameters.gap_k(behind, weights), slack);
            self.first = self.first.wrapping_add(gap);
            self.row.column = self.first;
            self.row.slack = slack.wrapping_sub(gap);
        }
        self.row.left = self.length;
        self.run -= 1;
        self.rows = self.rows.wrapping_sub(1);
        unfold(bias).wrapping_shl(self.parameters.bias_shift)
    }

    /// The length of the next rows.
    const fn start_run(&mut self) {
        let Parameters {
            length_k, count_k, ..
        } = self.parameters;
        let Row { columns, .. } = self.row;
        let bits = &mut self.row.bits;
        if self.parameters.sorted {
            let shortest = self.length.wrapping_add(1);
            let more = bits.rice(length_k, columns.saturating_sub(shortest));
            self.length = shortest.wrapping_add(more);
            self.run = bits
                .rice(count_k, self.rows.saturating_sub(1))
                .wrapping_add(1);
        } else {
            let change = unfold(bits.rice(length_k, 2 * columns));
            self.length = self.length.wrapping_add_signed(change);
            self.run = 1;
        }
        self.first = 0;
        self.row.gap_k = self.parameters.gap_k(columns, self.length);
    }

    /// Gives `each` the columns and values of the row's weights, the columns ascending.
    #[inline(always)]
    pub fn weights(&mut self, mut each: impl FnMut(usize, i32)) {
        // A copy, so that it can be in registers.
        let mut row = self.row;
        if row.left > 0 {
            loop {
                let column = row.column as usize;
                each(column, row.weight::<true>());
                if !row.step::<true>() {
                    break;
                }
            }
        }
        self.row = row;
    }

    /// Whether rows of a length are announced that the layer does not have.
    pub(super) const fn overran(&self) -> bool {
        self.run != 0
    }
}

/// The rest of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) bits: Bits<'a>,
    pub(super) columns: u32,
    /// The next weight's column, and by how much it and those behind it could still move.
    pub(super) column: u32,
    slack: u32,
    pub(super) left: u32,
    gap_k: u32,
    weight_k: u32,
    weight_limit: u32,
    adjacent: bool,
    codebook: &'a [u8],
}

impl Row<'_> {
    /// The weight at `column`; there must be one. `FAST` is for a loop where it is inlined.
    #[inline(always)]
    pub(super) const fn weight<const FAST: bool>(&mut self) -> i32 {
        let (k, limit) = (self.weight_k & 15, self.weight_limit);
        let number = if FAST {
            self.bits.rice_short(k, limit)
        } else {
            self.bits.rice(k, limit << k | largest(k))
        };
        if self.codebook.is_empty() {
            let sign = -((number & 1) as i32);
            ((number >> 1) as i32 ^ sign) + (1 + sign)
        } else {
            codebook_entry(self.codebook, number)
        }
    }

    /// Goes on behind a weight, to the next one if there is any.
    #[inline(always)]
    pub(super) const fn step<const FAST: bool>(&mut self) -> bool {
        self.left -= 1;
        if self.left == 0 {
            return false;
        }
        let gap = self.gap::<FAST>();
        self.slack = self.slack.wrapping_sub(gap);
        self.column = self.column.wrapping_add(gap).wrapping_add(1);
        true
    }

    /// How many columns lie between a weight and the next one.
    #[inline(always)]
    const fn gap<const FAST: bool>(&mut self) -> u32 {
        let flags = self.adjacent as u32;
        if self.adjacent && self.slack == 0 {
            return 0;
        }
        self.bits.refill();
        if self.adjacent && self.bits.next_is_set() {
            self.bits.skip(1);
            return 0;
        }
        let (k, max) = (self.gap_k & 31, self.slack.wrapping_sub(flags));
        let gap = if FAST {
            self.bits.rice_behind(flags, k, max)
        } else {
            self.bits.skip(flags);
            self.bits.rice(k, max)
        };
        gap.wrapping_add(flags)
    }
}

/// The weight of a number; 0 if the codebook has none.
#[inline(always)]
const fn codebook_entry(codebook: &[u8], number: u32) -> i32 {
    // `split_at_checked` because `get` is not `const`.
    match codebook.split_at_checked(number as usize) {
        Some((_, [entry, ..])) => *entry as i8 as i32,
        _ => 0,
    }
}
