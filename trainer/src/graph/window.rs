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

/// A square sliding window over an input (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Number of taps along each axis.
    pub size: usize,
    /// Distance between consecutive outputs, in input positions.
    pub stride: usize,
    /// Padding before the input, along height and width.
    pub before: [usize; 2],
    /// Padding after the input, along height and width.
    pub after: [usize; 2],
}

impl Window {
    /// Creates a window over an `input` (height, width). Returns `None` if it does not fit, or if
    /// a size or the stride is 0.
    pub fn new(size: usize, stride: usize, padding: Padding, input: [usize; 2]) -> Option<Self> {
        if size == 0 || stride == 0 || input.contains(&0) {
            return None;
        }
        let (mut before, mut after) = ([0; 2], [0; 2]);
        for axis in 0..2 {
            (before[axis], after[axis]) = match padding {
                Padding::Valid => (0, 0),
                Padding::Each(zeros) => (zeros, zeros),
                Padding::Sides { before, after } => (before[axis], after[axis]),
                Padding::Same => {
                    let outputs = input[axis].div_ceil(stride);
                    let total = ((outputs - 1) * stride + size).saturating_sub(input[axis]);
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
        let fits = |axis: usize| before[axis] + input[axis] + after[axis] >= size;
        (fits(0) && fits(1)).then_some(window)
    }

    /// Returns the output size (height, width) over an `input` (height, width).
    pub fn outputs(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.before[axis] + input[axis] + self.after[axis] - self.size) / self.stride + 1
        })
    }

    /// Returns the outputs along `axis` (0 height, 1 width) for which `tap` reads an input
    /// position, given by [`position`](Self::position), rather than padding. The axis has `inputs`
    /// input positions and `outputs` outputs.
    pub fn reading(&self, axis: usize, tap: usize, inputs: usize, outputs: usize) -> Range<usize> {
        let before = self.before[axis];
        let first = before.saturating_sub(tap).div_ceil(self.stride);
        // The first o with o * stride + tap - before >= inputs.
        let end = (inputs + before)
            .checked_sub(tap + 1)
            .map_or(0, |room| room / self.stride + 1);
        first.min(outputs)..end.min(outputs).max(first.min(outputs))
    }

    /// Returns the input position along `axis` that `tap` of output `output` reads, which must not
    /// be padding.
    pub fn position(&self, axis: usize, tap: usize, output: usize) -> usize {
        output * self.stride + tap - self.before[axis]
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

    /// Compares `reading` with its definition, one output at a time.
    #[test]
    fn reading_excludes_padding() {
        for size in 1..6 {
            for stride in 1..4 {
                for inputs in 1..9 {
                    for padding in [Padding::Valid, Padding::Same, Padding::Each(2)] {
                        let Some(window) = Window::new(size, stride, padding, [inputs; 2]) else {
                            continue;
                        };
                        let outputs = window.outputs([inputs; 2])[0];
                        for tap in 0..size {
                            let real = |&o: &usize| {
                                let at = o * stride + tap;
                                at >= window.before[0] && at - window.before[0] < inputs
                            };
                            let expected: Vec<usize> = (0..outputs).filter(real).collect();
                            let found: Vec<usize> =
                                window.reading(0, tap, inputs, outputs).collect();
                            assert_eq!(found, expected, "{window:?} tap {tap} of {inputs}");
                        }
                    }
                }
            }
        }
    }
}
