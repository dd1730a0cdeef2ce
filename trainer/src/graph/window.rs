//! Sliding windows: where a convolution or a pooling reads its input.
//!
//! An output position `o` of an axis reads the input positions `o * stride + tap - before`, for
//! every `tap` below the size; those outside the input are padding, zeros that come from nowhere.

use std::ops::Range;

/// The zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// None.
    Valid,
    /// As many as make the output `ceil(input / stride)` long, the odd one after the map
    /// (TensorFlow's rule).
    Same,
    /// So many on each side.
    Each(usize),
}

/// A square window over a map of (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Taps along each axis.
    pub size: usize,
    /// Input positions from one output to the next.
    pub stride: usize,
    /// Zeros before the map, along height and width.
    pub before: [usize; 2],
    /// Zeros after it.
    pub after: [usize; 2],
}

impl Window {
    /// A window of `size` every `stride` positions over a map of `input` (height, width); nothing
    /// when it does not fit in or a number is 0.
    pub fn new(size: usize, stride: usize, padding: Padding, input: [usize; 2]) -> Option<Self> {
        if size == 0 || stride == 0 || input.contains(&0) {
            return None;
        }
        let (mut before, mut after) = ([0; 2], [0; 2]);
        for axis in 0..2 {
            (before[axis], after[axis]) = match padding {
                Padding::Valid => (0, 0),
                Padding::Each(zeros) => (zeros, zeros),
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

    /// The outputs (height, width) over a map of `input`.
    pub fn outputs(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.before[axis] + input[axis] + self.after[axis] - self.size) / self.stride + 1
        })
    }

    /// The outputs along `axis` (0 height, 1 width) for which `tap` reads one of `inputs` real
    /// positions, out of `outputs`; output `o` of them reads position [`position`](Self::position).
    pub fn reading(&self, axis: usize, tap: usize, inputs: usize, outputs: usize) -> Range<usize> {
        let before = self.before[axis];
        let first = before.saturating_sub(tap).div_ceil(self.stride);
        // The last o with o * stride + tap - before < inputs.
        let end = (inputs + before)
            .checked_sub(tap + 1)
            .map_or(0, |room| room / self.stride + 1);
        first.min(outputs)..end.min(outputs).max(first.min(outputs))
    }

    /// The input position along `axis` that `tap` of output `output` reads, which must be real.
    pub fn position(&self, axis: usize, tap: usize, output: usize) -> usize {
        output * self.stride + tap - self.before[axis]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_at_stride_two_puts_the_odd_zero_after() {
        let window = Window::new(3, 2, Padding::Same, [8, 7]).unwrap();
        assert_eq!((window.before, window.after), ([0, 1], [1, 1]));
        assert_eq!(window.outputs([8, 7]), [4, 4]);
        assert!(Window::new(5, 1, Padding::Valid, [4, 9]).is_none());
        assert!(Window::new(0, 1, Padding::Valid, [4, 9]).is_none());
    }

    /// `reading` against its definition, one output at a time.
    #[test]
    fn a_tap_reads_where_its_position_is_real() {
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
