//! What an engine refuses.

use core::fmt;

use rarefy_format::Encoding;

/// The model needs a kernel that this build leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unsupported {
    /// The first such layer, counted from 0.
    pub layer: usize,
    /// Its encoding: the name of the missing feature is [`Encoding::name`].
    pub encoding: Encoding,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (layer, name) = (self.layer, self.encoding.name());
        write!(
            f,
            "layer {layer} is stored as {name}: build rarefy-runtime with the feature {name}"
        )
    }
}

impl core::error::Error for Unsupported {}

/// Why an inference did not take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InferError {
    /// The input is not as long as the model's.
    InputLength {
        /// Bytes that the model reads.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The arena is smaller than the model needs.
    ArenaTooSmall {
        /// Words that the model needs.
        needed: usize,
        /// Words that were given.
        found: usize,
    },
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            InferError::InputLength { expected, found } => {
                write!(
                    f,
                    "the input has {found} bytes where the model reads {expected}"
                )
            }
            InferError::ArenaTooSmall { needed, found } => {
                write!(
                    f,
                    "the arena has {found} words where the model needs {needed}"
                )
            }
        }
    }
}

impl core::error::Error for InferError {}
