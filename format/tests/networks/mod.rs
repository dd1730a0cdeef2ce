//! Random small networks of every kind, for the tests of this crate and of the engine.
//!
//! A network follows from its seed alone. Together they hold every encoding, operation, padding,
//! stride, pooling and kind of link, rows from empty to full, and weights up to their largest.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec, WeightsSpec,
    Window, index_bits,
};

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        // Many zeros, as images and hidden units have them.
        let zeros = [0, 50, 90][self.below(3)];
        let byte = |random: &mut Self| {
            if random.chance(zeros) {
                0
            } else {
                random.next() as u8
            }
        };
        (0..count).map(|_| byte(self)).collect()
    }
}

/// The weight of `magnitude` (not 0, within -8..=8) as `encoding` multiplies it.
pub(crate) fn weight(
    encoding: Encoding,
    magnitude: i16,
    column: usize,
    row: usize,
    columns: usize,
    rows: usize,
) -> i16 {
    let word = |index: usize, count: usize| {
        let bits = index_bits(count);
        let high = magnitude.clamp(-(1 << (15 - bits)), (1 << (15 - bits)) - 1);
        (high << bits) | index as i16
    };
    match encoding {
        Encoding::Words => word(column, columns),
        Encoding::Columns => word(row, rows),
        Encoding::Rice => magnitude,
        // The largest of 8 bits now and then.
        _ if magnitude == 8 => 127,
        _ if magnitude == -8 => -128,
        _ => magnitude * 9,
    }
}

/// Biases and rows of a layer.
fn weights(random: &mut Random, encoding: Encoding, columns: usize, rows: usize) -> WeightsSpec {
    let all: Vec<usize> = (0..columns).collect();
    weights_of(random, encoding, &all, columns, rows)
}

/// Biases and rows of a layer that reads no columns but `used`.
fn weights_of(
    random: &mut Random,
    encoding: Encoding,
    used: &[usize],
    columns: usize,
    rows: usize,
) -> WeightsSpec {
    let percent = [0, 3, 20, 60, 100][random.below(5)];
    let largest = [1, 2, 8][random.below(3)];
    let mut lists = Vec::new();
    for row in 0..rows {
        // Rows of many lengths beside one another.
        let percent = if random.chance(30) {
            percent / 2
        } else {
            percent
        };
        let mut list = Vec::new();
        for &column in used {
            if random.chance(percent) {
                let magnitude = 1 + random.below(largest) as i16;
                let magnitude = if random.chance(50) {
                    magnitude
                } else {
                    -magnitude
                };
                // Now and then the largest weight that its bits can hold.
                let packed = matches!(encoding, Encoding::Words | Encoding::Columns);
                let magnitude = match magnitude {
                    8 if packed => i16::MAX,
                    -8 if packed => i16::MIN,
                    magnitude => magnitude,
                };
                let weight = weight(encoding, magnitude, column, row, columns, rows);
                if weight != 0 {
                    list.push((column as u16, weight));
                }
            }
        }
        lists.push(list);
    }
    let reach = [1, 100, 30_000][random.below(3)];
    let bias = (0..rows).map(|_| random.below(2 * reach) as i32 - reach as i32);
    WeightsSpec::Integers {
        bias: bias.collect(),
        rows: lists,
    }
}

/// A dense layer over `columns` inputs.
pub(crate) fn dense(
    random: &mut Random,
    encoding: Encoding,
    columns: usize,
    last: bool,
) -> LayerSpec {
    let most = if random.chance(10) { 70 } else { 12 };
    let rows = 1 + random.below(most);
    LayerSpec {
        operation: Operation::Dense,
        encoding,
        outputs: rows,
        original_outputs: rows + random.below(5),
        shift: if last { 0 } else { random.below(18) as u8 },
        source: 1,
        skip: None,
        weights: weights(random, encoding, columns, rows),
    }
}

/// The integer encodings of dense layers.
pub(crate) const DENSE: [Encoding; 5] = [
    Encoding::Dense,
    Encoding::Csr,
    Encoding::Words,
    Encoding::Columns,
    Encoding::Rice,
];

/// The integer encodings of convolutions.
pub(crate) const CONV: [Encoding; 4] = [
    Encoding::Dense,
    Encoding::Csr,
    Encoding::Words,
    Encoding::Rice,
];

fn window(random: &mut Random, shape: Shape, padded: bool) -> Window {
    let smallest = usize::from(shape.height.min(shape.width));
    let mut pad = || {
        if padded && random.chance(60) {
            random.below(3) as u8
        } else {
            0
        }
    };
    let padding = Margin {
        top: pad(),
        left: pad(),
        bottom: pad(),
        right: pad(),
    };
    Window {
        size: 1 + random.below(smallest.min(5)) as u8,
        stride: if random.chance(60) {
            1
        } else {
            1 + random.below(3) as u8
        },
        padding,
    }
}

fn conv(random: &mut Random, encoding: Encoding, shape: Shape) -> (LayerSpec, Shape) {
    let window = window(random, shape, true);
    let padding = window.padding;
    let sums = Shape {
        channels: 1 + random.below(5) as u16,
        height: window.outputs(padding.top, shape.height, padding.bottom),
        width: window.outputs(padding.left, shape.width, padding.right),
    };
    let pooling = if random.chance(50) {
        let size = 1 + random.below(usize::from(sums.height.min(sums.width)).min(4)) as u8;
        let kind = if random.chance(50) {
            Pooling::Max
        } else {
            Pooling::Average
        };
        Some((kind, size))
    } else {
        None
    };
    let rows = usize::from(sums.channels);
    let columns = usize::from(shape.channels) * usize::from(window.size).pow(2);
    let size = pooling.map_or(1, |(_, size)| u16::from(size));
    let layer = LayerSpec {
        operation: Operation::Conv { window, pooling },
        encoding,
        outputs: rows,
        original_outputs: rows + random.below(3),
        shift: random.below(14) as u8,
        source: 1,
        skip: None,
        weights: weights(random, encoding, columns, rows),
    };
    let shape = Shape {
        channels: sums.channels,
        height: sums.height / size,
        width: sums.width / size,
    };
    (layer, shape)
}

fn pool(random: &mut Random, shape: Shape) -> (LayerSpec, Shape) {
    let pooling = if random.chance(50) {
        Pooling::Max
    } else {
        Pooling::Average
    };
    let window = window(random, shape, false);
    let layer = LayerSpec {
        operation: Operation::Pool { pooling, window },
        encoding: Encoding::None,
        outputs: shape.channels.into(),
        original_outputs: shape.channels.into(),
        shift: if pooling == Pooling::Max {
            0
        } else {
            random.below(6) as u8
        },
        source: 1,
        skip: None,
        weights: WeightsSpec::None,
    };
    let shape = Shape {
        channels: shape.channels,
        height: window.outputs(0, shape.height, 0),
        width: window.outputs(0, shape.width, 0),
    };
    (layer, shape)
}

/// The shape of `inputs` in a row; a container's input has at most 255 channels.
pub(crate) fn line(inputs: usize) -> Shape {
    Shape {
        channels: 1,
        height: 1,
        width: inputs as u16,
    }
}

/// Dense layers alone; each in one of `encodings`.
pub(crate) fn multilayer(random: &mut Random, encodings: &[Encoding]) -> NetworkSpec {
    let most = if random.chance(20) { 1_000 } else { 60 };
    let inputs = 1 + random.below(most);
    let input = line(inputs);
    let count = 1 + random.below(4);
    let mut columns = inputs;
    let layers = (0..count).map(|layer| {
        let encoding = encodings[random.below(encodings.len())];
        let layer = dense(random, encoding, columns, layer + 1 == count);
        columns = layer.outputs;
        layer
    });
    let layers = layers.collect();
    NetworkSpec { input, layers }
}

/// Convolutions and pooling, and a dense layer behind them.
pub(crate) fn convolutional(random: &mut Random) -> NetworkSpec {
    let input = Shape {
        channels: 1 + random.below(3) as u16,
        height: 4 + random.below(12) as u16,
        width: 4 + random.below(16) as u16,
    };
    let (mut shape, mut layers) = (input, Vec::new());
    for _ in 0..1 + random.below(3) {
        let (layer, next) = if random.chance(25) {
            pool(random, shape)
        } else {
            let encoding = CONV[random.below(CONV.len())];
            conv(random, encoding, shape)
        };
        layers.push(layer);
        shape = next;
    }
    let encoding = DENSE[random.below(DENSE.len())];
    layers.push(dense(random, encoding, shape.len(), true));
    NetworkSpec { input, layers }
}

/// Convolutions that keep the shape, some reading farther back, some adding what is farther back.
pub(crate) fn residual(random: &mut Random) -> NetworkSpec {
    let shape = Shape {
        channels: 1 + random.below(3) as u16,
        height: 2 + random.below(6) as u16,
        width: 2 + random.below(9) as u16,
    };
    let mut layers = Vec::new();
    let count = 2 + random.below(5);
    for layer in 0..count {
        let half = [0, 1, 2][random.below(3)];
        let size = 2 * half + 1;
        let padding = Margin {
            top: half,
            left: half,
            bottom: half,
            right: half,
        };
        let window = Window {
            size,
            stride: 1,
            padding,
        };
        let encoding = CONV[random.below(CONV.len())];
        let rows = usize::from(shape.channels);
        let columns = rows * usize::from(size).pow(2);
        // The input's copy has the margin that the first layer needs and no more.
        let first = match layers.first() {
            None => true,
            Some(LayerSpec {
                operation: Operation::Conv { window: first, .. },
                ..
            }) => first.padding.covers(padding) && !first.padding.is_none(),
            Some(_) => false,
        };
        let farthest = layer + usize::from(first);
        let source = if random.chance(30) {
            1 + random.below(farthest)
        } else {
            1
        };
        let source = if layer == 0 { 1 } else { source };
        let skip = (layer > 0 && random.chance(50)).then(|| SkipSpec {
            back: 1 + random.below(layer),
            shift: random.below(6) as u8,
        });
        layers.push(LayerSpec {
            operation: Operation::Conv {
                window,
                pooling: None,
            },
            encoding,
            outputs: rows,
            original_outputs: rows,
            shift: random.below(10) as u8,
            source,
            skip,
            weights: weights(random, encoding, columns, rows),
        });
    }
    let encoding = DENSE[random.below(DENSE.len())];
    // A dense layer reads no margin: what it reads goes through a 1 x 1 convolution first.
    let window = Window {
        size: 1,
        stride: 1,
        padding: Margin::NONE,
    };
    let (rows, encoding_1) = (usize::from(shape.channels), CONV[random.below(CONV.len())]);
    layers.push(LayerSpec {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        encoding: encoding_1,
        outputs: rows,
        original_outputs: rows,
        shift: 3,
        source: 1,
        skip: None,
        weights: weights(random, encoding_1, rows, rows),
    });
    layers.push(dense(random, encoding, shape.len(), true));
    NetworkSpec {
        input: shape,
        layers,
    }
}

/// A convolution with a skip from another one of the same window, with any stride and pooling.
pub(crate) fn joined(random: &mut Random) -> NetworkSpec {
    let input = Shape {
        channels: 1 + random.below(3) as u16,
        height: 3 + random.below(12) as u16,
        width: 3 + random.below(28) as u16,
    };
    let encoding = |random: &mut Random| CONV[random.below(CONV.len())];
    // Both read the output of a first layer: the input's own copy has the margin of one reader only.
    let window = Window {
        size: 1,
        stride: 1,
        padding: Margin::NONE,
    };
    let (channels, kind) = (usize::from(input.channels), encoding(random));
    let copy = LayerSpec {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        encoding: kind,
        outputs: channels,
        original_outputs: channels,
        shift: 3,
        source: 1,
        skip: None,
        weights: weights(random, kind, channels, channels),
    };
    let kind = encoding(random);
    let (mut added, shape) = loop {
        let (layer, shape) = conv(random, kind, input);
        if matches!(layer.operation, Operation::Conv { pooling: None, .. }) {
            break (layer, shape);
        }
    };
    added.shift = random.below(8) as u8;
    let Operation::Conv { window, .. } = added.operation else {
        unreachable!("a convolution is one")
    };
    let pool = 1 + random.below(usize::from(shape.height.min(shape.width)).min(3)) as u8;
    let pooling = match random.below(3) {
        0 => None,
        1 => Some((Pooling::Max, pool)),
        _ => Some((Pooling::Average, pool)),
    };
    let (kind, rows) = (encoding(random), added.outputs);
    let columns = channels * usize::from(window.size).pow(2);
    let sum = LayerSpec {
        operation: Operation::Conv { window, pooling },
        encoding: kind,
        shift: random.below(12) as u8,
        source: 2,
        skip: Some(SkipSpec {
            back: 1,
            shift: random.below(6) as u8,
        }),
        weights: weights(random, kind, columns, rows),
        ..added.clone()
    };
    let size = pooling.map_or(1, |(_, size)| u16::from(size));
    let pooled = Shape {
        channels: shape.channels,
        height: shape.height / size,
        width: shape.width / size,
    };
    let kind = DENSE[random.below(DENSE.len())];
    let last = dense(random, kind, pooled.len(), true);
    NetworkSpec {
        input,
        layers: vec![copy, added, sum, last],
    }
}

/// A dense layer that reads few of its inputs, alone or followed by another one.
pub(crate) fn selective(random: &mut Random) -> NetworkSpec {
    let columns = 100 + random.below(400);
    let mut used: Vec<usize> = (0..1 + random.below(6))
        .flat_map(|_| {
            let first = random.below(columns);
            first..(first + 1 + random.below(20)).min(columns)
        })
        .collect();
    used.sort_unstable();
    used.dedup();
    let encoding = DENSE[random.below(DENSE.len())];
    let rows = 8 + random.below(80);
    let alone = random.chance(50);
    let layer = LayerSpec {
        operation: Operation::Dense,
        encoding,
        outputs: rows,
        original_outputs: rows,
        shift: if alone { 0 } else { random.below(10) as u8 },
        source: 1,
        skip: None,
        weights: weights_of(random, encoding, &used, columns, rows),
    };
    let mut layers = vec![layer];
    if !alone {
        let encoding = DENSE[random.below(DENSE.len())];
        layers.push(dense(random, encoding, rows, true));
    }
    NetworkSpec {
        input: line(columns),
        layers,
    }
}

/// A layer in columns. For each count up to `rows` it has three pairs of inputs: one whose first input is
/// read by that many rows, one whose second input is, and one that as many rows read together.
pub(crate) fn sections(rows: usize) -> NetworkSpec {
    let encoding = Encoding::Columns;
    let columns = 2 * 3 * (rows + 1);
    let mut lists = vec![Vec::new(); rows];
    for pair in 0..columns / 2 {
        let (kind, count) = (pair % 3, pair / 3);
        for (row, list) in lists.iter_mut().enumerate() {
            let (first, second) = match kind {
                0 => (row < count, rows - row <= count.min(3) && row >= count),
                1 => (rows - row <= count.min(3) && row >= count, row < count),
                _ => (row < count, row < count),
            };
            for (column, read) in [(2 * pair, first), (2 * pair + 1, second)] {
                let magnitude = if (row + column) % 3 == 0 { -2 } else { 1 };
                let weight = weight(encoding, magnitude, column, row, columns, rows);
                if read && weight != 0 {
                    list.push((column as u16, weight));
                }
            }
        }
    }
    NetworkSpec {
        input: line(columns),
        layers: vec![LayerSpec::dense(encoding, 0, vec![-7; rows], lists)],
    }
}

/// Dense layers in floats.
pub(crate) fn floats(random: &mut Random) -> NetworkSpec {
    let mut network = multilayer(random, &[Encoding::Csr]);
    for layer in &mut network.layers {
        let WeightsSpec::Integers { bias, rows } = &layer.weights else {
            unreachable!("dense layers have integers")
        };
        layer.encoding = Encoding::CsrF32;
        layer.shift = 0;
        let row = |row: &Vec<(u16, i16)>| {
            let weights = row.iter();
            weights
                .map(|&(column, weight)| (column, f32::from(weight) / 17.0))
                .collect()
        };
        layer.weights = WeightsSpec::Floats {
            bias: bias.iter().map(|&bias| bias as f32 / 300.0).collect(),
            rows: rows.iter().map(row).collect(),
        };
    }
    network
}

/// A network of any kind.
pub(crate) fn any(seed: u64) -> NetworkSpec {
    let mut random = Random::new(seed);
    match random.below(10) {
        0..3 => multilayer(&mut random, &DENSE),
        3..5 => convolutional(&mut random),
        5..7 => residual(&mut random),
        7 => joined(&mut random),
        8 => selective(&mut random),
        _ => floats(&mut random),
    }
}
