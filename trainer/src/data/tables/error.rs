//! Why files cannot be read as a dataset.

use std::path::Path;

use crate::Remedy;
use crate::atomic::FileError;

/// Why files cannot be read as a dataset.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The contents are at fault.
    #[error("{place} {problem}: {advice}")]
    Contents {
        /// The file with the row, column or key at fault.
        place: String,
        /// What is wrong, as a clause without its subject.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
    /// Pictures have different sizes.
    #[error(
        "{picture} has {size} pixels, but {first} has {other}: {}",
        Remedy::SameSize
    )]
    Sizes {
        /// The picture at fault.
        picture: String,
        /// Its width and height.
        size: String,
        /// The first picture.
        first: String,
        /// Its width and height.
        other: String,
    },
}

impl TableError {
    /// Returns what to do about the error, if its message ends with a remedy.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Sizes { .. } => Some(Remedy::SameSize),
            _ => None,
        }
    }

    /// Returns the error that `place` has a `problem`, a clause without its subject.
    pub fn new(place: impl Into<String>, problem: impl Into<String>, advice: &'static str) -> Self {
        Self::Contents {
            place: place.into(),
            problem: problem.into(),
            advice,
        }
    }

    /// Returns the error for a failed attempt to read `path`.
    pub fn read(path: &Path, source: std::io::Error) -> Self {
        FileError::new("read", path, source).into()
    }
}
