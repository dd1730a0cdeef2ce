//! Sorts hidden units, and with them the columns of the layers that read them.
//!
//! Rows are sorted by their number of weights, then by their columns. Packed words have one header
//! for all consecutive rows of equal length, and the entropy-coded encoding stores a row's length
//! and first column as differences from the previous row. So one order serves both, and the other
//! encodings do not depend on it.

use super::Network;

/// Returns `network` with the units of every layer sorted where they can be reordered. Layers are
/// sorted from first to last, so that each compares columns that are in their final order.
#[must_use]
pub fn sorted(network: &Network) -> Network {
    let mut network = network.clone();
    for layer in 0..network.layers.len() {
        if network.can_reorder(layer) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Layer;
    use crate::deploy::network::Operation;
    use crate::deploy::sparse::from_rows;

    fn dense(rows: &[&[usize]], columns: usize, source: Option<usize>) -> Layer {
        let weights = rows.iter().enumerate().map(|(unit, row)| {
            let weight = |&column: &usize| (column, (1 + unit + 3 * column) as f32);
            row.iter().map(weight).collect()
        });
        Layer {
            name: "layer".into(),
            operation: Operation::Dense,
            weights: from_rows(columns, weights),
            bias: (0..rows.len()).map(|unit| unit as f32).collect(),
            relu: true,
            ceiling: f32::INFINITY,
            source,
            skip: None,
            shape: [rows.len(), 1, 1],
            original: (rows.len(), columns),
        }
    }

    #[test]
    fn hidden_rows_are_sorted_by_length_then_columns_and_scores_are_unchanged() {
        let first = dense(&[&[0, 2], &[1], &[0, 1], &[2]], 3, None);
        let second = dense(&[&[0, 1, 2], &[0, 3], &[1, 3]], 4, Some(0));
        let mut last = dense(&[&[0, 1, 2], &[0]], 3, Some(1));
        last.relu = false;
        let network = Network {
            input: [1, 1, 3],
            layers: vec![first, second, last],
        };
        let sorted = sorted(&network);
        let rows = |layer: usize| -> Vec<Vec<usize>> {
            let rows = sorted.layers[layer].weights.outer_iterator();
            rows.map(|row| row.indices().to_vec()).collect()
        };
        assert_eq!(rows(0), [vec![1], vec![2], vec![0, 1], vec![0, 2]]);
        // The first layer's units are now 1, 3, 2, 0.
        assert_eq!(rows(1), [vec![0, 1], vec![1, 3], vec![0, 2, 3]]);
        // Class scores keep their order.
        assert_eq!(rows(2)[1].len(), 1);
        for image in [[1, 2, 3], [200, 0, 7], [0, 90, 255]] {
            assert_eq!(sorted.scores(&image), network.scores(&image));
        }
    }
}
