//! Tests stripping with small networks whose result is known.

use rarefy_trainer::deploy::network::{Layer, Network, Operation};
use rarefy_trainer::deploy::strip::strip;
use rarefy_trainer::graph::{Padding, Pooling, Window};
use sprs::CsMat;

/// Returns the row-major `weights` as a sparse matrix without its zeros.
fn matrix(rows: usize, weights: &[f32]) -> CsMat<f32> {
    let columns = weights.len() / rows;
    let (mut starts, mut indices, mut values) = (vec![0], vec![], vec![]);
    for row in weights.chunks(columns) {
        for (column, &weight) in row.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            indices.push(column);
            values.push(weight);
        }
        starts.push(indices.len());
    }
    CsMat::new((rows, columns), starts, indices, values)
}

/// Returns a dense layer with a ReLU that reads `source`.
fn dense(source: Option<usize>, weights: &[f32], bias: &[f32]) -> Layer {
    let weights = matrix(bias.len(), weights);
    Layer {
        name: "fc".into(),
        operation: Operation::Dense,
        bias: bias.to_vec(),
        relu: true,
        ceiling: f32::INFINITY,
        source,
        skip: None,
        shape: [bias.len(), 1, 1],
        original: weights.shape(),
        weights,
    }
}

/// Returns a convolution with a ReLU, of the given window size and padding, over maps of `side` x
/// `side`.
fn conv(
    source: Option<usize>,
    (size, padding): (usize, Padding),
    side: usize,
    weights: &[f32],
    bias: &[f32],
) -> Layer {
    let window = Window::new(size, 1, padding, [side; 2]).unwrap();
    let [height, width] = window.outputs([side; 2]);
    Layer {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        shape: [bias.len(), height, width],
        ..dense(source, weights, bias)
    }
}

/// Returns a network of `layers` whose last layer has no ReLU.
fn network(input: [usize; 3], layers: impl Into<Vec<Layer>>) -> Network {
    let mut layers = layers.into();
    layers.last_mut().unwrap().relu = false;
    Network { input, layers }
}

/// Strips `network` and checks on some images that its function is preserved; returns the stripped
/// network and the shapes of its layers.
fn stripped(network: &Network) -> (Network, Vec<[usize; 3]>) {
    let stripped = strip(network);
    let pixels: usize = network.input.iter().product();
    for first in [0_u8, 3, 77, 200, 255] {
        let image: Vec<u8> = (0..pixels)
            .map(|at| first.wrapping_mul(at as u8 + 1))
            .collect();
        for (a, b) in stripped.scores(&image).iter().zip(network.scores(&image)) {
            assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} {b}");
        }
    }
    let shapes = stripped.layers.iter().map(|layer| layer.shape).collect();
    (stripped, shapes)
}

#[test]
fn dead_units_are_removed_and_their_constants_are_kept() {
    // Unit 0 is live. Unit 1 reads nothing and has the constant value 2. Unit 2 is not read. Unit
    // 3 is read only by unit 1 of the next layer, which is not read itself.
    let first = [0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 3.0];
    let second = [1.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let network = network(
        [2, 1, 1],
        [
            dense(None, &first, &[0.1, 2.0, 0.0, 0.0]),
            dense(Some(0), &second, &[7.0, 0.0]),
            dense(Some(1), &[2.0, 0.0], &[0.0]),
        ],
    );
    let (stripped, shapes) = stripped(&network);
    assert_eq!(shapes, [[1, 1, 1]; 3]);
    assert_eq!(stripped.layers[1].bias, [1.0]);
    assert_eq!(stripped.layers[0].original, (4, 2));
}

#[test]
fn a_network_without_paths_reduces_to_its_last_biases() {
    let network = network(
        [2, 1, 1],
        [
            dense(None, &[1.0, 2.0], &[0.0]),
            dense(Some(0), &[0.0, 0.0], &[3.0, -1.0]),
            dense(Some(1), &[2.0, 5.0], &[1.0]),
        ],
    );
    let (stripped, shapes) = stripped(&network);
    assert_eq!(shapes, [[1, 1, 1]]);
    assert_eq!(
        (stripped.layers[0].source, &stripped.layers[0].bias[..]),
        (None, &[7.0][..])
    );
}

#[test]
fn constant_channels_are_removed_unless_they_are_padded() {
    // Channel 0 is live, channel 1 is constantly 2, channel 2 constantly 0.
    for (padding, channels) in [(Padding::Valid, 1), (Padding::Each(1), 2)] {
        let first = conv(
            None,
            (1, Padding::Valid),
            3,
            &[1.0, 0.0, 0.0],
            &[0.5, 2.0, -4.0],
        );
        let second: Vec<f32> = (1..=12).map(|weight| weight as f32).collect();
        let mut second = conv(Some(0), (2, padding), 3, &second, &[0.25]);
        second.operation = match second.operation {
            Operation::Conv { window, .. } => Operation::Conv {
                window,
                pooling: Some((Pooling::Average, 2)),
            },
            other => other,
        };
        second.shape = [1, second.shape[1] / 2, second.shape[2] / 2];
        let positions = second.shape[1] * second.shape[2];
        let last: Vec<f32> = (0..positions).map(|at| 1.0 - at as f32).collect();
        let network = network([1, 3, 3], [first, second, dense(Some(1), &last, &[1.0])]);
        let (stripped, shapes) = stripped(&network);
        assert_eq!(shapes[0], [channels, 3, 3]);
        assert_eq!(stripped.layers[1].weights.cols(), 4 * channels);
        // The bias plus the constant 2 times the weights of channel 1, 5 + 6 + 7 + 8.
        let folded = if channels == 1 { 52.25 } else { 0.25 };
        assert_eq!(stripped.layers[1].bias, [folded]);
    }
}

#[test]
fn constants_propagate_through_pooling_and_flattening() {
    let first = conv(None, (1, Padding::Valid), 3, &[1.0, 0.0], &[0.0, 2.0]);
    let window = Window::new(2, 1, Padding::Valid, [3, 3]).unwrap();
    let pool = Layer {
        operation: Operation::Pool {
            window,
            kind: Pooling::Max,
        },
        weights: CsMat::zero((0, 0)),
        bias: vec![],
        relu: false,
        shape: [2, 2, 2],
        ..first.clone()
    };
    let pool = Layer {
        source: Some(0),
        ..pool
    };
    let last = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
    let network = network([1, 3, 3], [first, pool, dense(Some(1), &last, &[1.0])]);
    let (stripped, shapes) = stripped(&network);
    assert_eq!(shapes, [[1, 3, 3], [1, 2, 2], [1, 1, 1]]);
    assert_eq!(stripped.layers[2].bias, [201.0]);
}

/// Returns a residual network: a stem, two convolutions, the second of which adds the stem's
/// output, and a dense layer.
fn residual(inner: &[f32], outer: &[f32], last: &[f32]) -> Network {
    let stem = conv(
        None,
        (1, Padding::Valid),
        2,
        &[1.0, -0.5, 0.25],
        &[0.0, 90.0, 1.0],
    );
    let inner = conv(Some(0), (1, Padding::Valid), 2, inner, &[0.5, 0.5]);
    let outer = conv(Some(1), (1, Padding::Valid), 2, outer, &[1.0, 2.0, 3.0]);
    let outer = Layer {
        skip: Some(0),
        ..outer
    };
    network(
        [1, 2, 2],
        [stem, inner, outer, dense(Some(2), last, &[0.0])],
    )
}

#[test]
fn channels_tied_by_additions_are_removed_together() {
    // Channel 2 is not read, neither from the sum nor from the stem.
    let (inner, outer) = (
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    );
    let last = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0];
    let (_, shapes) = stripped(&residual(&inner, &outer, &last));
    assert_eq!(shapes, [[2, 2, 2], [2, 2, 2], [2, 2, 2], [1, 1, 1]]);
    // If the inner convolution reads channel 2 of the stem, the sum keeps its channel 2 too.
    let inner = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let (_, shapes) = stripped(&residual(&inner, &outer, &last));
    assert_eq!(shapes, [[3, 2, 2], [2, 2, 2], [3, 2, 2], [1, 1, 1]]);
}

/// Checks `x + diagonal(x)`, a sum that reads the units of its own skip: this alone must not keep
/// them alive.
#[test]
fn a_sum_that_reads_its_own_skip_keeps_no_unit_alive() {
    let sum = dense(Some(0), &[2.0, 0.0, 0.0, 3.0], &[0.0, 1.0]);
    let sum = Layer {
        skip: Some(0),
        ..sum
    };
    let first = dense(None, &[1.0, 2.0, 3.0, 4.0], &[0.5, 0.25]);
    let last = dense(Some(1), &[5.0, 0.0], &[1.0]);
    let (stripped, shapes) = stripped(&network([2, 1, 1], [first, sum, last]));
    assert_eq!(shapes, [[1, 1, 1]; 3]);
    assert_eq!(stripped.nonzeros(), 4);
}

#[test]
fn a_dead_branch_is_removed_as_a_whole() {
    let last: Vec<f32> = (1..=12).map(|weight| weight as f32).collect();
    let network = residual(&[0.0; 6], &[1.0, 1.0, 0.0, 0.0, 0.0, 2.0], &last);
    let (stripped, shapes) = stripped(&network);
    assert_eq!(shapes, [[3, 2, 2], [3, 2, 2], [1, 1, 1]]);
    let sum = &stripped.layers[1];
    assert_eq!(
        (sum.source, sum.skip, sum.weights.nnz()),
        (Some(0), Some(0), 0)
    );
    assert_eq!(sum.bias, [2.0, 2.0, 4.0]);
}

#[test]
fn a_constant_skip_becomes_a_bias() {
    let last: Vec<f32> = (1..=12).map(|weight| weight as f32).collect();
    let mut network = residual(&[1.0, 1.0], &[1.0, 1.0, 0.0, 1.0, 1.0, 2.0], &last);
    // The inner convolution reads the pixels, and the stem reads nothing.
    network.layers[1].source = None;
    network.layers[0].weights = CsMat::zero((3, 1));
    network.layers[0].weights = matrix(3, &[0.0; 3]);
    let (stripped, shapes) = stripped(&network);
    assert_eq!(shapes, [[2, 2, 2], [3, 2, 2], [1, 1, 1]]);
    assert_eq!(
        (stripped.layers[1].skip, &stripped.layers[1].bias[..]),
        (None, &[1.0, 92.0, 4.0][..])
    );
}

/// Checks positions that cover only padding, whose value is the bias: a dense layer folds them
/// into its own bias. A tap that only ever reads padding is removed; one that reads padding and
/// pixels is kept.
#[test]
fn positions_over_padding_are_folded_if_that_is_exact() {
    // A single pixel, padded by 2 on each side, and a 1 x 1 convolution over it.
    let weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let first = conv(None, (1, Padding::Each(2)), 1, &[2.0], &[0.5]);
    assert_eq!(first.shape, [1, 5, 5]);
    let last: Vec<f32> = (0..25).map(|at| at as f32).collect();
    let stem = network([1, 1, 1], [first.clone(), dense(Some(0), &last, &[1.0])]);
    let (by_dense, _) = stripped(&stem);
    // Of 25 positions only the middle one, 12, reads the pixel; the others have the constant value
    // 0.5.
    assert_eq!(by_dense.layers[1].weights.indices(), [12]);
    assert_eq!(by_dense.layers[1].bias, [1.0 + 0.5 * (300.0 - 12.0)]);

    // The convolution's taps each read constants and the pixel: none can be removed.
    let second = conv(Some(0), (3, Padding::Valid), 5, &weights, &[0.0]);
    let last: Vec<f32> = (1..=9).map(|at| at as f32).collect();
    let maps = network([1, 1, 1], [first, second, dense(Some(1), &last, &[0.0])]);
    let (by_conv, _) = stripped(&maps);
    assert_eq!(by_conv.layers[1].weights.nnz(), 9);

    // Eight taps of a window over a single pixel only ever read padding.
    let third = conv(None, (3, Padding::Each(1)), 1, &weights, &[0.25]);
    let one = network([1, 1, 1], [third, dense(Some(0), &[2.0], &[0.0])]);
    let (of_one, _) = stripped(&one);
    assert_eq!(of_one.layers[0].weights.indices(), [4]);
}
