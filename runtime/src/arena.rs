//! The memory for an inference, which the caller provides.

/// An arena of `WORDS` 32-bit words for [`crate::Engine::infer`].
///
/// In firmware, the compiler can derive the size of a static arena from the model:
/// `Arena<{ rarefy_format::arena_words(MODEL) }>`. The result of an inference does not depend on
/// what the arena contained before.
#[derive(Clone, Debug)]
pub struct Arena<const WORDS: usize>([u32; WORDS]);

impl<const WORDS: usize> Arena<WORDS> {
    /// Creates an arena of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Arena([0; WORDS])
    }

    /// Returns the words of the arena.
    #[must_use]
    pub const fn as_mut_words(&mut self) -> &mut [u32] {
        &mut self.0
    }
}

impl<const WORDS: usize> Default for Arena<WORDS> {
    fn default() -> Self {
        Arena::new()
    }
}
