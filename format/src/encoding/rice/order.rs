//! An order of hidden units that makes rows cheap to store.
//!
//! The units of a hidden layer may come in any order, if the columns of the layer that reads them
//! follow. Of the orders that cost nothing to describe this takes the one the encoding is made for:
//! rows sorted by their number of weights, then by their columns. A number of rows of one length
//! stands for their lengths, and where a row begins is a small step from where the one before
//! began: together nearly the whole `log2(rows!)` bits that an order is worth.

use alloc::vec::Vec;

/// Which weights a layer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The inputs; where each unit of the layer before makes several (a channel's positions, or the
    /// taps of a window), those of a unit follow one another.
    pub inputs: usize,
    /// For each unit (or channel) the inputs it reads, ascending.
    pub rows: Vec<Vec<usize>>,
}

/// The order to store the units of each layer but the last in, the layers given from first to last,
/// each reading the one before: `order[layer][new]` is the old number of the unit. Where the inputs
/// of a layer are not a multiple of the units before it, these stay in the order they have.
#[must_use]
pub fn unit_order(layers: &[Pattern]) -> Vec<Vec<usize>> {
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let Some(next) = layers.get(index + 1) else {
            break;
        };
        let mut order: Vec<usize> = (0..layer.rows.len()).collect();
        if next.inputs.is_multiple_of(order.len().max(1)) {
            let rows = match orders.last() {
                Some(before) => renumbered(layer, before),
                None => layer.rows.clone(),
            };
            order.sort_by_key(|&unit| (rows[unit].len(), &rows[unit]));
        }
        orders.push(order);
    }
    orders
}

/// The rows of a layer once the units that it reads are in this order.
fn renumbered(layer: &Pattern, order: &[usize]) -> Vec<Vec<usize>> {
    let each = layer.inputs / order.len().max(1);
    let mut place = alloc::vec![0; order.len()];
    for (new, &old) in order.iter().enumerate() {
        place[old] = new;
    }
    let renumber = |&column: &usize| match place.get(column / each.max(1)) {
        Some(new) => new * each + column % each.max(1),
        None => column,
    };
    let mut rows: Vec<Vec<usize>> = layer
        .rows
        .iter()
        .map(|row| row.iter().map(renumber).collect())
        .collect();
    rows.iter_mut().for_each(|row| row.sort_unstable());
    rows
}
