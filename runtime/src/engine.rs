//! The engine: what a program holds and calls. The walk over the layers is in `chain` or `graph`.

use rarefy_format::Model;

#[cfg(not(feature = "maps"))]
use crate::chain as walk;
use crate::error::{InferError, Misaligned};
#[cfg(feature = "maps")]
use crate::graph as walk;

/// Runs one model. Holds nothing but the view of it: make as many as you like.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'m> {
    model: Model<'m>,
}

impl<'m> Engine<'m> {
    /// An engine for `model`.
    ///
    /// # Errors
    ///
    /// When the container does not lie on a 4-byte boundary ([`rarefy_format::Aligned`]).
    pub fn new(model: Model<'m>) -> Result<Engine<'m>, Misaligned> {
        match model.bytes().as_ptr().addr() % 4 {
            0 => Ok(Engine { model }),
            offset => Err(Misaligned { offset }),
        }
    }

    /// The model it runs.
    #[must_use]
    pub fn model(&self) -> Model<'m> {
        self.model
    }

    /// Computes the logits of `input` (one byte an input) in `arena`, where they are left.
    /// Of a larger arena only the first [`Model::arena_words`] words are used.
    ///
    /// # Errors
    ///
    /// When the input has not exactly [`Model::inputs`] bytes, or the arena less than
    /// [`Model::arena_words`] words.
    // A function of its own: in its caller it would share registers with what is around the call.
    #[inline(never)]
    pub fn infer<'a>(&self, input: &[u8], arena: &'a mut [u32]) -> Result<&'a [i32], InferError> {
        let (expected, needed) = (self.model.inputs(), self.model.arena_words());
        if input.len() != expected {
            return Err(InferError::InputLength {
                expected,
                found: input.len(),
            });
        }
        let found = arena.len();
        let too_small = InferError::ArenaTooSmall { needed, found };
        let arena = arena.get_mut(..needed).ok_or(too_small)?;

        // A parsed model's arena holds what each layer reads and writes, side by side: neither
        // `ok_or` is ever met.
        let logits = walk::run(&self.model, input, arena).ok_or(too_small)?;
        let logits = arena.get(logits).ok_or(too_small)?;
        Ok(bytemuck::must_cast_slice(logits))
    }
}

/// The class of `logits`: the index of the largest, the first of several; 0 for none.
///
/// ```
/// assert_eq!(rarefy_runtime::argmax(&[-3, 8, 8, 1]), 1);
/// ```
#[must_use]
pub fn argmax(logits: &[i32]) -> usize {
    let mut best = (0, i32::MIN);
    for (index, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (index, logit);
        }
    }
    best.0
}
