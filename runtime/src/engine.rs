//! The engine: walks a model's layers through the arena.

use rarefy_format::{Activation, Layer, Model};

use crate::error::{InferError, Unsupported};
use crate::kernels;
use crate::output::{Logits, Requantize};

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
    /// When a layer needs a kernel that this build leaves out.
    pub fn new(model: Model<'m>) -> Result<Engine<'m>, Unsupported> {
        for (layer, encoding) in model.layers().map(|layer| layer.encoding()).enumerate() {
            if !kernels::is_linked(encoding) {
                return Err(Unsupported { layer, encoding });
            }
        }
        Ok(Engine { model })
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

        // Layer 0 reads the caller's input; the others what the layer before left at its end of the
        // arena. A parsed model's arena holds each such pair: none of these `ok_or` is ever met.
        let mut read_words = 0;
        for (index, layer) in self.model.layers().enumerate() {
            let (read, write) =
                ends(arena, index, read_words, layer.buffer_words()).ok_or(too_small)?;
            let read: &[u8] = if index == 0 {
                input
            } else {
                bytemuck::must_cast_slice(read)
            };
            let read = read.get(..layer.inputs()).ok_or(too_small)?;
            run_layer(&layer, read, write).ok_or(too_small)?;
            read_words = layer.buffer_words();
        }
        // The last of an odd number of layers wrote at the front.
        let logits = if self.model.layers().len() % 2 == 1 {
            arena.get(..read_words)
        } else {
            arena.get(needed - read_words..)
        };
        logits.map(bytemuck::must_cast_slice).ok_or(too_small)
    }
}

/// Where layer `index` reads and writes: even layers write at the front and read at the end, odd
/// ones the other way round. `None` when the two would overlap.
fn ends(
    arena: &mut [u32],
    index: usize,
    read_words: usize,
    write_words: usize,
) -> Option<(&[u32], &mut [u32])> {
    let (at_front, at_end) = if index.is_multiple_of(2) {
        (write_words, read_words)
    } else {
        (read_words, write_words)
    };
    let (front, rest) = arena.split_at_mut_checked(at_front)?;
    let (_, end) = rest.split_at_mut_checked(rest.len().checked_sub(at_end)?)?;
    Some(if index.is_multiple_of(2) {
        (end, front)
    } else {
        (front, end)
    })
}

/// Computes one layer into `write`, which has its buffer's words. `None` when it has fewer.
fn run_layer(layer: &Layer<'_>, read: &[u8], write: &mut [u32]) -> Option<()> {
    match layer.activation() {
        Activation::Linear => {
            let write = bytemuck::must_cast_slice_mut(write);
            kernels::run(layer.weights(), layer.bias(), read, Logits, write);
        }
        _ => {
            let write: &mut [u8] = bytemuck::must_cast_slice_mut(write);
            let write = write.get_mut(..layer.outputs())?;
            let finish = Requantize {
                shift: layer.shift(),
            };
            kernels::run(layer.weights(), layer.bias(), read, finish, write);
        }
    }
    Some(())
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
