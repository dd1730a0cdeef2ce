//! The geometries of layers over feature maps. Lengths and distances are in bytes.

/// What a convolution does with the sums of a window of `pool` x `pool` positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FusedPooling {
    /// Stores each sum; `pool` is 1.
    None,
    /// Stores the largest sum.
    Max,
    /// Stores the total of the positive sums; the shift divides it.
    Average,
}

/// The geometry of a convolution, the same for each of its output channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    /// The distance from the window of a position to that of the next position in its row.
    pub(crate) stride: usize,
    /// The distance from the windows of a row of positions to those of the next row.
    pub(crate) down: usize,
    /// Rows of the output, after pooling.
    pub(crate) height: usize,
    /// Positions per row of the output, after pooling.
    pub(crate) width: usize,
    /// The distance from one row of the output to the next.
    pub(crate) output_row: usize,
    /// The fused pooling.
    pub(crate) pooling: FusedPooling,
    /// The height, width and stride of pooling windows; 1 without pooling.
    pub(crate) pool: usize,
    /// Right shift that turns a sum into an activation, at most 31.
    pub(crate) shift: u8,
    /// The distance from one row of the skip source to the next.
    pub(crate) skip_row: usize,
    /// Left shift of the activations of the skip source, at most 31.
    pub(crate) skip_shift: u8,
    /// Whether the source has so many zeros that testing for them pays off.
    #[cfg_attr(not(cortex_m = "v7em"), allow(dead_code))]
    pub(crate) zeros: bool,
}

impl Convolution {
    /// Returns the number of bytes from the first to the last of `height` x `width` positions,
    /// inclusive. Rows are `row` apart, and positions of a row `stride`.
    fn reach(height: usize, width: usize, row: usize, stride: usize) -> usize {
        let down = height.saturating_sub(1).saturating_mul(row);
        let right = width.saturating_sub(1).saturating_mul(stride);
        down.saturating_add(right).saturating_add(1)
    }

    /// Checks that source, skip source and output contain every byte that a channel accesses if its
    /// taps have offsets of at most `last`. Products saturate, so a geometry that overflows never
    /// fits.
    pub(crate) fn fits(
        &self,
        last: usize,
        source: &[u8],
        skip: Option<&[u8]>,
        output: &[u8],
    ) -> bool {
        let height = self.height.saturating_mul(self.pool);
        let width = self.width.saturating_mul(self.pool);
        let read = Convolution::reach(height, width, self.down, self.stride);
        source.len() >= read.saturating_add(last)
            && output.len() >= Convolution::reach(self.height, self.width, self.output_row, 1)
            && skip.is_none_or(|skip| {
                skip.len() >= Convolution::reach(height, width, self.skip_row, 1)
            })
    }

    /// Returns whether a Cortex-M computes blocks of neighbouring positions at once.
    pub(crate) fn in_blocks(&self) -> bool {
        self.stride <= 2 && self.pool <= 2 && self.width * self.pool >= 4
    }

    /// Returns whether grouping taps into quads pays off: a quad takes some 40 instructions to
    /// form, and saves 12 (three taps) or 28 (four) per block of eight positions.
    pub(crate) fn groups(&self) -> bool {
        let positions = self.height * self.width * self.pool * self.pool;
        self.in_blocks() && self.stride == 1 && positions >= 32
    }

    /// Requantizes a sum.
    #[inline(always)]
    pub(crate) fn requantize(&self, sum: i32) -> u8 {
        sum.wrapping_shr(u32::from(self.shift)).clamp(0, 255) as u8
    }
}

/// Where the weights of a convolution read, relative to a position: the weight at (channel, y, x)
/// has column `(channel * height + y) * width + x` and reads at offset
/// `channel * plane + y * row + x`, where neighbouring rows of the source are `row` apart and
/// neighbouring channels `plane`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowStrides {
    /// Height of the window, at least 1.
    pub(crate) height: usize,
    /// Width of the window, at least 1.
    pub(crate) width: usize,
    /// How much more an offset increases than its column from one row of the window to the next.
    pub(crate) row_gap: usize,
    /// How much more an offset increases than its column from one channel to the next, in addition
    /// to `row_gap`.
    pub(crate) plane_gap: usize,
}

impl WindowStrides {
    /// Returns the distances for a window of this height and width.
    pub(crate) fn new([height, width]: [usize; 2], row: usize, plane: usize) -> WindowStrides {
        let (height, width) = (height.max(1), width.max(1));
        WindowStrides {
            height,
            width,
            row_gap: row.saturating_sub(width),
            plane_gap: plane.saturating_sub(height.saturating_mul(row)),
        }
    }
}

/// The value to which a pooling layer reduces a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The largest activation.
    Max,
    /// The sum, shifted right by this (at most 31), rounded half up.
    Average(u8),
}

/// The geometry of a pooling layer, the same for each channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pooling {
    /// How a window is reduced.
    pub(crate) reduction: Reduction,
    /// Rows of a window.
    pub(crate) rows: usize,
    /// Values per row of a window.
    pub(crate) columns: usize,
    /// The distance from one row of the source to the next.
    pub(crate) source_row: usize,
    /// The distance from a window to the next one in its row of windows.
    pub(crate) stride: usize,
    /// The distance from one row of windows to the next.
    pub(crate) down: usize,
    /// Rows of the output.
    pub(crate) height: usize,
    /// Positions per row of the output.
    pub(crate) width: usize,
    /// The distance from one row of the output to the next.
    pub(crate) output_row: usize,
}
