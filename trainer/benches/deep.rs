//! Measures the training throughput of dense VGG-16 and ResNet-18 on one core, in samples per
//! second at batch size 32.
//!
//! Run by `cargo xtask bench deep [ARCHITECTURE ...]`; `trainer/benches/pytorch.py` measures
//! PyTorch on the same networks.

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use rarefy_trainer::graph::architecture;
use rarefy_trainer::network::{Network, initial};
use rarefy_trainer::random::Random;
use rarefy_trainer::training::Hyperparameters;
use rarefy_trainer::training::optimizer::Optimizer;

/// Images per step.
const BATCH: usize = 32;

/// Timed steps.
const STEPS: usize = 5;

fn main() {
    // Cargo adds the option `--bench`.
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    names.retain(|name| !name.starts_with('-'));
    if names.is_empty() {
        names = ["vgg-16", "resnet-18"].map(String::from).to_vec();
    }
    for name in &names {
        measure(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Prints the throughput of the architecture `name`.
fn measure(name: &str) -> Result<()> {
    let graph = architecture::by_name(name).unwrap_or_else(|error| panic!("{error}"));
    let network = Network::new(&graph, &initial::state(&graph, 0), &Device::Cpu)?;
    let mut optimizer = Optimizer::new(&network, None, &Hyperparameters::default())?;
    let pixels: usize = graph.input_shape().iter().product();
    let mut random = Random::new(1);
    let images: Vec<f32> = (0..BATCH * pixels)
        .map(|_| random.normal() as f32)
        .collect();
    let images = Tensor::from_vec(images, (BATCH, pixels), &Device::Cpu)?;
    let classes: Vec<u32> = (0..BATCH as u32)
        .map(|i| i % graph.classes() as u32)
        .collect();
    let classes = Tensor::from_vec(classes, BATCH, &Device::Cpu)?;
    let mut step = || -> Result<f32> {
        let scores = network.train_forward(&images)?;
        let loss = candle_nn::loss::cross_entropy(&scores, &classes)?;
        let value = loss.to_scalar()?;
        optimizer.step(&network, &loss.backward()?, 0.01)?;
        Ok(value)
    };
    let first = step()?;
    let mut speeds = Vec::new();
    let mut last = first;
    for _ in 0..STEPS {
        let start = Instant::now();
        last = step()?;
        speeds.push(BATCH as f64 / start.elapsed().as_secs_f64());
    }
    assert!(
        last < first,
        "{name}: the loss rose from {first} to {last} on one batch"
    );
    speeds.sort_by(f64::total_cmp);
    println!(
        "{name}, batch {BATCH}: {:.1} samples/s (median of {STEPS} steps; {:.1} to {:.1})",
        speeds[STEPS / 2],
        speeds[0],
        speeds[STEPS - 1]
    );
    Ok(())
}
