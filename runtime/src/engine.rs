//! The engine: walks a model's layers through the arena.

use rarefy_format::{Buffer, Layer, Model, Operation};

use crate::error::{InferError, Misaligned};
use crate::kernels::{self, Output};

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

        // A parsed model's arena holds what each layer reads and writes, side by side: none of these
        // `ok_or` is ever met.
        let mut logits = 0..0;
        for layer in self.model.layers() {
            run_layer(&layer, input, arena).ok_or(too_small)?;
            let output = layer.output();
            logits = output.place..output.place.saturating_add(output.words);
        }
        let logits = arena.get(logits).ok_or(too_small)?;
        Ok(bytemuck::must_cast_slice(logits))
    }
}

/// The arena around the words that a layer writes.
struct Around<'a> {
    before: &'a [u32],
    behind: &'a [u32],
    /// The first word behind.
    end: usize,
}

impl<'a> Around<'a> {
    /// The bytes of `buffer`; those of `input` when it has no words. `None` when it is not all before
    /// or all behind what is written.
    #[inline(always)]
    fn bytes(&self, buffer: &Buffer, input: &'a [u8]) -> Option<&'a [u8]> {
        if buffer.words == 0 {
            return Some(input);
        }
        let words = match buffer.place.checked_sub(self.end) {
            Some(start) => self.behind.get(start..)?.get(..buffer.words)?,
            None => self.before.get(buffer.place..)?.get(..buffer.words)?,
        };
        Some(bytemuck::must_cast_slice(words))
    }
}

/// Computes one layer. `None` when the arena does not hold it as its record says.
#[inline(always)]
fn run_layer(layer: &Layer<'_>, input: &[u8], arena: &mut [u32]) -> Option<()> {
    #[cfg(feature = "maps")]
    if layer.index() == 0 {
        kernels::map::copy(input, &layer.source(), arena)?;
    }
    let output = layer.output();
    let first = layer.first_word();
    let (before, rest) = arena.split_at_mut_checked(first)?;
    let words = output.words.saturating_add(layer.scratch_words());
    let (write, behind) = rest.split_at_mut_checked(words)?;
    let end = first.saturating_add(words);
    let around = Around {
        before,
        behind,
        end,
    };
    let source = around.bytes(&layer.source(), input)?;
    let (write, scratch) = if layer.scratch_first() {
        let (scratch, write) = write.split_at_mut_checked(layer.scratch_words())?;
        (write, scratch)
    } else {
        write.split_at_mut_checked(output.words)?
    };
    match layer.operation() {
        Operation::Dense => {
            let output = if layer.is_last() {
                Output::Sums(bytemuck::must_cast_slice_mut(write))
            } else {
                Output::Bytes {
                    words: write,
                    shift: layer.shift(),
                }
            };
            kernels::dense(layer, source, output, scratch)
        }
        #[cfg(feature = "maps")]
        _ => {
            let skip = match layer.skip() {
                Some((buffer, shift)) => Some((around.bytes(&buffer, input)?, buffer, shift)),
                None => None,
            };
            kernels::map::run(layer, source, skip, write, scratch)
        }
        #[cfg(not(feature = "maps"))]
        _ => None,
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
