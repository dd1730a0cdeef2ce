//! The walk over all layers of a network.
//!
//! [`Layers`] reads records one by one instead of keeping a table in RAM. It remembers the buffers
//! that later layers may read: the previous layer's output or, with the feature `residual`, the
//! last 16 buffers, where the network's input counts as the first buffer.

use crate::arena;
use crate::bytes::{Bytes, check};
use crate::error::ParseError;
use crate::header::{HEADER_BYTES, Header};
use crate::layer::{Layer, overlap};
use crate::operation::{EXTENSION_BYTES, GEOMETRY_BYTES, Geometry, Operation};
use crate::record::{LINKS_BYTES, Links, RECORD_BYTES, Record};
use crate::shape::{Buffer, Margin, Shape};

/// The number of buffers that a walk remembers, enough for the farthest link.
const HISTORY: usize = if cfg!(feature = "residual") { 16 } else { 1 };

/// An iterator over the layers of a [`crate::Model`], from input to output.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// Records and blocks.
    body: &'a [u8],
    count: usize,
    /// The offset in `body` of the end of the last block read.
    at: usize,
    arena_words: usize,
    index: usize,
    /// The input in slot 0 and the output of layer k in slot k + 1, modulo `HISTORY`.
    history: [Buffer; HISTORY],
}

impl<'a> Layers<'a> {
    /// Starts a walk over the layers that follow `header`; rejects bytes that end before the last
    /// record and, without maps, inputs of more than 65,535 values.
    #[inline(always)]
    pub(crate) const fn new(header: Header, body: Bytes<'a>) -> Result<Self, ParseError> {
        let needed = header.layers * RECORD_BYTES;
        let found = body.rest().len();
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
        // Without maps, only the length of the input matters.
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
            body: body.rest(),
            count: header.layers,
            at: needed,
            arena_words: header.arena_words,
            index: 0,
            history: [input; HISTORY],
        })
    }

    /// Returns a walk over no layers.
    pub(crate) const fn none() -> Self {
        Layers {
            body: &[],
            count: 0,
            at: 0,
            arena_words: 0,
            index: 0,
            history: [Buffer::EMPTY; HISTORY],
        }
    }

    /// Reads the next layer, checking no more than reading it requires; returns `None` after the
    /// last.
    // Not split, although it has 76 lines: any split makes engines larger, since structs then pass
    // through memory instead of registers.
    #[inline(always)]
    pub(crate) const fn read_next(&mut self) -> Result<Option<Layer<'a>>, ParseError> {
        let layer = self.index;
        let Some(record) = self.record(layer) else {
            return Ok(None);
        };
        let record = check!(Record::read(layer, record));
        let (padding, mut block) = check!(self.block(&record));
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
                return Err(too_short(layer, &record, block, GEOMETRY_BYTES));
            };
            let mut extension = None;
            if bytes[0] == 0 {
                extension = block.array::<EXTENSION_BYTES>();
                if extension.is_none() {
                    return Err(too_short(layer, &record, block, EXTENSION_BYTES));
                }
            }
            match Geometry::read(record.operation, bytes, extension) {
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
                return Err(too_short(layer, &record, block, LINKS_BYTES));
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

    /// Returns the record of the layer at index `layer`, or `None` if there is no such layer.
    #[inline(always)]
    const fn record(&self, layer: usize) -> Option<[u8; RECORD_BYTES]> {
        if layer >= self.count {
            return None;
        }
        match self.body.split_at_checked(layer * RECORD_BYTES) {
            Some((_, rest)) => match rest.split_first_chunk() {
                Some((record, _)) => Some(*record),
                None => None,
            },
            None => None,
        }
    }

    /// Returns the padding before the next layer's block, and the block that `record` describes.
    #[inline(always)]
    const fn block(&mut self, record: &Record) -> Result<(&'a [u8], Bytes<'a>), ParseError> {
        let start = self.at.next_multiple_of(record.encoding.alignment());
        let (before, at) = (self.at, start + record.length);
        if let Some((front, rest)) = self.body.split_at_checked(start)
            && let Some((block, _)) = rest.split_at_checked(record.length)
            && let Some((_, padding)) = front.split_at_checked(before)
        {
            self.at = at;
            return Ok((padding, Bytes::new(block)));
        }
        Err(ParseError::BlockLength {
            layer: self.index,
            needed: record.length,
            found: self.body.len().saturating_sub(before),
        })
    }

    /// Returns the output of the layer `back` layers before the next one, or the network's input;
    /// rejects links to the layer itself or beyond the input.
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

    /// Makes the first layer read a copy of the input at the arena's end, if it needs padding.
    const fn copy_input(&mut self, padding: Margin) {
        if !padding.is_none() {
            let mut input = self.history[0];
            input.margin = padding;
            input.words = input.len().div_ceil(4);
            input.place = self.arena_words.saturating_sub(input.words);
            self.history[0] = input;
        }
    }

    /// Returns the buffer that `layer` writes.
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

    /// Invalidates the buffers that `layer` overwrites; later reads of them are rejected.
    pub(crate) const fn invalidate(&mut self, layer: &Layer<'_>) {
        let words = layer.output.words + layer.scratch_words();
        let mut slot = 0;
        // Without links, layers only read the previous one.
        while slot < HISTORY && HISTORY > 1 {
            let buffer = &mut self.history[slot];
            if slot != self.index % HISTORY && overlap(layer.first_word(), words, *buffer) {
                buffer.place = 0;
                buffer.words = usize::MAX;
            }
            slot += 1;
        }
    }

    /// Returns the number of bytes from the container's start to the end of the last block read.
    #[inline(always)]
    pub(crate) const fn read_bytes(&self) -> usize {
        HEADER_BYTES + self.at
    }

    /// Checks that the container has `stated` bytes.
    #[inline(always)]
    pub(crate) const fn check_length(&self, stated: usize) -> Result<(), ParseError> {
        let found = HEADER_BYTES + self.body.len();
        if stated == found {
            return Ok(());
        }
        Err(ParseError::WrongLength { stated, found })
    }

    /// Returns the number of bytes from the container's start to the end of the last block,
    /// according to the records.
    pub(crate) const fn stated_bytes(&self) -> usize {
        let (mut end, mut layer) = (0usize, 0);
        while let Some(record) = self.record(layer) {
            end = end.next_multiple_of(Record::alignment(record)) + Record::length(record);
            layer += 1;
        }
        HEADER_BYTES + RECORD_BYTES * layer + end
    }
}

/// Returns the error of a block that ends within the next `count` of its bytes, of which `block`
/// are left.
#[cold]
#[inline(never)]
const fn too_short(layer: usize, record: &Record, block: Bytes<'_>, count: usize) -> ParseError {
    ParseError::BlockLength {
        layer,
        needed: record.length - block.rest().len() + count,
        found: record.length,
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = Layer<'a>;

    // Inlined so that an engine pays only for the fields that it uses, and not for errors.
    #[inline(always)]
    fn next(&mut self) -> Option<Layer<'a>> {
        // `Model::parse` has read every layer, so no error can occur here.
        self.read_next().ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.count.saturating_sub(self.index);
        (count, Some(count))
    }
}

impl ExactSizeIterator for Layers<'_> {}
