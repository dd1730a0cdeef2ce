//! Tests networks whose values have very different magnitudes: skips and sums, one channel and the
//! others, sums near the limit of 32 bits. Scores are compared with closed formulas in f64.

use rarefy_format::{Encoding, NetworkSpec, write};

use super::tests::{conv, encodings, images, likeness, random_layer, window};
use super::*;
use crate::deploy::decouple::decouple;
use crate::deploy::sparse::from_rows;
use crate::graph::Padding;
use crate::random::Random;

/// The number of pixels of an image.
const PIXELS: usize = 36;

/// Returns a 1 x 1 convolution over a map of one channel.
fn scaled(
    (weight, bias): (f64, f64),
    source: Option<usize>,
    skip: Option<usize>,
    name: &str,
) -> Layer {
    Layer {
        name: name.into(),
        operation: conv(window(1, 1, Padding::Valid, 6), None),
        weights: from_rows(1, [vec![(0, weight as f32)]].into_iter()),
        bias: vec![bias as f32],
        relu: true,
        ceiling: f32::INFINITY,
        source,
        skip,
        shape: [1, 6, 6],
        original: (1, 1),
    }
}

/// Returns a network that adds `gain` times a first branch to a second one and computes four
/// scores from the sums, and a function that computes the scores of an image. A branch is
/// `relu(weight x + bias)` over the pixels `x`; `main` and `added` are its (weight, bias).
fn branches(
    main: (f64, f64),
    added: (f64, f64),
    gain: f64,
) -> (Network, impl Fn(&[u8]) -> Vec<f64>) {
    let random = &mut Random::new(12);
    let scores: Vec<f64> = (0..4 * PIXELS)
        .map(|_| f64::from(random.normal() as f32))
        .collect();
    let rows = scores.chunks(PIXELS).map(|row| {
        let weights = row.iter().enumerate();
        weights.map(|(at, &weight)| (at, weight as f32)).collect()
    });
    let dense = Layer {
        weights: from_rows(PIXELS, rows.collect::<Vec<_>>().into_iter()),
        ..random_layer(random, (Operation::Dense, [4, 1, 1]), PIXELS, (1.0, 1.0))
    };
    let dense = Layer {
        bias: vec![0.0; 4],
        relu: false,
        source: Some(2),
        ..dense
    };
    let network = Network {
        input: [1, 6, 6],
        layers: vec![
            scaled(main, None, None, "main"),
            scaled(added, None, None, "added"),
            scaled((gain, 0.0), Some(0), Some(1), "sum"),
            dense,
        ],
    };
    let exact = move |image: &[u8]| -> Vec<f64> {
        let branch = |(weight, bias): (f64, f64), x: u8| (weight * f64::from(x) + bias).max(0.0);
        let sums: Vec<f64> = image
            .iter()
            .map(|&x| gain * branch(main, x) + branch(added, x))
            .collect();
        let score = |row: &[f64]| row.iter().zip(&sums).map(|(w, x)| w * x).sum();
        scores.chunks(PIXELS).map(score).collect()
    };
    (network, exact)
}

/// Returns the cosine similarity of a container's scores and the exact ones.
fn cosine(spec: &NetworkSpec, exact: impl Fn(&[u8]) -> Vec<f64>, images: &[&[u8]]) -> f64 {
    let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
    for image in images {
        for (a, b) in spec.infer(image).into_iter().zip(exact(image)) {
            let a = f64::from(a);
            (dot, a2, b2) = (dot + a * b, a2 + a * a, b2 + b * b);
        }
    }
    dot / (a2 * b2).sqrt()
}

/// Quantizes `network` with `encoding` wherever possible, and checks that it can be written.
fn quantized(
    network: &Network,
    images: &[&[u8]],
    weights: WeightType,
    encoding: Encoding,
) -> Quantized {
    let encodings = encodings(network, weights, encoding);
    let quantized = quantize(network, images, weights, &encodings).unwrap();
    write(&quantized.spec).unwrap();
    quantized
}

#[test]
fn skips_may_have_any_magnitude() {
    let alive = (0.01, 0.0);
    let dead = [(1e-5, -5.0), (1e-3, -0.5), (0.01, -2.549), (1e-7, -1e-3)];
    let sizes = (-20..=20).step_by(5).map(|power| 0.01 * 2_f64.powi(power));
    let mut cases: Vec<_> = sizes.map(|size| (alive, (size, 0.0), 1.0)).collect();
    for dead in dead {
        cases.extend([(alive, dead, 1.0), (dead, alive, 1.0), (alive, dead, 300.0)]);
    }
    for (main, added, gain) in cases {
        let (network, exact) = branches(main, added, gain);
        let images = images(&network, 3);
        let (calibration, test) = images.split_at(30);
        let [calibration, test] =
            [calibration, test].map(|images| images.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for encoding in [
            Encoding::Csr,
            Encoding::Dense,
            Encoding::Rice,
            Encoding::Words,
        ] {
            let Quantized { spec, .. } =
                quantized(&network, &calibration, WeightType::Int(8), encoding);
            let cosine = cosine(&spec, &exact, &test);
            assert!(
                cosine > 0.9995,
                "{main:?}, {added:?}, {gain}, {encoding:?}: {cosine}"
            );
        }
    }
}

/// Checks weights that add next to nothing to a bias, both in a layer with a skip and in the layer
/// that it adds: at a scale chosen for the weights, the bias would overflow.
#[test]
fn faint_weights_with_a_large_bias_fit() {
    let alive = (0.01, 0.0);
    for (main, added, gain, bias) in [
        (alive, alive, 1e-9, 10.0),
        (alive, (1e-12, 0.0), 1e-9, 10.0),
        (alive, (1e-12, 3.0), 1.0, 0.0),
    ] {
        for relu in [true, false] {
            let (mut network, exact) = branches(main, added, gain);
            network.layers[1].relu = relu;
            network.layers[2].bias = vec![bias];
            let ones: Vec<f64> = network.layers[3]
                .weights
                .outer_iterator()
                .map(|row| row.data().iter().map(|&weight| f64::from(weight)).sum())
                .collect();
            let exact = |image: &[u8]| -> Vec<f64> {
                let scores = exact(image).into_iter().zip(&ones);
                scores
                    .map(|(score, ones)| score + f64::from(bias) * ones)
                    .collect()
            };
            let images = images(&network, 9);
            let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
            for (encoding, bits) in [
                (Encoding::Csr, 8),
                (Encoding::Words, 2),
                (Encoding::Rice, 2),
            ] {
                let bits = WeightType::Int(bits);
                let Quantized { fidelity, spec, .. } = quantized(&network, &images, bits, encoding);
                let case = format!("{main:?} {added:?} {gain} {bias} {relu} {encoding:?}");
                let sum = fidelity.iter().find(|layer| layer.layer == "sum").unwrap();
                let size = sum.signal.max(f64::from(bias));
                assert!(sum.noise < 0.01 * size, "{case}: {sum:?}");
                if bits == WeightType::Int(8) {
                    let cosine = cosine(&spec, exact, &images);
                    assert!(cosine > 0.9995, "{case}: {cosine}");
                }
            }
        }
    }
}

/// Checks a branch that is far smaller than the sums it is added to, and that another layer reads
/// at full resolution.
#[test]
fn other_readers_of_a_small_branch_keep_its_resolution() {
    let (mut network, _) = branches((0.01, 0.0), (0.01, 0.0), 1.0);
    // x0 -> x1 -> 2000 x1 + x0: the sums are far larger than what is added to them.
    network.layers[1].source = Some(0);
    network.layers[1].weights = from_rows(1, [vec![(0, 1.0_f32)]].into_iter());
    network.layers[2] = scaled((2000.0, 0.0), Some(1), Some(0), "sum");
    let images = images(&network, 4);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let ratio = |network: &Network, name: &str| {
        let bits = WeightType::Int(8);
        let Quantized { fidelity, .. } = quantized(network, &images, bits, Encoding::Csr);
        let layer = fidelity.into_iter().find(|layer| layer.layer == name);
        layer.unwrap().snr_db.unwrap_or(f64::INFINITY)
    };
    let decoupled = decouple(&network, &images, WeightType::Int(8));
    assert_eq!(decoupled.layers.len(), network.layers.len() + 1);
    for name in ["main", "added", "sum", "layer"] {
        let ratio = ratio(&decoupled, name);
        assert!(ratio > 40.0, "{name}: {ratio} dB");
    }
    // Without a copy, the addition works, but the branch loses resolution.
    assert!(ratio(&network, "layer") < 40.0);
}

#[test]
fn a_chain_of_additions_follows_the_floats() {
    let random = &mut Random::new(21);
    let pixels = window(1, 1, Padding::Valid, 6);
    let layer = |random: &mut Random, columns, scale: f64| {
        random_layer(
            random,
            (conv(pixels, None), [3, 6, 6]),
            columns,
            (1.0, scale),
        )
    };
    let mut layers = vec![layer(random, 1, 0.01)];
    // Blocks whose values are far smaller than, similar to, and far larger than the values they
    // are added to.
    for (block, scale) in [0.001, 0.5, 30.0, 0.0001].into_iter().enumerate() {
        let (inner, outer) = (layer(random, 3, 0.5), layer(random, 3, scale));
        layers.push(Layer {
            source: Some(2 * block),
            ..inner
        });
        layers.push(Layer {
            source: Some(2 * block + 1),
            skip: Some(2 * block),
            ..outer
        });
    }
    layers.push(Layer {
        source: Some(8),
        relu: false,
        ..random_layer(random, (Operation::Dense, [4, 1, 1]), 108, (0.8, 0.3))
    });
    let network = Network {
        input: [1, 6, 6],
        layers,
    };
    let images = images(&network, 5);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    for (weights, least) in [(WeightType::Int(8), 0.999), (WeightType::Int(6), 0.998)] {
        let network = decouple(&network, &images, weights);
        for encoding in [Encoding::Csr, Encoding::Words] {
            let Quantized { spec, .. } = quantized(&network, &images, weights, encoding);
            let likeness = likeness(&network, &spec, &images);
            assert!(likeness > least, "{weights:?} {encoding:?}: {likeness}");
        }
    }
}

/// Checks channels that are off for every pixel and have far larger weights than the others.
#[test]
fn a_dead_channel_does_not_take_the_levels_of_the_others() {
    let random = &mut Random::new(30);
    let operation = conv(window(3, 1, Padding::Same, 6), None);
    for size in [10.0, 1000.0, 100_000.0] {
        let mut first = random_layer(random, (operation, [8, 6, 6]), 9, (0.9, 0.01));
        let rows: Vec<Vec<(usize, f32)>> = first
            .weights
            .outer_iterator()
            .enumerate()
            .map(|(row, weights)| {
                let factor = if row < 2 { size } else { 1.0 };
                weights
                    .iter()
                    .map(|(column, &w)| (column, factor * w))
                    .collect()
            })
            .collect();
        first.weights = from_rows(9, rows.into_iter());
        first.bias[..2].fill(-200.0 * size);
        let dense = random_layer(random, (Operation::Dense, [4, 1, 1]), 288, (0.8, 0.3));
        let layers = vec![
            first,
            Layer {
                source: Some(0),
                relu: false,
                ..dense
            },
        ];
        let network = Network {
            input: [1, 6, 6],
            layers,
        };
        let images = images(&network, 6);
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        for (weights, least) in [(WeightType::Int(8), 0.999), (WeightType::Int(6), 0.997)] {
            let Quantized { spec, .. } = quantized(&network, &images, weights, Encoding::Csr);
            let likeness = likeness(&network, &spec, &images);
            assert!(likeness > least, "{size} {weights:?}: {likeness}");
        }
    }
}

/// Checks fused average pooling over 64 positions, which multiplies sums by 64: packed words,
/// whose weights have 12 bits or more here, take a coarser scale.
#[test]
fn sums_that_overflow_take_a_coarser_scale() {
    let random = &mut Random::new(40);
    let mut layers = vec![
        random_layer(
            random,
            (conv(window(1, 1, Padding::Valid, 8), None), [16, 8, 8]),
            1,
            (1.0, 0.01),
        ),
        random_layer(
            random,
            (
                conv(window(1, 1, Padding::Valid, 8), Some((Pooling::Average, 8))),
                [16, 1, 1],
            ),
            16,
            (1.0, 0.3),
        ),
        random_layer(random, (Operation::Dense, [4, 1, 1]), 16, (1.0, 0.3)),
    ];
    // All weights have one sign, so that the sums are as large as possible.
    for layer in &mut layers[..2] {
        layer
            .weights
            .data_mut()
            .iter_mut()
            .for_each(|weight| *weight = weight.abs());
    }
    layers[1].source = Some(0);
    layers[2].source = Some(1);
    layers[2].relu = false;
    for skip in [None, Some(0)] {
        layers[1].skip = skip;
        let network = Network {
            input: [1, 8, 8],
            layers: layers.clone(),
        };
        let images = images(&network, 7);
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        for encoding in [Encoding::Words, Encoding::Csr] {
            let Quantized { spec, .. } = quantized(&network, &images, WeightType::Int(6), encoding);
            assert_eq!(spec.layers[1].encoding, encoding);
            let likeness = likeness(&network, &spec, &images);
            assert!(likeness > 0.998, "{skip:?} {encoding:?}: {likeness}");
        }
    }
}

#[test]
fn sums_that_overflow_at_every_scale_are_reported_with_layer_and_encoding() {
    let random = &mut Random::new(41);
    let mut layer = random_layer(random, (Operation::Dense, [4, 1, 1]), 8000, (0.9, 0.01));
    (layer.name, layer.relu) = ("fc1".into(), false);
    let network = Network {
        input: [1, 1, 8000],
        layers: vec![layer],
    };
    let images = images(&network, 8);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let refused = quantize(&network, &images, WeightType::Int(3), &[Encoding::Words]).unwrap_err();
    assert!(
        matches!(
            refused,
            DeployError::Overflow {
                index: 0,
                encoding: Encoding::Words,
                ..
            }
        ),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("layer fc1 cannot be stored as words")
    );
    quantized(&network, &images, WeightType::Int(8), Encoding::Csr);
}
