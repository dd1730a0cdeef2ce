//! Small random networks and inputs for them.

use std::collections::BTreeMap;

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec, WeightsSpec,
    Window, index_bits, write,
};

/// A linear congruential generator: the tests need reproducible numbers, not good ones.
struct Numbers(u64);

impl Numbers {
    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// Returns a nonzero weight of up to 7 bits and a sign.
    fn weight(&mut self) -> i16 {
        let size = i16::try_from(self.below(127) + 1).unwrap();
        if self.below(2) == 0 { -size } else { size }
    }

    /// Returns `outputs` rows that share `nonzeros` weights evenly, at random columns.
    fn rows(&mut self, outputs: usize, columns: usize, nonzeros: usize) -> Vec<Vec<(u16, i16)>> {
        let mut rows = vec![BTreeMap::new(); outputs];
        for nonzero in 0..nonzeros {
            let row = &mut rows[nonzero % outputs];
            let wanted = row.len() + 1;
            while row.len() < wanted {
                let column = u16::try_from(self.below(columns)).unwrap();
                row.entry(column).or_insert(self.weight());
            }
        }
        rows.into_iter()
            .map(|row| row.into_iter().collect())
            .collect()
    }

    /// Returns biases from -1000 to 2999.
    fn biases(&mut self, outputs: usize) -> Vec<i32> {
        (0..outputs)
            .map(|_| i32::try_from(self.below(4000)).unwrap() - 1000)
            .collect()
    }
}

/// Dimensions of a stripped layer: (remaining, original) inputs, (remaining, original) outputs,
/// and nonzeros.
pub(crate) type Size = ((usize, usize), (usize, usize), usize);

/// Returns the container of a network of dense layers.
pub(crate) fn sparse_model(sizes: &[Size], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let last = sizes.len() - 1;
    let layers = sizes.iter().enumerate();
    let layers = layers.map(|(index, &((inputs, _), (outputs, original), nonzeros))| {
        let rows = numbers.rows(outputs, inputs, nonzeros);
        let shift = if index == last { 0 } else { 7 };
        LayerSpec {
            original_outputs: original,
            ..LayerSpec::dense(Encoding::Csr, shift, numbers.biases(outputs), rows)
        }
    });
    container(row(sizes[0].0.0), layers.collect())
}

/// Returns the container of dense layers in entropy-coded rows of many kinds: sorted and unsorted,
/// over some columns and over all, scattered and clustered, with few distinct values and with
/// many, and with empty rows.
pub(crate) fn coded() -> Vec<u8> {
    const WIDTH: usize = 48;
    let mut numbers = Numbers(5);
    let layer = |kind: usize| {
        let (sorted, some) = (kind & 1 == 0, kind & 2 == 0);
        let (clusters, book) = (kind & 4 == 0, kind & 8 == 0);
        let mut rows = vec![Vec::new(); WIDTH];
        for (index, row) in rows.iter_mut().enumerate() {
            let mut before = false;
            for column in 0..WIDTH as u16 {
                let percent = match (clusters, before) {
                    (true, true) => 70,
                    (true, false) => 8,
                    (false, _) => 30,
                };
                before = numbers.below(100) < percent && index % 7 != 3;
                let value = match book {
                    true => [-128, 127, 5, -77, 64, -3][numbers.below(6)],
                    false => numbers.weight() / 4,
                };
                if before && value != 0 && !(some && column % 8 < 4) {
                    row.push((column, value));
                }
            }
        }
        if sorted {
            rows.sort_by_key(|row| (row.len(), row.first().map(|first| first.0)));
        }
        let shift = if kind == 15 { 0 } else { 7 };
        LayerSpec::dense(Encoding::Rice, shift, numbers.biases(WIDTH), rows)
    };
    container(row(WIDTH), (0..16).map(layer).collect())
}

/// Returns the shape of a single row of `width` values in one channel.
fn row(width: usize) -> Shape {
    Shape {
        channels: 1,
        height: 1,
        width: u16::try_from(width).unwrap(),
    }
}

/// Writes the container of a network.
fn container(input: Shape, layers: Vec<LayerSpec>) -> Vec<u8> {
    write(&NetworkSpec { input, layers }).unwrap()
}

/// Shape of an MNIST image.
const IMAGE: Shape = Shape {
    channels: 1,
    height: 28,
    width: 28,
};

/// Returns a square window with the same padding on all sides.
fn window(size: u8, stride: u8, padding: u8) -> Window {
    let padding = Margin {
        top: padding,
        left: padding,
        bottom: padding,
        right: padding,
    };
    Window::square(size, stride, padding)
}

/// Returns a convolution from `channels` to `outputs` channels; before stripping, it had twice as
/// many output channels.
fn conv(
    numbers: &mut Numbers,
    (window, pooling): (Window, Option<(Pooling, u8)>),
    (channels, outputs, nonzeros): (usize, usize, usize),
) -> LayerSpec {
    let columns = channels * window.area();
    let rows = numbers.rows(outputs, columns, nonzeros);
    LayerSpec {
        operation: Operation::Conv { window, pooling },
        original_outputs: 2 * outputs,
        ..LayerSpec::dense(Encoding::Csr, 9, numbers.biases(outputs), rows)
    }
}

/// Returns a pooling layer.
fn pool(pooling: Pooling, window: Window, channels: usize, shift: u8) -> LayerSpec {
    LayerSpec {
        operation: Operation::Pool { pooling, window },
        encoding: Encoding::None,
        outputs: channels,
        original_outputs: channels,
        weights: WeightsSpec::None,
        ..LayerSpec::dense(Encoding::None, shift, Vec::new(), Vec::new())
    }
}

/// Converts the weights of `layer` to packed words over `columns` columns.
fn packed(mut layer: LayerSpec, columns: usize) -> LayerSpec {
    let bits = index_bits(columns);
    layer.encoding = Encoding::Words;
    layer.shift += 4;
    if let WeightsSpec::Integers { rows, bias } = &mut layer.weights {
        bias.iter_mut().for_each(|bias| *bias <<= 4);
        for (column, weight) in rows.iter_mut().flatten() {
            let high = (*weight >> 1).clamp(-(1 << (15 - bits)), (1 << (15 - bits)) - 1);
            let word = (high << bits) | i16::try_from(*column).unwrap();
            *weight = if word == 0 { 1 << bits | word } else { word };
        }
    }
    layer
}

/// Returns a network of convolutions with fused pooling, separate pooling layers, and a dense
/// layer in packed words.
pub(crate) fn convolutional() -> Vec<u8> {
    let mut numbers = Numbers(5);
    let padded = (window(5, 1, 2), Some((Pooling::Max, 2)));
    let strided = (window(3, 2, 0), None);
    let averaged = (window(3, 1, 1), Some((Pooling::Average, 2)));
    let rows = numbers.rows(10, 32, 80);
    let last = LayerSpec::dense(Encoding::Words, 0, numbers.biases(10), rows);
    let layers = vec![
        conv(&mut numbers, padded, (1, 4, 30)),
        conv(&mut numbers, strided, (4, 6, 60)),
        pool(Pooling::Max, window(2, 1, 1), 6, 0),
        packed(conv(&mut numbers, averaged, (6, 8, 90)), 54),
        pool(Pooling::Average, window(2, 1, 0), 8, 2),
        LayerSpec {
            shift: 0,
            ..packed(last, 32)
        },
    ];
    container(IMAGE, layers)
}

/// Returns networks of convolutions of sizes 1 to 7 that keep most of their weights: taps are
/// adjacent, rows have every length, and weights and words take their extremes.
pub(crate) fn crowded() -> [Vec<u8>; 2] {
    let mut numbers = Numbers(7);
    let plain = |size, padding| (window(size, 1, padding), None);
    let pooled = |size, pooling| (window(size, 1, 0), Some((pooling, 2)));
    let last = |numbers: &mut Numbers, columns| {
        let rows = numbers.rows(10, columns, 4 * columns);
        LayerSpec::dense(Encoding::Csr, 0, numbers.biases(10), rows)
    };
    let first = vec![
        conv(&mut numbers, pooled(5, Pooling::Average), (1, 4, 90)),
        packed(
            conv(&mut numbers, pooled(5, Pooling::Max), (4, 6, 400)),
            100,
        ),
        conv(&mut numbers, plain(3, 1), (6, 4, 200)),
        last(&mut numbers, 64),
    ];
    let second = vec![
        conv(&mut numbers, plain(4, 0), (1, 2, 28)),
        packed(conv(&mut numbers, plain(7, 0), (2, 2, 120)), 98),
        conv(&mut numbers, plain(6, 0), (2, 3, 150)),
        conv(&mut numbers, plain(3, 1), (3, 3, 75)),
        packed(conv(&mut numbers, plain(2, 0), (3, 4, 40)), 12),
        conv(&mut numbers, plain(1, 0), (4, 3, 11)),
        conv(&mut numbers, plain(7, 0), (3, 2, 200)),
        last(&mut numbers, 98),
    ];
    [first, second].map(|layers| container(IMAGE, layers))
}

/// Returns networks of rectangular windows: a 10 x 4 convolution as in keyword spotting, 3 x 1 and
/// 3 x 2, and a mean over 25 x 5 positions; then rows of every length at unequal strides.
pub(crate) fn rectangular() -> [Vec<u8>; 2] {
    let mut numbers = Numbers(9);
    let window = |size, stride, [top, left, bottom, right]: [u8; 4]| Window {
        size,
        stride,
        padding: Margin {
            top,
            left,
            bottom,
            right,
        },
    };
    let plain = |size, stride, padding| (window(size, stride, padding), None);
    let last = |numbers: &mut Numbers, columns: usize| {
        let rows = numbers.rows(10, columns, 4 * columns);
        LayerSpec::dense(Encoding::Csr, 0, numbers.biases(10), rows)
    };
    // 1 x 49 x 10 to 8 x 25 x 5, to 6 x 25 x 5 twice, to 6 x 1 x 1.
    let spoken = plain([10, 4], [2, 2], [4, 1, 5, 1]);
    let narrow = plain([3, 1], [1, 1], [1, 0, 1, 0]);
    let spotting = vec![
        conv(&mut numbers, spoken, (1, 8, 250)),
        packed(conv(&mut numbers, narrow, (8, 6, 100)), 24),
        pool(Pooling::Max, window([3, 2], [1, 1], [1, 0, 1, 1]), 6, 0),
        pool(Pooling::Average, window([25, 5], [1, 1], [0; 4]), 6, 7),
        last(&mut numbers, 6),
    ];
    // 1 x 28 x 28 to 4 x 14 x 28, to 5 x 7 x 14, to 4 x 7 x 7, to 6 x 2 x 7.
    let (flat, _) = plain([5, 4], [1, 1], [2, 1, 2, 2]);
    let rows = vec![
        conv(
            &mut numbers,
            plain([1, 7], [2, 1], [0, 3, 0, 3]),
            (1, 4, 26),
        ),
        conv(
            &mut numbers,
            (flat, Some((Pooling::Average, 2))),
            (4, 5, 300),
        ),
        conv(
            &mut numbers,
            plain([4, 6], [1, 2], [1, 2, 2, 2]),
            (5, 4, 380),
        ),
        conv(
            &mut numbers,
            plain([2, 3], [3, 1], [0, 1, 0, 1]),
            (4, 6, 120),
        ),
        last(&mut numbers, 84),
    ];
    let spectrogram = Shape {
        channels: 1,
        height: 49,
        width: 10,
    };
    [container(spectrogram, spotting), container(IMAGE, rows)]
}

/// Returns a network with two residual connections around convolutions, one of them padded.
pub(crate) fn residual() -> Vec<u8> {
    let mut numbers = Numbers(6);
    let same = (window(3, 1, 1), None);
    let pooled = (window(3, 1, 1), Some((Pooling::Max, 4)));
    let skip = Some(SkipSpec { back: 2, shift: 8 });
    let first = (window(3, 2, 1), None);
    let mut layers = vec![
        conv(&mut numbers, first, (1, 4, 20)),
        conv(&mut numbers, same, (4, 4, 40)),
        conv(&mut numbers, same, (4, 4, 40)),
        conv(&mut numbers, same, (4, 4, 40)),
        conv(&mut numbers, pooled, (4, 4, 40)),
    ];
    layers[2].skip = skip;
    layers[4].skip = skip;
    let rows = numbers.rows(10, 36, 90);
    layers.push(LayerSpec::dense(Encoding::Csr, 0, numbers.biases(10), rows));
    container(IMAGE, layers)
}

/// Returns a small network with stripped units.
pub(crate) fn small() -> Vec<u8> {
    sparse_model(
        &[
            ((64, 64), (30, 40), 150),
            ((30, 40), (12, 16), 80),
            ((12, 16), (5, 5), 30),
        ],
        1,
    )
}

/// Returns a network of the dimensions of LeNet-300-100 after 100x effective compression.
pub(crate) fn lenet() -> Vec<u8> {
    sparse_model(
        &[
            ((784, 784), (283, 300), 1087),
            ((283, 300), (100, 100), 1053),
            ((100, 100), (10, 10), 522),
        ],
        2,
    )
}

/// Returns a network in f32 whose hidden units are 0 about half of the time.
pub(crate) fn floats() -> Vec<u8> {
    let mut numbers = Numbers(8);
    let mut layer = |outputs: usize, inputs: usize, nonzeros: usize| {
        let rows = numbers.rows(outputs, inputs, nonzeros);
        let float = |row: &Vec<(u16, i16)>| {
            let weights = row.iter();
            weights
                .map(|&(column, weight)| (column, f32::from(weight) * 0.001_23))
                .collect()
        };
        let weights = WeightsSpec::Floats {
            bias: vec![0.05; outputs],
            rows: rows.iter().map(float).collect(),
        };
        LayerSpec {
            weights,
            ..LayerSpec::dense(Encoding::CsrF32, 0, vec![0; outputs], rows)
        }
    };
    let layers = vec![layer(60, 784, 700), layer(20, 60, 200), layer(10, 20, 100)];
    container(IMAGE, layers)
}

/// Returns inputs that are mostly zero, as images of digits are, and otherwise include the
/// extremes.
pub(crate) fn samples(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(99);
    let mut pixel = || match numbers.below(8) {
        0 => 255,
        1 | 2 => u8::try_from(numbers.below(256)).unwrap(),
        _ => 0,
    };
    (0..count)
        .map(|_| (0..bytes).map(|_| pixel()).collect())
        .collect()
}
