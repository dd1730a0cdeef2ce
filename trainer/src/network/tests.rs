//! Tests the fused operators against plain tensor operations, plain tensor operations against
//! finite differences, and one training step of every built-in architecture.

use candle_core::{DType, Device, Tensor, backprop::GradStore};
use candle_nn::loss::cross_entropy;

use super::operators::batch_norm;
use super::statistics::{EPSILON, Moments};
use super::{Network, State, Statistics, initial, plain, segments};
use crate::graph::architecture::{self, multilayer};
use crate::graph::{Graph, Operation, Padding, Pooling, Window};
use crate::random::Random;
use crate::training::Hyperparameters;
use crate::training::hyperparameters::{Decay, DecayKind};
use crate::training::optimizer::Optimizer;

pub(super) fn random_tensor(random: &mut Random, shape: (usize, usize)) -> Tensor {
    let values: Vec<f32> = (0..shape.0 * shape.1)
        .map(|_| random.normal() as f32)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let difference = a.sub(b).unwrap().abs().unwrap().flatten_all().unwrap();
    let largest = difference.max(0).unwrap().to_dtype(DType::F64).unwrap();
    largest.to_scalar().unwrap()
}

/// A graph under construction; each method appends a node that reads the given one.
pub(super) struct Layers(pub(super) Graph);

impl Layers {
    pub(super) fn window(
        &self,
        source: usize,
        size: usize,
        stride: usize,
        padding: Padding,
    ) -> Window {
        let shape = &self.0.nodes()[source].shape;
        Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap()
    }

    /// Returns a window over node `source`; size and stride are (height, width).
    pub(super) fn rectangle(
        &self,
        source: usize,
        size: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Window {
        let shape = &self.0.nodes()[source].shape;
        Window::rectangular(size, stride, padding, [shape[1], shape[2]]).unwrap()
    }

    pub(super) fn push(&mut self, operation: Operation, sources: &[usize]) -> usize {
        let name = format!("node{}", self.0.nodes().len());
        self.0.push_from(&name, operation, sources).unwrap()
    }

    /// Appends a convolution, with a bias if the number of channels is even.
    pub(super) fn conv(&mut self, source: usize, channels: usize, window: Window) -> usize {
        self.grouped(source, channels, 1, window)
    }

    /// Appends a convolution in groups, with a bias if the number of channels is even.
    pub(super) fn grouped(
        &mut self,
        source: usize,
        channels: usize,
        groups: usize,
        window: Window,
    ) -> usize {
        let bias = channels.is_multiple_of(2);
        let operation = Operation::Conv {
            channels,
            window,
            groups,
            bias,
        };
        self.push(operation, &[source])
    }

    pub(super) fn norm(&mut self, source: usize) -> usize {
        self.push(Operation::BatchNorm, &[source])
    }

    pub(super) fn relu(&mut self, source: usize) -> usize {
        self.push(Operation::Relu, &[source])
    }

    pub(super) fn pool(&mut self, source: usize, kind: Pooling, window: Window) -> usize {
        self.push(Operation::Pool { kind, window }, &[source])
    }

    /// Ends the graph with a dense layer without bias and its batch norm.
    pub(super) fn classify(mut self, source: usize) -> Graph {
        let flat = self.push(Operation::Flatten, &[source]);
        let dense = Operation::Dense {
            units: 3,
            bias: false,
        };
        let dense = self.push(dense, &[flat]);
        self.norm(dense);
        self.0
    }
}

/// Returns a network of convolutions and average pooling like LeNet-5, on a map that is not
/// square.
pub(super) fn lenet() -> Graph {
    let mut layers = Layers(Graph::new("lenet", [2, 14, 12]));
    let mut last = 0;
    for channels in [4, 5] {
        let window = layers.window(last, 3, 1, Padding::Valid);
        last = layers.conv(last, channels, window);
        last = layers.norm(last);
        last = layers.relu(last);
        let window = layers.window(last, 2, 2, Padding::Valid);
        last = layers.pool(last, Pooling::Average, window);
    }
    layers.classify(last)
}

/// Returns a block with a strided, unevenly padded main path, a strided shortcut and a normalised
/// identity, between overlapping max pooling and padded average pooling.
pub(super) fn residual() -> Graph {
    let mut layers = Layers(Graph::new("residual", [3, 12, 11]));
    let window = layers.window(0, 5, 1, Padding::Each(1));
    let conv = layers.conv(0, 4, window);
    let window = layers.window(conv, 3, 2, Padding::Valid);
    let pool = layers.pool(conv, Pooling::Max, window);
    let input = layers.norm(pool);
    let window = layers.window(input, 3, 2, Padding::Same);
    let main = layers.conv(input, 5, window);
    let window = layers.window(input, 1, 2, Padding::Valid);
    let shortcut = layers.conv(input, 5, window);
    let (main, shortcut) = (layers.norm(main), layers.norm(shortcut));
    let sum = layers.push(Operation::Add, &[main, shortcut]);
    let sum = layers.relu(sum);
    let identity = layers.norm(sum);
    let sum = layers.push(Operation::Add, &[sum, identity]);
    let window = layers.window(sum, 2, 1, Padding::Same);
    let pool = layers.pool(sum, Pooling::Average, window);
    layers.classify(pool)
}

/// Returns a network with rectangular windows, like one for spectrograms: convolutions with a
/// different size, stride and padding along each axis, a depthwise one, one in groups, and the mean
/// over a whole map.
pub(super) fn speech() -> Graph {
    let mut layers = Layers(Graph::new("speech", [2, 15, 8]));
    let window = layers.rectangle(0, [6, 4], [2, 1], Padding::Same);
    let conv = layers.conv(0, 4, window);
    let norm = layers.norm(conv);
    let relu = layers.relu(norm);
    let window = layers.window(relu, 3, 1, Padding::Same);
    let depthwise = layers.grouped(relu, 4, 4, window);
    let norm = layers.norm(depthwise);
    let relu = layers.relu(norm);
    let window = layers.rectangle(relu, [2, 3], [1, 2], Padding::Each(1));
    let conv = layers.grouped(relu, 6, 2, window);
    let norm = layers.norm(conv);
    let relu = layers.relu(norm);
    let window = layers.rectangle(relu, [9, 4], [9, 4], Padding::Valid);
    let pool = layers.pool(relu, Pooling::Average, window);
    layers.classify(pool)
}

/// Returns the kernels of `graph` in f64.
pub(super) fn kernels(graph: &Graph, state: &State) -> Vec<Vec<f64>> {
    let kernel = |name: &str| state.get(name).values.iter().map(|&w| f64::from(w));
    let tensors = graph.prunable().into_iter();
    tensors
        .map(|tensor| kernel(&tensor.name).collect())
        .collect()
}

/// Returns the sum of the scores of `x`, weighted by `weighting`, and its gradients.
pub(super) fn weighted(network: &Network, x: &Tensor, weighting: &Tensor) -> (f64, GradStore) {
    let scores = network.train_forward(x).unwrap();
    let weighting = weighting.to_dtype(scores.dtype()).unwrap();
    let sum = scores.mul(&weighting).unwrap().sum_all().unwrap();
    let value = sum.to_dtype(DType::F64).unwrap().to_scalar().unwrap();
    (value, sum.backward().unwrap())
}

/// Compares plain tensor operations with candle's own layers, where it has them.
#[test]
fn plain_layers_match_candles_own() {
    let mut random = Random::new(6);
    let x = random_tensor(&mut random, (2, 3 * 8 * 6));
    let x = x.reshape((2, 3, 8, 6)).unwrap();
    let kernel = random_tensor(&mut random, (4, 3 * 3 * 3));
    let kernel = kernel.reshape((4, 3, 3, 3)).unwrap();
    for (stride, padding) in [(1, 0), (2, 1), (3, 2)] {
        let window = Window::new(3, stride, Padding::Each(padding), [8, 6]).unwrap();
        let found = plain::conv(&x, &kernel, None, window).unwrap();
        let expected = x.conv2d(&kernel, padding, stride, 1, 1).unwrap();
        assert!(largest_difference(&found, &expected) < 1e-5);
    }
    for (outputs, inputs, groups) in [(3, 1, 3), (6, 1, 3), (4, 3, 2)] {
        let channels = inputs * groups;
        let x = random_tensor(&mut random, (2, channels * 8 * 6));
        let x = x.reshape((2, channels, 8, 6)).unwrap();
        let kernel = random_tensor(&mut random, (outputs, inputs * 3 * 3));
        let kernel = kernel.reshape((outputs, inputs, 3, 3)).unwrap();
        let window = Window::new(3, 2, Padding::Each(1), [8, 6]).unwrap();
        let found = plain::conv(&x, &kernel, None, window).unwrap();
        let expected = x.conv2d(&kernel, 1, 2, 1, groups).unwrap();
        assert!(largest_difference(&found, &expected) < 1e-5, "{groups}");
    }
    for (size, stride) in [(2, 2), (3, 2), (2, 3)] {
        let window = Window::new(size, stride, Padding::Valid, [8, 6]).unwrap();
        let largest = plain::pool(&x, Pooling::Max, window).unwrap();
        let expected = x.max_pool2d_with_stride(size, stride).unwrap();
        assert!(largest_difference(&largest, &expected) < 1e-6);
        let mean = plain::pool(&x, Pooling::Average, window).unwrap();
        let expected = x.avg_pool2d_with_stride(size, stride).unwrap();
        assert!(largest_difference(&mean, &expected) < 1e-6);
    }
}

/// Compares the fused operators with candle's differentiation of plain tensor operations.
#[test]
fn operators_agree_with_plain_tensor_operations() {
    let dense = multilayer("toy", [1, 1, 13], &[11, 7, 5]).unwrap();
    for graph in [dense, lenet(), residual(), speech()] {
        let network = Network::new(&graph, &initial::state(&graph, 3), &Device::Cpu).unwrap();
        let mut random = Random::new(5);
        let x = random_tensor(&mut random, (17, graph.input_len()));
        let weighting = random_tensor(&mut random, (17, graph.classes()));

        let fast = network.train_forward(&x).unwrap();
        weighted(&network, &x, &weighting);
        let gradients: Vec<Tensor> = network
            .parameters()
            .iter()
            .map(|parameter| {
                parameter
                    .gradient
                    .take()
                    .expect("every parameter's gradient")
            })
            .collect();

        let network = network.plain();
        let plain = network.train_forward(&x).unwrap();
        assert!(largest_difference(&fast, &plain) < 1e-4, "{}", graph.name());
        let (_, expected) = weighted(&network, &x, &weighting);
        for (parameter, found) in network.parameters().iter().zip(gradients) {
            let expected = expected.get(parameter.var.as_tensor()).unwrap();
            let difference = largest_difference(&found, expected);
            let name = format!("{} of {}", parameter.name, graph.name());
            assert!(difference < 5e-4, "{name}: {difference}");
            assert!(
                parameter.gradient.take().is_none(),
                "plain operations leave nothing in slots"
            );
        }
    }
}

/// Compares the gradients of the f64 network with finite differences.
#[test]
fn double_gradients_match_finite_differences() {
    const STEP: f64 = 1e-6;
    for graph in [lenet(), residual(), speech()] {
        let state = initial::state(&graph, 3);
        let kernels = kernels(&graph, &state);
        let double = |kernels: &[Vec<f64>]| {
            Network::in_double(&graph, &state, kernels, &Device::Cpu).unwrap()
        };
        let mut random = Random::new(5);
        let x = random_tensor(&mut random, (6, graph.input_len()));
        let weighting = random_tensor(&mut random, (6, graph.classes()));
        let network = double(&kernels);
        assert_eq!(network.state().unwrap(), state);
        let (_, gradients) = weighted(&network, &x, &weighting);
        let of_kernels = network
            .parameters()
            .iter()
            .filter(|parameter| parameter.kernel);
        for (tensor, parameter) in of_kernels.enumerate() {
            let gradient = gradients.get(parameter.var.as_tensor()).unwrap();
            let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            for element in (0..gradient.len()).step_by(7) {
                let moved = |by: f64| {
                    let mut kernels = kernels.clone();
                    kernels[tensor][element] += by;
                    weighted(&double(&kernels), &x, &weighting).0
                };
                let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let (found, name) = (gradient[element], &parameter.name);
                assert!(
                    (found - difference).abs() < 1e-5 * (1.0 + difference.abs()),
                    "{name}[{element}] of {}: {found}, not {difference}",
                    graph.name()
                );
            }
        }
    }
}

#[test]
fn double_rejects_mismatched_kernels() {
    let graph = multilayer("toy", [1, 1, 4], &[3, 2]).unwrap();
    let state = initial::state(&graph, 3);
    let refused =
        |kernels: &[Vec<f64>]| Network::in_double(&graph, &state, kernels, &Device::Cpu).is_err();
    let kernels = kernels(&graph, &state);
    assert!(!refused(&kernels));
    assert!(refused(&kernels[..1]) && refused(&[kernels[0].clone(), vec![0.0; 3]]));
}

/// Checks that the population statistics over one batch equal the statistics of that batch.
#[test]
fn evaluation_on_the_training_batch_matches_training() {
    for graph in [lenet(), residual(), speech()] {
        let state = initial::state(&graph, 7);
        let x = random_tensor(&mut Random::new(8), (20, graph.input_len()));
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        for network in [
            network.plain(),
            Network::new(&graph, &state, &Device::Cpu).unwrap(),
        ] {
            let halves = || [0, 10].into_iter().map(|start| x.narrow(0, start, 10));
            let statistics = Statistics::compute(&network, halves).unwrap();
            let last = graph.nodes().len() - 1;
            let scores = network.forward_to(last, &x, &statistics).unwrap();
            let expected = network.train_forward(&x).unwrap();
            assert!(
                largest_difference(&scores, &expected) < 1e-3,
                "{}",
                graph.name()
            );
        }
    }
}

/// Checks the evaluation of batch norms on the CPU, which the tests above compare by tolerance.
#[test]
fn the_fused_population_norm_has_the_bits_of_tensor_operations() {
    let mut random = Random::new(12);
    for shape in [vec![7, 13], vec![3, 5, 4, 6]] {
        let units = shape[1];
        let mut draw =
            |count: usize| -> Vec<f32> { (0..count).map(|_| random.normal() as f32).collect() };
        let count = shape.iter().product();
        let x = Tensor::from_vec(draw(count), shape, &Device::Cpu).unwrap();
        let [scale, shift] = [(); 2].map(|()| Tensor::new(draw(units), &Device::Cpu).unwrap());
        let (mean, variance) = (draw(units), draw(units).iter().map(|x| x * x).collect());
        let moments = Moments::new(mean, variance);
        let plain = plain::population_norm(&x, &scale, &shift, &moments).unwrap();
        let fused = batch_norm::population_norm(&x, &scale, &shift, &moments, EPSILON).unwrap();
        assert_eq!(fused.dims(), plain.dims());
        let values = |y: &Tensor| y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&fused), values(&plain));
    }
}

/// Computes the statistics by their definition: for every batch norm, from the input on.
fn from_the_input(network: &Network, batches: &[Tensor]) -> Statistics {
    let graph = network.graph();
    let mut state = network.state().unwrap();
    for node in graph.nodes() {
        if node.operation != Operation::BatchNorm {
            continue;
        }
        // Statistics of later batch norms are not read yet.
        let statistics = statistics_or_zeros(graph, &state);
        let units = node.shape[0];
        let mut values = vec![Vec::new(); units];
        for batch in batches {
            let value = network.forward_to(node.source(), batch, &statistics);
            let value = value.unwrap().to_dtype(DType::F64).unwrap();
            let runs = value.reshape((batch.dim(0).unwrap(), units, ())).unwrap();
            for sample in runs.to_vec3::<f64>().unwrap() {
                for (values, run) in values.iter_mut().zip(sample) {
                    values.extend(run);
                }
            }
        }
        let count = values[0].len() as f64;
        let means: Vec<f64> = values
            .iter()
            .map(|v| v.iter().sum::<f64>() / count)
            .collect();
        let variances = values.iter().zip(&means).map(|(values, mean)| {
            let squares = values.iter().map(|x| (x - mean) * (x - mean));
            (squares.sum::<f64>() / count) as f32
        });
        let variances = variances.collect();
        let means = means.iter().map(|&mean| mean as f32).collect();
        state.insert(format!("{}.running_var", node.name), vec![units], variances);
        state.insert(format!("{}.running_mean", node.name), vec![units], means);
    }
    Statistics::of_state(graph, &state).unwrap()
}

/// Returns the statistics in `state`, with zeros for those that it lacks.
fn statistics_or_zeros(graph: &Graph, state: &State) -> Statistics {
    let mut state = state.clone();
    for node in graph.nodes() {
        for kind in ["running_mean", "running_var"] {
            let units = node.shape[0];
            let zeros = || super::state::Array {
                shape: vec![units],
                values: vec![0.0; units],
            };
            let name = format!("{}.{kind}", node.name);
            state.0.entry(name).or_insert_with(zeros);
        }
    }
    Statistics::of_state(graph, &state).unwrap()
}

/// Checks that the statistics are bit-identical however many values are kept between batch norms,
/// and that they match the definition up to rounding, computed in f32 and in f64.
#[test]
fn statistics_match_the_definition_for_any_limit() {
    let dense = multilayer("toy", [1, 1, 13], &[11, 7, 5]).unwrap();
    for graph in [dense, lenet(), residual(), speech()] {
        let state = initial::state(&graph, 3);
        let mut random = Random::new(9);
        // The last batch is shorter than the others.
        let batches = [8, 8, 5].map(|rows| random_tensor(&mut random, (rows, graph.input_len())));
        let single = Network::new(&graph, &state, &Device::Cpu).unwrap();
        let double =
            Network::in_double(&graph, &state, &kernels(&graph, &state), &Device::Cpu).unwrap();
        let expected = from_the_input(&single, &batches);
        let exact = from_the_input(&double, &batches);
        let passes = std::cell::Cell::new(0);
        let again = || {
            passes.set(passes.get() + 1);
            batches.iter().map(|batch| Ok(batch.clone()))
        };
        let whole = Statistics::compute(&single, again).unwrap();
        assert_eq!(passes.get(), 1, "{}: images are read once", graph.name());
        for most in [0, 2000, 6000, 20_000, 60_000, 200_000] {
            let found = Statistics::compute_within(&single, again, most).unwrap();
            assert_eq!(found, whole, "{}, {most} bytes", graph.name());
        }
        assert!(passes.get() > 7, "what does not fit is computed again");
        for (index, node) in graph.nodes().iter().enumerate() {
            let found = whole.of(index);
            for (other, most) in [(&expected, 1e-5), (&exact, 1e-4)] {
                let other = other.of(index);
                let pairs = (found.mean.iter().zip(&other.mean))
                    .chain(found.variance.iter().zip(&other.variance));
                for (a, b) in pairs {
                    let apart = (a - b).abs();
                    assert!(apart < most * (1.0 + b.abs()), "{}: {a} {b}", node.name);
                }
            }
        }
    }
}

/// Checks that plain tensor operations and fused operators agree on exact zeros, ties and NaN.
#[test]
fn plain_operations_agree_on_zeros_ties_and_nan() {
    let mut layers = Layers(Graph::new("edges", [2, 5, 5]));
    let relu = layers.relu(0);
    let window = layers.window(relu, 3, 2, Padding::Each(1));
    let pool = layers.pool(relu, Pooling::Max, window);
    let window = layers.window(pool, 2, 1, Padding::Valid);
    let conv = layers.conv(pool, 3, window);
    let relu = layers.relu(conv);
    let window = layers.window(relu, 2, 2, Padding::Valid);
    let pool = layers.pool(relu, Pooling::Max, window);
    let graph = layers.classify(pool);
    let network = |plain: bool| {
        // A pruned channel: all zeros before its ReLU.
        let mut state = initial::state(&graph, 3);
        let kernel = state.0.iter_mut().find(|(_, array)| array.shape.len() == 4);
        kernel.unwrap().1.values[..8].fill(0.0);
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        if plain { network.plain() } else { network }
    };
    // With few distinct values, many are 0, and most windows contain ties.
    let mut random = Random::new(2);
    let values = (0..12 * 50).map(|_| random.below(5) as f32 - 2.0).collect();
    let x = Tensor::from_vec::<_, f32>(values, (12, 50), &Device::Cpu).unwrap();
    let weighting = random_tensor(&mut random, (12, 3));
    let gradients = |plain: bool| {
        let network = network(plain);
        // The input has a gradient too, to see where pooling and ReLU send it.
        let x = candle_core::Var::from_tensor(&x).unwrap();
        let scores = network.train_forward(&x).unwrap();
        let sum = scores.mul(&weighting).unwrap().sum_all().unwrap();
        let store = sum.backward().unwrap();
        let of = |p: &super::model::Parameter| {
            let slot = p.gradient.take();
            slot.unwrap_or_else(|| store.get(&p.var).unwrap().clone())
        };
        let mut all: Vec<Tensor> = network.parameters().iter().map(of).collect();
        all.push(store.get(&x).unwrap().clone());
        all
    };
    for (fast, plain) in gradients(false).iter().zip(&gradients(true)) {
        assert!(largest_difference(fast, plain) < 1e-4);
    }
    let mut values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
    values[3 * 50 + 7] = f32::NAN;
    let x = Tensor::from_vec(values, (12, 50), &Device::Cpu).unwrap();
    let statistics = statistics_or_zeros(&graph, &State::default());
    for plain in [false, true] {
        let network = network(plain);
        let last = graph.nodes().len() - 1;
        let scores = network.forward_to(last, &x, &statistics).unwrap();
        let scores = scores.to_vec2::<f32>().unwrap();
        for (row, scores) in scores.iter().enumerate() {
            let nan = scores.iter().any(|score| score.is_nan());
            assert_eq!(nan, row == 3, "plain {plain}, row {row}");
        }
    }
}

#[test]
fn the_gradient_of_a_maximum_goes_to_the_first_nan() {
    let window = Window::new(2, 2, Padding::Valid, [2, 4]).unwrap();
    let (nan, x) = (f32::NAN, [1.0, f32::NAN, 5.0, 5.0]);
    let x = [x, [nan, 9.0, 2.0, 5.0]].concat();
    let x = Tensor::from_vec(x, (1, 1, 2, 4), &Device::Cpu).unwrap();
    for pool in [super::operators::pool::pool, plain::pool] {
        let x = candle_core::Var::from_tensor(&x).unwrap();
        let y = pool(&x, Pooling::Max, window).unwrap();
        let store = y.sum_all().unwrap().backward().unwrap();
        let gradient = store.get(&x).unwrap().flatten_all().unwrap();
        let expected = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(gradient.to_vec1::<f32>().unwrap(), expected);
    }
}

/// Takes a step of every built-in architecture on a few images: each parameter gets a gradient,
/// the loss on these images falls, and evaluation returns finite scores.
#[test]
fn every_architecture_takes_a_step() {
    const IMAGES: usize = 4;
    for &name in architecture::NAMES {
        let graph = architecture::by_name(name).unwrap();
        let network = Network::new(&graph, &initial::state(&graph, 1), &Device::Cpu).unwrap();
        let hyperparameters = Hyperparameters {
            decay: Decay {
                kind: DecayKind::L2,
                amount: 0.0,
            },
            ..Hyperparameters::default()
        };
        let mut optimizer = Optimizer::new(&network, None, &hyperparameters).unwrap();
        let x = random_tensor(&mut Random::new(2), (IMAGES, graph.input_len()));
        let classes = Tensor::arange(0, IMAGES as u32, &Device::Cpu).unwrap();
        let loss = || cross_entropy(&network.train_forward(&x).unwrap(), &classes).unwrap();
        let before = loss();
        let gradients = before.backward().unwrap();
        for parameter in network.parameters() {
            let gradient = parameter.gradient.take();
            let gradient = gradient.unwrap_or_else(|| panic!("{name}: {}", parameter.name));
            let sum = gradient.sqr().unwrap().sum_all().unwrap();
            assert!(
                sum.to_scalar::<f32>().unwrap().is_finite(),
                "{name}: {}",
                parameter.name
            );
            parameter.gradient.put(gradient);
        }
        optimizer.step(&network, &gradients, 0.01).unwrap();
        let [before, after] = [before, loss()].map(|loss| loss.to_scalar::<f32>().unwrap());
        assert!(after < before, "{name}: {before}, then {after}");
        // One image, to save time.
        let image = || std::iter::once(x.narrow(0, 0, 1));
        let statistics = Statistics::compute(&network, image).unwrap();
        let last = graph.nodes().len() - 1;
        let scores = network.forward_to(last, &x, &statistics).unwrap();
        let scores: Vec<f32> = scores.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(scores.len(), IMAGES * graph.classes());
        assert!(scores.iter().all(|score| score.is_finite()), "{name}");
    }
}

/// Compares gradients of segments computed twice with those of one pass, bit for bit, with cuts
/// after every ReLU and after every node.
#[test]
fn segments_have_the_gradients_of_the_whole() {
    for graph in [lenet(), residual(), speech()] {
        let state = initial::state(&graph, 3);
        let nodes = graph.nodes().len();
        let cost = segments::Cost {
            kept: 1,
            tracked: 1,
        };
        let single: Vec<_> = (0..nodes).map(|node| node..node + 1).collect();
        let divisions = [segments::within(&graph, cost, 0), single];
        assert!(divisions[0].len() > 1);
        let x = random_tensor(&mut Random::new(5), (6, graph.input_len()));
        let classes = Tensor::new(&[0_u32, 2, 1, 0, 1, 2], &Device::Cpu).unwrap();
        let loss = |scores: &Tensor| cross_entropy(scores, &classes);
        let double = Network::in_double(&graph, &state, &kernels(&graph, &state), &Device::Cpu);
        for network in [
            Network::new(&graph, &state, &Device::Cpu).unwrap(),
            double.unwrap(),
        ] {
            let bits = |divisions: &[std::ops::Range<usize>]| -> Vec<Vec<u64>> {
                let found = network.gradients_in(divisions, &x, loss).unwrap();
                let gradients = found.of_parameters.into_iter();
                let gradients = gradients.map(|gradient| gradient.expect("every parameter's"));
                assert_eq!(gradients.len(), network.parameters().len());
                let all = gradients.chain([found.loss]).map(|tensor| {
                    let flat = tensor.flatten_all().unwrap();
                    let values: Vec<f64> = flat.to_dtype(DType::F64).unwrap().to_vec1().unwrap();
                    values.into_iter().map(f64::to_bits).collect()
                });
                all.collect()
            };
            let whole = bits(std::slice::from_ref(&(0..nodes)));
            for segments in &divisions {
                assert_eq!(bits(segments), whole, "{}", graph.name());
            }
        }
    }
}
