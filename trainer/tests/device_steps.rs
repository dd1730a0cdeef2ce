//! What a training step on a GPU copies, waits for and launches, counted on the CPU.
//!
//! Devices other than the CPU train by plain tensor operations on images kept on the device; the
//! CPU can do the same. Copies are counted where they are made. Candle does not count kernels, but
//! it numbers tensors in order: the numbers assigned during a step are an upper bound on its
//! kernels, since views and the ends of loops take numbers too. The only kernels without a tensor
//! are copies into the optimizer's flat tensors, which are added.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use rarefy_trainer::data::batches::Batches;
use rarefy_trainer::data::{Normalisation, PerChannel, Split};
use rarefy_trainer::graph::{Graph, Operation, architecture};
use rarefy_trainer::network::{Network, State, Statistics, initial};
use rarefy_trainer::random::Random;
use rarefy_trainer::training::Hyperparameters;
use rarefy_trainer::training::optimizer::Optimizer;
use rarefy_trainer::training::phase::{self, Epoch, Part};
use rarefy_trainer::transfer::{Transfers, transfers};

/// Images per step.
const BATCH: usize = 2;

/// Held by each test, because all threads of the process share one numbering of tensors.
static COUNTING: Mutex<()> = Mutex::new(());

/// A network in training, as on a GPU.
struct Subject {
    graph: Graph,
    network: Network,
    optimizer: Optimizer,
    hyperparameters: Hyperparameters,
}

/// Copies made and tensors numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    transfers: Transfers,
    tensors: usize,
}

/// Returns the copies and tensors that `work` makes.
fn count(work: impl FnOnce()) -> Count {
    // The number is private, but printed.
    let number = || -> usize {
        let id = Tensor::new(0_u8, &Device::Cpu).unwrap().id();
        let text = format!("{id:?}");
        let digits = text.trim_start_matches("TensorId(").trim_end_matches(')');
        digits.parse().unwrap()
    };
    let (before, first) = (transfers(), number());
    work();
    let (after, last) = (transfers(), number());
    Count {
        transfers: Transfers {
            uploads: after.uploads - before.uploads,
            uploaded_bytes: after.uploaded_bytes - before.uploaded_bytes,
            readbacks: after.readbacks - before.readbacks,
        },
        tensors: last - first - 1,
    }
}

/// Returns `count` random images for `graph`, in classes in turn.
fn images(graph: &Graph, count: usize) -> Split {
    let &[channels, height, width] = graph.input_shape() else {
        panic!("an input has three axes")
    };
    let shape = [channels, height, width];
    let mut random = Random::new(3);
    let pixels = (0..count * channels * height * width).map(|_| random.below(256) as u8);
    let labels = (0..count).map(|image| (image % graph.classes()) as u8);
    Split::new(pixels.collect(), labels.collect(), shape)
}

/// Returns a normalisation with values per channel.
fn normalisation(channels: usize) -> Normalisation {
    let each = |first: f32| -> PerChannel {
        let values = (0..channels).map(|channel| first + 0.02 * channel as f32);
        values.collect::<Vec<f32>>().into()
    };
    Normalisation {
        mean: each(0.44),
        std: each(0.24),
        ..Normalisation::published(0.0, 1.0)
    }
}

impl Subject {
    /// Creates the network of the architecture `name` and its optimizer, by the `options` of a
    /// recipe. It computes as on a GPU if `plain`, else as on the CPU.
    fn new(name: &str, options: &str, plain: bool) -> Self {
        let graph = architecture::by_name(name).unwrap();
        let state = initial::state(&graph, 1);
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        let network = if plain { network.plain() } else { network };
        let hyperparameters: Hyperparameters = toml::from_str(options).unwrap();
        let optimizer = Optimizer::new(&network, None, &hyperparameters).unwrap();
        Self {
            graph,
            network,
            optimizer,
            hyperparameters,
        }
    }

    /// Trains the first `steps` steps of an epoch over `batches` and returns the sum of losses.
    fn train(&mut self, batches: &Batches<'_>, steps: usize) -> f64 {
        let epoch = Epoch {
            phase: "dense",
            index: 0,
            of: 1,
            seed: 5,
            hyperparameters: &self.hyperparameters,
            teacher: None,
        };
        let part = phase::train_steps(
            &self.network,
            &mut self.optimizer,
            batches,
            epoch,
            Part::default(),
            steps,
            &mut |_| ControlFlow::Continue(()),
        );
        part.unwrap().loss
    }

    /// Returns the number of nodes of this kind.
    fn nodes(&self, is: impl Fn(Operation) -> bool) -> usize {
        let nodes = self.graph.nodes().iter();
        nodes.filter(|node| is(node.operation)).count()
    }
}

/// The options of a recipe for tests.
const OPTIONS: &str = "batch = 2\nlearning_rate = 0.01";

/// Checks that a part of an epoch uploads the order of its images and waits once, for its losses,
/// whatever its length, and limits the kernels of a step.
fn steps_are_cheap(name: &str, most: usize) {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut subject = Subject::new(name, OPTIONS, true);
    let split = images(&subject.graph, 4 * BATCH);
    let normalisation = normalisation(split.shape()[0]);
    let batches = Batches::new(&split, &normalisation, &Device::Cpu).kept_on_device();
    // The images, their classes, the tables and the wiring of windows are uploaded once.
    let first = count(|| _ = subject.train(&batches, 1));
    assert!(
        first.transfers.uploaded_bytes > split.images().len(),
        "{first:?}"
    );
    let [one, three] = [1, 3].map(|steps| {
        let found = count(|| _ = subject.train(&batches, steps));
        let expected = Transfers {
            uploads: 1,
            uploaded_bytes: 4 * BATCH * steps,
            readbacks: 1,
        };
        assert_eq!(found.transfers, expected, "{name}, {steps} steps");
        found.tensors
    });
    let copies = 2 * subject.network.parameters().len();
    let launches = (three - one) / 2 + copies;
    println!("{name}: at most {launches} launches a step, allowed are {most}");
    assert!(
        launches <= most,
        "{name}: {launches} launches a step, not {most}"
    );
}

#[test]
fn a_step_of_lenet_5_uploads_nothing_and_does_not_wait() {
    steps_are_cheap("lenet-5", 1000);
}

#[test]
fn a_step_of_vgg_16_uploads_nothing_and_does_not_wait() {
    steps_are_cheap("vgg-16", 3100);
}

#[test]
fn a_step_of_resnet_18_uploads_nothing_and_does_not_wait() {
    steps_are_cheap("resnet-18", 4500);
}

#[test]
fn losses_are_looked_at_every_hundred_steps() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut subject = Subject::new("lenet-300-100", OPTIONS, true);
    let split = images(&subject.graph, 250 * BATCH);
    let normalisation = normalisation(1);
    let batches = Batches::new(&split, &normalisation, &Device::Cpu).kept_on_device();
    let found = count(|| _ = subject.train(&batches, 250));
    assert_eq!(found.transfers.readbacks, 3);
}

#[test]
fn augmented_batches_are_uploaded_as_bytes() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let options = "batch = 2\naugmentation = { flip = true, crop = 3 }";
    let mut subject = Subject::new("lenet-5", options, true);
    let split = images(&subject.graph, 4 * BATCH);
    let normalisation = normalisation(3);
    let batches = Batches::new(&split, &normalisation, &Device::Cpu).kept_on_device();
    subject.train(&batches, 1);
    let found = count(|| _ = subject.train(&batches, 3));
    let expected = Transfers {
        uploads: 1 + 3,
        uploaded_bytes: 3 * BATCH * (4 + 3072),
        readbacks: 1,
    };
    assert_eq!(found.transfers, expected);
}

#[test]
fn the_optimizer_takes_few_kernels_per_parameter() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    for (options, fixed) in [
        ("", 20),
        ("optimizer = { kind = \"adam\" }", 40),
        (
            "optimizer = { kind = \"sgd\", nesterov = true }\nclip = 1\ndecay = { kind = \"decoupled\", amount = 1e-4 }",
            40,
        ),
    ] {
        let mut taken = Vec::new();
        for name in ["lenet-300-100", "lenet-5-28"] {
            let mut subject = Subject::new(name, options, true);
            let split = images(&subject.graph, BATCH);
            let batches = Batches::new(&split, &normalisation(1), &Device::Cpu);
            let inputs = batches.inputs(&[0, 1]).unwrap();
            let classes = batches.targets(&[0, 1]).unwrap();
            let scores = subject.network.train_forward(&inputs).unwrap();
            let loss = subject.hyperparameters.loss().mean(&scores, &classes);
            let gradients = loss.unwrap().backward().unwrap();
            let (network, optimizer) = (&subject.network, &mut subject.optimizer);
            let found = count(|| optimizer.step(network, &gradients, 0.01).unwrap());
            assert_eq!(found.transfers, Transfers::default(), "{options}");
            let parameters = network.parameters().len();
            // The gradient is made contiguous and viewed flat; the new values are two views.
            // Both are copied, which takes no tensor.
            println!(
                "{name}, {options:?}: {} tensors, {parameters} parameters",
                found.tensors
            );
            assert!(
                found.tensors <= fixed + 4 * parameters,
                "{options}: {found:?}"
            );
            taken.push((found.tensors, parameters));
        }
        let [(fewer, few), (more, many)] = taken[..] else {
            panic!("two networks")
        };
        assert!(more - fewer <= 4 * (many - few), "{options}: {taken:?}");
    }
}

#[test]
fn evaluation_waits_once_and_statistics_once_per_norm() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let subject = Subject::new("lenet-5", OPTIONS, true);
    let split = images(&subject.graph, 250);
    let normalisation = normalisation(3);
    let batches = Batches::new(&split, &normalisation, &Device::Cpu).kept_on_device();
    let compute = || {
        let batches = || batches.in_order(usize::MAX);
        Statistics::compute(&subject.network, batches).unwrap()
    };
    let expected = compute();
    let norms = subject.nodes(|operation| operation == Operation::BatchNorm);
    let found = count(|| assert_eq!(compute(), expected));
    assert_eq!(found.transfers.readbacks, norms);
    // Means and variances of each norm that a later one needs.
    assert!(found.transfers.uploads <= 2 * norms, "{found:?}");
    let (mut accuracy, stop) = (f64::NAN, AtomicBool::new(false));
    let found = count(|| {
        accuracy = phase::accuracy(&subject.network, &expected, &batches, &stop).unwrap();
    });
    assert_eq!(found.transfers.readbacks, 1);

    let fused = Subject::new("lenet-5", OPTIONS, false);
    let host = Batches::new(&split, &normalisation, &Device::Cpu);
    let statistics = Statistics::compute(&fused.network, || host.in_order(usize::MAX)).unwrap();
    let on_host = phase::accuracy(&fused.network, &statistics, &host, &stop).unwrap();
    assert_eq!(accuracy, on_host);
}

/// Returns the largest difference between two states.
fn difference(a: &State, b: &State) -> f32 {
    let arrays = a.0.iter();
    let pairs = arrays.flat_map(|(name, array)| array.values.iter().zip(&b.get(name).values));
    pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Trains the same steps as on the CPU and as on a GPU: batches of the same bits, weights within
/// rounding.
#[test]
fn a_gpu_trains_as_the_cpu_does() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let options = "batch = 10\nlearning_rate = 0.02\naugmentation = { flip = true, crop = 2 }";
    for name in ["lenet-300-100", "lenet-5"] {
        let [host, device] = [false, true].map(|plain| {
            let mut subject = Subject::new(name, options, plain);
            let split = images(&subject.graph, 100);
            let normalisation = normalisation(split.shape()[0]);
            let batches = Batches::new(&split, &normalisation, &Device::Cpu);
            let batches = if plain {
                batches.kept_on_device()
            } else {
                batches
            };
            let loss = subject.train(&batches, 8);
            (loss, subject.network.state().unwrap())
        });
        assert!(
            (host.0 - device.0).abs() < 1e-3 * host.0,
            "{name}: {} {}",
            host.0,
            device.0
        );
        let apart = difference(&host.1, &device.1);
        assert!(apart < 1e-3, "{name}: {apart}");
    }
}

#[test]
fn batches_made_on_a_device_have_the_bits_of_those_made_on_the_host() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    for name in ["lenet-300-100", "lenet-5"] {
        let graph = architecture::by_name(name).unwrap();
        // More images than values of a pixel, so that all values occur.
        let split = images(&graph, 230);
        let normalisation = normalisation(split.shape()[0]);
        let host = Batches::new(&split, &normalisation, &Device::Cpu);
        let device = host.clone().kept_on_device();
        let rows = |tensor: &Tensor| -> Vec<Vec<u32>> {
            let rows = tensor.to_vec2::<f32>().unwrap().into_iter();
            rows.map(|row| row.into_iter().map(f32::to_bits).collect())
                .collect()
        };
        let order = [229, 7, 0, 100, 7];
        let place = device.order(&order).unwrap().unwrap();
        let expected = rows(&host.inputs(&order).unwrap());
        assert_eq!(rows(&device.inputs(&order).unwrap()), expected);
        assert_eq!(rows(&device.inputs_at(&place).unwrap()), expected);
        let pixels: Vec<u8> = order
            .iter()
            .flat_map(|&i| split.image(i as usize).to_vec())
            .collect();
        assert_eq!(rows(&device.inputs_of(&pixels).unwrap()), expected);
        let classes = |tensor: Tensor| tensor.to_vec1::<u32>().unwrap();
        let expected = classes(host.targets(&order).unwrap());
        assert_eq!(classes(device.targets(&order).unwrap()), expected);
        assert_eq!(classes(device.targets_at(&place).unwrap()), expected);
        let expected = classes(host.targets_in_order(100, 30).unwrap());
        assert_eq!(classes(device.targets_in_order(100, 30).unwrap()), expected);
        for (a, b) in device.in_order(220).zip(host.in_order(220)) {
            assert_eq!(rows(&a.unwrap()), rows(&b.unwrap()));
        }
        assert!(host.order(&order).unwrap().is_none());
        assert!(host.inputs_at(&place).is_err());
    }
}
