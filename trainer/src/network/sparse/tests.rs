//! Tests sparse networks against masked dense networks, which compute the same function with other
//! code, and against finite differences of the f64 network.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use candle_nn::loss::cross_entropy;

use super::live;
use crate::graph::architecture::multilayer;
use crate::graph::{Graph, Operation, Padding, Pooling};
use crate::network::tests::{Layers, kernels, lenet, random_tensor, residual, speech, weighted};
use crate::network::{Network, State, Statistics, initial};
use crate::pruning::Masks;
use crate::random::Random;
use crate::training::Hyperparameters;
use crate::training::hyperparameters::Decay;
use crate::training::optimizer::Optimizer;

/// Returns an optimizer of `network` with momentum, and with enough decay to matter in a few steps.
fn optimizer(network: &Network, masks: Option<&Masks>) -> Optimizer {
    let hyperparameters = Hyperparameters {
        decay: Decay {
            amount: 0.01,
            ..Decay::default()
        },
        ..Hyperparameters::default()
    };
    Optimizer::new(network, masks, &hyperparameters).unwrap()
}

/// Returns a network with padded max pooling (of ties, after a ReLU) between convolutions of
/// strides 2 and 1, a ReLU before a batch norm, and batch norms of the input and of flattened
/// features.
fn mixed() -> Graph {
    let mut layers = Layers(Graph::new("mixed", [3, 11, 9]));
    let input = layers.norm(0);
    let window = layers.window(input, 3, 2, Padding::Each(1));
    let conv = layers.conv(input, 6, window);
    let relu = layers.relu(conv);
    let window = layers.window(relu, 3, 2, Padding::Each(1));
    let pool = layers.pool(relu, Pooling::Max, window);
    let norm = layers.norm(pool);
    let window = layers.window(norm, 2, 1, Padding::Same);
    let conv = layers.conv(norm, 4, window);
    let window = layers.window(conv, 2, 2, Padding::Valid);
    let pool = layers.pool(conv, Pooling::Max, window);
    let flat = layers.push(Operation::Flatten, &[pool]);
    let norm = layers.norm(flat);
    let dense = Operation::Dense {
        units: 6,
        bias: true,
    };
    let dense = layers.push(dense, &[norm]);
    let relu = layers.relu(dense);
    let dense = Operation::Dense {
        units: 4,
        bias: true,
    };
    layers.push(dense, &[relu]);
    layers.0
}

/// Returns a network whose ReLUs clip at 6, after a batch norm, before pooling, after an addition
/// and after a dense layer. [`start`] scales it so that many values exceed 6.
fn clipped() -> Graph {
    let mut layers = Layers(Graph::new("clipped", [2, 7, 6]));
    let window = layers.window(0, 3, 1, Padding::Same);
    let conv = layers.conv(0, 5, window);
    let norm = layers.norm(conv);
    let first = layers.push(Operation::Relu6, &[norm]);
    let window = layers.window(first, 3, 1, Padding::Same);
    let conv = layers.grouped(first, 5, 5, window);
    let norm = layers.norm(conv);
    let sum = layers.push(Operation::Add, &[norm, first]);
    let second = layers.push(Operation::Relu6, &[sum]);
    let window = layers.window(second, 2, 2, Padding::Valid);
    let pool = layers.pool(second, Pooling::Average, window);
    let flat = layers.push(Operation::Flatten, &[pool]);
    let dense = |units| Operation::Dense { units, bias: true };
    let dense_1 = layers.push(dense(6), &[flat]);
    let third = layers.push(Operation::Relu6, &[dense_1]);
    layers.push(dense(3), &[third]);
    layers.0
}

/// Returns the graphs of the tests, with the fraction of weights that their masks keep.
fn graphs() -> Vec<(Graph, f64)> {
    let dense = multilayer("dense", [1, 4, 5], &[11, 7, 5]).unwrap();
    let mut graphs = Vec::new();
    for graph in [dense, lenet(), residual(), mixed(), speech(), clipped()] {
        for share in [0.05, 0.3, 1.0] {
            graphs.push((graph.clone(), share));
        }
    }
    graphs
}

/// Returns masks that keep about `share` of the weights and, unless `share` is 1, no weight of
/// every fifth unit.
fn masks(graph: &Graph, share: f64) -> Masks {
    let tensors = graph.prunable();
    let kept: Vec<Vec<usize>> = tensors
        .iter()
        .map(|tensor| {
            let mut random = Random::stream(7, &tensor.name);
            let unit = tensor.len() / tensor.shape[0];
            let keep = |&at: &usize| {
                let drawn = random.below(1000) < (share * 1000.0) as u64;
                drawn && (share == 1.0 || (at / unit) % 5 != 1)
            };
            (0..tensor.len()).filter(keep).collect()
        })
        .collect();
    Masks::of(&tensors, kept)
}

/// Returns initial parameters with random biases, scales and shifts.
fn start(graph: &Graph) -> State {
    let mut state = initial::state(graph, 3);
    let mut random = Random::new(11);
    for array in state.0.values_mut().filter(|array| array.shape.len() == 1) {
        for value in &mut array.values {
            *value += 0.3 * random.normal() as f32;
        }
    }
    if graph.name() == "clipped" {
        for node in graph.nodes() {
            if node.operation == Operation::BatchNorm {
                let scale = state.0.get_mut(&format!("{}.weight", node.name));
                scale
                    .unwrap()
                    .values
                    .iter_mut()
                    .for_each(|value| *value *= 7.0);
            }
        }
    }
    state
}

/// Returns `state` with pruned weights at zero.
fn masked(state: &State, masks: &Masks) -> State {
    let mut state = state.clone();
    for mask in masks.iter() {
        let array = state.0.get_mut(&mask.name).unwrap();
        for (value, _) in array
            .values
            .iter_mut()
            .zip(&mask.keep)
            .filter(|(_, keep)| !**keep)
        {
            *value = 0.0;
        }
    }
    state
}

/// Returns the inputs of `x` (batch, pixels) that `network` reads.
fn inputs(network: &Network, x: &Tensor) -> Tensor {
    let Some(read) = network.inputs() else {
        return x.clone();
    };
    let read = Tensor::new(&read[..], &Device::Cpu).unwrap();
    let selected = x.index_select(&read, 1).unwrap();
    selected.t().unwrap().contiguous().unwrap()
}

/// Returns the two networks of `graph`: sparse, and dense with pruned weights at zero.
fn networks(graph: &Graph, state: &State, masks: &Masks) -> [Network; 2] {
    let sparse = Network::sparse(graph, state, masks).unwrap();
    let dense = Network::new(graph, &masked(state, masks), &Device::Cpu).unwrap();
    [sparse, dense]
}

/// Checks that two states agree within `tolerance`.
fn check_close(a: &State, b: &State, tolerance: f32, what: &str) {
    assert!(a.0.keys().eq(b.0.keys()), "{what}");
    for (name, array) in &a.0 {
        let other = b.get(name);
        assert_eq!(array.shape, other.shape, "{what}: {name}");
        for (at, (x, y)) in array.values.iter().zip(&other.values).enumerate() {
            let apart = (x - y).abs();
            assert!(
                apart <= tolerance * (1.0 + y.abs()),
                "{what}: {name}[{at}]: {x}, not {y}"
            );
        }
    }
}

/// Trains `network` on the random batches of the steps numbered `steps`; that of step 5 is smaller.
fn train(network: &Network, optimizer: &mut Optimizer, steps: std::ops::Range<usize>) {
    for step in steps {
        let images = if step == 5 { 9 } else { 21 };
        let mut random = Random::stream(5, &format!("step {step}"));
        let x = random_tensor(&mut random, (images, network.graph().input_len()));
        let classes = network.graph().classes() as u64;
        let classes: Vec<u32> = (0..images).map(|_| random.below(classes) as u32).collect();
        let classes = Tensor::new(classes, &Device::Cpu).unwrap();
        let scores = network.train_forward(&inputs(network, &x)).unwrap();
        let loss = cross_entropy(&scores, &classes).unwrap();
        let gradients = loss.backward().unwrap();
        optimizer.step(network, &gradients, 0.02).unwrap();
    }
}

#[test]
fn training_equals_that_of_the_masked_network() {
    for (graph, share) in graphs() {
        let (state, masks) = (start(&graph), masks(&graph, share));
        let what = format!("{} {share}", graph.name());
        let trained = networks(&graph, &state, &masks).map(|network| {
            let mut optimizer = optimizer(&network, Some(&masks));
            train(&network, &mut optimizer, 0..6);
            let mut moments = optimizer.state(&network).unwrap().moments;
            let velocities = moments.remove("velocity").unwrap();
            (network.state().unwrap(), velocities)
        });
        let [(state, velocities), (expected, expected_velocities)] = trained;
        check_close(&state, &expected, 2e-4, &what);
        check_close(&velocities, &expected_velocities, 2e-4, &what);
        // The parameters of dead units and the pruned weights keep their exact bits.
        let sparse = Network::sparse(&graph, &start(&graph), &masks).unwrap();
        for parameter in sparse.parameters() {
            let before = masked(&start(&graph), &masks).get(&parameter.name).clone();
            let places = parameter.places.as_ref().unwrap();
            for at in 0..before.values.len() {
                if !places.indices.contains(&(at as u32)) {
                    let after = state.get(&parameter.name).values[at];
                    assert_eq!(after.to_bits(), before.values[at].to_bits(), "{what}");
                }
            }
        }
    }
}

#[test]
fn evaluation_equals_that_of_the_masked_network() {
    for (graph, share) in graphs() {
        let (state, masks) = (start(&graph), masks(&graph, share));
        let mut random = Random::new(6);
        let batches = [12, 12, 7].map(|rows| random_tensor(&mut random, (rows, graph.input_len())));
        let [(found, scores), (expected, exact)] =
            networks(&graph, &state, &masks).map(|network| {
                let read = || batches.iter().map(|x| Ok(inputs(&network, x)));
                let statistics = Statistics::compute(&network, read).unwrap();
                let none = Statistics::compute_within(&network, read, 0).unwrap();
                assert_eq!(none, statistics, "{} {share}", graph.name());
                let last = graph.nodes().len() - 1;
                let x = inputs(&network, &batches[2]);
                let scores = network.forward_to(last, &x, &statistics).unwrap();
                (statistics, scores.to_vec2::<f32>().unwrap())
            });
        for (row, exact) in scores.iter().zip(&exact) {
            for (a, b) in row.iter().zip(exact) {
                assert!(
                    (a - b).abs() < 2e-4 * (1.0 + b.abs()),
                    "{}: {a} {b}",
                    graph.name()
                );
            }
        }
        let live = live::units(&graph, &masks);
        for (index, node) in graph.nodes().iter().enumerate() {
            let (found, expected) = (found.of(index), expected.of(index));
            assert_eq!(found.mean.len(), expected.mean.len());
            let pairs = (found.mean.iter().zip(&expected.mean))
                .chain(found.variance.iter().zip(&expected.variance));
            for (unit, (a, b)) in pairs.enumerate() {
                // The moments of pixels that nothing reads are not computed.
                let unit = unit % found.mean.len();
                if node.sources == [0] && live[index].place(unit).is_none() {
                    continue;
                }
                assert!(
                    (a - b).abs() < 1e-4 * (1.0 + b.abs()),
                    "{}: {a} {b}",
                    node.name
                );
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    const STEP: f64 = 1e-6;
    for graph in [lenet(), residual(), mixed(), speech(), clipped()] {
        let (state, masks) = (start(&graph), masks(&graph, 0.3));
        let state = masked(&state, &masks);
        let mut random = Random::new(5);
        let x = random_tensor(&mut random, (8, graph.input_len()));
        let weighting = random_tensor(&mut random, (8, graph.classes()));
        let sparse = Network::sparse(&graph, &state, &masks).unwrap();
        weighted(&sparse, &inputs(&sparse, &x), &weighting);
        let exact = kernels(&graph, &state);
        for (tensor, mask) in masks.iter().enumerate() {
            let parameter = sparse
                .parameters()
                .iter()
                .find(|p| p.name == mask.name)
                .unwrap();
            let gradient = parameter.gradient.take().unwrap().to_vec1::<f32>().unwrap();
            let indices = &parameter.places.as_ref().unwrap().indices;
            assert_eq!(indices.len(), mask.nonzeros());
            for (place, &element) in indices.iter().enumerate().step_by(5) {
                let moved = |by: f64| {
                    let mut kernels = exact.clone();
                    kernels[tensor][element as usize] += by;
                    let double = Network::in_double(&graph, &state, &kernels, &Device::Cpu);
                    weighted(&double.unwrap(), &x, &weighting).0
                };
                let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let found = f64::from(gradient[place]);
                assert!(
                    (found - difference).abs() < 2e-3 * (1.0 + difference.abs()),
                    "{}[{element}] of {}: {found}, not {difference}",
                    mask.name,
                    graph.name()
                );
            }
        }
    }
}

#[test]
fn a_restored_network_continues_to_the_same_bits() {
    for (graph, share) in graphs() {
        let (state, masks) = (start(&graph), masks(&graph, share));
        let network = |state: &State| {
            let network = Network::sparse(&graph, state, &masks).unwrap();
            let optimizer = optimizer(&network, None);
            (network, optimizer)
        };
        let (whole, mut optimizer) = network(&state);
        assert_eq!(whole.state().unwrap(), masked(&state, &masks));
        train(&whole, &mut optimizer, 0..3);
        let (halted, velocities) = (whole.state().unwrap(), optimizer.state(&whole).unwrap());
        train(&whole, &mut optimizer, 3..6);
        let (resumed, mut second) = network(&halted);
        second.restore(&resumed, &velocities).unwrap();
        train(&resumed, &mut second, 3..6);
        assert_eq!(resumed.state().unwrap(), whole.state().unwrap());
        assert_eq!(
            second.state(&resumed).unwrap(),
            optimizer.state(&whole).unwrap()
        );
    }
}

/// Checks the live units of a residual block whose unit 1 is read but has no input on either path,
/// and whose unit 2 has no input and is not read.
#[test]
fn units_that_are_read_or_written_are_live() {
    let mut graph = Graph::new("block", [1, 2, 2]);
    graph.push("flatten", Operation::Flatten).unwrap();
    let dense = |units| Operation::Dense { units, bias: true };
    graph.push("fc1", dense(3)).unwrap();
    graph.push("bn1", Operation::BatchNorm).unwrap();
    graph.push_from("fc2", dense(3), &[1]).unwrap();
    graph.push_from("add", Operation::Add, &[3, 4]).unwrap();
    graph.push("fc3", dense(2)).unwrap();
    // fc1 keeps one weight, from input 3 to unit 0; fc2 keeps none; fc3 reads units 0 and 1.
    let masks = Masks::of(&graph.prunable(), [vec![3], vec![], vec![0, 4]]);
    let live = live::units(&graph, &masks);
    let units: Vec<&[u32]> = live.iter().map(|live| live.units.as_slice()).collect();
    let kept: &[u32] = &[0, 1];
    assert_eq!(units, [&[3][..], &[3], kept, kept, kept, kept, kept]);
    let network = Network::sparse(&graph, &start(&graph), &masks).unwrap();
    assert_eq!(network.inputs(), Some(&Arc::from([3])));
    let mut random = Random::new(4);
    let x = random_tensor(&mut random, (5, 4));
    let [sparse, dense] = networks(&graph, &start(&graph), &masks).map(|network| {
        let scores = network.train_forward(&inputs(&network, &x)).unwrap();
        scores.to_vec2::<f32>().unwrap()
    });
    for (a, b) in sparse.concat().iter().zip(dense.concat()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    // Whole images are rejected.
    let error = network.train_forward(&x).unwrap_err().to_string();
    assert!(error.contains("reads 1 inputs per image, not 5"), "{error}");
}
