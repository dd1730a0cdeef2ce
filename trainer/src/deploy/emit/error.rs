//! Why a network cannot be written as code.

use super::MOST_WEIGHTS;

/// Why a network cannot be written as code. Layers are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// A layer with f32 weights.
    #[error("layer {0} has f32 weights, which cannot be written as code; use integer weights")]
    Floats(usize),
    /// More weights than [`MOST_WEIGHTS`].
    #[error(
        "{0} weights are more than the {MOST_WEIGHTS} that can be written as code; prune further, or use a container"
    )]
    Weights(usize),
    /// A row whose sum could overflow 32 bits in some order of its terms.
    #[error(
        "the sum of row {row} of layer {layer} could reach {most}, beyond 32 bits; use a container"
    )]
    Overflow {
        /// The layer.
        layer: usize,
        /// The row, counted from 0.
        row: usize,
        /// The sum of the magnitudes of all terms.
        most: i64,
    },
    /// A layer that a container could not represent either.
    #[error("layer {0} does not fit its source or its position in the network")]
    Layer(usize),
}
