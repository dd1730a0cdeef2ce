//! Training throughput of dense LeNet-300-100, batch 100, on one core: samples per second.
//!
//! First checks the answer: the one-pass operators give the loss and the weights that plain
//! tensor operations give. Run by `cargo xtask bench training`.

use std::hint::black_box;
use std::time::Instant;

use candle_core::Device;
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::architecture;
use rarefy_trainer::network::{Network, State, initial};
use rarefy_trainer::training::batches::Batches;
use rarefy_trainer::training::momentum::{Coefficients, Momentum};

/// Images of a step.
const BATCH: usize = 100;

/// Steps of one timed run: a fifth of an epoch of `digits`.
const STEPS: usize = 16;

/// Timed runs.
const RUNS: usize = 100;

fn main() {
    let data = digits::load();
    let (network, mut optimizer) = network();
    let fused = (
        steps(&network, &mut optimizer, &data),
        network.state().expect("a state"),
    );
    let (network, mut optimizer) = network_of(Network::plain);
    let plain = (
        steps(&network, &mut optimizer, &data),
        network.state().expect("a state"),
    );
    assert!(
        (fused.0 - plain.0).abs() < 1e-3,
        "loss {} is not {}",
        fused.0,
        plain.0
    );
    let difference = difference(&fused.1, &plain.1);
    assert!(difference < 1e-2, "weights are {difference} apart");
    eprintln!(
        "answers checked: loss {:.6}, weights within {difference:.1e} of plain tensor operations",
        fused.0
    );

    let (network, mut optimizer) = self::network();
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
        "lenet-300-100, batch {BATCH}: {:.0} samples/s (median of {RUNS} runs; {:.0} to {:.0})",
        speeds[RUNS / 2],
        speeds[0],
        speeds[RUNS - 1]
    );
}

/// A fresh network and its optimizer.
fn network() -> (Network, Momentum) {
    network_of(|network| network)
}

/// A fresh network, changed by `change`, and its optimizer.
fn network_of(change: impl FnOnce(Network) -> Network) -> (Network, Momentum) {
    let graph = architecture::by_name("lenet-300-100").expect("a known architecture");
    let state = initial::state(&graph, 0);
    let network = change(Network::new(&graph, &state, &Device::Cpu).expect("the CPU"));
    let coefficients = Coefficients {
        momentum: 0.9,
        l2: 5e-4,
    };
    let optimizer = Momentum::new(&network, None, coefficients).expect("the CPU");
    (network, optimizer)
}

/// Some steps of training, all that an epoch does for them; the last loss.
fn steps(network: &Network, optimizer: &mut Momentum, data: &Dataset) -> f32 {
    let batches = Batches::new(&data.train, &data.normalisation, &Device::Cpu);
    let mut last = f32::NAN;
    for step in 0..STEPS {
        // Evenly spread over the classes, which the images are sorted by.
        let indices: Vec<u32> = (0..BATCH).map(|i| (i * 80 + step * 5) as u32).collect();
        let mut run = || -> candle_core::Result<()> {
            let scores = network.train_forward(&batches.inputs(&indices)?)?;
            let loss = candle_nn::loss::cross_entropy(&scores, &batches.classes(&indices)?)?;
            last = loss.to_scalar()?;
            optimizer.step(network, &loss.backward()?, 0.01)
        };
        run().expect("a step");
    }
    last
}

/// The largest difference between two states.
fn difference(a: &State, b: &State) -> f32 {
    let pairs =
        a.0.iter()
            .flat_map(|(name, array)| array.values.iter().zip(&b.get(name).values));
    pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}
