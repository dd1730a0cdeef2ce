//! What a changed image shows where it reaches beyond the original.

use serde::{Deserialize, Serialize};

/// What lies outside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Black, pixel 0 before normalisation, as in torchvision.
    #[default]
    Black,
    /// The nearest pixel of the image, as in Keras and in the paper.
    Edge,
}

impl Fill {
    /// Returns the index of the pixel that is shown at index `at` of an axis of `size` pixels;
    /// `None` for black.
    pub(super) fn place(self, at: isize, size: usize) -> Option<usize> {
        match self {
            Self::Black => usize::try_from(at).ok().filter(|&at| at < size),
            Self::Edge => Some(at.clamp(0, size as isize - 1) as usize),
        }
    }
}
