//! The output of a dense layer.

/// Where a dense layer stores the sums of its rows, and in which form.
///
/// This is the only place that tells the last layer of a network from the others.
pub(crate) enum Output<'a> {
    /// A hidden layer: one activation per row, from the first byte of `words` on.
    Activations {
        /// The layer's words of the arena.
        words: &'a mut [u32],
        /// Right shift that turns a sum into an activation, at most 31.
        shift: u8,
    },
    /// The last layer: the sums themselves, one per row.
    Logits(&'a mut [i32]),
}

impl<'a> Output<'a> {
    /// Returns the output of a layer that writes `words`.
    #[inline(always)]
    pub(crate) fn new(words: &'a mut [u32], shift: u8, last: bool) -> Output<'a> {
        if last {
            Output::Logits(bytemuck::must_cast_slice_mut(words))
        } else {
            Output::Activations { words, shift }
        }
    }
}
