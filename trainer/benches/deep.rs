//! Measures the training throughput of dense VGG-16 and ResNet-18, batch 32: samples per second,
//! and per second of CPU time, which another process on the machine disturbs less.
//!
//! Run by `cargo xtask bench deep [ARCHITECTURE ...]`, on one core unless `RAYON_NUM_THREADS` says
//! otherwise; `trainer/benches/pytorch.py` measures PyTorch on the same networks.

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
    let (mut speeds, mut of_cpu) = (Vec::new(), Vec::new());
    let mut last = first;
    for _ in 0..STEPS {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        last = step()?;
        speeds.push(BATCH as f64 / start.elapsed().as_secs_f64());
        of_cpu.push(BATCH as f64 / (cpu_seconds() - cpu));
    }
    assert!(
        last < first,
        "{name}: the loss did not decrease on one batch (from {first} to {last})"
    );
    speeds.sort_by(f64::total_cmp);
    of_cpu.sort_by(f64::total_cmp);
    println!(
        "{name}, batch {BATCH}: {:.1} samples/s ({:.1} to {:.1}), {:.1} per CPU second (median of \
         {STEPS} steps)",
        speeds[STEPS / 2],
        speeds[0],
        speeds[STEPS - 1],
        of_cpu[STEPS / 2],
    );
    Ok(())
}

/// Returns the CPU time of this process so far, in seconds; NaN if the system does not report it.
fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return f64::NAN;
    };
    // Fields 14 and 15 are user and system time, in ticks of 10 ms. The second field, a name in
    // parentheses, may contain spaces, so fields are counted from its end.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
