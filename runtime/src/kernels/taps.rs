//! Taps: the nonzero weights of one output channel of a convolution, in words of the arena.

use core::ops::Range;

/// Collects the taps of a channel, one word `weight << 16 | column` each.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    room: usize,
    free: core::slice::IterMut<'a, u32>,
}

impl<'a> Incoming<'a> {
    /// Creates an empty collection with room for `words.len() - Taps::SPARE` taps.
    #[inline(always)]
    pub(crate) fn new(words: &'a mut [u32]) -> Incoming<'a> {
        let room = words.len().saturating_sub(Taps::SPARE);
        let free = words.get_mut(Taps::FRONT..).unwrap_or_default();
        let free = free.get_mut(..room).unwrap_or_default();
        Incoming {
            room: free.len(),
            free: free.iter_mut(),
        }
    }

    /// Adds a tap, whose column must exceed that of the previous one. Ignores a weight of 0, and a
    /// tap for which there is no room.
    #[inline(always)]
    pub(crate) fn push(&mut self, column: u16, weight: i16) {
        if weight != 0
            && let Some(word) = self.free.next()
        {
            *word = u32::from(weight as u16) << 16 | u32::from(column);
        }
    }

    /// Returns the number of taps.
    pub(crate) fn count(&self) -> usize {
        self.room - self.free.len()
    }
}

/// The taps of a channel with their offsets: words `weight << 16 | offset`, with nonzero weights.
///
/// At least [`Taps::FRONT`] words precede the taps, and as many follow, for kernels that rearrange
/// them. Some of the taps may have been grouped into quads, which precede the others.
#[derive(Debug)]
pub(crate) struct Taps<'a> {
    words: &'a mut [u32],
    single: Range<usize>,
    last: usize,
}

impl<'a> Taps<'a> {
    /// The number of words needed besides one per tap.
    pub(crate) const SPARE: usize = rarefy_format::SPARE_WORDS;
    /// The number of these words that precede the first tap; the others follow the last one.
    pub(crate) const FRONT: usize = Taps::SPARE / 2;

    /// Returns the taps in `words[single]`, which read at offsets of at most `last`.
    pub(crate) fn new(words: &'a mut [u32], single: Range<usize>, last: usize) -> Taps<'a> {
        Taps {
            words,
            single,
            last,
        }
    }

    /// Returns the taps, without those in quads.
    pub(crate) fn as_slice(&self) -> &[u32] {
        self.words.get(self.single.clone()).unwrap_or_default()
    }

    /// Returns an upper bound of the offsets: that of the last column in the window's row of the
    /// last tap.
    pub(crate) fn last(&self) -> usize {
        self.last
    }

    /// Returns all words, and the range of the taps that are in no quad. The quads end
    /// [`Taps::FRONT`] words before that range; as many words follow it. Returns `None` if fewer
    /// follow.
    #[cfg(any(native, test))]
    pub(crate) fn into_parts(self) -> Option<(&'a mut [u32], Range<usize>)> {
        let fits = self.single.end + Taps::FRONT <= self.words.len();
        fits.then_some((self.words, self.single))
    }
}
