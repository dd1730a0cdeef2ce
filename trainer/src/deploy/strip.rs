//! Stripping: removes detached units and channels.
//!
//! - A hidden unit that is not read is removed.
//! - A unit that reads nothing has the constant value `act(bias)`, as has a position of a map whose
//!   window covers only padding. A weight that reads the same constant at every position is folded
//!   into the bias and removed. A convolution that reads a constant at some positions and padding
//!   or other values at others keeps its weights.
//! - Additions and pooling tie the channels of layers together: tied channels are removed
//!   together, if none of them is read.
//! - A layer without weights, whose sum is its skip and its bias, is detached from its source;
//!   layers that are not needed are removed.
//!
//! Each removal may enable others, so this repeats until nothing changes. The network's function
//! is preserved up to rounding of the folded biases. Its inputs and outputs are kept, since they
//! are the device's interface. A layer of which only the shape is needed keeps one channel.

use super::constants::{constants, read_everywhere};
use super::network::{Layer, Network, Operation, disjoint, in_order};
use super::sparse;

/// Returns `network` without detached hidden units.
#[must_use]
pub fn strip(network: &Network) -> Network {
    let mut network = network.clone();
    loop {
        let before = structure(&network);
        fold_constants(&mut network);
        release_sources(&mut network);
        remove_unread(&mut network);
        if structure(&network) == before {
            return network;
        }
    }
}

/// The properties of a layer that stripping changes.
#[derive(PartialEq, Eq)]
struct Structure {
    source: Option<usize>,
    skip: Option<usize>,
    channels: usize,
    nonzeros: usize,
}

/// Returns the structure of each layer.
fn structure(network: &Network) -> Vec<Structure> {
    let of = |layer: &Layer| Structure {
        source: layer.source,
        skip: layer.skip,
        channels: layer.shape[0],
        nonzeros: layer.weights.nnz(),
    };
    network.layers.iter().map(of).collect()
}

/// Folds constant elements into their readers' biases where that is exact.
fn fold_constants(network: &mut Network) {
    let constants = constants(network);
    let shapes: Vec<[usize; 3]> = network.layers.iter().map(|layer| layer.shape).collect();
    let input = network.input;
    for layer in &mut network.layers {
        if !layer.is_pool() {
            let pixels: Vec<Option<f32>> = vec![None; input.iter().product()];
            let (source, shape) = layer.source.map_or((&pixels, input), |source| {
                (&constants[source], shapes[source])
            });
            fold_columns(layer, source, shape);
        }
        let Some(skip) = layer.skip else { continue };
        if let Some(added) = by_channel(&constants[skip], shapes[skip][0]) {
            let biases = layer.bias.iter_mut().zip(added);
            biases.for_each(|(bias, add)| *bias += add);
            layer.skip = None;
        }
    }
}

/// Folds the columns of `layer` that read the same constant everywhere into its biases.
fn fold_columns(layer: &mut Layer, source: &[Option<f32>], shape: [usize; 3]) {
    if !layer.pads() && source.iter().all(Option::is_none) {
        return;
    }
    let read: Vec<Option<f32>> = (0..layer.weights.cols())
        .map(|column| read_everywhere(layer, source, shape, column))
        .collect();
    for (row, bias) in layer.weights.outer_iterator().zip(&mut layer.bias) {
        let products = row
            .iter()
            .filter_map(|(column, &weight)| Some(f64::from(weight) * f64::from(read[column]?)));
        *bias = (f64::from(*bias) + products.sum::<f64>()) as f32;
    }
    layer.weights = sparse::retain(&layer.weights, |_, column| read[column].is_none());
}

/// Returns the constant of each of the `channels` channels; `None` unless each channel has a
/// single constant at all its positions.
fn by_channel(constants: &[Option<f32>], channels: usize) -> Option<Vec<f32>> {
    let maps = constants.chunks_exact(constants.len() / channels.max(1));
    maps.map(|map| {
        let first = map[0]?;
        map.iter().all(|&at| at == Some(first)).then_some(first)
    })
    .collect()
}

/// Makes layers without weights read their skip, or the input, instead of their source, and
/// removes the layers that are no longer needed.
fn release_sources(network: &mut Network) {
    for index in 0..network.layers.len() {
        let shape = network.shape(network.layers[index].skip);
        let layer = &mut network.layers[index];
        if layer.weights.nnz() > 0 || layer.source == layer.skip {
            continue;
        }
        match &mut layer.operation {
            Operation::Dense => {}
            // A 1 x 1 window over the skip's map preserves its shape.
            Operation::Conv { window, .. } if layer.skip.is_some() => *window = disjoint(1),
            Operation::Conv { .. } | Operation::Pool { .. } => continue,
        }
        layer.source = layer.skip;
        let columns = shape[0] * layer.columns(shape);
        layer.weights = sparse::from_rows(columns, layer.bias.iter().map(|_| vec![]));
    }
    let output = network.layers.len() - 1;
    network.layers = in_order(std::mem::take(&mut network.layers), output);
}

/// Returns, per layer, the first of the layers that its channels are tied to by additions and
/// pooling, possibly itself.
fn ties(layers: &[Layer]) -> Vec<usize> {
    let mut ties: Vec<usize> = (0..layers.len()).collect();
    for (index, layer) in layers.iter().enumerate() {
        let pooled = layer.source.filter(|_| layer.is_pool());
        for tied in layer.skip.into_iter().chain(pooled) {
            let (a, b) = (ties[index].min(ties[tied]), ties[index].max(ties[tied]));
            ties.iter_mut()
                .filter(|tie| **tie == b)
                .for_each(|tie| *tie = a);
        }
    }
    ties
}

/// Returns, per layer and channel, whether the class scores depend on it; tied layers share the
/// entry of the first one, `ties[layer]`. The set grows backwards from the output: if it started
/// with all channels, a layer that also reads its skip would keep its own channels alive.
fn live_channels(network: &Network, ties: &[usize]) -> Vec<Vec<bool>> {
    let layers = &network.layers;
    let mut live: Vec<Vec<bool>> = layers.iter().map(|l| vec![false; l.shape[0]]).collect();
    let output = layers.len() - 1;
    for (index, layer) in layers.iter().enumerate() {
        if index == output || (layer.is_pool() && layer.source.is_none()) {
            live[ties[index]].fill(true);
        }
    }
    loop {
        let before = live.clone();
        for (index, layer) in layers.iter().enumerate().rev() {
            let Some(source) = layer.source else { continue };
            let block = layer.columns(layers[source].shape);
            for (channel, row) in layer.weights.outer_iterator().enumerate() {
                if live[ties[index]][channel] {
                    row.indices()
                        .iter()
                        .for_each(|column| live[ties[source]][column / block] = true);
                }
            }
        }
        if live == before {
            return live;
        }
    }
}

/// Removes the channels that the class scores do not depend on.
fn remove_unread(network: &mut Network) {
    let ties = ties(&network.layers);
    let live = live_channels(network, &ties);
    let kept: Vec<Vec<usize>> = live
        .iter()
        .map(|live| {
            let kept: Vec<usize> = (0..live.len()).filter(|&channel| live[channel]).collect();
            if kept.is_empty() { vec![0] } else { kept }
        })
        .collect();
    let shapes: Vec<[usize; 3]> = network.layers.iter().map(|layer| layer.shape).collect();
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let rows = &kept[ties[index]];
        layer.shape[0] = rows.len();
        if layer.is_pool() {
            continue;
        }
        let columns = match layer.source {
            Some(source) => sparse::blocks(&kept[ties[source]], layer.columns(shapes[source])),
            None => (0..layer.weights.cols()).collect(),
        };
        layer.weights = sparse::select(&layer.weights, rows, &columns);
        layer.bias = rows.iter().map(|&row| layer.bias[row]).collect();
    }
}
