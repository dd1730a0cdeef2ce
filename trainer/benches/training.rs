//! Measures the training throughput of dense and pruned networks on one core, in samples per second
//! at batch size 100.
//!
//! The answers are checked first: loss and weights of the fused operators must agree with those of
//! plain tensor operations in f64, and those of sparse networks with those of dense networks with
//! masks. Run by `cargo xtask bench training [ARCHITECTURE ...]`, on architectures whose input is
//! an image of MNIST.

use std::fs;
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use candle_core::{DType, Device};
use rarefy_trainer::data::batches::Batches;
use rarefy_trainer::data::catalogue::{self, Places};
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::network::{Network, State, initial};
use rarefy_trainer::pruning::{Compression, Masks, Pruner, Source, Target, Weights};
use rarefy_trainer::training::optimizer::Optimizer;
use rarefy_trainer::training::run::{self, Event, Options};
use rarefy_trainer::training::{Hyperparameters, Plan, Recipe};

/// Images per step.
const BATCH: usize = 100;

/// Steps per timed run: a fifth of an epoch of `digits`.
const STEPS: usize = 16;

/// Steps after which a pruned network is checked. Later, rounding differences are amplified: a
/// single ReLU or maximum that switches changes the third digit, also in dense f32 networks with
/// masks.
const CHECKED: usize = 3;

/// Timed runs.
const RUNS: usize = 50;

/// Architectures that are measured by default.
const ARCHITECTURES: [&str; 2] = ["lenet-300-100", "lenet-5-28"];

/// Compressions of the pruned networks that are measured beside the dense one. Below 2.5, networks
/// of dense layers are trained by dense products instead.
const COMPRESSIONS: [f64; 4] = [2.0, 3.0, 10.0, 100.0];

/// Epochs of each phase of a run.
const EPOCHS: usize = 10;

/// The start of the program.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

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
        measure(name, &data);
        measure_run(name);
    }
}

/// Prints how long the parts of a run of the architecture `name` take, with the default recipe but
/// for its epochs.
fn measure_run(name: &str) {
    let start = Instant::now();
    let data = catalogue::load("mnist", &Places::from_environment());
    let data = data.unwrap_or_else(|_| digits::load());
    let reading = start.elapsed();
    let graph = architecture::by_name(name).unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan {
        epochs: EPOCHS,
        ..Plan::default()
    };
    let recipe = Recipe {
        phases: plan.phases().expect("a plan"),
        ..Recipe::new(&graph, &data)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    // From the end of a step to that of the next, or from the start of the epoch.
    let (mut steps, mut last) = (Duration::ZERO, Instant::now());
    let mut tell = |event: Event<'_>| {
        let now = Instant::now();
        if let Event::Images(_) = event {
            steps += now - last;
        }
        last = now;
    };
    let path = folder.path().join("run");
    let options = Options::new(&Device::Cpu);
    let report = run::run(&recipe, &data, &path, &options, &stop, &mut tell);
    let accuracy = report.expect("a run").accuracy.pruned;
    let whole = start.elapsed();
    println!(
        "{name} on {}, {EPOCHS} epochs dense and {EPOCHS} pruned {:.0}x to {:.2} %: {:.2} s, of \
         which {:.1} % outside of steps ({:.2} s of reading)",
        data.name,
        recipe.compression().0.get(),
        100.0 * accuracy,
        whole.as_secs_f64(),
        100.0 * (1.0 - steps.as_secs_f64() / whole.as_secs_f64()),
        reading.as_secs_f64()
    );
}

/// Prints the throughput of the architecture `name`, dense and pruned, from interleaved runs.
fn measure(name: &str, data: &Dataset) {
    let (graph, state) = initial(name);
    let dense = Network::new(&graph, &state, &Device::Cpu).expect("the CPU");
    let mut networks = vec![("dense".to_owned(), dense)];
    for compression in COMPRESSIONS {
        let masks = masks(&graph, &state, compression);
        check_pruned(name, &graph, &state, &masks, data);
        let sparse = Network::sparse(&graph, &state, &masks).expect("the CPU");
        networks.push((format!("pruned {compression}x"), sparse));
    }
    let mut optimizers: Vec<Optimizer> = (networks.iter())
        .map(|(_, network)| optimizer(network, None))
        .collect();
    let mut times = vec![Duration::ZERO; networks.len()];
    for run in 0..=RUNS {
        for (at, (_, network)) in networks.iter().enumerate() {
            let start = busy();
            black_box(steps(network, &mut optimizers[at], data, STEPS));
            // The first run warms up.
            if run > 0 {
                times[at] += busy() - start;
            }
        }
    }
    for ((what, _), time) in networks.iter().zip(&times) {
        println!(
            "{name} {what}, batch {BATCH}: {:.0} samples/s, {:.2}x dense (mean of {RUNS} runs)",
            (RUNS * STEPS * BATCH) as f64 / time.as_secs_f64(),
            times[0].as_secs_f64() / time.as_secs_f64()
        );
    }
}

/// Returns the CPU time of this thread, which other processes do not affect, or the time since the
/// program started if the system does not report it. The value may be some milliseconds old, so
/// only sums of many differences are meaningful.
fn busy() -> Duration {
    let nanoseconds = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = nanoseconds.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// Returns the effective masks that `magnitude/igq` computes from the weights in `state`.
fn masks(graph: &Graph, state: &State, compression: f64) -> Masks {
    let weights = Weights::of(graph, state.clone());
    let source = Source {
        trained: Some(&weights),
        ..Source::new(graph)
    };
    let compression = Compression::new(compression).expect("above 1");
    let pruner = Pruner::by_name("magnitude/igq").expect("a pruner");
    let pruned = pruner.prune(&source, Target::Effective, compression);
    pruned.expect("connected").outcome.effective
}

/// Checks the loss and the weights of the sparse network after some steps against those of the
/// dense network with masks.
fn check_pruned(name: &str, graph: &Graph, state: &State, masks: &Masks, data: &Dataset) {
    let mut start = state.clone();
    for mask in masks.iter() {
        let array = start.0.get_mut(&mask.name).expect("a kernel");
        let weights = array.values.iter_mut().zip(&mask.keep);
        weights.for_each(|(weight, &keep)| *weight *= f32::from(u8::from(keep)));
    }
    let sparse = Network::sparse(graph, &start, masks).expect("the CPU");
    let dense = Network::new(graph, &start, &Device::Cpu).expect("the CPU");
    let [(loss, state), (expected, masked)] = [sparse, dense].map(|network| {
        let loss = steps(
            &network,
            &mut optimizer(&network, Some(masks)),
            data,
            CHECKED,
        );
        (loss, network.state().expect("a state"))
    });
    assert!(
        (loss - expected).abs() < 1e-4,
        "{name}: loss {loss} of the sparse network is not {expected}"
    );
    let difference = difference(&state, &masked);
    assert!(
        difference < 1e-3,
        "{name}: weights of the sparse network differ by up to {difference}"
    );
    eprintln!(
        "{name}: {} weights kept, loss {loss:.6}, weights within {difference:.1e} of the network \
         with masks",
        masks.nonzeros()
    );
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
        let loss = steps(&network, &mut optimizer(&network, None), data, STEPS);
        (loss, network.state().expect("a state"))
    });
    assert!(
        (loss - expected).abs() < 1e-4,
        "{name}: loss {loss} is not {expected}"
    );
    let difference = difference(&state, &plain);
    assert!(
        difference < 1e-3,
        "{name}: weights differ by up to {difference}"
    );
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

/// Creates an optimizer for `network`, whose weights are pruned by `masks`, if given.
fn optimizer(network: &Network, masks: Option<&Masks>) -> Optimizer {
    Optimizer::new(network, masks, &Hyperparameters::default()).expect("the CPU")
}

/// Trains for `count` steps, as an epoch does, and returns the last loss.
fn steps(network: &Network, optimizer: &mut Optimizer, data: &Dataset, count: usize) -> f32 {
    let batches = Batches::new(&data.train, &data.normalisation, &Device::Cpu);
    let batches = batches.select(network.inputs());
    let loss = Hyperparameters::default().loss();
    let mut last = f32::NAN;
    for step in 0..count {
        // Images are sorted by class, so spread the batch over all classes.
        let indices: Vec<u32> = (0..BATCH).map(|i| (i * 80 + step * 5) as u32).collect();
        let mut run = || -> candle_core::Result<()> {
            let scores = network.train_forward(&batches.inputs(&indices)?)?;
            let loss = loss.mean(&scores, &batches.targets(&indices)?)?;
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
