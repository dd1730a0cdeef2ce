//! The order of hidden units, which is free: the columns of what reads them follow.
//!
//! Rows sorted by their number of weights, then by their columns. Packed words need no row headers where
//! rows of one length follow one another; the entropy-coded encoding stores a row's length and where it
//! begins as small steps from the row before. So one order serves them all, and no other encoding minds.

use super::Network;

/// `network` with the units of every layer in which they can move in their order, from the first layer
/// on: each is sorted by columns that are in order themselves.
#[must_use]
pub fn sorted(network: &Network) -> Network {
    let mut network = network.clone();
    for layer in 0..network.layers.len() {
        if network.free(layer) {
            let rows: Vec<Vec<usize>> = network.layers[layer]
                .weights
                .outer_iterator()
                .map(|row| row.indices().to_vec())
                .collect();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&unit| (rows[unit].len(), &rows[unit]));
            network.permute(layer, &order);
        }
    }
    network
}
