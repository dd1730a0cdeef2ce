//! One layer, joined from its record, its block and the layers before it, and what is checked of it.

use crate::bytes::check;
use crate::encoding::rice::Rice;
use crate::encoding::{self, Dimensions, Encoding, Weights};
use crate::error::ParseError;
use crate::operation::{Operation, Window};
use crate::record::{Links, Record};
use crate::shape::{Buffer, Shape};

/// The largest map that a convolution may read, in bytes with margins: what 16 bits can name.
pub const MAX_SOURCE_BYTES: usize = 1 << 16;

/// Words beyond one a tap that a convolution takes of the arena: room to arrange the taps in.
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
    /// The bytes skipped before the block.
    pub(crate) padding: &'a [u8],
    pub(crate) block: &'a [u8],
}

impl<'a> Layer<'a> {
    /// Its place in the network, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What it computes.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// How its weights are stored.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.record.encoding
    }

    /// Bits shifted out by [`crate::requantize`], 0..=31; 0 for the last layer.
    #[must_use]
    pub const fn shift(&self) -> u8 {
        self.record.shift
    }

    /// Whether it is the last: it stores its sums, as 32-bit integers.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// What it reads.
    #[must_use]
    pub const fn source(&self) -> Buffer {
        self.source
    }

    /// What it writes.
    #[must_use]
    pub const fn output(&self) -> Buffer {
        self.output
    }

    /// What it adds to its sums before the shift, and the shift to the left of that.
    #[must_use]
    pub const fn skip(&self) -> Option<(Buffer, u8)> {
        match self.skip {
            Some(skip) => Some((skip, self.links.skip_shift)),
            None => None,
        }
    }

    /// The links, where the container states them.
    #[must_use]
    pub const fn links(&self) -> Option<Links> {
        if self.linked { Some(self.links) } else { None }
    }

    /// Rows: units or channels after stripping.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.record.outputs as usize
    }

    /// Rows before stripping, for reports.
    #[must_use]
    pub const fn original_outputs(&self) -> usize {
        self.record.original_outputs as usize
    }

    /// Columns of the weights: inputs of a dense layer, channels times taps of a convolution.
    #[must_use]
    pub const fn columns(&self) -> usize {
        match self.operation {
            Operation::Conv { window, .. } if cfg!(feature = "maps") => {
                self.source.shape.channels as usize * window.size as usize * window.size as usize
            }
            Operation::Pool { .. } if cfg!(feature = "maps") => 0,
            _ => self.source.shape.len(),
        }
    }

    /// The window that it slides, if it does.
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

    /// Whether its block lists the inputs that it uses: a dense layer's may.
    const fn lists_inputs(&self) -> bool {
        cfg!(feature = "rice")
            && matches!(self.record.encoding, Encoding::Rice)
            && Rice::read(self.dimensions(), self.block)
                .selected()
                .is_some()
    }

    /// Words beside the output: those in which the taps of a channel are expanded, one for each weight
    /// of the longest row of a convolution and [`SPARE_WORDS`]; those in which the inputs are gathered
    /// that a dense layer's coded block lists.
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

    /// Whether those words lie before the output instead of behind it: they do where the output lies
    /// at the arena's end.
    #[must_use]
    pub const fn scratch_first(&self) -> bool {
        !self.linked && self.index % 2 == 1
    }

    /// The first word that it writes, output or scratch.
    #[must_use]
    pub const fn first_word(&self) -> usize {
        if self.scratch_first() {
            self.output.place.saturating_sub(self.scratch_words())
        } else {
            self.output.place
        }
    }

    /// The weights, as they are stored.
    #[must_use]
    #[inline(always)]
    pub const fn weights(&self) -> Weights<'a> {
        Weights::read(self.record.encoding, self.dimensions(), self.block)
    }

    /// The bytes of its biases and weights: what is left of the block behind geometry and links.
    #[must_use]
    pub const fn block(&self) -> &'a [u8] {
        self.block
    }

    const fn dimensions(&self) -> Dimensions {
        Dimensions {
            inputs: self.columns(),
            outputs: self.record.outputs as usize,
        }
    }

    /// Checks everything that a walk takes on trust.
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
        let dense = matches!(self.operation, Operation::Dense);
        if self.last && (!dense || record.shift != 0) {
            return Err(ParseError::LastLayer {
                layer,
                shift: record.shift,
            });
        }
        let pool = matches!(self.operation, Operation::Pool { .. });
        let only_dense = matches!(record.encoding, Encoding::Columns | Encoding::CsrF32);
        if pool != matches!(record.encoding, Encoding::None)
            || (only_dense && !dense)
            || floats != matches!(record.encoding, Encoding::CsrF32)
            || (pool && record.outputs != self.source.shape.channels)
            || (!dense && self.lists_inputs())
        {
            return Err(ParseError::Mixed { layer });
        }
        if dense && self.source.shape.len() > u16::MAX as usize {
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

    /// Checks that the maps read have the margins and the size that this layer needs.
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

    /// Checks that the output lies inside the arena and apart from what is read.
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

    /// The shape of the sums before pooling.
    #[must_use]
    pub const fn sums(&self) -> Shape {
        let mut shape = Shape::flat(self.record.outputs);
        if let Some(window) = self.window() {
            let (map, padding) = (self.source.shape, window.padding);
            shape.height = window.outputs(padding.top, map.height, padding.bottom);
            shape.width = window.outputs(padding.left, map.width, padding.right);
        }
        shape
    }

    /// The words of the arena this layer needs, by the rule of its place.
    pub(crate) const fn needed_words(&self) -> usize {
        let own = self.output.words + self.scratch_words();
        if self.linked {
            own + self.output.place
        } else {
            own + self.source.words
        }
    }
}

/// Whether `words` from `place` share a word with `buffer`.
pub(crate) const fn overlap(place: usize, words: usize, buffer: Buffer) -> bool {
    place < buffer.place.saturating_add(buffer.words) && buffer.place < place.saturating_add(words)
}
