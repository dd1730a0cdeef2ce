//! The operations of layers, and the geometry of convolutions and pooling.
//!
//! ```text
//!  0             1          2              3              4          5              6      8
//!  +-------------+----------+--------------+--------------+----------+--------------+------+
//!  | size|stride | padding  | padding      | pooling|size | margin   | margin       | taps |
//!  |             | top|left | bottom|right |              | top|left | bottom|right |      |
//!  +-------------+----------+--------------+--------------+----------+--------------+------+
//! ```
//!
//! The margin is that of the output.

use crate::shape::Margin;

/// The size of a geometry in bytes.
pub const GEOMETRY_BYTES: usize = 8;

/// A square window that slides over a map with zero padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Its height and width, 1..=15.
    pub size: u8,
    /// The distance between the windows of neighbouring outputs, in positions of the map, 1..=15.
    pub stride: u8,
    /// Zeros around the map.
    pub padding: Margin,
}

impl Window {
    /// Returns the number of outputs along an axis of `length` values, with `before` and `after`
    /// zeros around them; 0 if the window does not fit.
    #[must_use]
    pub const fn outputs(&self, before: u8, length: u16, after: u8) -> u16 {
        let padded = before as u32 + length as u32 + after as u32;
        match padded.checked_sub(self.size as u32) {
            Some(room) => match room.checked_div(self.stride as u32) {
                // Padding would allow 65,535 + 30 outputs, but an axis of a map has at most 65,535.
                Some(steps) if steps < u16::MAX as u32 => steps as u16 + 1,
                _ => 0,
            },
            None => 0,
        }
    }
}

/// How pooling reduces a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Pooling {
    /// The largest value.
    Max,
    /// The sum of the positive values, shifted right: a mean if the scales are chosen for that.
    Average,
}

/// The operation of a layer.
// Exhaustive for the same reason as `Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Operation {
    /// A fully connected layer over the flattened source. Code 0.
    Dense,
    /// A convolution (without flipping the kernel), with optional fused pooling over windows that
    /// do not overlap. Code 1.
    Conv {
        /// Its window.
        window: Window,
        /// The fused pooling and its size.
        pooling: Option<(Pooling, u8)>,
    },
    /// Pooling of each channel. Code 2.
    Pool {
        /// How it reduces a window.
        pooling: Pooling,
        /// Its window.
        window: Window,
    },
}

impl Operation {
    /// Returns the name used in tables.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Operation::Dense => "dense",
            Operation::Conv { .. } => "conv",
            Operation::Pool { .. } => "pool",
        }
    }

    /// Returns the code in a layer record.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Operation::Dense => 0,
            Operation::Conv { .. } => 1,
            Operation::Pool { .. } => 2,
        }
    }
}

/// The geometry of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) operation: Operation,
    pub(crate) margin: Margin,
    /// The number of weights in the longest row; the engine expands a row at a time in the arena.
    pub(crate) taps: u16,
}

impl Geometry {
    /// Reads the geometry of the operation with this code; returns the first invalid byte as the
    /// error.
    #[inline(always)]
    pub(crate) const fn read(code: u8, bytes: [u8; GEOMETRY_BYTES]) -> Result<Geometry, u8> {
        let [steps, before, after, pool, m0, m1, t0, t1] = bytes;
        let window = Window {
            size: steps & 15,
            stride: steps >> 4,
            padding: Margin::from_bytes([before, after]),
        };
        if window.size == 0 || window.stride == 0 {
            return Err(steps);
        }
        let size = pool >> 2;
        let pooling = match pool & 3 {
            0 => None,
            1 => Some(Pooling::Max),
            2 => Some(Pooling::Average),
            _ => return Err(pool),
        };
        let operation = match (code, pooling, size) {
            (1, None, 0) => Operation::Conv {
                window,
                pooling: None,
            },
            (1, Some(pooling), 1..) => Operation::Conv {
                window,
                pooling: Some((pooling, size)),
            },
            (2, Some(pooling), 0) => Operation::Pool { pooling, window },
            _ => return Err(pool),
        };
        Ok(Geometry {
            operation,
            margin: Margin::from_bytes([m0, m1]),
            taps: u16::from_le_bytes([t0, t1]),
        })
    }

    /// Returns the bytes of the geometry, or `None` for a dense layer.
    #[cfg(feature = "alloc")]
    pub(crate) fn to_bytes(self) -> Option<[u8; GEOMETRY_BYTES]> {
        let code = |pooling: Pooling| match pooling {
            Pooling::Max => 1,
            Pooling::Average => 2,
        };
        let (window, pool) = match self.operation {
            Operation::Dense => return None,
            Operation::Conv { window, pooling } => (
                window,
                pooling.map_or(0, |(kind, size)| code(kind) | size << 2),
            ),
            Operation::Pool { window, pooling } => (window, code(pooling)),
        };
        let [before, after] = window.padding.to_bytes();
        let [m0, m1] = self.margin.to_bytes();
        let [t0, t1] = self.taps.to_le_bytes();
        let steps = window.size | window.stride << 4;
        Some([steps, before, after, pool, m0, m1, t0, t1])
    }
}
