//! Stripping: detached units and channels go, and nothing else changes.
//!
//! A hidden unit that nothing reads is removed. One that reads nothing gives the constant
//! `act(bias)`, and so does a position of a map that sees only padding. What reads the same
//! constant everywhere takes it into its bias and no longer reads it. A
//! convolution that sees a constant here and padding or something else there keeps reading it: its
//! weights stay. Additions and pooling tie the channels of layers together: those go only
//! together, when none of them is read. A layer that reads nothing but its skip lets go of its
//! source, and layers that nothing needs go whole.
//!
//! Removing one kind can make more of the other, so this repeats until nothing is left to do. The
//! result computes what the network computed, up to the rounding of the folded biases. The inputs
//! and outputs of the network stay: they are the device's interface. One channel stays of a layer
//! that is needed for its shape alone.

use super::constants::{constants, read_everywhere};
use super::network::{Layer, Network, Operation, disjoint, in_order};
use super::sparse;

/// `network` without detached hidden units.
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

/// What stripping changes: each layer's source and skip, its channels and its weights.
fn structure(network: &Network) -> Vec<[Option<usize>; 4]> {
    let of = |layer: &Layer| {
        let (channels, weights) = (layer.shape[0], layer.weights.nnz());
        [layer.source, layer.skip, Some(channels), Some(weights)]
    };
    network.layers.iter().map(of).collect()
}

/// Moves what constant elements send into their readers' biases, where that is exact.
fn fold_constants(network: &mut Network) {
    let constants = constants(network);
    let shapes: Vec<[usize; 3]> = network.layers.iter().map(|layer| layer.shape).collect();
    let input = network.input;
    for layer in &mut network.layers {
        if !layer.is_pool() {
            let pixels: Vec<Option<f32>> = vec![None; input.iter().product()];
            let (read, shape) = layer.source.map_or((&pixels, input), |source| {
                (&constants[source], shapes[source])
            });
            fold_columns(layer, read, shape);
        }
        let Some(skip) = layer.skip else { continue };
        if let Some(added) = by_channel(&constants[skip], shapes[skip][0]) {
            let biases = layer.bias.iter_mut().zip(added);
            biases.for_each(|(bias, add)| *bias += add);
            layer.skip = None;
        }
    }
}

/// Moves the columns of `layer` that read the same constant everywhere into its biases.
fn fold_columns(layer: &mut Layer, read: &[Option<f32>], shape: [usize; 3]) {
    if !layer.pads() && read.iter().all(Option::is_none) {
        return;
    }
    let sent: Vec<Option<f32>> = (0..layer.weights.cols())
        .map(|column| read_everywhere(layer, read, shape, column))
        .collect();
    for (row, bias) in layer.weights.outer_iterator().zip(&mut layer.bias) {
        let sent = row
            .iter()
            .filter_map(|(column, &weight)| Some(f64::from(weight) * f64::from(sent[column]?)));
        *bias = (f64::from(*bias) + sent.sum::<f64>()) as f32;
    }
    layer.weights = sparse::retain(&layer.weights, |_, column| sent[column].is_none());
}

/// The constant of each of `channels`, where all are constant and each is the same at all its
/// positions.
fn by_channel(constants: &[Option<f32>], channels: usize) -> Option<Vec<f32>> {
    let maps = constants.chunks_exact(constants.len() / channels.max(1));
    maps.map(|map| {
        let first = map[0]?;
        map.iter().all(|&at| at == Some(first)).then_some(first)
    })
    .collect()
}

/// Lets layers without weights read their skip, or the input, instead of their source, and removes
/// the layers that are then not needed.
fn release_sources(network: &mut Network) {
    for index in 0..network.layers.len() {
        let shape = network.shape(network.layers[index].skip);
        let layer = &mut network.layers[index];
        if layer.weights.nnz() > 0 || layer.source == layer.skip {
            continue;
        }
        match &mut layer.operation {
            Operation::Dense => {}
            // One tap over the skip's map gives a map of its shape.
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

/// For each layer the first of those that its channels are tied to, itself included, by additions
/// and by pooling.
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

/// For each layer and channel whether the class scores depend on it, by the first of the layers that its
/// channels are tied to. Grows from the output back: a layer that adds to what it reads would keep its
/// channels by itself.
fn read(network: &Network, ties: &[usize]) -> Vec<Vec<bool>> {
    let layers = &network.layers;
    let mut read: Vec<Vec<bool>> = layers.iter().map(|l| vec![false; l.shape[0]]).collect();
    let output = layers.len() - 1;
    for (index, layer) in layers.iter().enumerate() {
        if index == output || (layer.is_pool() && layer.source.is_none()) {
            read[ties[index]].fill(true);
        }
    }
    loop {
        let before = read.clone();
        for (index, layer) in layers.iter().enumerate().rev() {
            let Some(source) = layer.source else { continue };
            let block = layer.columns(layers[source].shape);
            for (channel, row) in layer.weights.outer_iterator().enumerate() {
                if read[ties[index]][channel] {
                    row.indices()
                        .iter()
                        .for_each(|column| read[ties[source]][column / block] = true);
                }
            }
        }
        if read == before {
            return read;
        }
    }
}

/// Removes the channels that the class scores do not depend on.
fn remove_unread(network: &mut Network) {
    let ties = ties(&network.layers);
    let read = read(network, &ties);
    let kept: Vec<Vec<usize>> = read
        .iter()
        .map(|read| {
            let kept: Vec<usize> = (0..read.len()).filter(|&channel| read[channel]).collect();
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
