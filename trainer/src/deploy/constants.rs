//! Finds the elements of a network whose value does not depend on the input.
//!
//! A unit without weights has a constant value: its bias, after the ReLU if there is one. The same
//! is true of a position of a map whose window covers only padding. Layers that read only constants
//! are constant in turn.

use super::network::{Layer, Network, Operation, covered, disjoint};
use crate::graph::{Pooling, Window};

/// The value of an element if it is constant.
type Constant = Option<f32>;

/// Returns the constants of each layer's output, channel-major.
pub(super) fn constants(network: &Network) -> Vec<Vec<Constant>> {
    let mut constants: Vec<Vec<Constant>> = Vec::with_capacity(network.layers.len());
    for layer in &network.layers {
        let shape = network.shape(layer.source);
        let unknown;
        let source = match layer.source {
            Some(source) => &constants[source],
            None => {
                unknown = vec![None; shape.iter().product()];
                &unknown
            }
        };
        let skip = layer.skip.map(|skip| &constants[skip][..]);
        constants.push(of_layer(layer, source, [shape[1], shape[2]], skip));
    }
    constants
}

/// Returns the constant that `column` of `layer` reads at every output position, counting padding
/// as 0; `None` if it reads anything else. `source` holds the constants of the layer's source,
/// whose shape is `shape`.
pub(super) fn read_everywhere(
    layer: &Layer,
    source: &[Constant],
    shape: [usize; 3],
    column: usize,
) -> Constant {
    let Operation::Conv { window, .. } = layer.operation else {
        return source[column];
    };
    let (taps, size) = (window.taps(), [shape[1], shape[2]]);
    let (channel, tap) = (column / taps, column % taps);
    let map = &source[channel * size[0] * size[1]..][..size[0] * size[1]];
    let mut reads = positions(window, size).map(|at| read(window, size, tap, at, map));
    let first = reads.next()??;
    reads.all(|read| read == Some(first)).then_some(first)
}

/// Returns the constants of `layer`'s output. `source` holds those of its source, whose maps have
/// (height, width) `size`; `skip` holds those of its skip.
fn of_layer(
    layer: &Layer,
    source: &[Constant],
    size: [usize; 2],
    skip: Option<&[Constant]>,
) -> Vec<Constant> {
    let act = |sum: f32| match layer.relu {
        true => sum.max(0.0).min(layer.ceiling),
        false => sum,
    };
    let (sums, size, pooling) = match layer.operation {
        Operation::Pool { window, kind } => return pooled(source, size, window, kind),
        Operation::Dense => (dense(layer, source), [1, 1], None),
        Operation::Conv { window, pooling } => {
            let sums = convolved(layer, source, size, window);
            (sums, window.outputs(size), pooling)
        }
    };
    let added = sums.into_iter().enumerate().map(|(element, sum)| {
        let added = skip.map_or(Some(0.0), |skip| skip[element]);
        Some(act(sum? + added?))
    });
    let added: Vec<Constant> = added.collect();
    match pooling {
        None => added,
        Some((kind, every)) => pooled(&added, size, disjoint(every), kind),
    }
}

/// Returns the constant sums of a dense layer.
fn dense(layer: &Layer, source: &[Constant]) -> Vec<Constant> {
    let rows = layer.weights.outer_iterator().zip(&layer.bias);
    rows.map(|(row, &bias)| {
        let mut products = row.iter();
        products.try_fold(bias, |sum, (column, weight)| {
            Some(sum + weight * source[column]?)
        })
    })
    .collect()
}

/// Returns the constant sums of a convolution over maps of `size`.
fn convolved(
    layer: &Layer,
    source: &[Constant],
    size: [usize; 2],
    window: Window,
) -> Vec<Constant> {
    let (taps, plane) = (window.taps(), size[0] * size[1]);
    let outputs: usize = window.outputs(size).iter().product();
    let none = !layer.pads() && source.iter().all(Option::is_none);
    let rows = layer.weights.outer_iterator().zip(&layer.bias);
    let mut sums = Vec::new();
    for (row, &bias) in rows {
        if none || row.nnz() == 0 {
            let constant = (row.nnz() == 0).then_some(bias);
            sums.extend(std::iter::repeat_n(constant, outputs));
            continue;
        }
        sums.extend(positions(window, size).map(|at| {
            row.iter().try_fold(bias, |sum, (column, weight)| {
                let map = &source[column / taps * plane..][..plane];
                Some(sum + weight * read(window, size, column % taps, at, map)?)
            })
        }));
    }
    sums
}

/// Returns the output positions of `window` over a map of `size`, in row-major order.
fn positions(window: Window, size: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    let [height, width] = window.outputs(size);
    (0..height).flat_map(move |y| (0..width).map(move |x| [y, x]))
}

/// Returns the element of `map` that `tap` of `window` reads for the output at (y, x); 0 for
/// padding.
fn read(
    window: Window,
    size: [usize; 2],
    tap: usize,
    [y, x]: [usize; 2],
    map: &[Constant],
) -> Constant {
    let along = |axis: usize, output: usize, tap: usize| {
        let padded = output * window.stride[axis] + tap;
        let position = padded.checked_sub(window.before[axis])?;
        (position < size[axis]).then_some(position)
    };
    let [row, column] = window.place(tap);
    match (along(0, y, row), along(1, x, column)) {
        (Some(y), Some(x)) => map[y * size[1] + x],
        _ => Some(0.0),
    }
}

/// Returns the constants of the output of pooling `maps` of `size`; padding is excluded.
fn pooled(maps: &[Constant], size: [usize; 2], window: Window, kind: Pooling) -> Vec<Constant> {
    let mut constants = Vec::new();
    for map in maps.chunks_exact((size[0] * size[1]).max(1)) {
        constants.extend(positions(window, size).map(|[y, x]| {
            let rows = covered(window, 0, y, size);
            let columns = covered(window, 1, x, size);
            let values: Option<Vec<f32>> = rows
                .flat_map(|row| &map[row * size[1]..][columns.clone()])
                .copied()
                .collect();
            let values = values?;
            Some(match kind {
                Pooling::Max => values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                Pooling::Average => values.iter().sum::<f32>() / values.len() as f32,
            })
        }));
    }
    constants
}
