//! What an engine refuses.

use core::fmt;

/// The container does not lie on the 4-byte boundary that kernels read it from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Misaligned {
    /// Bytes behind such a boundary.
    pub offset: usize,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        write!(
            f,
            "the container lies {offset} bytes behind a 4-byte boundary: place it on one"
        )
    }
}

impl core::error::Error for Misaligned {}

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
