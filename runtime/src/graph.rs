//! The walk over any network: each layer reads and writes where its record says.

use core::ops::Range;

use rarefy_format::{Buffer, Layer, Model, Operation};

use crate::kernels::{self, Output};

/// Computes all layers of `model`; gives the words of `arena`, which has as many as the model needs, in
/// which the logits are. `None` when the arena does not hold a layer as its record says.
#[inline(always)]
pub(crate) fn run(model: &Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<Range<usize>> {
    let mut logits = 0..0;
    for layer in model.layers() {
        run_layer(&layer, input, arena)?;
        let output = layer.output();
        logits = output.place..output.place.saturating_add(output.words);
    }
    Some(logits)
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
            let first = layer.source().words == 0;
            kernels::dense(layer.weights(), first, source, output, scratch)
        }
        _ => {
            let skip = match layer.skip() {
                Some((buffer, shift)) => Some((around.bytes(&buffer, input)?, buffer, shift)),
                None => None,
            };
            kernels::map::run(layer, source, skip, write, scratch)
        }
    }
}
