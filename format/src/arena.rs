//! How much memory an inference needs, by one rule for writer, parser, engine and compile time.
//!
//! A buffer takes a byte a value, its margins included; the sums of the last layer, of a layer stored
//! by columns, and the floats of a float network four. All are rounded up to words. A convolution takes
//! a word for each tap of its longest row besides, and six to arrange them in: right before an output at
//! the arena's end, right behind any other.
//!
//! Layer 0 reads the caller's input, or, where it pads, a copy with margins at the arena's end. Without
//! links, even layers write at the arena's front and odd ones at its end, so only what a layer reads and
//! what it writes must fit side by side: the arena is the largest such pair. With links each layer
//! states its place, and the arena holds them all, and the input's copy behind those that are written
//! while it is still to be read.

use crate::encoding::Encoding;
use crate::header::{HEADER_BYTES, MAGIC, VERSION};

/// Words that `values` outputs of a layer take.
#[inline(always)]
pub(crate) const fn buffer_words(values: usize, encoding: Encoding, last: bool) -> usize {
    if last || matches!(encoding, Encoding::Columns | Encoding::CsrF32) {
        values
    } else {
        values.div_ceil(4)
    }
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
/// const MODEL: &[u8] = b"RFY\x01\0\0\0\0\x01\x60\0\0\x04\0\x01\x01";
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
    model[9] as usize | (model[10] as usize) << 8 | (model[11] as usize) << 16
}
