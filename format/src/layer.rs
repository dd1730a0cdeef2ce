//! The view of one layer, assembled from its record, its block and the layers before it, and the
//! checks of a layer.

use crate::bytes::check;
use crate::encoding::rice::Rice;
use crate::encoding::{self, BlockParts, Dimensions, Encoding, Weights};
use crate::error::ParseError;
use crate::operation::{EXTENSION_BYTES, GEOMETRY_BYTES, Operation, Window};
use crate::record::{LINKS_BYTES, Links, Record};
use crate::shape::{Buffer, Shape};

/// The largest map that a convolution or pooling layer may read, in bytes including margins:
/// offsets into a map have 16 bits.
pub const MAX_SOURCE_BYTES: usize = 1 << 16;

/// The number of words in a convolution's scratch buffer besides one per tap; kernels use them to
/// arrange the taps.
#[doc(hidden)]
pub const SPARE_WORDS: usize = 6;

/// One layer of a [`crate::Model`], borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    pub(crate) index: usize,
    pub(crate) record: Record,
    pub(crate) operation: Operation,
    pub(crate) links: Links,
    pub(crate) linked: bool,
    pub(crate) taps: u16,
    pub(crate) last: bool,
    pub(crate) source: Buffer,
    pub(crate) skip: Option<Buffer>,
    pub(crate) output: Buffer,
    /// The bytes between the previous block and this one.
    pub(crate) padding: &'a [u8],
    pub(crate) block: &'a [u8],
}

impl<'a> Layer<'a> {
    /// Returns the index of the layer, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Returns the operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns the encoding of the weights.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.record.encoding
    }

    /// Returns the shift for [`crate::requantize`], 0..=31; 0 for the last layer.
    #[must_use]
    pub const fn shift(&self) -> u8 {
        self.record.shift
    }

    /// Returns whether this is the last layer, which stores its sums as 32-bit integers.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Returns the buffer that the layer reads.
    #[must_use]
    pub const fn source(&self) -> Buffer {
        self.source
    }

    /// Returns the buffer that the layer writes.
    #[must_use]
    pub const fn output(&self) -> Buffer {
        self.output
    }

    /// Returns the buffer that is added to the sums before requantization, and its left shift.
    #[must_use]
    pub const fn skip(&self) -> Option<(Buffer, u8)> {
        match self.skip {
            Some(skip) => Some((skip, self.links.skip_shift)),
            None => None,
        }
    }

    /// Returns the links, if the container states them.
    #[must_use]
    pub const fn links(&self) -> Option<Links> {
        if self.linked { Some(self.links) } else { None }
    }

    /// Returns the number of rows (units or channels), after stripping.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.record.outputs as usize
    }

    /// Returns the number of rows before stripping, for reports.
    #[must_use]
    pub const fn original_outputs(&self) -> usize {
        self.record.original_outputs as usize
    }

    /// Returns the number of columns: the inputs of a dense layer, the source's channels times the
    /// area of the window for a convolution, 0 for pooling.
    #[must_use]
    pub const fn columns(&self) -> usize {
        match self.operation {
            Operation::Conv { window, .. } if cfg!(feature = "maps") => {
                self.source.shape.channels as usize * window.area()
            }
            Operation::Pool { .. } if cfg!(feature = "maps") => 0,
            _ => self.source.shape.len(),
        }
    }

    /// Returns the window of a convolution or pooling layer.
    #[inline(always)]
    const fn window(&self) -> Option<Window> {
        match self.operation {
            Operation::Conv { window, .. } | Operation::Pool { window, .. }
                if cfg!(feature = "maps") =>
            {
                Some(window)
            }
            _ => None,
        }
    }

    /// Returns whether the block has a list of used inputs, which only dense layers may have.
    const fn lists_inputs(&self) -> bool {
        cfg!(feature = "rice")
            && matches!(self.record.encoding, Encoding::Rice)
            && Rice::read(self.dimensions(), self.block)
                .selected()
                .is_some()
    }

    /// Returns the size of the scratch buffer in words: for a convolution, one per weight of the
    /// longest row plus [`SPARE_WORDS`]; for a dense layer in `rice`, room for the listed inputs.
    #[doc(hidden)]
    #[must_use]
    #[inline(always)]
    pub const fn scratch_words(&self) -> usize {
        match (self.operation, self.record.encoding) {
            (Operation::Conv { .. }, _) if cfg!(feature = "maps") => {
                self.taps as usize + SPARE_WORDS
            }
            (Operation::Dense, Encoding::Rice) if cfg!(feature = "rice") => {
                match Rice::read(self.dimensions(), self.block).selected() {
                    Some(inputs) => (inputs as usize).div_ceil(4),
                    None => 0,
                }
            }
            _ => 0,
        }
    }

    /// Returns whether the scratch buffer lies before the output rather than after it. That is so
    /// if the output lies at the arena's end.
    #[doc(hidden)]
    #[must_use]
    pub const fn scratch_first(&self) -> bool {
        !self.linked && self.index % 2 == 1
    }

    /// Returns the index in the arena of the first word that the layer writes, output or scratch.
    #[doc(hidden)]
    #[must_use]
    pub const fn first_word(&self) -> usize {
        if self.scratch_first() {
            self.output.place.saturating_sub(self.scratch_words())
        } else {
            self.output.place
        }
    }

    /// Returns a view of the stored weights.
    #[must_use]
    #[inline(always)]
    pub const fn weights(&self) -> Weights<'a> {
        Weights::read(self.record.encoding, self.dimensions(), self.block)
    }

    /// Returns the bytes of the biases and weights, which follow geometry and links.
    #[must_use]
    pub const fn block(&self) -> &'a [u8] {
        self.block
    }

    /// Returns the sizes of the parts of the whole block, geometry and links included.
    #[must_use]
    pub fn parts(&self) -> BlockParts {
        let mut parts = self.weights().parts();
        if let Operation::Conv { window, .. } | Operation::Pool { window, .. } = self.operation {
            parts.parameters += GEOMETRY_BYTES;
            if !window.is_compact() {
                parts.parameters += EXTENSION_BYTES;
            }
        }
        if self.linked {
            parts.parameters += LINKS_BYTES;
        }
        parts
    }

    /// Returns the dimensions of the weights.
    const fn dimensions(&self) -> Dimensions {
        Dimensions {
            inputs: self.columns(),
            outputs: self.record.outputs as usize,
        }
    }

    /// Checks the rules of the format that concern this layer. `floats` states whether the first
    /// layer stores floats.
    // Not split, although it has 70 lines: any split makes a device execute more instructions to
    // load a model.
    #[inline(always)]
    pub(crate) const fn check(&self, arena_words: usize, floats: bool) -> Result<(), ParseError> {
        let (layer, record) = (self.index, &self.record);
        let mut padding = self.padding;
        while let Some((&found, rest)) = padding.split_first() {
            if found != 0 {
                return Err(ParseError::NotZero { layer, found });
            }
            padding = rest;
        }
        if record.original_outputs < record.outputs {
            return Err(ParseError::OriginalSmaller {
                layer,
                original: record.original_outputs,
                stripped: record.outputs,
            });
        }
        let is_dense = matches!(self.operation, Operation::Dense);
        if self.last && (!is_dense || record.shift != 0) {
            return Err(ParseError::LastLayer {
                layer,
                shift: record.shift,
            });
        }
        let is_pool = matches!(self.operation, Operation::Pool { .. });
        let only_dense = matches!(record.encoding, Encoding::Columns | Encoding::CsrF32);
        if is_pool != matches!(record.encoding, Encoding::None)
            || (only_dense && !is_dense)
            || floats != matches!(record.encoding, Encoding::CsrF32)
            || (is_pool && record.outputs != self.source.shape.channels)
            || (!is_dense && self.lists_inputs())
        {
            return Err(ParseError::Mixed { layer });
        }
        if is_dense && self.source.shape.len() > u16::MAX as usize {
            return Err(ParseError::SourceTooLarge {
                layer,
                max: u16::MAX as usize,
                found: self.source.shape.len(),
            });
        }
        if self.source.shape.is_empty() || self.output.shape.is_empty() {
            return Err(ParseError::EmptyLayer {
                layer,
                inputs: self.source.shape.len(),
                outputs: self.output.shape.len(),
            });
        }
        check!(self.check_maps());
        check!(self.check_places(arena_words));
        let found = check!(encoding::check(
            layer,
            record.encoding,
            self.dimensions(),
            self.block
        ));
        let stated = self.taps as usize;
        let wanted = if matches!(self.operation, Operation::Conv { .. }) {
            found
        } else {
            0
        };
        if stated != wanted {
            return Err(ParseError::Taps {
                layer,
                stated,
                found: wanted,
            });
        }
        Ok(())
    }

    /// Checks that the source and the skip have the margins and shapes that this layer needs.
    const fn check_maps(&self) -> Result<(), ParseError> {
        let layer = self.index;
        let covered = match self.window() {
            Some(window) => self.source.margin.covers(window.padding),
            None => self.source.margin.is_none(),
        };
        if !covered {
            return Err(ParseError::Margin { layer });
        }
        if self.window().is_some() && self.source.len() > MAX_SOURCE_BYTES {
            return Err(ParseError::SourceTooLarge {
                layer,
                max: MAX_SOURCE_BYTES,
                found: self.source.len(),
            });
        }
        if let Some(skip) = self.skip {
            let sums = self.sums();
            let shape = skip.shape;
            if shape.channels != sums.channels
                || shape.height != sums.height
                || shape.width != sums.width
                || skip.words == 0
                || self.last
                || !matches!(self.operation, Operation::Conv { .. })
                || self.links.skip_shift > 31
            {
                return Err(ParseError::Link {
                    layer,
                    back: self.links.skip,
                });
            }
        }
        Ok(())
    }

    /// Checks that output, scratch buffer and source lie inside the arena, and that the first two
    /// overlap neither the source nor the skip.
    #[inline(always)]
    const fn check_places(&self, arena_words: usize) -> Result<(), ParseError> {
        let words = self.output.words.saturating_add(self.scratch_words());
        let place = self.first_word();
        let overlaps = overlap(place, words, self.source)
            || match self.skip {
                Some(skip) => overlap(place, words, skip),
                None => false,
            };
        let end = place.saturating_add(words);
        let read_end = self.source.place.saturating_add(self.source.words);
        if overlaps || end > arena_words || read_end > arena_words {
            return Err(ParseError::Place {
                layer: self.index,
                place,
                words,
            });
        }
        Ok(())
    }

    /// Returns the shape of the sums, before fused pooling.
    #[must_use]
    pub const fn sums(&self) -> Shape {
        let mut shape = Shape::flat(self.record.outputs);
        if let Some(window) = self.window() {
            [shape.height, shape.width] = window.outputs(self.source.shape);
        }
        shape
    }

    /// Returns the size of the arena, in words, that this layer needs.
    pub(crate) const fn needed_words(&self) -> usize {
        let own = self.output.words + self.scratch_words();
        if self.linked {
            own + self.output.place
        } else {
            own + self.source.words
        }
    }
}

/// Returns whether the `words` words at `place` overlap `buffer`.
pub(crate) const fn overlap(place: usize, words: usize, buffer: Buffer) -> bool {
    place < buffer.place.saturating_add(buffer.words) && buffer.place < place.saturating_add(words)
}
