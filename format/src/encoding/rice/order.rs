//! An order of hidden units that makes rows cheap to store.
//!
//! The units of a hidden layer may be in any order, if the columns of the layer that reads them are
//! permuted accordingly. The encoding suits rows that are sorted by their number of weights, then
//! by their columns: counts of rows replace lengths, and small steps replace first columns. This
//! saves nearly all of the `log2(rows!)` bits of information in an order.

use alloc::vec::Vec;

/// The positions of a layer's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The number of inputs. If each unit of the previous layer provides several inputs (a
    /// channel's positions, or the taps of a window), those of one unit are consecutive.
    pub inputs: usize,
    /// The inputs that each unit (or channel) reads, ascending.
    pub rows: Vec<Vec<usize>>,
}

/// Returns the order in which to store the units of each layer except the last.
///
/// Layers are given from first to last, each reading the previous one. Element `[layer][new]` of
/// the result is the old index of the unit that moves to index `new`. If the number of inputs of a
/// layer is not a multiple of the number of units before it, those units keep their order.
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

/// Returns the rows of a layer after the units that it reads have been put in this order.
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
