//! A walk over a network of dense layers, with no more than their kernels need.
//!
//! For builds without `maps`: there every layer is dense and reads the one before, so nothing has to be
//! remembered but a length. A third of the instructions that [`crate::Layers`] takes for a layer.

use crate::encoding::{Dimensions, Encoding, Weights};
use crate::record::{RECORD_BYTES, Record};

/// One dense layer.
#[derive(Clone, Copy, Debug)]
pub struct DenseLayer<'a> {
    /// Its biases and weights.
    pub weights: Weights<'a>,
    /// Bits shifted out; 0 for the last layer.
    pub shift: u8,
    /// Words of its output in the arena.
    pub words: usize,
    /// Whether it is the last.
    pub last: bool,
    /// Whether it is the first.
    pub first: bool,
}

/// The layers of a [`crate::Model`] of dense layers, from the input to the output. Of any other model
/// it gives harmless nonsense.
#[derive(Clone, Debug)]
pub struct DenseLayers<'a> {
    /// Records and blocks.
    behind: &'a [u8],
    /// Where the next record begins, and where the last ends.
    record: usize,
    end: usize,
    /// Where the last block read ends.
    at: usize,
    /// What the next layer reads.
    inputs: usize,
}

impl<'a> DenseLayers<'a> {
    pub(crate) const fn new(behind: &'a [u8], layers: usize, inputs: usize) -> Self {
        DenseLayers {
            behind,
            record: 0,
            end: layers * RECORD_BYTES,
            at: layers * RECORD_BYTES,
            inputs,
        }
    }
}

impl<'a> Iterator for DenseLayers<'a> {
    type Item = DenseLayer<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<DenseLayer<'a>> {
        if self.record >= self.end {
            return None;
        }
        let first = self.record == 0;
        let record: [u8; RECORD_BYTES] = *self.behind.get(self.record..)?.first_chunk()?;
        self.record += RECORD_BYTES;
        let last = self.record == self.end;
        let [kind, shift, o0, o1, ..] = record;
        let encoding = Encoding::from_code(kind & 15)?;
        let outputs = usize::from(u16::from_le_bytes([o0, o1]));
        let start = self.at.next_multiple_of(encoding.alignment());
        self.at = start + Record::length(record);
        let block = self.behind.get(start..self.at)?;
        let dims = Dimensions {
            inputs: self.inputs,
            outputs,
        };
        self.inputs = outputs;
        Some(DenseLayer {
            weights: Weights::read(encoding, dims, block),
            shift: shift & 31,
            words: crate::arena::buffer_words(outputs, encoding, last),
            last,
            first,
        })
    }
}
