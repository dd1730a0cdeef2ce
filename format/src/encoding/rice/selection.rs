//! The list of columns that a layer uses, where it does not use all.

use super::bits::Bits;
use super::rows::Rows;

/// The inputs that a layer uses, as runs in order; all of them where the block has no list.
#[derive(Clone, Debug)]
pub struct Selection<'a> {
    pub(super) bits: Bits<'a>,
    inputs: u32,
    /// What the stream begins with: `gap_k` and `run_k`; anything above if there is no list.
    both: u32,
    /// Where the last run ended.
    at: u32,
    /// How many inputs the runs had.
    selected: u32,
}

/// `both` where there is no list.
const ALL: u32 = 0x100;

impl<'a> Selection<'a> {
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

    /// The next inputs that are used: the first of them, and how many follow one another.
    #[inline(never)]
    pub const fn next_run(&mut self) -> Option<(usize, usize)> {
        if self.at >= self.inputs {
            return None;
        }
        let (mut start, mut length) = (0, self.inputs);
        if self.both != ALL {
            // Between two runs there is an input at least.
            let behind = self.at + (self.at != 0) as u32;
            let gap = self.bits.rice(self.both >> 4);
            start = behind.saturating_add(gap);
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

    /// Whether the runs went behind the last input.
    pub(super) const fn overran(&self) -> bool {
        self.at > self.inputs
    }

    /// The rows behind the list.
    #[must_use]
    #[inline(never)]
    pub const fn rows(mut self) -> Rows<'a> {
        while self.next_run().is_some() {}
        Rows::new(self.bits, self.selected)
    }
}
