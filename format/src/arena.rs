//! How much memory an inference needs, by one rule for writer, parser, engine and compile time.
//!
//! Layer 0 reads the caller's input, which is not counted. Each layer writes a buffer of its own: a
//! hidden layer a byte an output, the last layer an `i32` an output, both rounded up to words. Even
//! layers write at the arena's front, odd ones at its end, so only a layer's input and output must
//! fit side by side: the arena is the largest such pair.

use crate::header::{HEADER_BYTES, MAGIC, VERSION};

/// Words that the outputs of a layer take: `outputs` bytes for a hidden layer, `outputs` integers of
/// 32 bits for the last.
#[inline]
pub(crate) const fn buffer_words(outputs: usize, last: bool) -> usize {
    if last { outputs } else { outputs.div_ceil(4) }
}

/// The arena's size in 32-bit words for layers with these numbers of outputs, from the first layer
/// to the last.
///
/// ```
/// use rarefy_format::arena_words_of;
/// // 283 bytes beside 100 bytes; then 100 bytes beside ten i32.
/// assert_eq!(arena_words_of([283, 100, 10]), 71 + 25);
/// assert_eq!(arena_words_of([10]), 10);
/// ```
#[must_use]
pub fn arena_words_of<I>(outputs: I) -> usize
where
    I: IntoIterator<Item = usize>,
    I::IntoIter: ExactSizeIterator,
{
    let mut outputs = outputs.into_iter();
    let (mut largest, mut input) = (0, 0);
    while let Some(count) = outputs.next() {
        let output = buffer_words(count, outputs.len() == 0);
        largest = largest.max(input + output);
        input = output;
    }
    largest
}

/// The arena's size in 32-bit words as the header of `model` states it, for sizing a static arena
/// at compile time. [`crate::Model::parse`] refuses a container whose statement is not exact.
///
/// # Panics
///
/// When `model` is too short for a header, or its magic or version is wrong. In a `const` that is a
/// compile error, where it belongs; at run time use [`crate::Model::arena_words`].
///
/// ```
/// use rarefy_format::arena_words;
/// const MODEL: &[u8] = b"RFY\0\x20\0\0\0\0\0\0\0\x60\0\0\x01";
/// const WORDS: usize = arena_words(MODEL);
/// assert_eq!(WORDS, 96);
/// ```
#[must_use]
pub const fn arena_words(model: &[u8]) -> usize {
    assert!(
        model.len() >= HEADER_BYTES,
        "the model is shorter than the header of a .rfy container"
    );
    assert!(
        model[0] == MAGIC[0] && model[1] == MAGIC[1] && model[2] == MAGIC[2],
        "the model is no .rfy container: it does not begin with RFY"
    );
    assert!(
        model[3] == VERSION,
        "the model is a .rfy container of another format version"
    );
    model[12] as usize | (model[13] as usize) << 8 | (model[14] as usize) << 16
}
