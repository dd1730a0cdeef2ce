//! A container that has been checked.
//!
//! # What holds once `parse` has succeeded
//!
//! No accessor panics and no kernel can leave its slices, whatever the bytes say: `SPEC.md` lists
//! under *Validation* what has been checked, and each check is an error of [`ParseError`].

use crate::bytes::{Bytes, check};
use crate::chain::DenseLayers;
use crate::encoding::Encoding;
use crate::error::ParseError;
use crate::header::{Header, container_checksum};
use crate::layers::Layers;
use crate::shape::Shape;

/// A validated container: a view of its bytes, made by [`Model::parse`] alone.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    behind: Bytes<'a>,
    header: Header,
    outputs: usize,
}

impl<'a> Model<'a> {
    /// Checks a container and borrows it. Takes time linear in the bytes, no memory, and changes
    /// nothing. In a `const` it runs in the compiler, and a program that holds the model so carries
    /// no parser: `const MODEL: Model = match Model::parse(BYTES) { Ok(model) => model, Err(_) => panic!() };`
    ///
    /// # Errors
    ///
    /// The first rule of the format that the bytes break.
    pub const fn parse(bytes: &'a [u8]) -> Result<Model<'a>, ParseError> {
        let mut behind = Bytes::new(bytes);
        let (header, checksum) = check!(Header::read(&mut behind));
        let mut layers = check!(Layers::new(header, behind));
        let computed = container_checksum(bytes);
        if computed != checksum {
            // Of bytes that were cut off or added to, their number says more: to whom that is worth the code.
            if cfg!(feature = "alloc") {
                check!(layers.check_length(layers.stated_bytes()));
            }
            return Err(ParseError::WrongChecksum {
                stated: checksum,
                computed,
            });
        }
        let (mut needed, mut outputs, mut floats, mut linked) = (0, 0, false, false);
        while let Some(layer) = check!(layers.read_next()) {
            if layer.index() == 0 {
                floats = matches!(layer.encoding(), Encoding::CsrF32);
            }
            check!(layer.check(header.arena_words, floats));
            layers.forget(&layer);
            if layer.needed_words() > needed {
                needed = layer.needed_words();
            }
            linked |= layer.links().is_some();
            outputs = layer.outputs();
        }
        check!(layers.check_length(layers.read_bytes()));
        // Between layers that state their places a copy of the input may need room of its own.
        if needed > header.arena_words || (needed < header.arena_words && !linked) {
            return Err(ParseError::ArenaWords {
                stated: header.arena_words,
                computed: needed,
            });
        }
        Ok(Model {
            bytes,
            behind,
            header,
            outputs,
        })
    }

    /// The container itself.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What an inference reads, one byte a value.
    #[must_use]
    pub const fn input(&self) -> Shape {
        self.header.input
    }

    /// Bytes that an inference reads.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.header.input.len()
    }

    /// Logits that an inference computes: the outputs of the last layer.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Memory that an inference needs besides its input, in 32-bit words, exactly.
    #[must_use]
    pub const fn arena_words(&self) -> usize {
        self.header.arena_words
    }

    /// Layers.
    #[must_use]
    pub const fn layer_count(&self) -> usize {
        self.header.layers
    }

    /// The layers from the input to the output, read from the container as they come.
    #[must_use]
    #[inline(always)]
    pub const fn layers(&self) -> Layers<'a> {
        match Layers::new(self.header, self.behind) {
            Ok(layers) => layers,
            // The records have been read once, so they are there; no layers is the harmless answer.
            Err(_) => Layers::none(),
        }
    }

    /// The layers of a network of dense layers alone, as a lean engine reads them.
    #[must_use]
    pub const fn dense_layers(&self) -> DenseLayers<'a> {
        DenseLayers::new(self.behind.rest(), self.header.layers, self.inputs())
    }
}
