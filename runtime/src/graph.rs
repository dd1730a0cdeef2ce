//! Execution of any network: each layer reads and writes the buffers that [`Layer`] states.

use core::ops::Range;

use rarefy_format::{Buffer, Layer, Model, Operation};

use crate::kernels::output::Output;
use crate::{kernels, maps};

/// Runs all layers of `model`. Returns the range of the logits in `arena`, or `None` if a layer
/// does not fit the arena.
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

/// The parts of the arena before and after the words that a layer writes.
struct Around<'a> {
    before: &'a [u32],
    after: &'a [u32],
    /// The index of the first word of `after`.
    end: usize,
}

impl<'a> Around<'a> {
    /// Returns the bytes of `buffer`, or `input` if the buffer has no words. Returns `None` if it
    /// overlaps the words that the layer writes.
    #[inline(always)]
    fn bytes(&self, buffer: &Buffer, input: &'a [u8]) -> Option<&'a [u8]> {
        if buffer.words == 0 {
            return Some(input);
        }
        let words = match buffer.place.checked_sub(self.end) {
            Some(start) => self.after.get(start..)?.get(..buffer.words)?,
            None => self.before.get(buffer.place..)?.get(..buffer.words)?,
        };
        Some(bytemuck::must_cast_slice(words))
    }
}

/// Runs a layer. Returns `None` if it does not fit the arena.
#[inline(always)]
fn run_layer(layer: &Layer<'_>, input: &[u8], arena: &mut [u32]) -> Option<()> {
    if layer.index() == 0 {
        maps::copy(input, &layer.source(), arena)?;
    }
    let output = layer.output();
    let first = layer.first_word();
    let (before, rest) = arena.split_at_mut_checked(first)?;
    let words = output.words.saturating_add(layer.scratch_words());
    let (write, after) = rest.split_at_mut_checked(words)?;
    let end = first.saturating_add(words);
    let around = Around { before, after, end };
    let source = around.bytes(&layer.source(), input)?;
    let (write, scratch) = if layer.scratch_first() {
        let (scratch, write) = write.split_at_mut_checked(layer.scratch_words())?;
        (write, scratch)
    } else {
        write.split_at_mut_checked(output.words)?
    };
    match layer.operation() {
        Operation::Dense => {
            let output = Output::new(write, layer.shift(), layer.is_last());
            let raw = layer.source().words == 0;
            kernels::dense(layer.weights(), raw, source, output, scratch)
        }
        _ => {
            let skip = match layer.skip() {
                Some((buffer, shift)) => Some((around.bytes(&buffer, input)?, buffer, shift)),
                None => None,
            };
            maps::run(layer, source, skip, write, scratch)
        }
    }
}
