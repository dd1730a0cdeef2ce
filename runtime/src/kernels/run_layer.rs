//! The function that the walk over a chain calls for each layer.

use rarefy_format::DenseLayer;

/// Runs the layers of a chain.
// A trait with an associated function, because `#[inline(always)]` applies to it: a closure would
// be optimised before it is inlined into the loop over the layers, which costs registers there.
pub(crate) trait RunLayer {
    /// Runs a layer with its parts of the arena. Returns `None` if one of them is too short.
    fn run(
        layer: DenseLayer<'_>,
        source: &[u8],
        write: &mut [u32],
        scratch: &mut [u32],
    ) -> Option<()>;
}
