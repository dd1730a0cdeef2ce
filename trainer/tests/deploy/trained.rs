//! Compares folded and stripped networks with the trainer's forward pass.

use candle_core::{DType, Device, Tensor};
use rarefy_trainer::data::Scaling;
use rarefy_trainer::deploy::network::Operation;
use rarefy_trainer::deploy::{DeployError, Network, fold, strip};
use rarefy_trainer::graph::{self, Graph, Padding, Pooling, Window, architecture};
use rarefy_trainer::network::{self, State, Statistics, initial};
use rarefy_trainer::pruning::Masks;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::random::Random;

use crate::graphs;

/// MNIST's mean and standard deviation.
pub(crate) const MNIST: (f32, f32) = (0.1307, 0.3081);

/// The number of images that networks are compared on; as many others are used to compute
/// batch-norm statistics.
const IMAGES: usize = 12;

/// A graph with weights, statistics and masks, and its class scores for some images.
pub(crate) struct Trained {
    pub(crate) graph: Graph,
    state: State,
    masks: Masks,
    pixels: Scaling,
    images: Vec<Vec<u8>>,
    scores: Vec<Vec<f32>>,
    /// The effect of f32 rounding on the trainer's own scores.
    pub(crate) rounding: f32,
}

/// Returns the largest difference between two lists of class scores, relative to the largest
/// magnitude in the second.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = |scores: &mut dyn Iterator<Item = f32>| scores.fold(1e-3_f32, f32::max);
    let scale = largest(&mut expected.iter().map(|score| score.abs()));
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f32::max) / scale
}

/// Returns random masks of `graph` of the given density, in which some whole rows and columns are
/// empty.
pub(crate) fn random_masks(graph: &Graph, density: f64, random: &mut Random) -> Masks {
    let tensors = graph.prunable();
    let kept: Vec<Vec<usize>> = tensors
        .iter()
        .map(|tensor| {
            let (inputs, taps) = (tensor.shape[1], tensor.shape[2..].iter().product::<usize>());
            let mut some =
                |count: usize| -> Vec<bool> { (0..count).map(|_| random.unit() < 0.9).collect() };
            let (rows, mut columns) = (some(tensor.shape[0]), some(inputs));
            columns[0] = true;
            let there = |element: &usize| {
                rows[element / (inputs * taps)] && columns[element / taps % inputs]
            };
            let mut drawn = (0..tensor.len())
                .filter(|_| random.unit() < density)
                .collect::<Vec<_>>();
            drawn.retain(there);
            drawn
        })
        .collect();
    Masks::of(&tensors, kept)
}

/// Returns the inputs of `graph` for `images`, normalised by `pixels`.
fn normalised(images: &[Vec<u8>], graph: &Graph, pixels: &Scaling) -> candle_core::Result<Tensor> {
    let area: usize = graph.input_shape()[1..].iter().product();
    let normal = |(at, &pixel): (usize, &u8)| {
        let of = |numbers: &[f32]| numbers[at / area % numbers.len()];
        let (mean, std) = (of(pixels.mean.values()), of(pixels.std.values()));
        (f32::from(pixel) / 255.0 - mean) / std
    };
    let images_in_order = images.iter().flat_map(|image| image.iter().enumerate());
    let values: Vec<f32> = images_in_order.map(normal).collect();
    Tensor::from_vec(values, (images.len(), graph.input_len()), &Device::Cpu)
}

impl Trained {
    /// Returns `graph` with random weights, biases and batch norms (of either sign) under `masks`,
    /// and the statistics of random images normalised by `pixels`, such as (mean, standard
    /// deviation).
    pub(crate) fn new(
        graph: Graph,
        masks: Masks,
        pixels: impl Into<Scaling>,
        random: &mut Random,
    ) -> Self {
        let pixels = pixels.into();
        let mut state = initial::state(&graph, random.next_u64());
        for (name, array) in &mut state.0 {
            if let Some(mask) = masks.iter().find(|mask| mask.name == *name) {
                let weights = array.values.iter_mut().zip(&mask.keep);
                weights
                    .filter(|(_, keep)| !**keep)
                    .for_each(|(weight, _)| *weight = 0.0);
            } else {
                let spread = |value: &mut f32| *value += 0.7 * random.normal() as f32;
                array.values.iter_mut().for_each(spread);
            }
        }
        let image = |random: &mut Random| {
            (0..graph.input_len())
                .map(|_| random.below(256) as u8)
                .collect()
        };
        let images: Vec<Vec<u8>> = (0..2 * IMAGES).map(|_| image(random)).collect();
        let tensor = |images: &[Vec<u8>]| normalised(images, &graph, &pixels);
        let (training, images) = images.split_at(IMAGES);
        let network = network::Network::new(&graph, &state, &Device::Cpu).unwrap();
        let statistics =
            Statistics::compute(&network, || std::iter::once(tensor(training))).unwrap();
        statistics.add_to(network.graph(), &mut state);
        let last = graph.nodes().len() - 1;
        let scores = |network: &network::Network| -> Vec<Vec<f32>> {
            let scores = network.forward_to(last, &tensor(images).unwrap(), &statistics);
            let scores = scores.unwrap().to_dtype(DType::F32).unwrap();
            scores.to_vec2().unwrap()
        };
        let kernels: Vec<Vec<f64>> = graph
            .prunable()
            .iter()
            .map(|tensor| {
                state
                    .get(&tensor.name)
                    .values
                    .iter()
                    .map(|&w| w.into())
                    .collect()
            })
            .collect();
        let double = network::Network::in_double(&graph, &state, &kernels, &Device::Cpu).unwrap();
        let (single, double) = (scores(&network), scores(&double));
        let rounding = single.iter().zip(&double).map(|(a, b)| distance(a, b));
        Self {
            rounding: rounding.fold(0.0, f32::max),
            scores: double,
            images: images.to_vec(),
            graph,
            state,
            masks,
            pixels,
        }
    }

    pub(crate) fn fold(&self) -> Result<Network, DeployError> {
        fold::fold(&self.graph, &self.state, &self.masks, &self.pixels)
    }

    /// Checks that `network` computes the trainer's class scores.
    pub(crate) fn agrees(&self, network: &Network, what: &str) {
        for (image, expected) in self.images.iter().zip(&self.scores) {
            let (found, name) = (network.scores(image), self.graph.name());
            let apart = distance(&found, expected);
            assert!(
                apart <= 1e-4,
                "{name}, {what}: {apart} apart: {found:?}, not {expected:?}"
            );
        }
    }
}

/// Tests every network under dense, random and effective masks; random masks leave dead units with
/// constant values.
#[test]
fn folded_and_stripped_networks_compute_what_was_trained() {
    let mut random = Random::new(1);
    let alike = [
        (graphs::lenet_300_100(), 0.05, MNIST),
        (architecture::by_name("lenet-5-28").unwrap(), 0.1, MNIST),
        (graphs::lenet_5_caffe(), 0.1, MNIST),
        (graphs::vgg(), 0.3, (0.0, 0.3081)),
        (graphs::vgg(), 0.3, MNIST),
        (graphs::resnet(), 0.3, (0.0, 1.0)),
        (graphs::resnet(), 0.3, MNIST),
        (graphs::ds_cnn(Padding::Same, 2), 0.4, (0.0, 0.3081)),
        (graphs::ds_cnn(Padding::Same, 2), 0.4, MNIST),
        (graphs::ds_cnn(Padding::Valid, 1), 0.4, MNIST),
        (graphs::file("residual.toml"), 0.4, MNIST),
        (graphs::file("pooled-300-100.toml"), 0.05, MNIST),
        (graphs::file("pooled-conv10.toml"), 0.2, MNIST),
        (graphs::file("pooled-conv10.toml"), 0.2, (0.0, 0.3)),
        (graphs::file("conv4-conv8.toml"), 0.3, MNIST),
    ]
    .map(|(graph, density, pixels)| (graph, density, Scaling::from(pixels)));
    // Three channels, each normalised on its own, read with and without padding; the second has
    // a mean of 0.
    let apart = Scaling {
        mean: vec![0.4914, 0.0, 0.4465].into(),
        std: vec![0.2470, 0.35, 0.1616].into(),
    };
    let colour = [
        (architecture::by_name("lenet-5").unwrap(), 0.1),
        (graphs::vgg(), 0.3),
        (graphs::resnet(), 0.3),
        (
            architecture::multilayer("colours", [3, 6, 5], &[12, 5]).unwrap(),
            0.3,
        ),
    ]
    .map(|(graph, density)| (graph, density, apart.clone()));
    for (graph, density, pixels) in alike.into_iter().chain(colour) {
        let direct = random_masks(&graph, density, &mut random);
        let effective = effective::masks(&graph, &direct, Mode::Graph);
        let whole = Masks::dense(&graph);
        assert!(effective.nonzeros() > 0, "{}", graph.name());
        for masks in [&whole, &direct, &effective] {
            let trained = Trained::new(graph.clone(), masks.clone(), pixels.clone(), &mut random);
            let folded = trained.fold().unwrap();
            trained.agrees(&folded, "folded");
            let stripped = strip::strip(&folded);
            trained.agrees(&stripped, "stripped");
            assert_eq!(strip::strip(&stripped), stripped);
            if masks == &whole {
                // Only taps that read a constant channel at every position are removed.
                let outline = |network: &Network| -> Vec<_> {
                    let layers = network.layers.iter();
                    layers.map(|l| (l.source, l.skip, l.shape)).collect()
                };
                assert_eq!(outline(&stripped), outline(&folded));
                if pixels.mean == 0.0.into() {
                    assert!(stripped == folded, "{}", graph.name());
                }
            }
        }
    }
}

/// Returns one line per layer of the folded network: its name, source, skip, ReLU and fused
/// pooling.
fn outline(graph: Graph, pixels: (f32, f32)) -> Vec<String> {
    let masks = Masks::dense(&graph);
    let trained = Trained::new(graph, masks, pixels, &mut Random::new(2));
    let place = |layer: Option<usize>| layer.map_or("-".into(), |layer| layer.to_string());
    let line = |layer: &rarefy_trainer::deploy::Layer| {
        let pooling = match layer.operation {
            Operation::Conv {
                pooling: Some((Pooling::Max, size)),
                ..
            } => format!(" max {size}"),
            Operation::Conv {
                pooling: Some((Pooling::Average, size)),
                ..
            } => format!(" average {size}"),
            _ => String::new(),
        };
        let relu = if layer.relu { " relu" } else { "" };
        let (source, skip) = (place(layer.source), place(layer.skip));
        format!("{} {source} {skip}{relu}{pooling}", layer.name)
    };
    trained.fold().unwrap().layers.iter().map(line).collect()
}

#[test]
fn pooling_and_additions_become_part_of_layers() {
    assert_eq!(
        outline(architecture::by_name("lenet-5-28").unwrap(), MNIST),
        [
            "conv1 - - relu average 2",
            "conv2 0 - relu average 2",
            "fc1 1 - relu",
            "fc2 2 - relu",
            "fc3 3 -"
        ]
    );
    // Pixels are pooled first. With a mean other than 0, the stem, which pads, needs a constant
    // channel.
    let residual = |first: &[&str], pool: usize| {
        let at = |layer: usize| layer + pool;
        let mut lines: Vec<String> = first.iter().map(|line| (*line).into()).collect();
        lines.extend([
            format!("stem {} - relu", at(0)),
            format!("conv1 {} - relu", at(1)),
            format!("conv2 {} {} relu", at(2), at(1)),
            format!("conv3 {} - relu", at(3)),
            format!("conv4 {} -", at(4)),
            format!("shortcut1 {} {} relu average 7", at(3), at(5)),
            format!("fc1 {} -", at(6)),
        ]);
        lines
    };
    let graph = graphs::file("residual.toml");
    let plain = residual(&["pool1 - -"], 0);
    assert_eq!(outline(graph.clone(), (0.0, 0.5)), plain);
    let shifted = residual(&["pool1 - -", "stem.input 0 - relu"], 1);
    assert_eq!(outline(graph, MNIST), shifted);
    // A normalised identity becomes a layer of its own. It comes after the block's main branch, so
    // it adds the output of that branch.
    let resnet = outline(graphs::resnet(), (0.0, 1.0));
    assert_eq!(resnet[3], "node10.source2 0 2 relu", "{resnet:?}");
}

/// Tests that stripping keeps exactly the effective weights of networks without padding, in which
/// every constant can be folded.
#[test]
fn stripping_keeps_the_effective_weights() {
    let mut random = Random::new(3);
    for (graph, density) in [
        (graphs::lenet_300_100(), 0.03),
        (architecture::by_name("lenet-5-28").unwrap(), 0.05),
        (graphs::lenet_5_caffe(), 0.04),
        (graphs::ds_cnn(Padding::Valid, 1), 0.4),
        (graphs::file("conv6-conv12.toml"), 0.05),
        (graphs::file("pooled-300-100.toml"), 0.03),
    ] {
        let masks = random_masks(&graph, density, &mut random);
        let effective = effective::masks(&graph, &masks, Mode::Graph).nonzeros();
        assert!(0 < effective && effective < masks.nonzeros());
        let trained = Trained::new(graph, masks, MNIST, &mut random);
        let stripped = strip::strip(&trained.fold().unwrap());
        assert_eq!(stripped.nonzeros(), effective, "{}", trained.graph.name());
    }
}

/// Tests pooling of a whole map that is too large for a stride of its size.
#[test]
fn strides_of_a_single_output_are_short() {
    for (input, stride) in [([3, 25, 5], [1, 5]), ([3, 15, 16], [15, 1])] {
        let mut builder = graphs::Builder::new("whole", input);
        let map = [input[1], input[2]];
        let window = Window::rectangular(map, map, Padding::Valid, map).unwrap();
        let kind = Pooling::Average;
        let pool = builder.push(graph::Operation::Pool { kind, window }, &[0]);
        builder.dense(pool, 3);
        let masks = Masks::dense(&builder.0);
        let trained = Trained::new(builder.0, masks, MNIST, &mut Random::new(7));
        let folded = trained.fold().unwrap();
        let Operation::Pool { window, .. } = folded.layers[0].operation else {
            panic!("{:?}", folded.layers[0]);
        };
        assert_eq!((window.size, window.stride), (map, stride));
        trained.agrees(&folded, "folded");
    }
}

/// Tests a map that is read twice: as it is, and after pooling and a ReLU.
#[test]
fn a_map_with_two_readers_is_neither_pooled_nor_rectified_for_both() {
    let mut builder = graphs::Builder::new("twice", [1, 8, 8]);
    let stem = builder.conv(0, (4, 3, 1), Padding::Valid);
    let stem = builder.norm(stem);
    let pooled = builder.pool(stem, Pooling::Max, (2, 2));
    let pooled = builder.relu(pooled);
    let whole = builder.conv(stem, (4, 2, 2), Padding::Valid);
    let sum = builder.add(pooled, whole);
    builder.dense(sum, 3);
    let masks = Masks::dense(&builder.0);
    let trained = Trained::new(builder.0, masks, MNIST, &mut Random::new(6));
    let folded = trained.fold().unwrap();
    assert!(!folded.layers[0].relu && folded.layers[1].is_pool());
    trained.agrees(&folded, "folded");
    trained.agrees(&strip::strip(&folded), "stripped");
}
