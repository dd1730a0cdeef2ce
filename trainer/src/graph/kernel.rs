//! How the weights of a layer connect its inputs and outputs.

/// The layout of a kernel in PyTorch's order: (out, in, taps), where `in` counts the inputs that
/// each output reads.
///
/// A convolution in groups divides its input channels and its output channels into that many
/// groups; an output channel reads the input channels of its own group only. A dense layer, like
/// any other convolution, is a single group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelLayout {
    /// Output channels or units per group.
    pub outputs: usize,
    /// Input channels or units per group: those that each output reads.
    pub inputs: usize,
    /// Weights per output and input.
    pub taps: usize,
}

impl KernelLayout {
    /// Returns the output, the input and the tap of the weight at the row-major index `element`.
    #[must_use]
    pub fn locate(&self, element: usize) -> (usize, usize, usize) {
        let (pair, tap) = (element / self.taps, element % self.taps);
        let output = pair / self.inputs;
        let first = output / self.outputs * self.inputs;
        (output, first + pair % self.inputs, tap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts through the nested loops that define the layout.
    #[test]
    fn weights_are_located_by_group() {
        for (groups, outputs, inputs, taps) in
            [(1, 3, 4, 2), (4, 1, 1, 9), (2, 3, 2, 1), (3, 2, 1, 4)]
        {
            let layout = KernelLayout {
                outputs,
                inputs,
                taps,
            };
            let mut element = 0;
            for group in 0..groups {
                for output in 0..outputs {
                    for input in 0..inputs {
                        for tap in 0..taps {
                            let expected = (group * outputs + output, group * inputs + input, tap);
                            assert_eq!(layout.locate(element), expected);
                            element += 1;
                        }
                    }
                }
            }
        }
    }
}
