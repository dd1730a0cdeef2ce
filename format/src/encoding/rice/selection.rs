//! Reading the list of used inputs, for layers that do not use all inputs.

use super::bits::Bits;
use super::rows::Rows;

/// A reader of the inputs that a layer uses, as runs; all inputs if the block has no list.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    pub(super) bits: Bits<'a>,
    inputs: u32,
    /// `gap_k` and `run_k`, four bits each, or [`ALL`].
    both: u32,
    /// The end of the last run.
    at: u32,
    /// The number of inputs in the runs.
    selected: u32,
}

/// The value of `both` if there is no list.
const ALL: u32 = 0x100;

impl<'a> Selection<'a> {
    /// Starts reading the list, if the block has one.
    #[inline(always)]
    pub(super) const fn new(mut bits: Bits<'a>, listed: bool, inputs: u32) -> Self {
        let mut both = ALL;
        if listed {
            // Four bits each.
            both = bits.window() >> 24;
            bits.skip(8);
        }
        Selection {
            bits,
            inputs,
            both,
            at: 0,
            selected: 0,
        }
    }

    /// Returns the next run of used inputs, as its first input and its length, or `None` after the
    /// last run.
    #[inline(never)]
    pub const fn next_run(&mut self) -> Option<(usize, usize)> {
        if self.at >= self.inputs {
            return None;
        }
        let (mut start, mut length) = (0, self.inputs);
        if self.both != ALL {
            // At least one unused input separates two runs.
            let after = self.at + (self.at != 0) as u32;
            let gap = self.bits.rice(self.both >> 4);
            start = after.saturating_add(gap);
            if start >= self.inputs {
                self.at = start;
                return None;
            }
            let more = self.bits.rice(self.both & 15);
            length = more.saturating_add(1);
        }
        self.at = start.saturating_add(length);
        self.selected = self.selected.wrapping_add(length);
        Some((start as usize, length as usize))
    }

    /// Returns whether a run went past the last input.
    pub(super) const fn overran(&self) -> bool {
        self.at > self.inputs
    }

    /// Skips the rest of the list and returns the rows after it.
    #[must_use]
    #[inline(never)]
    pub const fn rows(mut self) -> Rows<'a> {
        while self.next_run().is_some() {}
        Rows::new(self.bits, self.selected)
    }
}
