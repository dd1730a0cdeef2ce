//! The memory that an inference needs: one rule shared by the writer, the parser and the engine.
//!
//! A buffer takes one byte per value, including margins. It takes four bytes per value for the
//! sums of the last layer, for a layer stored by columns, and for floats. Sizes are rounded up to
//! words. A convolution also needs a scratch buffer of one word per weight of its longest row, and
//! six more words; that of a dense layer in `rice` with a list of used inputs has one byte per
//! listed input. The scratch buffer lies directly before an output at the arena's end, and
//! directly after any other output.
//!
//! Layer 0 reads the caller's input or, if it pads, a copy with margins at the arena's end.
//! Without links the arena is a ping-pong buffer: even layers write at its front and odd ones at
//! its end, so only the source, the scratch buffer and the output of one layer must fit at a time.
//! With links each layer states the place of its output. The arena then extends to the end of all
//! outputs, and the copy of the input lies after those outputs that are written while the copy is
//! still needed.

use crate::encoding::Encoding;
use crate::header::{HEADER_BYTES, MAGIC, VERSION};

/// Returns the size in words of a buffer for `values` outputs of a layer, margins included.
#[inline(always)]
pub(crate) const fn buffer_words(values: usize, encoding: Encoding, is_last: bool) -> usize {
    if is_last || matches!(encoding, Encoding::Columns | Encoding::CsrF32) {
        values
    } else {
        values.div_ceil(4)
    }
}

/// Returns the size of the arena in 32-bit words, as the header of `model` states it.
///
/// Use it to size a static arena at compile time. [`crate::Model::parse`] checks that the stated
/// size is valid.
///
/// # Panics
///
/// If `model` is too short for a header, or its magic or version is wrong. In a `const` that is a
/// compile error. At run time, use [`crate::Model::arena_words`].
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
        "the model is not a .rfy container: it does not begin with RFY"
    );
    assert!(
        model[3] == VERSION,
        "the model has an unsupported format version: export it again"
    );
    model[9] as usize | (model[10] as usize) << 8 | (model[11] as usize) << 16
}
