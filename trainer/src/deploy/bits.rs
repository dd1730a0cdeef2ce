//! Which layers store more bits a weight than asked for, and why.
//!
//! An encoding has room for a number of bits that fewer do not make smaller: a packed word gives a
//! weight what an index leaves of 16 bits, compressed and dense rows give it a byte. Only the
//! entropy-coded encoding stores as many as asked for.

use rarefy_format::{Encoding, index_bits};
use serde::Serialize;

use super::Network;
use super::quantize::{self, WeightType};

/// A layer that stores more bits a weight than asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wider {
    /// The layer's name in the architecture.
    pub layer: String,
    /// Its encoding.
    pub encoding: &'static str,
    /// The bits that a weight takes there.
    pub stored_bits: u8,
    /// The bits that the weights use of them.
    pub used_bits: u8,
}

/// The layers of `network` that store more bits than `weights` has, where they are stored as
/// `encodings`.
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
