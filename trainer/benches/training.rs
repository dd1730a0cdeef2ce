//! Measures the training throughput of dense networks, batch 100, on one core: samples per second.
//!
//! The fused operators are checked first: their loss and weights must equal those of plain tensor
//! operations in f64. Run by `cargo xtask bench training [ARCHITECTURE ...]`, on architectures
//! whose input is an image of MNIST.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{DType, Device};
use rarefy_trainer::data::batches::Batches;
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::network::{Network, State, initial};
use rarefy_trainer::training::Hyperparameters;
use rarefy_trainer::training::optimizer::Optimizer;

/// Images per step.
const BATCH: usize = 100;

/// Steps per timed run: a fifth of an epoch of `digits`.
const STEPS: usize = 16;

/// Timed runs.
const RUNS: usize = 50;

/// Architectures that are measured by default.
const ARCHITECTURES: [&str; 2] = ["lenet-300-100", "lenet-5-28"];

fn main() {
    // Cargo adds the option `--bench`.
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    names.retain(|name| !name.starts_with('-'));
    if names.is_empty() {
        names = ARCHITECTURES.map(String::from).to_vec();
    }
    let data = digits::load();
    for name in &names {
        check(name, &data);
        let (graph, state) = initial(name);
        let network = Network::new(&graph, &state, &Device::Cpu).expect("the CPU");
        let mut optimizer = optimizer(&network);
        black_box(steps(&network, &mut optimizer, &data));
        let mut speeds: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                black_box(steps(&network, &mut optimizer, &data));
                (STEPS * BATCH) as f64 / start.elapsed().as_secs_f64()
            })
            .collect();
        speeds.sort_by(f64::total_cmp);
        println!(
            "{name}, batch {BATCH}: {:.0} samples/s (median of {RUNS} runs; {:.0} to {:.0})",
            speeds[RUNS / 2],
            speeds[0],
            speeds[RUNS - 1]
        );
    }
}

/// Checks the loss and the weights after some steps against plain tensor operations in f64.
fn check(name: &str, data: &Dataset) {
    let (graph, state) = initial(name);
    let double = |w: &f32| f64::from(*w);
    let kernels: Vec<Vec<f64>> = (graph.prunable().iter())
        .map(|tensor| state.get(&tensor.name).values.iter().map(double).collect())
        .collect();
    let double = Network::in_double(&graph, &state, &kernels, &Device::Cpu).expect("the CPU");
    let single = Network::new(&graph, &state, &Device::Cpu).expect("the CPU");
    let [(loss, state), (expected, plain)] = [single, double].map(|network| {
        let loss = steps(&network, &mut optimizer(&network), data);
        (loss, network.state().expect("a state"))
    });
    assert!(
        (loss - expected).abs() < 1e-4,
        "{name}: loss {loss} is not {expected}"
    );
    let difference = difference(&state, &plain);
    assert!(difference < 1e-3, "{name}: weights are {difference} apart");
    eprintln!(
        "{name}: answers checked, loss {loss:.6}, weights within {difference:.1e} of plain tensor \
         operations in f64"
    );
}

/// Returns the architecture `name` and initial parameters.
fn initial(name: &str) -> (Graph, State) {
    let graph = architecture::by_name(name).unwrap_or_else(|error| panic!("{error}"));
    let state = initial::state(&graph, 0);
    (graph, state)
}

/// Creates an optimizer for `network`.
fn optimizer(network: &Network) -> Optimizer {
    Optimizer::new(network, None, &Hyperparameters::default()).expect("the CPU")
}

/// Trains for [`STEPS`] steps, as an epoch does, and returns the last loss.
fn steps(network: &Network, optimizer: &mut Optimizer, data: &Dataset) -> f32 {
    let batches = Batches::new(&data.train, &data.normalisation, &Device::Cpu);
    let loss = Hyperparameters::default().loss();
    let mut last = f32::NAN;
    for step in 0..STEPS {
        // Images are sorted by class, so spread the batch over all of them.
        let indices: Vec<u32> = (0..BATCH).map(|i| (i * 80 + step * 5) as u32).collect();
        let mut run = || -> candle_core::Result<()> {
            let scores = network.train_forward(&batches.inputs(&indices)?)?;
            let loss = loss.mean(&scores, &batches.classes(&indices)?)?;
            last = loss.to_dtype(DType::F32)?.to_scalar()?;
            optimizer.step(network, &loss.backward()?, 0.01)
        };
        run().expect("a step");
    }
    last
}

/// Returns the largest difference between two states.
fn difference(a: &State, b: &State) -> f32 {
    let pairs =
        a.0.iter()
            .flat_map(|(name, array)| array.values.iter().zip(&b.get(name).values));
    pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}
