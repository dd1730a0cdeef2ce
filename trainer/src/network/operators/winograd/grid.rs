//! The tiles into which the outputs of a convolution are divided.

/// The tiles of an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Height and width of the input.
    pub(super) input: [usize; 2],
    /// Height and width of the output.
    pub(super) output: [usize; 2],
    /// The padding before the input's first row and column.
    pub(super) before: [usize; 2],
}

impl Grid {
    /// Returns the tiles of a convolution with the given sizes (height, width) and padding.
    pub(super) fn new(input: [usize; 2], output: [usize; 2], before: [usize; 2]) -> Self {
        Self {
            input,
            output,
            before,
        }
    }

    /// Returns the number of input positions.
    pub(super) fn input_area(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Returns the number of output positions.
    pub(super) fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Returns the rows and columns of tiles.
    pub(super) fn size(&self) -> [usize; 2] {
        self.output.map(|length| length.div_ceil(2))
    }

    /// Returns the number of tiles.
    pub(super) fn tiles(&self) -> usize {
        self.size()[0] * self.size()[1]
    }
}
