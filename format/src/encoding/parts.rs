//! What the bytes of a block are for.

/// The bytes of a layer's block by purpose, and the bits of a stored value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockParts {
    /// Bytes that say where weights are: indices, lengths, gaps, and the padding between sections.
    pub positions: usize,
    /// Bytes of the weights' values.
    pub values: usize,
    /// Bytes of biases.
    pub biases: usize,
    /// Bytes of everything else: heads, codebooks, geometry, links.
    pub parameters: usize,
    /// Bits that tell a weight's value from all others that the block can represent.
    pub value_bits: usize,
}

impl BlockParts {
    /// Returns the number of bytes of the block.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.positions + self.values + self.biases + self.parameters
    }
}
