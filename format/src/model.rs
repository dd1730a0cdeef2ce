//! A validated container.
//!
//! Once [`Model::parse`] has succeeded, no accessor panics and no kernel accesses memory outside
//! its slices, whatever the bytes are. `SPEC.md` lists the checks under *Validation*; each has an
//! error in [`ParseError`].

use crate::bytes::{Bytes, check};
use crate::chain::DenseLayers;
use crate::encoding::Encoding;
use crate::error::ParseError;
use crate::header::{Header, container_checksum};
use crate::layers::Layers;
use crate::shape::Shape;
use crate::units::Units;

/// A validated container: a view of its bytes, which only [`Model::parse`] creates.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    bytes: &'a [u8],
    body: Bytes<'a>,
    header: Header,
    outputs: usize,
}

impl<'a> Model<'a> {
    /// Checks a container and borrows it, in time linear in its length and without allocating.
    ///
    /// In a `const` it runs at compile time, and the program needs no parser:
    ///
    /// ```
    /// use rarefy_format::Model;
    ///
    /// // Usually include_bytes!("model.rfy"). This one computes 3 * x + 7.
    /// const BYTES: &[u8] = b"RFY\x01\x18\xef\x48\xc0\x01\x01\0\0\x01\0\x01\x01\
    ///     \0\0\x01\0\x01\0\x05\0\x07\0\0\0\x03";
    /// const MODEL: Model<'_> = match Model::parse(BYTES) {
    ///     Ok(model) => model,
    ///     Err(_) => panic!("the model is invalid"),
    /// };
    /// assert_eq!((MODEL.inputs(), MODEL.outputs()), (1, 1));
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error for the first rule of the format that the bytes violate.
    pub const fn parse(bytes: &'a [u8]) -> Result<Model<'a>, ParseError> {
        let mut body = Bytes::new(bytes);
        let (header, checksum) = check!(Header::read(&mut body));
        let mut layers = check!(Layers::new(header, body));
        let computed = container_checksum(bytes);
        if computed != checksum {
            // If bytes are missing or added, the length explains more than the checksum. Builds
            // for devices, which are without `alloc`, save the code of this check.
            if cfg!(feature = "alloc") {
                let mut stated = layers.stated_bytes();
                if header.has_units() {
                    stated = Units::stated_end(bytes, stated);
                }
                check!(layers.check_length(stated));
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
            layers.invalidate(&layer);
            if layer.needed_words() > needed {
                needed = layer.needed_words();
            }
            linked |= layer.links().is_some();
            outputs = layer.outputs();
        }
        let mut end = layers.read_bytes();
        if header.has_units() {
            end = check!(Units::check(bytes, end, header.input.len()));
        }
        check!(layers.check_length(end));
        // With links, the copy of the input may need additional room, which `needed` excludes.
        if needed > header.arena_words || (needed < header.arena_words && !linked) {
            return Err(ParseError::ArenaWords {
                stated: header.arena_words,
                computed: needed,
            });
        }
        Ok(Model {
            bytes,
            body,
            header,
            outputs,
        })
    }

    /// Returns the bytes of the container.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the shape of the input, which has one byte per value.
    #[must_use]
    pub const fn input(&self) -> Shape {
        self.header.input
    }

    /// Returns the length of the input in bytes.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.header.input.len()
    }

    /// Returns the number of logits, which are the outputs of the last layer.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the size of the arena in 32-bit words: the memory that an inference needs besides
    /// its input.
    #[must_use]
    pub const fn arena_words(&self) -> usize {
        self.header.arena_words
    }

    /// Returns the number of layers.
    #[must_use]
    pub const fn layer_count(&self) -> usize {
        self.header.layers
    }

    /// Returns the units of the network's numbers, if the container states them. Builds without the
    /// feature `units` reject containers that do.
    #[must_use]
    pub const fn units(&self) -> Option<Units<'a>> {
        match self.header.has_units() {
            true => Units::of(self.bytes, self.layers().stated_bytes(), self.inputs()),
            false => None,
        }
    }

    /// Returns an iterator over the layers, from input to output.
    #[must_use]
    #[inline(always)]
    pub const fn layers(&self) -> Layers<'a> {
        match Layers::new(self.header, self.body) {
            Ok(layers) => layers,
            // Unreachable, since the records have been read before.
            Err(_) => Layers::none(),
        }
    }

    /// Returns an iterator over the layers of a chain of dense layers, for engines built without
    /// `maps`.
    ///
    /// It yields no layers if a layer is not dense or has links.
    #[doc(hidden)]
    #[must_use]
    pub const fn dense_layers(&self) -> DenseLayers<'a> {
        DenseLayers::new(self.body.rest(), self.header.layers, self.inputs())
    }
}
