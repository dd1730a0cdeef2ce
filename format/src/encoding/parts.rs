//! The sizes of a block's parts.

/// The sizes of the parts of a layer's block in bytes, and the bits per weight value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockParts {
    /// Bytes that locate the weights: indices, lengths, gaps, and the padding between sections.
    pub positions: usize,
    /// Bytes of weight values.
    pub values: usize,
    /// Bytes of biases.
    pub biases: usize,
    /// Bytes of everything else: heads, codebooks, geometry, links.
    pub parameters: usize,
    /// Bits needed to distinguish all values that a weight of the block can have.
    pub value_bits: usize,
}

impl BlockParts {
    /// Returns the number of bytes of the block, which is the sum of all parts.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.positions + self.values + self.biases + self.parameters
    }
}
