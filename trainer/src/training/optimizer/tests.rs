use candle_core::{DType, Device, Tensor};

use super::*;
use crate::graph::Graph;
use crate::graph::architecture::multilayer;
use crate::network::initial;
use crate::random::Random;

/// An optimizer step in f64: updates a weight and its moments, given the gradient and the number of
/// the step, from 1.
type Formula = fn(&mut f64, &mut [f64; 2], f64, i32);

/// The learning rate of all steps.
const RATE: f64 = 0.1;

/// Returns a network of one layer with weights 1, 0, -2, 3, the second of them pruned, and two
/// biases.
fn toy() -> (Graph, State, Masks) {
    let graph = multilayer("toy", [1, 1, 2], &[2]).unwrap();
    let mut state = initial::state(&graph, 1);
    state.insert("fc1.weight".into(), vec![2, 2], vec![1.0, 0.0, -2.0, 3.0]);
    state.insert("fc1.bias".into(), vec![2], vec![0.5, -0.5]);
    let masks = Masks::from_fn(&graph.prunable(), |_, element| element != 1);
    (graph, state, masks)
}

/// Returns the gradients of the toy's weights and biases in step `number`.
fn gradients(number: usize) -> [Vec<f32>; 2] {
    let turn = number as f32;
    [
        vec![1.0 - turn, 9.0, 0.25 * turn, -1.0],
        vec![0.5, -0.125 * turn],
    ]
}

/// Takes three steps with the hyperparameters `recipe`, and returns the weights and the optimizer's
/// state.
fn train(network: &Network, masks: &Masks, recipe: &str) -> (State, OptimizerState) {
    let hyperparameters: Hyperparameters = toml::from_str(recipe).unwrap();
    hyperparameters.check().unwrap();
    let mut optimizer = Optimizer::new(network, Some(masks), &hyperparameters).unwrap();
    for number in 0..3 {
        take(network, &mut optimizer, number);
    }
    (network.state().unwrap(), optimizer.state(network).unwrap())
}

/// Takes step `number`.
fn take(network: &Network, optimizer: &mut Optimizer, number: usize) {
    let none = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
    let none = none.backward().unwrap();
    for (parameter, gradient) in network.parameters().iter().zip(gradients(number)) {
        let gradient = Tensor::from_vec(gradient, parameter.var.shape(), &Device::Cpu).unwrap();
        let gradient = gradient.to_dtype(network.dtype()).unwrap();
        parameter.gradient.put(gradient);
    }
    optimizer.step(network, &none, RATE).unwrap();
}

/// Takes the three steps of [`train`] by the formulas `kernel` for weights and `bias` for biases,
/// with gradients multiplied by the `scale` of the step, and returns the weights and biases.
fn oracle(kernel: Formula, bias: Formula, scale: [f64; 3]) -> Vec<f64> {
    let mut weights = [1.0, 0.0, -2.0, 3.0, 0.5, -0.5];
    let mut moments = [[0.0; 2]; 6];
    for (number, scale) in scale.into_iter().enumerate() {
        let gradients = gradients(number).concat();
        for at in [0, 2, 3, 4, 5] {
            let gradient = f64::from(gradients[at]) * scale;
            let formula = if at < 4 { kernel } else { bias };
            formula(
                &mut weights[at],
                &mut moments[at],
                gradient,
                number as i32 + 1,
            );
        }
    }
    weights.to_vec()
}

/// Checks the weights and biases after three steps with the hyperparameters `recipe` against
/// `expected`, fused and in plain tensor operations.
fn check(recipe: &str, expected: &[f64]) {
    let (graph, state, masks) = toy();
    let network = || Network::new(&graph, &state, &Device::Cpu).unwrap();
    for network in [network(), network().plain()] {
        let (state, optimizer) = train(&network, &masks, recipe);
        let found = [state.get("fc1.weight"), state.get("fc1.bias")];
        let found: Vec<f32> = found
            .iter()
            .flat_map(|array| array.values.clone())
            .collect();
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let difference = (f64::from(*found) - expected).abs();
            let fused = network.fused();
            assert!(
                difference < 2e-6,
                "{recipe}, fused {fused}, {at}: {found} {expected}"
            );
        }
        assert_eq!(found[1].to_bits(), 0, "the pruned weight");
        assert_eq!(optimizer.steps, 3);
        for moments in optimizer.moments.values() {
            assert_eq!(moments.get("fc1.weight").values[1], 0.0);
        }
    }
}

/// Takes a step with momentum 0.5 in PyTorch's form, whose velocity does not include the rate:
/// v = 0.5 v + g, w -= rate v.
fn sgd(weight: &mut f64, [velocity, _]: &mut [f64; 2], gradient: f64, _: i32) {
    *velocity = 0.5 * *velocity + gradient;
    *weight -= RATE * *velocity;
}

/// Takes a step with PyTorch's form of Nesterov's momentum: v = 0.5 v + g, w -= rate (g + 0.5 v).
fn nesterov(weight: &mut f64, [velocity, _]: &mut [f64; 2], gradient: f64, _: i32) {
    *velocity = 0.5 * *velocity + gradient;
    *weight -= RATE * (gradient + 0.5 * *velocity);
}

/// Takes a step of algorithm 1 of Kingma & Ba with beta1 = 0.8, beta2 = 0.9 and epsilon = 0.01.
fn adam(weight: &mut f64, [mean, square]: &mut [f64; 2], gradient: f64, number: i32) {
    *mean = 0.8 * *mean + (1.0 - 0.8) * gradient;
    *square = 0.9 * *square + (1.0 - 0.9) * gradient * gradient;
    let mean = *mean / (1.0 - 0.8_f64.powi(number));
    let square = *square / (1.0 - 0.9_f64.powi(number));
    *weight -= RATE * mean / (square.sqrt() + 0.01);
}

/// The options of [`adam`].
const ADAM: &str = "optimizer = { kind = \"adam\", beta1 = 0.8, beta2 = 0.9, epsilon = 0.01 }\n";

/// The options of [`sgd`].
const SGD: &str = "optimizer = { kind = \"sgd\", momentum = 0.5 }\n";

#[test]
fn gradient_descent_follows_its_formula() {
    let none = "decay = { amount = 0 }";
    check(&format!("{SGD}{none}"), &oracle(sgd, sgd, [1.0; 3]));
    let recipe = "optimizer = { kind = \"sgd\", momentum = 0.5, nesterov = true }\n";
    let expected = oracle(nesterov, nesterov, [1.0; 3]);
    check(&format!("{recipe}{none}"), &expected);
}

#[test]
fn adam_follows_its_formula() {
    let expected = oracle(adam, adam, [1.0; 3]);
    check(&format!("{ADAM}decay = {{ amount = 0 }}"), &expected);
}

#[test]
fn l2_adds_to_the_gradient_of_kernels_and_decoupled_decay_takes_from_them() {
    let l2 = "decay = { kind = \"l2\", amount = 0.25 }";
    // The derivative of 0.25 w² is 0.5 w.
    let formula: Formula = |w, m, g, n| sgd(w, m, g + 0.5 * *w, n);
    check(&format!("{SGD}{l2}"), &oracle(formula, sgd, [1.0; 3]));
    let formula: Formula = |w, m, g, n| adam(w, m, g + 0.5 * *w, n);
    check(&format!("{ADAM}{l2}"), &oracle(formula, adam, [1.0; 3]));

    let decoupled = "decay = { kind = \"decoupled\", amount = 0.25 }";
    // PyTorch's AdamW: w *= 1 - rate * decay, then the step.
    let formula: Formula = |w, m, g, n| {
        *w *= 1.0 - RATE * 0.25;
        adam(w, m, g, n);
    };
    check(
        &format!("{ADAM}{decoupled}"),
        &oracle(formula, adam, [1.0; 3]),
    );
    let formula: Formula = |w, m, g, n| {
        *w *= 1.0 - RATE * 0.25;
        sgd(w, m, g, n);
    };
    check(
        &format!("{SGD}{decoupled}"),
        &oracle(formula, sgd, [1.0; 3]),
    );
}

#[test]
fn clipping_limits_the_norm_of_the_gradients_that_count() {
    let scale = std::array::from_fn(|number| {
        let [weights, biases] = gradients(number);
        // Element 1 is pruned.
        let counted = [weights[0], weights[2], weights[3], biases[0], biases[1]];
        let norm = counted
            .iter()
            .map(|&g| f64::from(g).powi(2))
            .sum::<f64>()
            .sqrt();
        (1.25 / norm).min(1.0)
    });
    assert!(scale[0] < 1.0 && scale[1] == 1.0, "{scale:?}");
    let clip = "clip = 1.25\ndecay = { amount = 0 }";
    check(&format!("{SGD}{clip}"), &oracle(sgd, sgd, scale));
    check(&format!("{ADAM}{clip}"), &oracle(adam, adam, scale));
}

#[test]
fn a_parameter_without_gradient_is_not_updated() {
    let (graph, state, masks) = toy();
    for recipe in [SGD, ADAM] {
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        for network in [
            network,
            Network::new(&graph, &state, &Device::Cpu).unwrap().plain(),
        ] {
            let hyperparameters: Hyperparameters = toml::from_str(recipe).unwrap();
            let mut optimizer = Optimizer::new(&network, Some(&masks), &hyperparameters).unwrap();
            take(&network, &mut optimizer, 0);
            let before = network.state().unwrap();
            let none = Tensor::zeros(1, network.dtype(), &Device::Cpu).unwrap();
            let none = none.backward().unwrap();
            optimizer.step(&network, &none, RATE).unwrap();
            assert_eq!(network.state().unwrap(), before);
        }
    }
}

#[test]
fn a_restored_optimizer_takes_the_same_steps_to_the_bit() {
    let (graph, state, masks) = toy();
    for recipe in [SGD, ADAM] {
        for plain in [false, true] {
            let create = |state: &State| {
                let network = Network::new(&graph, state, &Device::Cpu).unwrap();
                let network = if plain { network.plain() } else { network };
                let hyperparameters: Hyperparameters = toml::from_str(recipe).unwrap();
                let optimizer = Optimizer::new(&network, Some(&masks), &hyperparameters);
                (network, optimizer.unwrap())
            };
            let (network, mut optimizer) = create(&state);
            take(&network, &mut optimizer, 0);
            let (again, mut restored) = create(&network.state().unwrap());
            let saved = optimizer.state(&network).unwrap();
            restored.restore(&again, &saved).unwrap();
            assert_eq!(restored.state(&again).unwrap(), saved);
            for (network, optimizer) in [(&network, &mut optimizer), (&again, &mut restored)] {
                take(network, optimizer, 1);
                take(network, optimizer, 2);
            }
            assert_eq!(network.state().unwrap(), again.state().unwrap());
            let states = [(&network, &optimizer), (&again, &restored)];
            let [a, b] = states.map(|(network, optimizer)| optimizer.state(network).unwrap());
            assert_eq!(a, b);
        }
    }
}

#[test]
fn the_default_trains_as_its_plain_tensor_operations_do() {
    let graph = multilayer("toy", [1, 1, 6], &[5, 3]).unwrap();
    let state = initial::state(&graph, 4);
    let masks = Masks::from_fn(&graph.prunable(), |_, element| element % 3 != 0);
    let mut random = Random::new(3);
    let x: Vec<f32> = (0..54).map(|_| random.normal() as f32).collect();
    let x = Tensor::from_vec(x, (9, 6), &Device::Cpu).unwrap();
    let classes = Tensor::new(&[0_u32, 1, 2, 0, 1, 2, 0, 1, 2], &Device::Cpu).unwrap();
    let train = |network: Network| {
        let hyperparameters = Hyperparameters::default();
        let mut optimizer = Optimizer::new(&network, Some(&masks), &hyperparameters).unwrap();
        for _ in 0..5 {
            let scores = network.train_forward(&x).unwrap();
            let loss = hyperparameters.loss().mean(&scores, &classes).unwrap();
            optimizer
                .step(&network, &loss.backward().unwrap(), RATE)
                .unwrap();
        }
        let moments = optimizer.state(&network).unwrap().moments;
        (network.state().unwrap(), moments["velocity"].clone())
    };
    let network = || Network::new(&graph, &state, &Device::Cpu).unwrap();
    let (fused, plain) = (train(network()), train(network().plain()));
    for (a, b) in [(fused.0, plain.0), (fused.1, plain.1)] {
        for (name, array) in &a.0 {
            for (a, b) in array.values.iter().zip(&b.get(name).values) {
                assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
            }
        }
    }
}
