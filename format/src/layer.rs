//! One layer, joined from its record, its block and the layers before it; and the walk over all.
//!
//! [`Layers`] reads records as they come instead of keeping a table in RAM. It remembers where the
//! layers before have written: only the last of them, or, with the feature `residual`, the last 15.

use crate::arena;
use crate::bytes::{Bytes, check};
use crate::encoding::rice::Rice;
use crate::encoding::{self, Dimensions, Encoding, Weights};
use crate::error::ParseError;
use crate::header::{HEADER_BYTES, Header};
use crate::operation::{GEOMETRY_BYTES, Geometry, Operation, Window};
use crate::record::{LINKS_BYTES, Links, RECORD_BYTES, Record};
use crate::shape::{Buffer, Margin, Shape};

/// Buffers that a walk remembers: enough for the farthest link.
const HISTORY: usize = if cfg!(feature = "residual") { 16 } else { 1 };

/// The largest map that a convolution may read, in bytes with margins: what 16 bits can name.
pub const MAX_SOURCE_BYTES: usize = 1 << 16;

/// Words beyond one a tap that a convolution takes of the arena: room to arrange the taps in.
pub const SPARE_WORDS: usize = 6;

/// One layer of a [`crate::Model`], borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    index: usize,
    record: Record,
    operation: Operation,
    links: Links,
    linked: bool,
    taps: u16,
    last: bool,
    source: Buffer,
    skip: Option<Buffer>,
    output: Buffer,
    /// The bytes skipped before the block.
    padding: &'a [u8],
    block: &'a [u8],
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
const fn overlap(place: usize, words: usize, buffer: Buffer) -> bool {
    place < buffer.place.saturating_add(buffer.words) && buffer.place < place.saturating_add(words)
}

/// The layers of a [`crate::Model`], from the input to the output.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// Records and blocks.
    behind: &'a [u8],
    count: usize,
    /// Where in them the last block read ends.
    at: usize,
    arena_words: usize,
    index: usize,
    /// The output of layer k at k + 1, the input at 0, all modulo the length.
    history: [Buffer; HISTORY],
}

impl<'a> Layers<'a> {
    /// The layers behind a header.
    #[inline(always)]
    pub(crate) const fn new(header: Header, behind: Bytes<'a>) -> Result<Self, ParseError> {
        let needed = header.layers * RECORD_BYTES;
        let found = behind.rest().len();
        if found < needed {
            return Err(ParseError::TooShort {
                needed: HEADER_BYTES + needed,
                found: HEADER_BYTES + found,
            });
        }
        if header.input.len() > u16::MAX as usize && !cfg!(feature = "maps") {
            return Err(ParseError::SourceTooLarge {
                layer: 0,
                max: u16::MAX as usize,
                found: header.input.len(),
            });
        }
        // Without maps all that is read is flat: its length is all that a layer asks for.
        let flat = Shape::flat(header.input.len() as u16);
        let input = Buffer {
            shape: if cfg!(feature = "maps") {
                header.input
            } else {
                flat
            },
            ..Buffer::EMPTY
        };
        Ok(Layers {
            behind: behind.rest(),
            count: header.layers,
            at: needed,
            arena_words: header.arena_words,
            index: 0,
            history: [input; HISTORY],
        })
    }

    /// No layers at all.
    pub(crate) const fn none() -> Self {
        Layers {
            behind: &[],
            count: 0,
            at: 0,
            arena_words: 0,
            index: 0,
            history: [Buffer::EMPTY; HISTORY],
        }
    }

    /// The next layer as its record and the layers before say, not yet checked; `None` behind the
    /// last.
    #[inline(always)]
    pub(crate) const fn read_next(&mut self) -> Result<Option<Layer<'a>>, ParseError> {
        let layer = self.index;
        let Some(record) = self.record(layer) else {
            return Ok(None);
        };
        let record = check!(Record::read(layer, record));
        let (padding, mut block) = check!(self.block(&record));
        let length_wrong = ParseError::BlockLength {
            layer,
            needed: GEOMETRY_BYTES + LINKS_BYTES,
            found: record.length,
        };
        let last = layer + 1 == self.count;

        let (mut operation, mut margin, mut taps) = (Operation::Dense, Margin::NONE, 0);
        if record.operation != 0 {
            if !cfg!(feature = "maps") {
                return Err(ParseError::UnknownOperation {
                    layer,
                    found: record.operation,
                });
            }
            let Some(bytes) = block.array::<GEOMETRY_BYTES>() else {
                return Err(length_wrong);
            };
            match Geometry::read(record.operation, bytes) {
                Ok(geometry) => {
                    operation = geometry.operation;
                    margin = geometry.margin;
                    taps = geometry.taps;
                }
                Err(found) => return Err(ParseError::Field { layer, found }),
            }
        }
        let mut links = Links::NONE;
        if record.links {
            if !cfg!(feature = "residual") {
                return Err(ParseError::UnknownOperation { layer, found: 0x40 });
            }
            let Some(bytes) = block.array::<LINKS_BYTES>() else {
                return Err(length_wrong);
            };
            links = Links::from_bytes(bytes);
        }

        if let (0, Operation::Conv { window, .. } | Operation::Pool { window, .. }) =
            (layer, operation)
            && cfg!(feature = "maps")
        {
            self.copy_input(window.padding);
        }
        let source = check!(self.back(links.source));
        let skip = match links.skip {
            0 => None,
            back => Some(check!(self.back(back))),
        };
        let mut this = Layer {
            index: layer,
            record,
            operation,
            links,
            linked: cfg!(feature = "residual") && record.links,
            taps,
            last,
            source,
            skip,
            output: Buffer::EMPTY,
            padding,
            block: block.rest(),
        };
        this.output = self.output(&this, margin);
        self.index += 1;
        self.history[self.index % HISTORY] = this.output;
        Ok(Some(this))
    }

    /// The record of a layer.
    #[inline(always)]
    const fn record(&self, layer: usize) -> Option<[u8; RECORD_BYTES]> {
        if layer >= self.count {
            return None;
        }
        match self.behind.split_at_checked(layer * RECORD_BYTES) {
            Some((_, rest)) => match rest.split_first_chunk() {
                Some((record, _)) => Some(*record),
                None => None,
            },
            None => None,
        }
    }

    /// The bytes before the block of the next layer, and the block.
    #[inline(always)]
    const fn block(&mut self, record: &Record) -> Result<(&'a [u8], Bytes<'a>), ParseError> {
        let start = self.at.next_multiple_of(record.encoding.alignment());
        let (before, at) = (self.at, start + record.length);
        if let Some((front, rest)) = self.behind.split_at_checked(start)
            && let Some((block, _)) = rest.split_at_checked(record.length)
            && let Some((_, padding)) = front.split_at_checked(before)
        {
            self.at = at;
            return Ok((padding, Bytes::new(block)));
        }
        Err(ParseError::BlockLength {
            layer: self.index,
            needed: record.length,
            found: self.behind.len().saturating_sub(before),
        })
    }

    /// What lies `back` layers before the next.
    #[inline(always)]
    const fn back(&self, back: u8) -> Result<Buffer, ParseError> {
        if HISTORY == 1 {
            return Ok(self.history[0]);
        }
        let layer = self.index;
        match (layer + 1).checked_sub(back as usize) {
            Some(slot) if back != 0 => Ok(self.history[slot % HISTORY]),
            _ => Err(ParseError::Link { layer, back }),
        }
    }

    /// Lets the first layer read the input with zeros around it: from a copy at the arena's end.
    const fn copy_input(&mut self, padding: Margin) {
        if !padding.is_none() {
            let mut input = self.history[0];
            input.margin = padding;
            input.words = input.len().div_ceil(4);
            input.place = self.arena_words.saturating_sub(input.words);
            self.history[0] = input;
        }
    }

    /// Where `layer` writes.
    #[inline(always)]
    const fn output(&self, layer: &Layer<'_>, margin: Margin) -> Buffer {
        let mut shape = layer.sums();
        if let Operation::Conv {
            pooling: Some((_, size)),
            ..
        } = layer.operation
        {
            shape.height = match shape.height.checked_div(size as u16) {
                Some(height) => height,
                None => 0,
            };
            shape.width = match shape.width.checked_div(size as u16) {
                Some(width) => width,
                None => 0,
            };
        }
        let mut output = Buffer {
            shape,
            margin,
            place: layer.links.place as usize,
            words: 0,
        };
        output.words = arena::buffer_words(output.len(), layer.record.encoding, layer.last);
        if !layer.linked && self.index % 2 == 1 {
            output.place = self.arena_words.saturating_sub(output.words);
        }
        output
    }

    /// Gives up what `layer` has written over: whoever reads it from now on is refused, since its
    /// place holds something else.
    pub(crate) const fn forget(&mut self, layer: &Layer<'_>) {
        let words = layer.output.words + layer.scratch_words();
        let mut slot = 0;
        // Without links nothing but the layer before is read.
        while slot < HISTORY && HISTORY > 1 {
            let buffer = &mut self.history[slot];
            if slot != self.index % HISTORY && overlap(layer.first_word(), words, *buffer) {
                buffer.place = 0;
                buffer.words = usize::MAX;
            }
            slot += 1;
        }
    }

    /// Bytes from the container's start to the end of the last block read.
    #[inline(always)]
    pub(crate) const fn read_bytes(&self) -> usize {
        HEADER_BYTES + self.at
    }

    /// Checks that the container has as many bytes as its layers take.
    #[inline(always)]
    pub(crate) const fn check_length(&self, stated: usize) -> Result<(), ParseError> {
        let found = HEADER_BYTES + self.behind.len();
        if stated == found {
            return Ok(());
        }
        Err(ParseError::WrongLength { stated, found })
    }

    /// Bytes from the container's start to the end of the last block, as the records state them.
    pub(crate) const fn stated_bytes(&self) -> usize {
        let (mut end, mut layer) = (0usize, 0);
        while let Some(record) = self.record(layer) {
            end = end.next_multiple_of(Record::alignment(record)) + Record::length(record);
            layer += 1;
        }
        HEADER_BYTES + RECORD_BYTES * layer + end
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = Layer<'a>;

    // Inlined, so that an engine pays for the fields it uses and for no error value.
    #[inline(always)]
    fn next(&mut self) -> Option<Layer<'a>> {
        // `Model::parse` has read every layer once: no error is left to meet here.
        self.read_next().ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.count.saturating_sub(self.index);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Layers<'_> {}
