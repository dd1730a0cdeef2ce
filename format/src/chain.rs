//! A lean walk over the layers of a chain of dense layers.
//!
//! Engines built without `maps` use it. Every layer is dense and reads the previous one, so the
//! walk only keeps the length of the next input. Per layer, it takes a third of the instructions of
//! [`crate::Layers`].

use crate::encoding::{Dimensions, Encoding, Weights};
use crate::record::{RECORD_BYTES, Record};

/// One layer of a chain of dense layers.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct DenseLayer<'a> {
    /// Its biases and weights.
    pub weights: Weights<'a>,
    /// The shift for [`crate::requantize`]; 0 for the last layer.
    pub shift: u8,
    /// The number of its inputs.
    pub inputs: usize,
    /// The size of its output in the arena, in words.
    pub words: usize,
    /// Whether it is the last layer, whose sums are the logits.
    pub last: bool,
    /// Whether it is the first layer, which reads the caller's input.
    pub first: bool,
}

/// An iterator over the layers of a chain of dense layers, from input to output.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct DenseLayers<'a> {
    /// Records and blocks.
    body: &'a [u8],
    /// The remaining records.
    records: &'a [[u8; RECORD_BYTES]],
    /// The offset in `body` of the end of the last block read.
    at: usize,
    /// The length of the next layer's input.
    inputs: usize,
}

impl<'a> DenseLayers<'a> {
    /// Starts a walk over `layers` layers. It is empty if one of them is not dense or has links.
    #[inline(always)]
    pub(crate) const fn new(body: &'a [u8], layers: usize, inputs: usize) -> Self {
        let at = layers * RECORD_BYTES;
        let records: &[[u8; RECORD_BYTES]] = match body.split_at_checked(at) {
            Some((records, _)) => records.as_chunks().0,
            None => &[],
        };
        // Without maps, parsing has already rejected such layers.
        let records = if cfg!(feature = "maps") && !is_chain(records) {
            &[]
        } else {
            records
        };
        DenseLayers {
            body,
            records,
            at,
            inputs,
        }
    }
}

/// Returns whether all layers are dense and have no links.
const fn is_chain(mut records: &[[u8; RECORD_BYTES]]) -> bool {
    while let [record, rest @ ..] = records {
        if !Record::is_chained(*record) {
            return false;
        }
        records = rest;
    }
    true
}

impl<'a> Iterator for DenseLayers<'a> {
    type Item = DenseLayer<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<DenseLayer<'a>> {
        // Compares addresses instead of keeping a flag, since compilers would peel the first
        // iteration of a loop with a flag.
        let first = core::ptr::eq(self.records.as_ptr().cast(), self.body.as_ptr());
        let (&record, records) = self.records.split_first()?;
        self.records = records;
        let last = records.is_empty();
        let [kind, shift, o0, o1, ..] = record;
        let encoding = Encoding::from_code(kind & 15)?;
        let outputs = usize::from(u16::from_le_bytes([o0, o1]));
        // A start that wraps is out of bounds, so `get` returns `None` for it.
        let mask = encoding.alignment() - 1;
        let start = self.at.wrapping_add(mask) & !mask;
        self.at = start.wrapping_add(Record::length(record));
        let block = self.body.get(start..self.at)?;
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
