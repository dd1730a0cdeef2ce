//! The networks of the golden containers, small and fixed. Together they use all of format 1.
//!
//! The numbers of each network follow from a seed. Never change a network: its golden container is
//! a promise to those who keep models in flash. Add another one instead.

use rarefy_format::{
    ByteMap, Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, SkipSpec,
    UnitsSpec, WeightsSpec, Window,
};
use rarefy_test_support::networks::{Random, weight};

/// Returns all networks with the names of their files.
pub(crate) fn all() -> Vec<(&'static str, NetworkSpec)> {
    let mut networks = vec![
        (
            Encoding::Dense.name(),
            multilayer(Encoding::Dense, [13, 9, 6, 3]),
        ),
        (Encoding::CsrF32.name(), floats()),
        ("rice-sorted", sorted()),
        ("convolutional", convolutional()),
        ("residual", residual()),
        ("rectangular", rectangular()),
        ("global", global()),
        (UNITS, sensors()),
    ];
    let sparse = [
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Rice,
    ];
    networks.extend(sparse.map(|encoding| (encoding.name(), multilayer(encoding, [40, 18, 9, 4]))));
    networks
}

/// The name of the container that states units.
const UNITS: &str = "units";

/// Returns the units of the network of this name, if its container states any: three sensors, each
/// with a range of its own.
pub(crate) fn units(name: &str) -> Option<UnitsSpec> {
    let ranges = [(-1.0, 2.5), (0.0, 4095.0), (-40.25, 85.0)];
    (name == UNITS).then(|| UnitsSpec {
        output_step: 0.0123,
        maps: ranges.map(|(low, high)| ByteMap::new(low, high)).to_vec(),
    })
}

/// Returns a csr network whose input has three channels of 2 x 2.
fn sensors() -> NetworkSpec {
    NetworkSpec {
        input: Shape {
            channels: 3,
            height: 2,
            width: 2,
        },
        ..multilayer(Encoding::Csr, [12, 10, 8, 3])
    }
}

/// Returns three dense layers in one encoding, with `sizes` inputs and outputs.
fn multilayer(encoding: Encoding, sizes: [usize; 4]) -> NetworkSpec {
    let mut random = Random::new(u64::from(encoding.code()) + 1);
    // The larger the weights of an encoding, the larger the shift: whole words are larger than
    // bytes, and bytes are larger than weights of few bits.
    let shifts = match encoding {
        Encoding::Words | Encoding::Columns => [8, 8, 0],
        Encoding::Rice => [3, 3, 0],
        _ => [6, 6, 0],
    };
    let layer = |index: usize| {
        let (columns, rows, shift) = (sizes[index], sizes[index + 1], shifts[index]);
        let mut layer = layer(
            &mut random,
            Operation::Dense,
            encoding,
            columns,
            rows,
            shift,
        );
        layer.original_outputs = rows + [5, 2, 0][index];
        layer
    };
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 1,
            width: sizes[0] as u16,
        },
        layers: (0..3).map(layer).collect(),
    }
}

/// Returns a csr network in floats.
fn floats() -> NetworkSpec {
    let mut network = multilayer(Encoding::Csr, [13, 9, 6, 3]);
    for layer in &mut network.layers {
        let WeightsSpec::Integers { bias, rows } = &layer.weights else {
            unreachable!("its layers hold integers")
        };
        let bias = bias.iter().map(|&bias| bias as f32 / 640.0).collect();
        let row = |row: &Vec<(u16, i16)>| {
            row.iter()
                .map(|&(column, weight)| (column, f32::from(weight) / 300.0))
                .collect()
        };
        let rows = rows.iter().map(row).collect();
        layer.weights = WeightsSpec::Floats { bias, rows };
        layer.encoding = Encoding::CsrF32;
        layer.shift = 0;
    }
    network
}

/// Returns a network that suits the encoding rice: inputs that nothing reads, rows sorted by their
/// number of weights and first column, small adjacent weights, then a few distinct large ones.
fn sorted() -> NetworkSpec {
    let mut random = Random::new(40);
    let mut hidden: Vec<Vec<(u16, i16)>> = (0..20)
        .map(|row| {
            let start = 12 + random.below(20);
            let weights = (start..).step_by(1 + row % 3).take(1 + row % 5);
            let weight = |column| (column as u16, [1, -1, 2, -3][random.below(4)]);
            weights.map(weight).collect()
        })
        .collect();
    hidden.sort_by_key(|row| (row.len(), row[0].0));
    let last = (0..4)
        .map(|_| {
            let columns = (0..20).filter(|_| random.chance(50)).collect::<Vec<u16>>();
            let weight = |column| (column, [90, -90, 17, -128][random.below(4)]);
            columns.into_iter().map(weight).collect()
        })
        .collect();
    let bias = |count: usize, random: &mut Random| {
        (0..count)
            .map(|_| 8 * random.below(30) as i32 - 80)
            .collect()
    };
    let first = bias(20, &mut random);
    let second = bias(4, &mut random);
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 7,
            width: 7,
        },
        layers: vec![
            LayerSpec::dense(Encoding::Rice, 2, first, hidden),
            LayerSpec::dense(Encoding::Rice, 0, second, last),
        ],
    }
}

/// Returns a network with padding on four sides, a stride, all kinds of pooling, and three
/// encodings of convolutions.
fn convolutional() -> NetworkSpec {
    let mut random = Random::new(20);
    let padded = |size, stride, sides| Window::square(size, stride, padding(sides));
    let conv = |window, pooling| Operation::Conv { window, pooling };
    let max = Some((Pooling::Max, 2));
    let average = Some((Pooling::Average, 2));
    let layers = vec![
        // 1 x 12 x 13 to 3 x 6 x 6.
        layer(
            &mut random,
            conv(padded(3, 1, [1, 1, 1, 0]), max),
            Encoding::Words,
            9,
            3,
            6,
        ),
        // To 3 x 6 x 6.
        pool(Pooling::Max, padded(3, 1, [1, 1, 1, 1]), 3, 0),
        // To 4 x 3 x 3.
        layer(
            &mut random,
            conv(padded(2, 1, [0, 1, 1, 0]), average),
            Encoding::Csr,
            12,
            4,
            8,
        ),
        // To 4 x 3 x 4.
        pool(Pooling::Average, padded(2, 1, [1, 1, 0, 1]), 4, 2),
        // To 5 x 2 x 2.
        layer(
            &mut random,
            conv(padded(2, 2, [0, 0, 1, 0]), None),
            Encoding::Dense,
            16,
            5,
            6,
        ),
        layer(&mut random, Operation::Dense, Encoding::Columns, 20, 3, 0),
    ];
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 12,
            width: 13,
        },
        layers,
    }
}

/// Returns padding of these widths: top, left, bottom, right.
const fn padding([top, left, bottom, right]: [u8; 4]) -> Margin {
    Margin {
        top,
        left,
        bottom,
        right,
    }
}

/// Returns a network of rectangular windows: unequal strides, uneven padding, fused pooling, and
/// pooling layers.
fn rectangular() -> NetworkSpec {
    let mut random = Random::new(40);
    let window = |size, stride, sides| Window {
        size,
        stride,
        padding: padding(sides),
    };
    let conv = |window, pooling| Operation::Conv { window, pooling };
    let max = Some((Pooling::Max, 2));
    // 1 x 20 x 9 to 3 x 7 x 10; to 3 x 3 x 5; to 3 x 3 x 5; to 4 x 3 x 3; to 4 x 1 x 2.
    let tall = conv(window([10, 4], [2, 1], [2, 3, 1, 1]), None);
    let pooled = conv(window([3, 2], [1, 1], [2, 1, 0, 0]), max);
    let low = window([1, 3], [1, 1], [0, 1, 0, 1]);
    let narrow = conv(window([3, 1], [1, 2], [1, 0, 1, 0]), None);
    let average = window([3, 2], [3, 1], [0; 4]);
    let layers = vec![
        layer(&mut random, tall, Encoding::Csr, 40, 3, 7),
        layer(&mut random, pooled, Encoding::Words, 18, 3, 10),
        pool(Pooling::Max, low, 3, 0),
        layer(&mut random, narrow, Encoding::Rice, 9, 4, 5),
        pool(Pooling::Average, average, 4, 3),
        layer(&mut random, Operation::Dense, Encoding::Csr, 8, 3, 0),
    ];
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 20,
            width: 9,
        },
        layers,
    }
}

/// Returns a network of pooling layers with large windows: a square one of more than 15 rows, and
/// one that covers the whole map.
fn global() -> NetworkSpec {
    let mut random = Random::new(51);
    let small = Operation::Conv {
        window: Window::square(2, 1, Margin::NONE),
        pooling: None,
    };
    let whole = Window {
        size: [7, 3],
        ..Window::square(1, 1, Margin::NONE)
    };
    // 1 x 24 x 20 to 3 x 23 x 19; to 3 x 7 x 3; to 3 x 1 x 1.
    let layers = vec![
        layer(&mut random, small, Encoding::Dense, 4, 3, 5),
        pool(Pooling::Average, Window::square(17, 1, Margin::NONE), 3, 9),
        pool(Pooling::Average, whole, 3, 5),
        layer(&mut random, Operation::Dense, Encoding::Csr, 3, 3, 0),
    ];
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 24,
            width: 20,
        },
        layers,
    }
}

/// Returns a network whose padded input is read twice, with distant sources and two additions.
fn residual() -> NetworkSpec {
    let mut random = Random::new(30);
    let conv = |size, side| Operation::Conv {
        window: Window::square(size, 1, padding([side; 4])),
        pooling: None,
    };
    let mut layers = vec![
        layer(&mut random, conv(3, 1), Encoding::Csr, 18, 2, 6),
        layer(&mut random, conv(3, 1), Encoding::Words, 18, 2, 7),
        layer(&mut random, conv(3, 1), Encoding::Dense, 18, 2, 7),
        layer(&mut random, conv(3, 1), Encoding::Csr, 18, 2, 6),
        layer(&mut random, conv(1, 0), Encoding::Words, 2, 3, 3),
        layer(
            &mut random,
            Operation::Dense,
            Encoding::Csr,
            3 * 5 * 6,
            4,
            0,
        ),
    ];
    // Layer 1 reads the input, layer 2 reads layer 0 and adds layer 1, layer 3 adds layer 1.
    layers[1].source = 2;
    layers[2].source = 2;
    layers[2].skip = Some(SkipSpec { back: 1, shift: 4 });
    layers[3].skip = Some(SkipSpec { back: 2, shift: 0 });
    NetworkSpec {
        input: Shape {
            channels: 2,
            height: 5,
            width: 6,
        },
        layers,
    }
}

/// Draws a layer with weights: empty, full and other rows, with biases that keep some activations
/// strictly between 0 and 255.
fn layer(
    random: &mut Random,
    operation: Operation,
    encoding: Encoding,
    columns: usize,
    rows: usize,
    shift: u8,
) -> LayerSpec {
    let list = |row: usize| {
        let percent = match row {
            0 => 100,
            1 if rows > 3 => 0,
            _ => [15, 30, 60][random.below(3)],
        };
        let mut list = Vec::new();
        for column in 0..columns {
            // Full rows of large layers would take too many bytes.
            if random.chance(percent.min(1200 / columns)) {
                let magnitude = (1 + random.below(8)) as i16;
                let magnitude = if random.chance(50) {
                    magnitude
                } else {
                    -magnitude
                };
                let weight = weight(encoding, magnitude, column, row, columns, rows);
                if weight != 0 {
                    list.push((column as u16, weight));
                }
            }
        }
        list
    };
    let lists: Vec<_> = (0..rows).map(list).collect();
    let bias = (0..rows).map(|_| random.below(4000) as i32 - 1000);
    LayerSpec {
        operation,
        encoding,
        outputs: rows,
        original_outputs: rows,
        shift,
        source: 1,
        skip: None,
        weights: WeightsSpec::Integers {
            bias: bias.collect(),
            rows: lists,
        },
    }
}

/// Returns a pooling layer.
fn pool(pooling: Pooling, window: Window, channels: usize, shift: u8) -> LayerSpec {
    LayerSpec {
        operation: Operation::Pool { pooling, window },
        encoding: Encoding::None,
        outputs: channels,
        original_outputs: channels,
        shift,
        source: 1,
        skip: None,
        weights: WeightsSpec::None,
    }
}
