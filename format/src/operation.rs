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
//! The margin is that of the output. If size and stride do not fit the first byte, it is 0, and
//! four bytes follow:
//!
//! ```text
//!  8        9       10            11  12
//!  +--------+-------+-------------+---+
//!  | height | width | stride      | 0 |
//!  |        |       | down|across |   |
//!  +--------+-------+-------------+---+
//! ```

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::shape::{Margin, Shape};

/// The size of a geometry in bytes, without its extension.
pub const GEOMETRY_BYTES: usize = 8;

/// The size in bytes of the extension that states the size and stride of a window that is not
/// compact (see [`Window::is_compact`]).
pub const EXTENSION_BYTES: usize = 4;

/// The largest height and width of a window.
pub const MAX_WINDOW: u8 = u8::MAX;

/// The largest stride of a window along an axis, and the largest padding on a side.
pub const MAX_STRIDE: u8 = 15;

/// A window that slides over a map with zero padding. Pairs are height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// Its height and width, 1..=255.
    pub size: [u8; 2],
    /// The distances between the windows of neighbouring outputs down and across, in positions of
    /// the map, 1..=15.
    pub stride: [u8; 2],
    /// Zeros around the map.
    pub padding: Margin,
}

impl Window {
    /// Returns a window with the same size and the same stride along both axes.
    #[must_use]
    pub const fn square(size: u8, stride: u8, padding: Margin) -> Window {
        Window {
            size: [size; 2],
            stride: [stride; 2],
            padding,
        }
    }

    /// Returns the number of values that it covers.
    #[must_use]
    pub const fn area(&self) -> usize {
        let [height, width] = self.size;
        height as usize * width as usize
    }

    /// Returns the height and width of the output over a map of this shape; 0 along an axis on
    /// which the window does not fit.
    #[must_use]
    #[inline(always)]
    pub const fn outputs(&self, map: Shape) -> [u16; 2] {
        let ([height, width], [down, across]) = (self.size, self.stride);
        let padding = self.padding;
        [
            steps(padding.top, map.height, padding.bottom, height, down),
            steps(padding.left, map.width, padding.right, width, across),
        ]
    }

    /// Returns whether a geometry states the window in its first byte, without an extension: it is
    /// square, at most 15 x 15, and has the same stride along both axes.
    #[must_use]
    #[inline(always)]
    pub const fn is_compact(&self) -> bool {
        let ([height, width], [down, across]) = (self.size, self.stride);
        height == width && height <= 15 && down == across
    }

    /// Reads the extension of a geometry; returns the first invalid byte as the error, which is the
    /// geometry's 0 if the window is compact.
    // Kept out of line so that reading other geometries does not take more registers.
    #[cold]
    #[inline(never)]
    const fn from_extension(bytes: [u8; EXTENSION_BYTES], padding: Margin) -> Result<Window, u8> {
        let [height, width, strides, zero] = bytes;
        let window = Window {
            size: [height, width],
            stride: [strides & 15, strides >> 4],
            padding,
        };
        match window {
            Window {
                size: [0, _] | [_, 0],
                ..
            } => Err(0),
            Window {
                stride: [0, _] | [_, 0],
                ..
            } => Err(strides),
            _ if zero != 0 => Err(zero),
            _ if window.is_compact() => Err(0),
            _ => Ok(window),
        }
    }
}

/// Returns the number of positions of a window along an axis of `length` values, with `before` and
/// `after` zeros around them; 0 if the window does not fit.
#[inline(always)]
const fn steps(before: u8, length: u16, after: u8, size: u8, stride: u8) -> u16 {
    let padded = before as u32 + length as u32 + after as u32;
    match padded.checked_sub(size as u32) {
        Some(room) => match room.checked_div(stride as u32) {
            // Padding would allow 65,535 + 30 outputs, but an axis of a map has at most 65,535.
            Some(steps) if steps < u16::MAX as u32 => steps as u16 + 1,
            _ => 0,
        },
        None => 0,
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
    /// Reads the geometry of the operation with this code, with its extension if the first byte is
    /// 0; returns the first invalid byte as the error.
    #[inline(always)]
    pub(crate) const fn read(
        code: u8,
        bytes: [u8; GEOMETRY_BYTES],
        extension: Option<[u8; EXTENSION_BYTES]>,
    ) -> Result<Geometry, u8> {
        let [steps, before, after, pool, m0, m1, t0, t1] = bytes;
        let padding = Margin::from_bytes([before, after]);
        let window = match extension {
            Some(extension) => match Window::from_extension(extension, padding) {
                Ok(window) => window,
                Err(found) => return Err(found),
            },
            None => Window::square(steps & 15, steps >> 4, padding),
        };
        if extension.is_none() && (steps & 15 == 0 || steps >> 4 == 0) {
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

    /// Returns the bytes of the geometry and of its extension, if it has one; no bytes for a dense
    /// layer.
    #[cfg(feature = "alloc")]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let code = |pooling: Pooling| match pooling {
            Pooling::Max => 1,
            Pooling::Average => 2,
        };
        let (window, pool) = match self.operation {
            Operation::Dense => return Vec::new(),
            Operation::Conv { window, pooling } => (
                window,
                pooling.map_or(0, |(kind, size)| code(kind) | size << 2),
            ),
            Operation::Pool { window, pooling } => (window, code(pooling)),
        };
        let [before, after] = window.padding.to_bytes();
        let [m0, m1] = self.margin.to_bytes();
        let [t0, t1] = self.taps.to_le_bytes();
        let ([height, width], [down, across]) = (window.size, window.stride);
        let is_compact = window.is_compact();
        let steps = if is_compact { height | down << 4 } else { 0 };
        let mut bytes = Vec::from([steps, before, after, pool, m0, m1, t0, t1]);
        if !is_compact {
            bytes.extend([height, width, down | across << 4, 0]);
        }
        bytes
    }
}
