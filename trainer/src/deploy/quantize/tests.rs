//! Quantizes small random networks with every operation, and compares the integers with the f32
//! network and the engine with the reference implementation.

use rarefy_format::{AlignedBytes, Encoding, Model, Values as Stored, write};
use rarefy_runtime::Engine;

use super::*;
use crate::deploy::sparse::from_rows;
use crate::graph::{Padding, Window};
use crate::random::Random;

/// Returns a layer of random weights with the given density, and random biases.
pub(super) fn random_layer(
    random: &mut Random,
    (operation, shape): (Operation, [usize; 3]),
    columns: usize,
    (density, scale): (f64, f64),
) -> Layer {
    let rows = (0..shape[0]).map(|_| {
        let kept = (0..columns).filter(|_| (random.below(1000) as f64) < 1000.0 * density);
        let kept: Vec<usize> = kept.collect();
        kept.into_iter()
            .map(|column| (column, (scale * random.normal()) as f32))
            .collect()
    });
    let weights = from_rows(columns, rows.collect::<Vec<_>>().into_iter());
    Layer {
        name: "layer".into(),
        operation,
        bias: (0..shape[0])
            .map(|_| 0.2 * random.normal() as f32)
            .collect(),
        weights,
        relu: true,
        ceiling: f32::INFINITY,
        source: None,
        skip: None,
        shape,
        original: (shape[0], columns),
    }
}

pub(super) fn window(size: usize, stride: usize, padding: Padding, map: usize) -> Window {
    Window::new(size, stride, padding, [map, map]).unwrap()
}

pub(super) fn conv(window: Window, pooling: Option<(Pooling, usize)>) -> Operation {
    Operation::Conv { window, pooling }
}

/// Returns a network with padded and strided convolutions, both kinds of pooling (fused and
/// alone), a skip, a signed source and dense layers.
fn everything(seed: u64) -> Network {
    let random = &mut Random::new(seed);
    let same = window(3, 1, Padding::Same, 12);
    let mut layers = vec![
        random_layer(random, (conv(same, None), [4, 12, 12]), 9, (0.7, 0.004)),
        random_layer(random, (conv(same, None), [4, 12, 12]), 36, (0.4, 0.4)),
        // A signed map, and a layer that adds it.
        random_layer(
            random,
            (conv(window(1, 1, Padding::Valid, 12), None), [4, 12, 12]),
            4,
            (0.8, 0.7),
        ),
        random_layer(random, (conv(same, None), [4, 12, 12]), 36, (0.4, 0.4)),
        random_layer(
            random,
            (
                conv(window(3, 1, Padding::Valid, 12), Some((Pooling::Max, 2))),
                [5, 5, 5],
            ),
            36,
            (0.5, 0.3),
        ),
        random_layer(
            random,
            (
                conv(window(2, 1, Padding::Valid, 5), Some((Pooling::Average, 2))),
                [6, 2, 2],
            ),
            20,
            (0.6, 0.4),
        ),
        random_layer(random, (Operation::Dense, [9, 1, 1]), 24, (0.6, 0.5)),
        random_layer(random, (Operation::Dense, [4, 1, 1]), 9, (0.9, 0.5)),
    ];
    let links: [(Option<usize>, Option<usize>); 8] = [
        (None, None),
        (Some(0), None),
        (Some(0), None),
        (Some(1), Some(2)),
        (Some(3), None),
        (Some(4), None),
        (Some(5), None),
        (Some(6), None),
    ];
    for (layer, (source, skip)) in layers.iter_mut().zip(links) {
        (layer.source, layer.skip) = (source, skip);
    }
    layers[2].relu = false;
    layers[7].relu = false;
    Network {
        input: [1, 12, 12],
        layers,
    }
}

/// Returns the network [`everything`] with upper bounds of ReLUs, which limit outputs of a
/// convolution, of one with fused max pooling, and of a dense layer on `images`.
fn bounded(seed: u64, images: &[&[u8]]) -> Network {
    let mut network = everything(seed);
    for layer in [1, 4, 6] {
        let outputs = images.iter().map(|image| network.forward(image));
        let largest = |outputs: Vec<Vec<f32>>| outputs[layer].iter().copied().fold(0.0, f32::max);
        let largest = outputs.map(largest).fold(0.0, f32::max);
        network.layers[layer].ceiling = 0.3 * largest;
    }
    network
}

/// Returns a network with pooling layers over the input, over a signed map and with overlapping
/// windows, and dense layers with a skip.
fn pooled(seed: u64) -> Network {
    let random = &mut Random::new(seed);
    let pool = |kind, window: Window, shape: [usize; 3]| Layer {
        relu: false,
        ceiling: f32::INFINITY,
        operation: Operation::Pool { window, kind },
        weights: from_rows(0, std::iter::empty::<Vec<_>>()),
        bias: Vec::new(),
        name: "pool".into(),
        source: None,
        skip: None,
        shape,
        original: (shape[0], 0),
    };
    let mut layers = vec![
        pool(
            Pooling::Average,
            window(2, 2, Padding::Valid, 14),
            [1, 7, 7],
        ),
        random_layer(
            random,
            (conv(window(1, 1, Padding::Valid, 7), None), [6, 7, 7]),
            1,
            (1.0, 0.01),
        ),
        pool(Pooling::Max, window(3, 2, Padding::Each(1), 7), [6, 4, 4]),
        pool(Pooling::Average, window(3, 1, Padding::Valid, 4), [6, 2, 2]),
        random_layer(random, (Operation::Dense, [8, 1, 1]), 24, (0.7, 0.4)),
        random_layer(random, (Operation::Dense, [8, 1, 1]), 8, (0.7, 0.4)),
        random_layer(random, (Operation::Dense, [5, 1, 1]), 8, (0.9, 0.4)),
    ];
    for (index, layer) in layers.iter_mut().enumerate() {
        layer.source = index.checked_sub(1);
    }
    layers[1].relu = false;
    layers[5].skip = Some(4);
    layers[6].relu = false;
    Network {
        input: [1, 14, 14],
        layers,
    }
}

pub(super) fn images(network: &Network, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let pixels = network.input.iter().product();
    // Half of the pixels are 0, as in digits.
    let mut pixel = || random.below(512).saturating_sub(256) as u8;
    (0..60)
        .map(|_| (0..pixels).map(|_| pixel()).collect())
        .collect()
}

/// Returns the cosine similarity of the class scores of integers and floats, over all images.
pub(super) fn likeness(network: &Network, spec: &NetworkSpec, images: &[&[u8]]) -> f64 {
    let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
    for image in images {
        for (a, b) in spec.infer(image).into_iter().zip(network.scores(image)) {
            let (a, b) = (f64::from(a), f64::from(b));
            (dot, a2, b2) = (dot + a * b, a2 + a * a, b2 + b * b);
        }
    }
    dot / (a2 * b2).sqrt()
}

/// Returns the factor by which the logits of `spec` are larger than the scores of `network`, by
/// least squares.
fn slope(network: &Network, spec: &NetworkSpec, images: &[&[u8]]) -> f64 {
    let (mut dot, mut square) = (0.0, 0.0);
    for image in images {
        for (logit, score) in spec.infer(image).into_iter().zip(network.scores(image)) {
            let (logit, score) = (f64::from(logit), f64::from(score));
            (dot, square) = (dot + logit * score, square + score * score);
        }
    }
    dot / square
}

/// Returns `encoding` for each layer that it can store, and compressed rows for the others.
pub(super) fn encodings(
    network: &Network,
    weights: WeightType,
    encoding: Encoding,
) -> Vec<Encoding> {
    let of = |layer: &Layer| match layer.is_pool() {
        true => Encoding::None,
        false if holds(encoding, weights, layer) => encoding,
        false => Encoding::Csr,
    };
    network.layers.iter().map(of).collect()
}

/// Compares networks with bounds that saturation computes, and the same networks without bounds,
/// which compute something else.
#[test]
fn activations_saturate_at_upper_bounds() {
    for seed in 0..2 {
        let unbounded = everything(seed);
        let images = images(&unbounded, 100 + seed);
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let network = bounded(seed, &images);
        for (weights, least) in [(WeightType::Int(8), 0.998), (WeightType::Int(6), 0.99)] {
            let encodings = encodings(&network, weights, Encoding::Csr);
            let Quantized { spec, .. } = quantize(&network, &images, weights, &encodings).unwrap();
            let likeness = |network| likeness(network, &spec, &images);
            let (own, other) = (likeness(&network), likeness(&unbounded));
            assert!(own > least, "{seed} {weights:?}: {own}");
            assert!(other < 0.98, "{seed} {weights:?}: {other}");
        }
    }
}

#[test]
fn integers_follow_the_floats_and_the_engine_follows_the_integers() {
    for seed in 0..2 {
        for network in [everything(seed), pooled(seed)] {
            let images = images(&network, 100 + seed);
            let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
            for (weights, least) in [
                (WeightType::Int(8), 0.999),
                (WeightType::Int(6), 0.997),
                (WeightType::Int(4), 0.97),
                (WeightType::Ternary, 0.7),
            ] {
                for encoding in [
                    Encoding::Csr,
                    Encoding::Words,
                    Encoding::Columns,
                    Encoding::Dense,
                ] {
                    let encodings = encodings(&network, weights, encoding);
                    let Quantized {
                        spec, output_step, ..
                    } = quantize(&network, &images, weights, &encodings).unwrap();
                    let slope = output_step * slope(&network, &spec, &images);
                    let apart = (slope - 1.0).abs();
                    assert!(
                        apart < 5.0 * (1.0 - least),
                        "{seed} {weights:?} {encoding:?}: {slope}"
                    );
                    let likeness = likeness(&network, &spec, &images);
                    assert!(
                        likeness > least,
                        "{seed} {weights:?} {encoding:?}: {likeness}"
                    );

                    let bytes = AlignedBytes::copy_from(&write(&spec).unwrap());
                    let model = Model::parse(&bytes).unwrap();
                    let mut arena = vec![0; model.arena_words()];
                    let engine = Engine::new(model).unwrap();
                    for image in &images {
                        let found = engine.infer(image, &mut arena).unwrap();
                        assert!(
                            found == spec.infer(image),
                            "{seed} {weights:?} {encoding:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn every_layer_uses_its_eight_bits_and_no_stored_weight_is_zero() {
    let network = everything(9);
    let images = images(&network, 9);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let encodings = encodings(&network, WeightType::Int(8), Encoding::Csr);
    let Quantized { spec, activity, .. } =
        quantize(&network, &images, WeightType::Int(8), &encodings).unwrap();
    let last = spec.layers.len() - 1;
    let mut largest = vec![0; last];
    for image in &images {
        for (largest, values) in largest.iter_mut().zip(spec.outputs(image)) {
            if let Stored::Bytes(bytes) = values {
                *largest = bytes.into_iter().max().max(Some(*largest)).unwrap();
            }
        }
    }
    assert!(largest.iter().all(|&largest| largest > 120), "{largest:?}");
    for (layer, folded) in spec.layers.iter().zip(&network.layers) {
        let WeightsSpec::Integers { rows, .. } = &layer.weights else {
            panic!("integers")
        };
        let (stored, all) = (layer.weights.len(), folded.weights.nnz());
        assert!(stored <= all && stored + 2 >= all, "{stored} of {all}");
        assert!(rows.iter().flatten().all(|&(_, weight)| weight != 0));
    }
    // Half of the pixels are 0.
    let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len() as f64;
    assert!((mean(&activity[0].values) - 0.5).abs() < 0.05);
    assert_eq!(activity[1].values.len(), 4 * 12 * 12);
}

#[test]
fn fewer_bits_have_smaller_integers_and_ternary_weights_are_signs() {
    let network = everything(3);
    let images = images(&network, 3);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    for (weights, most) in [
        (WeightType::Int(8), 127),
        (WeightType::Int(4), 8),
        (WeightType::Int(2), 2),
        (WeightType::Ternary, 1),
    ] {
        let encodings = encodings(&network, weights, Encoding::Csr);
        let Quantized { spec, .. } = quantize(&network, &images, weights, &encodings).unwrap();
        let sizes = spec.layers.iter().map(|layer| match &layer.weights {
            WeightsSpec::Integers { rows, .. } => {
                let sizes = rows.iter().flatten().map(|&(_, weight)| weight.abs());
                sizes.max().unwrap()
            }
            _ => panic!("integers"),
        });
        assert_eq!(sizes.max(), Some(most), "{weights:?}");
    }
}

#[test]
fn biases_are_shortened_to_the_nearest_of_eight_bits() {
    assert_eq!(short(&[127, -127, 3]), [127, -127, 3]);
    assert_eq!(short(&[254, -254, 3, 1]), [254, -254, 4, 2]);
    // 255 would be rounded to 128 steps of 2, which is too large: the step becomes 4.
    assert_eq!(short(&[255, 2, -3]), [256, 4, -4]);
    assert_eq!(
        short(&[1 << 30, -1 << 30, 1 << 23]),
        [1 << 30, -1 << 30, 1 << 24]
    );
    assert!(short(&[]).is_empty());
}

#[test]
fn floats_are_for_chains_of_dense_layers() {
    let random = &mut Random::new(5);
    let mut layers = vec![
        random_layer(random, (Operation::Dense, [6, 1, 1]), 9, (0.6, 0.01)),
        random_layer(random, (Operation::Dense, [3, 1, 1]), 6, (0.6, 0.5)),
    ];
    layers[1].source = Some(0);
    layers[1].relu = false;
    let network = Network {
        input: [1, 3, 3],
        layers,
    };
    let images = images(&network, 5);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let Quantized {
        spec,
        activity,
        output_step,
        ..
    } = floats(&network, &images).unwrap();
    assert_eq!(output_step, 1.0 / 65_536.0);
    for image in &images {
        for (found, exact) in spec.infer(image).into_iter().zip(network.scores(image)) {
            assert!((found as f32 / 65_536.0 - exact).abs() < 1e-4 * exact.abs().max(1.0));
        }
    }
    assert_eq!((activity[0].values.len(), activity[1].values.len()), (9, 6));
    // Scores too close for logits to tell apart, or too large for them, are scaled.
    for size in [1e-7_f32, 1e7] {
        let mut network = network.clone();
        network.layers[1]
            .weights
            .map_inplace(|weight| weight * size);
        network.layers[1]
            .bias
            .iter_mut()
            .for_each(|bias| *bias *= size);
        let Quantized {
            spec, output_step, ..
        } = floats(&network, &images).unwrap();
        let slope = output_step * slope(&network, &spec, &images);
        assert!((slope - 1.0).abs() < 1e-4, "{size}: {slope}");
        let largest = |scores: Vec<f64>| scores.into_iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        let pairs = images.iter().map(|image| {
            let logits = spec.infer(image).into_iter().map(f64::from).collect();
            let exact = network.scores(image).into_iter().map(f64::from).collect();
            [largest(logits), largest(exact)]
        });
        let pairs: Vec<[f64; 2]> = pairs.collect();
        // All scores are scaled by one factor, up to the rounding of a logit.
        let most = pairs.iter().max_by(|a, b| a[0].total_cmp(&b[0])).unwrap();
        assert!(most[0] > 4.0 * 65_536.0, "{pairs:?}");
        for [logit, exact] in &pairs {
            let expected = exact * most[0] / most[1];
            assert!(
                (logit - expected).abs() < 1.0 + 1e-4 * expected,
                "{pairs:?}"
            );
        }
    }
    let refused = floats(&everything(1), &images).unwrap_err().to_string();
    assert!(refused.contains("chains of dense layers"), "{refused}");
}

#[test]
fn a_layer_that_a_container_cannot_represent_is_named() {
    let mut network = everything(1);
    let images = images(&network, 1);
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let encodings = encodings(&network, WeightType::Int(8), Encoding::Csr);
    network.layers[4].name = "conv5".into();
    network.layers[4].bias[0] = f32::NAN;
    let refused = quantize(&network, &images, WeightType::Int(8), &encodings).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "layer conv5 cannot be quantized: its weights or activations are not finite"
    );
    for (size, stride, says) in [
        (256, 1, "a size of 256, more than 255"),
        (3, 16, "a stride or padding of 16, more than 15"),
    ] {
        let around = Padding::Each(122);
        network.layers[4].operation = conv(window(size, stride, around, 12), None);
        let refused = quantize(&network, &images, WeightType::Int(8), &encodings).unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[test]
fn rows_rounded_jointly_have_smaller_errors() {
    // Two inputs that are always equal: one weight can compensate for the error of the other.
    let random = &mut Random::new(4);
    let pair = from_rows(2, vec![vec![(0, 0.4_f32), (1, 0.4)]].into_iter());
    let layer = Layer {
        weights: pair,
        bias: vec![0.0],
        ..random_layer(random, (Operation::Dense, [1, 1, 1]), 2, (1.0, 1.0))
    };
    let stored: Vec<Vec<f32>> = (0..300).map(|x| vec![(x % 256) as f32; 2]).collect();
    let source = Values {
        exact: stored.clone(),
        stored,
        step: 1.0,
        zero: 0.0,
        shape: [2, 1, 1],
    };
    let sums: Vec<Vec<f32>> = source.exact.iter().map(|x| vec![0.8 * x[0]]).collect();
    let correlations = rounding::Correlations::new(&layer, &source, &sums).unwrap();
    let grid = grid::grid(Encoding::Rice, WeightType::Int(4), 1, 2).unwrap();
    // In steps of 0.1 the weights must add up to 8; the integers given add up to 2.
    let mut integers = [1, 1];
    correlations.descend(&mut integers, (0, &[0, 1]), grid, 0.1);
    assert_eq!(integers.iter().sum::<i16>(), 8);
    // No weight exceeds the largest integer, and a weight that is not needed becomes 0.
    let mut integers = [-1, 8];
    correlations.descend(&mut integers, (0, &[0, 1]), grid, 0.1);
    assert_eq!(integers, [0, 8]);
}
