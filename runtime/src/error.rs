//! Errors of the engine.

use core::fmt;

/// The container is not aligned to 4 bytes, as the kernels require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Misaligned {
    /// The number of bytes from the previous multiple of 4 to the container's address.
    pub offset: usize,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        write!(
            f,
            "the container is misaligned by {offset} bytes; align it to 4"
        )
    }
}

impl core::error::Error for Misaligned {}

/// Why an inference failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InferError {
    /// The input does not have the length that the model needs.
    InputLength {
        /// Bytes that the model needs.
        expected: usize,
        /// Bytes of the input.
        found: usize,
    },
    /// The arena is smaller than the model needs.
    ArenaTooSmall {
        /// Words that the model needs.
        needed: usize,
        /// Words of the arena.
        found: usize,
    },
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            InferError::InputLength { expected, found } => {
                write!(
                    f,
                    "the input has {found} bytes, but the model needs {expected}"
                )
            }
            InferError::ArenaTooSmall { needed, found } => {
                write!(
                    f,
                    "the arena has {found} words, but the model needs {needed}"
                )
            }
        }
    }
}

impl core::error::Error for InferError {}
