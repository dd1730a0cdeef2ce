//! The dense twin: the same network with every layer stored dense, in its original dimensions.
//!
//! It shows what the network costs without pruning. Units and channels that were stripped are
//! restored as rows and columns of zeros after the remaining ones, so that no weight changes its
//! column.
//!
//! If the network has only dense (fully connected) layers and its weights have at most 8 bits, the
//! twin's logits are equal to the network's, bit for bit. Otherwise they may differ, for two
//! reasons:
//! - Convolution kernels skip zero weights, of which a network that was never pruned has hardly
//!   any. In the twin, these weights are 1.
//! - Dense weights have 8 bits. Wider ones (packed words have up to 16) are shifted right to 8
//!   bits, together with their layer's biases and shifts. Floats are scaled to integers.

use rarefy_format::{
    Encoding, LayerSpec, MAX_BLOCK_BYTES, Model, NetworkSpec, Operation, SpecError, UnitsSpec,
    WeightsSpec, WriteError, with_units, write,
};

/// Magnitude of the largest weight after scaling floats.
const LARGEST_WEIGHT: f32 = 127.0;

/// Output shift of a layer whose floats were scaled: about the bit width of its weights.
const FLOAT_SHIFT: u8 = 7;

/// Largest bias after scaling floats: with 8-bit weights no accumulator overflows 32 bits.
const LARGEST_BIAS: f32 = (1 << 24) as f32;

/// Returns the container of the dense twin of `model`.
///
/// # Errors
///
/// Returns an error if a layer in its original dimensions exceeds the limits of a container.
pub fn dense_twin(model: &Model<'_>) -> Result<Vec<u8>, WriteError> {
    let mut network = NetworkSpec::from_model(model);
    let count = network.layers.len();
    // Channels of the input and of each layer's output.
    let mut channels = vec![usize::from(model.input().channels)];
    for (index, (layer, stored)) in network.layers.iter_mut().zip(model.layers()).enumerate() {
        let (last, inputs) = (index + 1 == count, channels[index + 1 - layer.source]);
        let source = stored.source().shape;
        let (outputs, columns) = match layer.operation {
            Operation::Pool { .. } => (inputs, 0),
            Operation::Conv { window, .. } => (layer.original_outputs, inputs * window.area()),
            Operation::Dense => {
                let columns = inputs * usize::from(source.height) * usize::from(source.width);
                // The network's outputs are its classes, which are never stripped.
                let outputs = if last {
                    layer.outputs
                } else {
                    layer.original_outputs
                };
                (outputs, columns)
            }
        };
        // A small container can declare huge layers, so check the size before allocating.
        let length = (columns + 4) * outputs;
        if length > MAX_BLOCK_BYTES {
            let error = SpecError::Length(length);
            return Err(WriteError::Layer {
                layer: index,
                error,
            });
        }
        channels.push(outputs);
        layer.outputs = outputs;
        layer.original_outputs = outputs;
        if layer.encoding != Encoding::None {
            layer.encoding = Encoding::Dense;
            scale_floats(layer, last);
            narrow_integers(layer);
        }
        if let WeightsSpec::Integers { bias, rows } = &mut layer.weights {
            bias.resize(outputs, 0);
            rows.resize(outputs, Vec::new());
            if matches!(layer.operation, Operation::Conv { .. }) {
                rows.iter_mut().for_each(|row| fill(row, columns));
            }
        }
    }
    let bytes = write(&network)?;
    match model.units() {
        Some(units) => Ok(with_units(&bytes, &UnitsSpec::from_units(&units))?),
        None => Ok(bytes),
    }
}

/// Sets every weight of `row` that is 0 or missing to 1.
fn fill(row: &mut Vec<(u16, i16)>, columns: usize) {
    let mut all: Vec<(u16, i16)> = (0..).map(|column| (column, 1)).take(columns).collect();
    for &(column, weight) in row.iter().filter(|(_, weight)| *weight != 0) {
        all[usize::from(column)].1 = weight;
    }
    *row = all;
}

/// Shifts weights wider than 8 bits right, together with everything that is added to their
/// products.
fn narrow_integers(layer: &mut LayerSpec) {
    let WeightsSpec::Integers { bias, rows } = &mut layer.weights else {
        return;
    };
    // The complement of a negative weight has as many significant bits.
    let magnitude = |weight: i16| if weight < 0 { !weight } else { weight };
    let weights = rows.iter().flatten().map(|&(_, weight)| weight);
    let largest = weights.map(magnitude).max().unwrap_or(0);
    let bits = (i16::BITS - largest.leading_zeros()).saturating_sub(7) as u8;
    for (_, weight) in rows.iter_mut().flatten() {
        *weight >>= bits;
    }
    for bias in bias {
        *bias >>= bits;
    }
    layer.shift = layer.shift.saturating_sub(bits);
    if let Some(skip) = &mut layer.skip {
        skip.shift = skip.shift.saturating_sub(bits);
    }
}

/// Scales the weights and biases of a layer of floats to integers.
fn scale_floats(layer: &mut LayerSpec, last: bool) {
    let WeightsSpec::Floats { bias, rows } = &layer.weights else {
        return;
    };
    let weights = rows.iter().flatten().map(|&(_, weight)| weight.abs());
    let scale = LARGEST_WEIGHT / weights.fold(f32::MIN_POSITIVE, f32::max);
    // The cast turns NaN into 0.
    let bias = bias
        .iter()
        .map(|bias| (bias * scale).clamp(-LARGEST_BIAS, LARGEST_BIAS) as i32);
    let weight = |weight: f32| (weight * scale).clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT) as i16;
    let row = |row: &Vec<(u16, f32)>| row.iter().map(|&(c, w)| (c, weight(w))).collect();
    layer.weights = WeightsSpec::Integers {
        bias: bias.collect(),
        rows: rows.iter().map(row).collect(),
    };
    layer.shift = if last { 0 } else { FLOAT_SHIFT };
}

#[cfg(test)]
mod tests {
    use rarefy_format::{Margin, Pooling, Shape, SkipSpec, SpecError, Window};

    use super::*;

    /// Returns the twin of `network`, read back from its container.
    fn twin(network: &NetworkSpec) -> NetworkSpec {
        let container = write(network).unwrap();
        let twin = dense_twin(&Model::parse(&container).unwrap()).unwrap();
        NetworkSpec::from_model(&Model::parse(&twin).unwrap())
    }

    /// Returns the numbers of outputs, original outputs and stored weights per layer.
    fn sizes(network: &NetworkSpec) -> Vec<(usize, usize, usize)> {
        let size = |layer: &LayerSpec| (layer.outputs, layer.original_outputs, layer.weights.len());
        network.layers.iter().map(size).collect()
    }

    fn network(input: Shape, layers: Vec<LayerSpec>) -> NetworkSpec {
        NetworkSpec { input, layers }
    }

    #[test]
    fn stripped_units_return_as_zeros_and_change_no_logit() {
        let rows = vec![vec![(0, 7), (2, -3)], vec![(1, 100)]];
        let mut hidden = LayerSpec::dense(Encoding::Csr, 3, vec![40, -9], rows);
        hidden.original_outputs = 5;
        let rows = vec![vec![(0, 5), (1, -6)], vec![(1, 127)]];
        let mut output = LayerSpec::dense(Encoding::Dense, 0, vec![-100, 12], rows);
        output.original_outputs = 9;
        let sparse = network(Shape::flat(3), vec![hidden, output]);
        let twin = twin(&sparse);
        assert_eq!(sizes(&twin), [(5, 5, 3), (2, 2, 3)]);
        for input in [[0, 0, 0], [255, 255, 255], [200, 3, 90], [1, 250, 4]] {
            assert_eq!(sparse.infer(&input), twin.infer(&input));
        }
    }

    fn window(size: u8, stride: u8, padding: u8) -> Window {
        let padding = Margin {
            top: padding,
            left: padding,
            bottom: padding,
            right: padding,
        };
        Window::square(size, stride, padding)
    }

    #[test]
    fn stripped_channels_of_rectangular_windows_return() {
        let window = Window {
            size: [3, 2],
            stride: [2, 1],
            padding: Margin::NONE,
        };
        let conv = |rows: Vec<Vec<(u16, i16)>>| LayerSpec {
            operation: Operation::Conv {
                window,
                pooling: None,
            },
            original_outputs: 3,
            ..LayerSpec::dense(Encoding::Csr, 5, vec![9; rows.len()], rows)
        };
        let rows = vec![vec![(0, 3), (2, 8)]; 3];
        let layers = vec![
            conv(vec![vec![(5, 90)], vec![(0, -50), (4, 80)]]),
            conv(vec![vec![(3, 30), (11, 40)]]),
            LayerSpec::dense(Encoding::Csr, 0, vec![1, 2, 3], rows),
        ];
        // 9 x 5 to 4 x 4 to 1 x 3.
        let map = Shape {
            channels: 1,
            height: 9,
            width: 5,
        };
        let twin = twin(&network(map, layers));
        assert_eq!(sizes(&twin), [(3, 3, 3 * 6), (3, 3, 3 * 18), (3, 3, 6)]);
    }

    #[test]
    fn stripped_channels_return_through_pooling_and_skips() {
        let conv = |window, pooling, rows: Vec<Vec<(u16, i16)>>| LayerSpec {
            operation: Operation::Conv { window, pooling },
            original_outputs: 4,
            ..LayerSpec::dense(Encoding::Csr, 5, vec![9; rows.len()], rows)
        };
        let first = conv(
            window(3, 1, 1),
            None,
            vec![vec![(4, 90)], vec![(0, -50), (8, 80)]],
        );
        let mut second = conv(
            window(3, 1, 1),
            Some((Pooling::Average, 2)),
            vec![vec![(3, 30), (17, 40)], vec![(9, 77)]],
        );
        second.skip = Some(SkipSpec { back: 2, shift: 4 });
        let middle = conv(window(1, 1, 0), None, vec![vec![(0, 20)], vec![(1, 31)]]);
        let pool = LayerSpec {
            operation: Operation::Pool {
                pooling: Pooling::Max,
                window: window(2, 2, 0),
            },
            encoding: Encoding::None,
            weights: WeightsSpec::None,
            ..LayerSpec::dense(Encoding::Csr, 0, vec![0; 2], Vec::new())
        };
        // Channels come first: column 4 is the first position of the second channel.
        let rows = vec![vec![(0, 3), (4, 8), (7, -1)]; 3];
        let output = LayerSpec::dense(Encoding::Csr, 0, vec![1, 2, 3], rows);
        let map = Shape {
            channels: 1,
            height: 8,
            width: 8,
        };
        let sparse = network(map, vec![first, middle, second, pool, output]);
        let twin = twin(&sparse);
        let maps = [(4, 4, 4 * 9), (4, 4, 4 * 4), (4, 4, 4 * 36)];
        assert_eq!(sizes(&twin)[..3], maps);
        assert_eq!(sizes(&twin)[3..], [(4, 4, 0), (3, 3, 9)]);
        let WeightsSpec::Integers { rows, .. } = &twin.layers[0].weights else {
            panic!("{:?}", twin.layers[0]);
        };
        assert_eq!(rows[1][..2], [(0, -50), (1, 1)]);
        assert!(rows[3].iter().all(|&(_, weight)| weight == 1));
        assert!(
            twin.layers
                .iter()
                .all(|layer| layer.encoding == Encoding::Dense || layer.encoding == Encoding::None)
        );
    }

    #[test]
    fn wide_weights_are_narrowed_to_eight_bits() {
        let rows = vec![vec![(0, -4096), (1, 2049)], vec![(0, 1024)]];
        let hidden = LayerSpec::dense(Encoding::Words, 12, vec![640, -640], rows);
        let rows = vec![vec![(0, 0.5), (1, -1.0)]];
        let floats = |bias, rows, outputs| LayerSpec {
            encoding: Encoding::CsrF32,
            weights: WeightsSpec::Floats { bias, rows },
            ..LayerSpec::dense(Encoding::CsrF32, 0, vec![0; outputs], Vec::new())
        };
        let last = LayerSpec::dense(Encoding::Csr, 0, vec![1], vec![vec![(0, 5)]]);
        let of_words = twin(&network(Shape::flat(2), vec![hidden, last]));
        assert_eq!(of_words.layers[0].shift, 12 - 5);
        let expected = WeightsSpec::Integers {
            bias: vec![20, -20],
            rows: vec![vec![(0, -128), (1, 64)], vec![(0, 32)]],
        };
        assert_eq!(of_words.layers[0].weights, expected);

        let hidden = floats(
            vec![0.25, f32::NAN],
            vec![vec![(1, 2.0)], vec![(0, -1.0)]],
            2,
        );
        let of_floats = twin(&network(
            Shape::flat(2),
            vec![hidden, floats(vec![1e30], rows, 1)],
        ));
        let expected = WeightsSpec::Integers {
            bias: vec![15, 0],
            rows: vec![vec![(1, 127)], vec![(0, -63)]],
        };
        assert_eq!(of_floats.layers[0].weights, expected);
        let expected = WeightsSpec::Integers {
            bias: vec![1 << 24],
            rows: vec![vec![(0, 63), (1, -127)]],
        };
        assert_eq!(of_floats.layers[1].weights, expected);
    }

    #[test]
    fn huge_layers_are_rejected_before_they_are_allocated() {
        let mut first = LayerSpec::dense(Encoding::Csr, 3, vec![1], vec![vec![(0, 1)]]);
        first.original_outputs = 65_535;
        let mut second = first.clone();
        second.original_outputs = 65_535;
        let last = LayerSpec::dense(Encoding::Csr, 0, vec![1], vec![vec![(0, 1)]]);
        let container = write(&network(Shape::flat(1), vec![first, second, last])).unwrap();
        let error = dense_twin(&Model::parse(&container).unwrap()).unwrap_err();
        assert_eq!(
            error,
            WriteError::Layer {
                layer: 1,
                error: SpecError::Length((65_535 + 4) * 65_535),
            }
        );
    }
}
