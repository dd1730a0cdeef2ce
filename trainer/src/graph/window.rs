//! Sliding windows: the input positions that a convolution or pooling reads.
//!
//! Along each axis, tap `t` of output `o` reads the input position `o * stride + t - before`.
//! Positions outside the input are padding: zeros for a convolution, ignored by pooling.

use std::ops::Range;

/// The padding of a window, before it is applied to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// No padding.
    Valid,
    /// Padding that makes the output `ceil(input / stride)` long; if the total is odd, the extra
    /// position goes after the input (TensorFlow's rule).
    Same,
    /// The given padding on each side.
    Each(usize),
    /// The given padding before and after the input, along height and width.
    Sides {
        /// Padding above and on the left.
        before: [usize; 2],
        /// Padding below and on the right.
        after: [usize; 2],
    },
}

/// A sliding window over an input (height, width). Its taps are numbered row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Number of taps along height and width.
    pub size: [usize; 2],
    /// Distance between consecutive outputs along height and width, in input positions.
    pub stride: [usize; 2],
    /// Padding before the input, along height and width.
    pub before: [usize; 2],
    /// Padding after the input, along height and width.
    pub after: [usize; 2],
}

impl Window {
    /// Creates a square window over an `input` (height, width), with the same stride along both
    /// axes. Returns `None` if it does not fit, or if a size or the stride is 0.
    pub fn new(size: usize, stride: usize, padding: Padding, input: [usize; 2]) -> Option<Self> {
        Self::rectangular([size; 2], [stride; 2], padding, input)
    }

    /// Creates a window over an `input`; sizes and strides are (height, width). Returns `None` if
    /// it does not fit, or if a size or a stride is 0.
    pub fn rectangular(
        size: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
        input: [usize; 2],
    ) -> Option<Self> {
        if [size, stride, input].as_flattened().contains(&0) {
            return None;
        }
        let (mut before, mut after) = ([0; 2], [0; 2]);
        for axis in 0..2 {
            (before[axis], after[axis]) = match padding {
                Padding::Valid => (0, 0),
                Padding::Each(zeros) => (zeros, zeros),
                Padding::Sides { before, after } => (before[axis], after[axis]),
                Padding::Same => {
                    let outputs = input[axis].div_ceil(stride[axis]);
                    let covered = (outputs - 1) * stride[axis] + size[axis];
                    let total = covered.saturating_sub(input[axis]);
                    (total / 2, total - total / 2)
                }
            };
        }
        let window = Self {
            size,
            stride,
            before,
            after,
        };
        let fits = |axis: usize| before[axis] + input[axis] + after[axis] >= size[axis];
        (fits(0) && fits(1)).then_some(window)
    }

    /// Returns the number of taps.
    pub fn taps(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Returns the row and the column of `tap`.
    pub fn place(&self, tap: usize) -> [usize; 2] {
        [tap / self.size[1], tap % self.size[1]]
    }

    /// Returns whether there is padding on any side.
    pub fn pads(&self) -> bool {
        [self.before, self.after] != [[0; 2]; 2]
    }

    /// Returns the output size (height, width) over an `input` (height, width).
    pub fn outputs(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            let room = self.before[axis] + input[axis] + self.after[axis] - self.size[axis];
            room / self.stride[axis] + 1
        })
    }

    /// Returns the outputs along `axis` (0 height, 1 width) for which the taps at `tap`, a row or
    /// a column of the window, read an input position, given by [`position`](Self::position),
    /// rather than padding. The axis has `inputs` input positions and `outputs` outputs.
    pub fn reading(&self, axis: usize, tap: usize, inputs: usize, outputs: usize) -> Range<usize> {
        let (before, stride) = (self.before[axis], self.stride[axis]);
        let first = before.saturating_sub(tap).div_ceil(stride);
        // The first o with o * stride + tap - before >= inputs.
        let end = (inputs + before)
            .checked_sub(tap + 1)
            .map_or(0, |room| room / stride + 1);
        first.min(outputs)..end.min(outputs).max(first.min(outputs))
    }

    /// Returns the input position along `axis` that the taps at `tap`, a row or a column of the
    /// window, read for output `output`; it must not be padding.
    pub fn position(&self, axis: usize, tap: usize, output: usize) -> usize {
        output * self.stride[axis] + tap - self.before[axis]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_position_after_the_input() {
        let window = Window::new(3, 2, Padding::Same, [8, 7]).unwrap();
        assert_eq!((window.before, window.after), ([0, 1], [1, 1]));
        assert_eq!(window.outputs([8, 7]), [4, 4]);
        let sides = Padding::Sides {
            before: [0, 2],
            after: [1, 0],
        };
        let uneven = Window::new(3, 1, sides, [4, 5]).unwrap();
        assert_eq!((uneven.before, uneven.after), ([0, 2], [1, 0]));
        assert_eq!(uneven.outputs([4, 5]), [3, 5]);
        assert!(Window::new(5, 1, Padding::Valid, [4, 9]).is_none());
        assert!(Window::new(0, 1, Padding::Valid, [4, 9]).is_none());
    }

    /// Tests the first convolution of MLPerf Tiny's keyword spotting: TensorFlow pads (4, 5) rows
    /// and (1, 1) columns of its 49 x 10 input, and the output is 25 x 5.
    #[test]
    fn axes_of_a_rectangular_window_are_independent() {
        let same = Padding::Same;
        let window = Window::rectangular([10, 4], [2, 2], same, [49, 10]).unwrap();
        assert_eq!((window.before, window.after), ([4, 1], [5, 1]));
        assert_eq!(window.outputs([49, 10]), [25, 5]);
        assert_eq!((window.taps(), window.place(39)), (40, [9, 3]));
        let window = Window::rectangular([2, 3], [1, 3], Padding::Valid, [5, 7]).unwrap();
        assert_eq!(window.outputs([5, 7]), [4, 2]);
        assert!(Window::rectangular([3, 2], [1, 1], Padding::Valid, [2, 3]).is_none());
        assert!(Window::rectangular([2, 3], [1, 0], Padding::Valid, [5, 7]).is_none());
    }

    /// Compares `reading` along both axes with its definition, one output at a time.
    #[test]
    fn reading_excludes_padding() {
        for size in 1..6 {
            for stride in 1..4 {
                for inputs in 1..9 {
                    for padding in [Padding::Valid, Padding::Same, Padding::Each(2)] {
                        let (sizes, strides) = ([size, 6 - size], [stride, 4 - stride]);
                        let input = [inputs, 9 - inputs];
                        let window = Window::rectangular(sizes, strides, padding, input);
                        if let Some(window) = window {
                            check_reading(&window, input);
                        }
                    }
                }
            }
        }
    }

    fn check_reading(window: &Window, input: [usize; 2]) {
        for axis in 0..2 {
            let (inputs, outputs) = (input[axis], window.outputs(input)[axis]);
            for tap in 0..window.size[axis] {
                let real = |&output: &usize| {
                    let at = output * window.stride[axis] + tap;
                    at >= window.before[axis] && at - window.before[axis] < inputs
                };
                let expected: Vec<usize> = (0..outputs).filter(real).collect();
                let found: Vec<usize> = window.reading(axis, tap, inputs, outputs).collect();
                assert_eq!(
                    found, expected,
                    "{window:?} axis {axis} tap {tap} of {inputs}"
                );
            }
        }
    }
}
