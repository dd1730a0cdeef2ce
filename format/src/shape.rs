//! Feature maps, vectors, and the buffers that hold them.
//!
//! The buffer of a map may have a zero margin around each channel for the layers that pad the map,
//! so that no kernel tests for borders. The layer that writes the map clears its margin.

/// The shape of a map: `channels` x `height` x `width`, in this order in memory.
///
/// A vector of n values has n channels of 1 x 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Channels, or the length of a vector.
    pub channels: u16,
    /// Rows of each channel.
    pub height: u16,
    /// Values of each row.
    pub width: u16,
}

impl Shape {
    /// Returns the shape of a vector of `length` values.
    #[must_use]
    pub const fn flat(length: u16) -> Shape {
        Shape {
            channels: length,
            height: 1,
            width: 1,
        }
    }

    /// Returns the number of values.
    ///
    /// A product that does not fit a `usize` saturates or, without the feature `maps`, wraps.
    #[must_use]
    pub const fn len(&self) -> usize {
        let plane = self.height as usize * self.width as usize;
        if cfg!(feature = "maps") {
            plane.saturating_mul(self.channels as usize)
        } else {
            // The shape is the header's input, whose product fits 32 bits, or a vector.
            plane.wrapping_mul(self.channels as usize)
        }
    }

    /// Returns whether there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.channels == 0 || self.height == 0 || self.width == 0
    }
}

/// Rows and columns of zeros around each channel of a map, 0..=15 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Margin {
    /// Rows above.
    pub top: u8,
    /// Columns before.
    pub left: u8,
    /// Rows below.
    pub bottom: u8,
    /// Columns after.
    pub right: u8,
}

impl Margin {
    /// No margin.
    pub const NONE: Margin = Margin {
        top: 0,
        left: 0,
        bottom: 0,
        right: 0,
    };

    /// Returns whether all sides are 0.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        // Without maps there are no margins.
        !cfg!(feature = "maps")
            || (self.top == 0 && self.left == 0 && self.bottom == 0 && self.right == 0)
    }

    /// Returns whether every side is at least as wide as that of `other`.
    #[must_use]
    pub const fn covers(&self, other: Margin) -> bool {
        self.top >= other.top
            && self.left >= other.left
            && self.bottom >= other.bottom
            && self.right >= other.right
    }

    /// Reads a margin from its two bytes: top and left, bottom and right, a nibble each.
    pub(crate) const fn from_bytes([before, after]: [u8; 2]) -> Margin {
        Margin {
            top: before & 15,
            left: before >> 4,
            bottom: after & 15,
            right: after >> 4,
        }
    }

    /// Returns the two bytes of the margin.
    #[cfg(feature = "alloc")]
    pub(crate) const fn to_bytes(self) -> [u8; 2] {
        [self.top | self.left << 4, self.bottom | self.right << 4]
    }
}

/// Where a map or vector is stored: in the arena or, if `words` is 0, in the caller's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The shape of its values.
    pub shape: Shape,
    /// The zeros around each channel.
    pub margin: Margin,
    /// The index of its first word in the arena.
    pub place: usize,
    /// The number of its words in the arena.
    pub words: usize,
}

impl Buffer {
    /// A buffer without values.
    pub(crate) const EMPTY: Buffer = Buffer {
        shape: Shape::flat(0),
        margin: Margin::NONE,
        place: 0,
        words: 0,
    };

    /// Returns the distance between neighbouring rows, in values.
    #[must_use]
    pub const fn row_stride(&self) -> usize {
        self.shape.width as usize + self.margin.left as usize + self.margin.right as usize
    }

    /// Returns the distance between neighbouring channels, in values.
    #[must_use]
    pub const fn channel_stride(&self) -> usize {
        let rows =
            self.shape.height as usize + self.margin.top as usize + self.margin.bottom as usize;
        rows * self.row_stride()
    }

    /// Returns the number of values, including margins.
    #[must_use]
    pub const fn len(&self) -> usize {
        if self.margin.is_none() {
            return self.shape.len();
        }
        self.channel_stride()
            .saturating_mul(self.shape.channels as usize)
    }

    /// Returns whether there are no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
