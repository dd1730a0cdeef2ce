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
    /// Bytes that it reads.
    pub inputs: usize,
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
    /// The records that are left.
    records: &'a [[u8; RECORD_BYTES]],
    /// Where the last block read ends.
    at: usize,
    /// What the next layer reads.
    inputs: usize,
}

impl<'a> DenseLayers<'a> {
    #[inline(always)]
    pub(crate) const fn new(behind: &'a [u8], layers: usize, inputs: usize) -> Self {
        let at = layers * RECORD_BYTES;
        let records = match behind.split_at_checked(at) {
            Some((records, _)) => records.as_chunks().0,
            None => &[],
        };
        DenseLayers {
            behind,
            records,
            at,
            inputs,
        }
    }
}

impl<'a> Iterator for DenseLayers<'a> {
    type Item = DenseLayer<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<DenseLayer<'a>> {
        // By the place and not by a flag, for which compilers make the first turn of a loop a copy.
        let first = core::ptr::eq(self.records.as_ptr().cast(), self.behind.as_ptr());
        let (&record, records) = self.records.split_first()?;
        self.records = records;
        let last = records.is_empty();
        let [kind, shift, o0, o1, ..] = record;
        let encoding = Encoding::from_code(kind & 15)?;
        let outputs = usize::from(u16::from_le_bytes([o0, o1]));
        // No multiple that fits is missed: what wraps is refused below.
        let below = encoding.alignment() - 1;
        let start = self.at.wrapping_add(below) & !below;
        self.at = start.wrapping_add(Record::length(record));
        let block = self.behind.get(start..self.at)?;
        let dims = Dimensions {
            inputs: self.inputs,
            outputs,
        };
        let layer = DenseLayer {
            weights: Weights::read(encoding, dims, block),
            shift: shift & 31,
            inputs: self.inputs,
            words: crate::arena::buffer_words(outputs, encoding, last),
            last,
            first,
        };
        self.inputs = outputs;
        Some(layer)
    }
}
