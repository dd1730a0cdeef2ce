//! Large networks: long rows and runs, many inputs, large maps, large offsets.
//!
//! Random networks are small, so they cannot reveal a kernel that treats an offset as signed or
//! drops the upper bits of a count.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, WeightsSpec, Window,
};

use crate::networks::{self, line};

/// Returns the networks.
pub(crate) fn networks() -> Vec<NetworkSpec> {
    vec![
        dense(Encoding::Csr, 65_000, &[(5, 600)]),
        dense(Encoding::Dense, 40_000, &[(3, 40_000)]),
        dense(Encoding::Rice, 65_000, &[(20, 300)]),
        dense(Encoding::Words, 4_000, &[(600, 5), (5, 300)]),
        dense(Encoding::Columns, 400, &[(200, 400)]),
        floats(65_000, 5, 600),
        convolution([1, 130, 256], [3, 3], [2, 2]),
        convolution([200, 18, 18], [3, 3], [1, 1]),
        convolution([3, 250, 80], [240, 20], [1, 2]),
        pooling([2, 250, 110], [240, 30], [10, 15]),
    ]
}

/// Returns the columns of `weights` weights that are spread evenly over `columns` columns,
/// including the last one.
fn spread(columns: usize, weights: usize) -> impl Iterator<Item = usize> {
    (1..=weights).map(move |place| place * columns / weights - 1)
}

/// Returns rows of integer weights; each element of `rows` is a number of rows and their length.
fn rows(encoding: Encoding, columns: usize, rows: &[(usize, usize)]) -> Vec<Vec<(u16, i16)>> {
    let count = rows.iter().map(|(count, _)| count).sum();
    let lengths = rows.iter().flat_map(|&(rows, weights)| vec![weights; rows]);
    let row = |(row, weights)| {
        let weight = |column| {
            let magnitude = [1, -1, 2][(row + column) % 3];
            let weight = networks::weight(encoding, magnitude, column, row, columns, count);
            (column as u16, weight)
        };
        let row = spread(columns, weights).map(weight);
        row.filter(|(_, weight)| *weight != 0).collect()
    };
    lengths.enumerate().map(row).collect()
}

/// Returns a network of one dense layer.
fn dense(encoding: Encoding, columns: usize, lengths: &[(usize, usize)]) -> NetworkSpec {
    let rows = rows(encoding, columns, lengths);
    let bias = vec![5; rows.len()];
    NetworkSpec {
        input: line(columns),
        layers: vec![LayerSpec::dense(encoding, 0, bias, rows)],
    }
}

/// Returns a network of one dense layer with f32 weights.
fn floats(columns: usize, count: usize, weights: usize) -> NetworkSpec {
    let mut network = dense(Encoding::Csr, columns, &[]);
    let row = |row| {
        let weight = |column| (column as u16, 0.25 * (row + 1) as f32);
        spread(columns, weights).map(weight).collect()
    };
    let layer = &mut network.layers[0];
    (layer.outputs, layer.original_outputs) = (count, count);
    layer.encoding = Encoding::CsrF32;
    layer.weights = WeightsSpec::Floats {
        bias: vec![0.5; count],
        rows: (0..count).map(row).collect(),
    };
    network
}

/// Returns a convolution over a map of `channels` x `height` x `width`, followed by a dense layer.
fn convolution([channels, height, width]: [u16; 3], size: [u8; 2], stride: [u8; 2]) -> NetworkSpec {
    let window = Window {
        size,
        stride,
        padding: Margin::NONE,
    };
    let columns = usize::from(channels) * window.area();
    let conv = LayerSpec {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        encoding: Encoding::Csr,
        outputs: 1,
        original_outputs: 1,
        shift: 6,
        source: 1,
        skip: None,
        weights: WeightsSpec::Integers {
            bias: vec![40],
            rows: rows(Encoding::Csr, columns, &[(1, columns.min(60))]),
        },
    };
    ended(conv, [channels, height, width], window)
}

/// Returns a pooling layer that averages windows of a map of `channels` x `height` x `width`,
/// followed by a dense layer.
fn pooling(map: [u16; 3], size: [u8; 2], stride: [u8; 2]) -> NetworkSpec {
    let window = Window {
        size,
        stride,
        padding: Margin::NONE,
    };
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Average,
            window,
        },
        encoding: Encoding::None,
        weights: WeightsSpec::None,
        outputs: map[0].into(),
        original_outputs: map[0].into(),
        ..LayerSpec::dense(Encoding::Csr, 14, Vec::new(), Vec::new())
    };
    ended(pool, map, window)
}

/// Returns a network of `layer`, whose window slides over a map of this shape, and a dense layer.
fn ended(layer: LayerSpec, [channels, height, width]: [u16; 3], window: Window) -> NetworkSpec {
    let input = Shape {
        channels,
        height,
        width,
    };
    let [down, across] = window.outputs(input).map(usize::from);
    let values = layer.outputs * down * across;
    let last = rows(Encoding::Csr, values, &[(2, values.min(500))]);
    NetworkSpec {
        input,
        layers: vec![layer, LayerSpec::dense(Encoding::Csr, 0, vec![0; 2], last)],
    }
}
