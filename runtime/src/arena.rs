//! The memory of an inference, which the caller owns.

/// An arena of `WORDS` 32-bit words for [`crate::Engine::infer`].
///
/// The model can size a static in firmware at compile time:
/// `Arena<{ rarefy_format::arena_words(MODEL) }>`. An inference does not depend on what the arena
/// contains.
#[derive(Clone, Debug)]
pub struct Arena<const WORDS: usize>([u32; WORDS]);

impl<const WORDS: usize> Arena<WORDS> {
    /// Creates an arena of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Arena([0; WORDS])
    }

    /// Returns the words.
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
