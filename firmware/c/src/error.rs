//! Error codes and their messages, which the header repeats.

use core::ffi::CStr;

use rarefy_format::ParseError;
#[cfg(feature = "units")]
use rarefy_runtime::QuantizeError;
use rarefy_runtime::{InferError, Misaligned};

/// Why a call failed. The discriminants are the header's error codes.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Error {
    Null = 1,
    Empty = 2,
    Misaligned = 3,
    NoModel = 4,
    Version = 5,
    Damaged = 6,
    Unsupported = 7,
    NotParsed = 8,
    InputLength = 9,
    ArenaTooSmall = 10,
    Overlap = 11,
    NoUnits = 12,
}

/// The messages, by error code.
const MESSAGES: [&CStr; 13] = [
    c"no error",
    c"a pointer is null",
    c"the container has a length of 0 bytes",
    c"the container, the arena or a struct is misaligned: align the bytes to 4",
    c"the bytes are not a .rfy container",
    c"the container has a version of the format that this library does not read",
    c"the container is damaged or incomplete",
    c"the model needs a feature that this library was built without",
    c"the model has not been parsed successfully",
    c"the input does not have as many bytes as rfy_inputs returns",
    c"the arena has fewer bytes than rfy_arena_bytes returns",
    c"memory overlaps or exceeds the address space",
    c"the container does not state what its numbers stand for",
];

impl Error {
    /// The code of success.
    pub(crate) const NONE: i32 = 0;

    /// Returns the error code.
    pub(crate) fn code(self) -> i32 {
        self as i32
    }
}

/// Returns the message of an error code.
pub(crate) fn message(code: i32) -> &'static CStr {
    let index = usize::try_from(code).ok();
    let message = index.and_then(|index| MESSAGES.get(index));
    message.copied().unwrap_or(c"an unknown error code")
}

impl From<ParseError> for Error {
    #[inline(always)]
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::WrongMagic { .. } => Self::NoModel,
            ParseError::UnsupportedVersion { .. } => Self::Version,
            ParseError::UnknownEncoding { .. } | ParseError::UnknownOperation { .. } => {
                Self::Unsupported
            }
            // A bit above the number of layers announces units.
            ParseError::LayerCount { found, .. } if !cfg!(feature = "units") && found > 128 => {
                Self::Unsupported
            }
            _ => Self::Damaged,
        }
    }
}

impl From<Misaligned> for Error {
    fn from(_: Misaligned) -> Self {
        Self::Misaligned
    }
}

#[cfg(feature = "units")]
impl From<QuantizeError> for Error {
    #[inline(always)]
    fn from(error: QuantizeError) -> Self {
        match error {
            QuantizeError::Length { .. } => Self::InputLength,
            // The only other error; the enum may grow.
            _ => Self::NoUnits,
        }
    }
}

impl From<InferError> for Error {
    #[inline(always)]
    fn from(error: InferError) -> Self {
        match error {
            InferError::InputLength { .. } => Self::InputLength,
            // The only other error; the enum may grow.
            _ => Self::ArenaTooSmall,
        }
    }
}
