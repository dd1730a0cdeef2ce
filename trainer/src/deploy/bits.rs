//! Finds the layers that store more bits per weight than requested.
//!
//! Most encodings have a fixed layout: in a packed word of 16 bits, the weight takes all bits that
//! the index leaves; in compressed and dense rows, it takes a byte. Only the entropy-coded encoding
//! stores exactly the requested number of bits.

use rarefy_format::{Encoding, index_bits};
use serde::Serialize;

use super::Network;
use super::quantize::{self, WeightType};

/// A layer that stores more bits per weight than requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wider {
    /// The layer's name; see [`Layer::name`](super::Layer::name).
    pub layer: String,
    /// The name of its encoding.
    pub encoding: &'static str,
    /// Bits stored per weight.
    pub stored_bits: u8,
    /// Bits that the quantized weights use.
    pub used_bits: u8,
}

/// Returns the layers of `network` that take more bits per weight in `encodings` (one per layer)
/// than `weights` asks for.
#[must_use]
pub fn wider(
    network: &Network,
    encodings: impl IntoIterator<Item = Encoding>,
    weights: WeightType,
) -> Vec<Wider> {
    let layers = network.layers.iter().zip(encodings);
    let layers = layers.filter_map(|(layer, encoding)| {
        let (rows, columns) = layer.weights.shape();
        let whole = quantize::passes_on(layer);
        let byte = if whole { 8 } else { weights.bits() };
        let (stored_bits, used_bits) = match encoding {
            Encoding::Words => (16 - index_bits(columns), 16 - index_bits(columns)),
            Encoding::Columns => (16 - index_bits(rows), 16 - index_bits(rows)),
            Encoding::Csr | Encoding::Dense => (8, byte),
            Encoding::Rice => (byte, byte),
            Encoding::CsrF32 | Encoding::None => return None,
        };
        (stored_bits > weights.bits()).then(|| Wider {
            layer: layer.name.clone(),
            encoding: encoding.name(),
            stored_bits,
            used_bits,
        })
    });
    layers.collect()
}
