//! Small synthetic networks, each dominated by one kind of work, so that the fit can separate
//! costs.

use rarefy_format::{
    Encoding, LayerSpec, Margin, NetworkSpec, Operation, Pooling, Shape, WeightsSpec, Window,
    index_bits, pack_word,
};

/// Number of inputs of most networks of dense layers.
const INPUTS: u16 = 192;

/// Channels and width of feature maps.
const MAP: (u16, u16) = (4, 16);

/// Networks and their names.
type Named = Vec<(String, NetworkSpec)>;

/// Returns all synthetic networks of dense layers, small convolutions and pooling, each with a
/// name.
pub(super) fn networks() -> Named {
    [
        rows_and_columns(),
        many_outputs(),
        depths(),
        mixed_encodings(),
        listed_inputs(),
        convolutions(),
        poolings(),
    ]
    .concat()
}

/// Returns networks that vary the rows and columns of a dense layer in every encoding.
fn rows_and_columns() -> Named {
    let mut networks = Vec::new();
    for encoding in [
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Rice,
        Encoding::Dense,
        Encoding::CsrF32,
    ] {
        // Few and many rows, short and long ones, of equal and of growing length; few inputs.
        for (inputs, rows, length, step) in [
            (INPUTS, 8, 5, 0),
            (INPUTS, 64, 5, 0),
            (INPUTS, 64, 24, 0),
            (INPUTS, 48, 4, 1),
            (32, 64, 8, 0),
            // Rows too long for unrolled code, rows that take rounds of a loop, columns that do not
            // fill a group.
            (INPUTS, 16, 9, 1),
            (INPUTS, 24, 16, 2),
            (INPUTS - 1, 12, 100, 0),
        ] {
            let lengths: Vec<usize> = (0..rows).map(|row| length + step * row / 2).collect();
            let last = LayerSpec {
                shift: 0,
                ..dense(encoding, rows as u16, &[3; 4])
            };
            let layers = vec![dense(encoding, inputs, &lengths), last];
            let name = format!("{} {inputs} x {rows}, {length} + {step}", encoding.name());
            networks.push((name, network(Shape::flat(inputs), layers)));
        }
    }
    networks
}

/// Returns networks with many outputs.
fn many_outputs() -> Named {
    let mut networks = Vec::new();
    for encoding in [
        Encoding::Csr,
        Encoding::Words,
        Encoding::Columns,
        Encoding::Dense,
    ] {
        let last = LayerSpec {
            shift: 0,
            ..dense(encoding, 24, &[3; 300])
        };
        let layers = vec![dense(encoding, INPUTS, &[5; 24]), last];
        let name = format!("{} 24 x 300 at the end", encoding.name());
        networks.push((name, network(Shape::flat(INPUTS), layers)));
    }
    networks
}

/// Returns networks of one and of many layers, which separate the cost of a layer from that of an
/// inference.
fn depths() -> Named {
    let mut networks = Vec::new();
    for layers in [1, 8] {
        let mut layers = vec![dense(Encoding::Csr, 16, &[2; 16]); layers];
        if let Some(last) = layers.last_mut() {
            last.shift = 0;
        }
        let name = format!("{} layers of 16 x 16", layers.len());
        networks.push((name, network(Shape::flat(16), layers)));
    }
    networks
}

/// Returns networks with several encodings.
fn mixed_encodings() -> Named {
    let mut networks = Vec::new();
    let mixes: [&[Encoding]; 5] = [
        &[Encoding::Csr, Encoding::Words],
        &[Encoding::Columns, Encoding::Words],
        &[Encoding::Columns, Encoding::Dense],
        &[Encoding::Words, Encoding::Csr, Encoding::Dense],
        &[Encoding::Csr, Encoding::Rice],
    ];
    for mix in mixes {
        for repeated in [1, 3] {
            let count = repeated * mix.len();
            let layers = (0..count).map(|layer| LayerSpec {
                shift: if layer + 1 == count { 0 } else { 8 },
                ..dense(mix[layer % mix.len()], 32, &[3; 32])
            });
            let names: Vec<&str> = mix.iter().map(|encoding| encoding.name()).collect();
            let name = format!("{count} layers of {}", names.join(" and "));
            networks.push((name, network(Shape::flat(32), layers.collect())));
        }
    }
    networks
}

/// Returns networks with entropy-coded lists of used inputs: scattered inputs and runs, few rows
/// and many.
fn listed_inputs() -> Named {
    let mut networks = Vec::new();
    for (runs, length, rows) in [(64, 1, 5), (2, 60, 5), (24, 1, 48), (8, 6, 48)] {
        let listed = (0..runs * length)
            .map(|at| at / length * (INPUTS / runs) + at % length)
            .collect::<Vec<u16>>();
        let few = if rows < 8 { 1 } else { 6 };
        let row = |row: usize| -> Vec<(u16, i16)> {
            let columns = listed.iter().skip(row % few).step_by(few);
            columns
                .map(|&column| (column, [3, -2, 5][row % 3]))
                .collect()
        };
        let last = LayerSpec {
            shift: 0,
            ..dense(Encoding::Rice, rows as u16, &[3; 4])
        };
        let first = LayerSpec::dense(
            Encoding::Rice,
            8,
            vec![64; rows],
            (0..rows).map(row).collect(),
        );
        let name = format!("rice {runs} runs of {length} listed, {rows} rows");
        networks.push((name, network(Shape::flat(INPUTS), vec![first, last])));
    }
    networks
}

/// Returns networks of a convolution and an empty layer.
fn convolutions() -> Named {
    let mut networks = Vec::new();
    let convolutions = [
        (Encoding::Words, 3, 1, None, 6, 8),
        (Encoding::Words, 3, 1, None, 6, 16),
        (Encoding::Words, 3, 1, None, 24, 8),
        (Encoding::Words, 5, 1, Some((Pooling::Max, 2)), 24, 8),
        (Encoding::Words, 5, 1, Some((Pooling::Average, 2)), 24, 4),
        (Encoding::Words, 3, 2, None, 8, 8),
        (Encoding::Words, 3, 2, None, 24, 8),
        (Encoding::Words, 3, 3, None, 8, 8),
        (Encoding::Words, 3, 3, None, 24, 8),
        (Encoding::Rice, 3, 1, None, 8, 8),
        (Encoding::Rice, 3, 1, None, 24, 8),
    ];
    for (encoding, size, stride, pooling, taps, channels) in convolutions {
        let operation = Operation::Conv {
            window: window(size, stride),
            pooling,
        };
        let columns = MAP.0 * u16::from(size) * u16::from(size);
        let layer = LayerSpec {
            operation,
            ..dense(encoding, columns, &vec![taps; channels])
        };
        let name = format!(
            "{} conv {size} / {stride}, {taps} x {channels}, {pooling:?}",
            encoding.name()
        );
        networks.push((name, network(map(MAP.1), vec![layer, end()])));
    }
    networks
}

/// Returns networks of a pooling layer and an empty layer.
fn poolings() -> Named {
    let mut networks = Vec::new();
    for (width, size) in [(16, 2), (16, 4), (24, 2), (24, 3), (24, 6)] {
        let operation = Operation::Pool {
            pooling: Pooling::Max,
            window: window(size, size),
        };
        let layer = LayerSpec {
            operation,
            encoding: Encoding::None,
            weights: WeightsSpec::None,
            shift: 0,
            ..dense(Encoding::Csr, 1, &vec![1; MAP.0.into()])
        };
        let name = format!("pooling {width} / {size}");
        networks.push((name, network(map(width), vec![layer, end()])));
    }
    networks
}

/// Returns the network with this input and these layers.
fn network(input: Shape, layers: Vec<LayerSpec>) -> NetworkSpec {
    NetworkSpec { input, layers }
}

/// Returns the shape of a square map.
fn map(width: u16) -> Shape {
    Shape {
        channels: MAP.0,
        height: width,
        width,
    }
}

/// Returns a window without padding.
fn window(size: u8, stride: u8) -> Window {
    Window::square(size, stride, Margin::NONE)
}

/// Returns a dense layer with one output and no weights.
fn end() -> LayerSpec {
    LayerSpec::dense(Encoding::Csr, 0, vec![0], vec![Vec::new()])
}

/// Returns a dense layer with rows of the given lengths: 4-bit weights, spread over its inputs.
fn dense(encoding: Encoding, columns: u16, lengths: &[usize]) -> LayerSpec {
    let columns = usize::from(columns);
    let row = |(row, &length): (usize, &usize)| -> Vec<(u16, i16)> {
        let length = length.min(columns);
        let weight = |at: usize| {
            let column = at * columns / length;
            let value = [-7, 3, 1, -2, 5, 8, -4][(at + row) % 7];
            let packed =
                |index: usize, count: usize| pack_word(value, index as u16, index_bits(count));
            let weight = match encoding {
                Encoding::Words => packed(column, columns),
                Encoding::Columns => packed(row, lengths.len()),
                _ => value,
            };
            (column as u16, weight)
        };
        (0..length).map(weight).collect()
    };
    let rows: Vec<Vec<(u16, i16)>> = lengths.iter().enumerate().map(row).collect();
    let mut layer = LayerSpec::dense(encoding, 8, vec![64; lengths.len()], rows.clone());
    if encoding == Encoding::CsrF32 {
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|&(c, w)| (c, f32::from(w) / 64.0)).collect());
        layer.weights = WeightsSpec::Floats {
            bias: vec![1.0; lengths.len()],
            rows: rows.collect(),
        };
        layer.shift = 0;
    }
    layer
}
