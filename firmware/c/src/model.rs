//! The parsed model as C stores it: a struct of machine words that only this library looks into.

use core::mem::MaybeUninit;

use rarefy_runtime::Engine;

use crate::error::Error;

/// The size of a [`CModel`] in machine words; `RFY_MODEL_WORDS` in the header.
const MODEL_WORDS: usize = 10;

/// What the first word of a parsed model contains: a number that fits an instruction, and is
/// unlikely in memory that nobody has initialized.
const PARSED: usize = 0xa5;

/// `rfy_model` of the header.
#[repr(C)]
pub struct CModel {
    /// [`PARSED`] if and only if `engine` is initialized.
    state: usize,
    engine: MaybeUninit<Engine<'static>>,
    /// What is left of [`MODEL_WORDS`].
    _spare: [MaybeUninit<usize>; SPARE],
}

/// The size of an engine in machine words.
const INNER: usize = size_of::<Engine<'static>>().div_ceil(size_of::<usize>());

/// The number of unused words.
const SPARE: usize = MODEL_WORDS - 1 - INNER;

// The header's struct is an array of machine words.
const _: () = assert!(size_of::<CModel>() == MODEL_WORDS * size_of::<usize>());
const _: () = assert!(align_of::<CModel>() == align_of::<usize>());

impl CModel {
    /// Makes this a model that is not parsed.
    pub(crate) fn clear(&mut self) {
        self.state = 0;
    }

    /// Stores the engine of a parsed model.
    #[inline(always)]
    pub(crate) fn set(&mut self, engine: Engine<'static>) {
        self.engine.write(engine);
        self.state = PARSED;
    }

    /// Returns the engine if a model is parsed.
    #[inline(always)]
    pub(crate) fn engine(&self) -> Result<&Engine<'static>, Error> {
        if self.state != PARSED {
            return Err(Error::NotParsed);
        }
        // SAFETY: only `set` writes PARSED, after it has initialized the engine. A C program that
        // changes the words itself breaks the rule that they are private.
        Ok(unsafe { self.engine.assume_init_ref() })
    }
}
