//! The engine: the interface that a program calls. `chain` or `graph` executes the layers.

use rarefy_format::Model;

#[cfg(not(feature = "maps"))]
use crate::chain as walk;
use crate::error::{InferError, Misaligned};
#[cfg(feature = "maps")]
use crate::graph as walk;

/// An engine for one model. It consists of a view of the model only, so it is cheap to create.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'m> {
    model: Model<'m>,
}

impl<'m> Engine<'m> {
    /// Creates an engine for `model`.
    ///
    /// # Errors
    ///
    /// Returns an error if the container is not aligned to 4 bytes (see
    /// [`rarefy_format::Aligned`]).
    pub fn new(model: Model<'m>) -> Result<Engine<'m>, Misaligned> {
        match model.bytes().as_ptr().addr() % 4 {
            0 => Ok(Engine { model }),
            offset => Err(Misaligned { offset }),
        }
    }

    /// Returns the model.
    #[must_use]
    pub fn model(&self) -> Model<'m> {
        self.model
    }

    /// Computes the logits for `input`, which has one byte per value. Uses the first
    /// [`Model::arena_words`] words of `arena`, and returns the part of them that contains the
    /// logits.
    ///
    /// # Errors
    ///
    /// Returns an error if the input does not have exactly [`Model::inputs`] bytes, or if the
    /// arena has fewer than [`Model::arena_words`] words.
    // Kept out of line: inlined, it would compete for registers with the code around the call.
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

        // The parser has checked that the arena has room for what each layer reads and writes, so
        // neither of these steps fails.
        let logits = walk::run(&self.model, input, arena).ok_or(too_small)?;
        let logits = arena.get(logits).ok_or(too_small)?;
        Ok(bytemuck::must_cast_slice(logits))
    }
}

/// Returns the class: the index of the largest of `logits`, or of the first one in a tie; 0 if
/// there are none.
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
            if cfg!(target_arch = "riscv32") {
                // Keeps the branch: the compiler would copy registers instead for every logit.
                core::hint::black_box(());
            }
        }
    }
    best.0
}
