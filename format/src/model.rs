//! A container that has been checked.
//!
//! # What holds once `parse` has succeeded
//!
//! No accessor panics and no kernel can leave its slices, whatever the bytes say: `SPEC.md` lists
//! under *Validation* what has been checked, and each check is an error of [`ParseError`].

use crate::arena::arena_words_of;
use crate::error::ParseError;
use crate::header::Header;
use crate::layer::Layers;

/// A validated container: a view of its bytes, made by [`Model::parse`] alone.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    layers: usize,
    inputs: usize,
    outputs: usize,
    arena_words: usize,
}

impl<'a> Model<'a> {
    /// Checks a container and borrows it. Takes time linear in the bytes, no memory, and changes
    /// nothing. The bytes must lie on a 4-byte boundary ([`crate::Aligned`]).
    ///
    /// # Errors
    ///
    /// The first rule of the format that the bytes break.
    pub fn parse(bytes: &'a [u8]) -> Result<Model<'a>, ParseError> {
        let offset = bytes.as_ptr().addr() % 4;
        if offset != 0 {
            return Err(ParseError::Misaligned { offset });
        }
        let header = Header::read(bytes)?;
        let (inputs, outputs) = validate_layers(bytes, header.layers)?;
        let model = Model {
            bytes,
            layers: header.layers,
            inputs,
            outputs,
            arena_words: header.arena_words,
        };
        let computed = arena_words_of(model.layers().map(|layer| layer.outputs()));
        if model.arena_words != computed {
            return Err(ParseError::ArenaWords {
                stated: model.arena_words,
                computed,
            });
        }
        Ok(model)
    }

    /// The container itself.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes that an inference reads: the inputs of the first layer.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Logits that an inference computes: the outputs of the last layer.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Memory that an inference needs besides its input, in 32-bit words, exactly.
    #[must_use]
    pub const fn arena_words(&self) -> usize {
        self.arena_words
    }

    /// The layers from the input to the output, read from the container as they come.
    #[must_use]
    pub fn layers(&self) -> Layers<'a> {
        // The records have been read once, so they are there; no layers is the harmless answer.
        Layers::new(self.bytes, self.layers).unwrap_or_else(|_| Layers::none())
    }
}

/// Validates every layer and how they join; gives the network's inputs and outputs.
fn validate_layers(bytes: &[u8], count: usize) -> Result<(usize, usize), ParseError> {
    let mut layers = Layers::new(bytes, count)?;
    let mut ends: Option<(usize, usize)> = None;
    let mut index = 0;
    while let Some(layer) = layers.read_next() {
        let layer = layer?;
        layer.validate(index, index + 1 == count)?;
        let (inputs, expected) = ends.unwrap_or((layer.inputs(), layer.inputs()));
        if layer.inputs() != expected {
            return Err(ParseError::BrokenChain {
                layer: index,
                expected,
                found: layer.inputs(),
            });
        }
        ends = Some((inputs, layer.outputs()));
        index += 1;
    }
    let surplus = layers.remaining_bytes();
    if surplus != 0 {
        return Err(ParseError::SurplusBytes { surplus });
    }
    ends.ok_or(ParseError::LayerCount {
        found: 0,
        max: crate::MAX_LAYERS,
    })
}
