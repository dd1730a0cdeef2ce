//! The memory of an inference, owned by the caller.

/// `WORDS` words of 32 bits for [`crate::Engine::infer`]. As a static in firmware it is sized by the
/// model at compile time: `Arena<{ rarefy_format::arena_words(MODEL) }>`.
///
/// What an earlier inference left in it does not matter to the next.
#[derive(Clone, Debug)]
pub struct Arena<const WORDS: usize>([u32; WORDS]);

impl<const WORDS: usize> Arena<WORDS> {
    /// An arena of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Arena([0; WORDS])
    }

    /// Its words, to infer in.
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
