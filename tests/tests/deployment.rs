//! Tests the path from training to the engine through the libraries: a container must compute what
//! was trained.
//!
//! Networks from short runs on the digits are folded, stripped, quantized, written and executed.
//! Stripped f32 networks are compared with candle's own forward pass with population statistics,
//! containers with the quantizer's own integers, and the dense twin with the sparse network.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use rarefy_format::{AlignedBytes, Encoding, Model};
use rarefy_runtime::Engine;
use rarefy_trainer::data::batches::Batches;
use rarefy_trainer::data::{Dataset, Split, digits};
use rarefy_trainer::deploy::choose::{self, EncodingChoice, Goal};
use rarefy_trainer::deploy::export;
use rarefy_trainer::deploy::quantize::{CALIBRATION, WeightType};
use rarefy_trainer::deploy::{
    self, Export, FinishedRun, Layer, Options, Trained, container, evaluate, order, strip,
};
use rarefy_trainer::device;
use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::network::{Network, State, Statistics, initial};
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::{Compression, Masks, Pruner, Source, Target};
use rarefy_trainer::training::{Plan, Recipe, run};

/// The largest tolerated difference of a class score, relative to the largest score of the image.
const TOLERANCE: f64 = 1e-4;

fn data() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(digits::load)
}

fn lenet() -> Graph {
    architecture::by_name("lenet-300-100").unwrap()
}

fn recipe(pruner: &str, target: Target, compression: f64) -> Recipe {
    let plan = Plan {
        pruner: pruner.into(),
        target,
        compression: Compression::new(compression).unwrap(),
        epochs: 2,
        ..Plan::default()
    };
    Recipe {
        seed: 3,
        phases: plan.phases().unwrap(),
        ..Recipe::new(&lenet(), data())
    }
}

/// Trains `recipe` in `folder`.
fn train(recipe: &Recipe, folder: &Path) -> FinishedRun {
    let never = AtomicBool::new(false);
    run::run(
        recipe,
        data(),
        folder,
        &run::Options::new(&Device::Cpu),
        &never,
        &mut |_| {},
    )
    .unwrap();
    FinishedRun::open(folder).unwrap()
}

/// Returns the first 1,000 test digits.
fn thousand() -> Split {
    data().test.select(0..1000)
}

/// Computes the class scores of the first 1,000 test digits with candle; batch norms use the
/// population statistics of all training digits.
fn candle_scores(graph: &Graph, state: &State) -> Vec<Vec<f32>> {
    let network = Network::new(graph, state, &Device::Cpu).unwrap();
    let batches = |split| Batches::new(split, &data().normalisation, &Device::Cpu);
    let training = batches(&data().train);
    let statistics = Statistics::compute(&network, || training.in_order(usize::MAX)).unwrap();
    let test = batches(&data().test);
    let mut scores = Vec::new();
    for batch in test.in_order(1000) {
        let last = graph.nodes().len() - 1;
        let batch = network
            .forward_to(last, &batch.unwrap(), &statistics)
            .unwrap();
        scores.extend(batch.to_vec2::<f32>().unwrap());
    }
    scores
}

/// Computes the class scores of the first 1,000 test digits with `network`.
fn scores(network: &deploy::Network) -> Vec<Vec<f32>> {
    let images = thousand();
    (0..images.len())
        .map(|index| network.scores(images.image(index)))
        .collect()
}

/// Checks that the class scores of two networks agree up to rounding.
fn agree(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!((found.len(), expected.len()), (1000, 1000));
    for (image, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        let scale = expected
            .iter()
            .fold(0.0_f32, |scale, score| scale.max(score.abs()));
        for (a, b) in found.iter().zip(expected) {
            let apart = f64::from((a - b).abs()) / f64::from(scale);
            assert!(
                apart <= TOLERANCE,
                "{what}, digit {image}: {a} instead of {b}, at a scale of {scale}"
            );
        }
    }
}

/// Returns the number of hidden units.
fn units(network: &deploy::Network) -> usize {
    let hidden = network.layers.iter().rev().skip(1);
    hidden.map(Layer::outputs).sum()
}

/// Computes every logit of `container` for the first 300 test digits.
fn logits(container: &AlignedBytes) -> Vec<Vec<i32>> {
    let model = Model::parse(container).unwrap();
    let engine = Engine::new(model).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let test = &data().test;
    (0..300)
        .map(|index| {
            engine
                .infer(test.image(index), &mut arena)
                .unwrap()
                .to_vec()
        })
        .collect()
}

/// The size of an exported container and the instructions predicted for it.
#[derive(Debug)]
struct Figures {
    bytes: usize,
    instructions: u64,
}

/// Deploys a run and checks each step against another implementation.
fn deploys(run: &FinishedRun, folder: &Path) {
    // Folding and stripping, against candle on the trained weights.
    let (state, _) = State::load(&folder.join("weights.safetensors")).unwrap();
    let expected = candle_scores(&lenet(), &state);
    let folded = run.trained().fold().unwrap();
    let stripped = strip::strip(&folded);
    agree(&scores(&folded), &expected, "folded");
    agree(&scores(&stripped), &expected, "stripped");
    assert!(units(&stripped) <= units(&folded));
    let sorted = order::sorted(&stripped);
    agree(&scores(&sorted), &expected, "sorted");

    let auto = |goal, weights| Options {
        goal,
        weights,
        ..Options::default()
    };
    let only = |encoding, weights| Options {
        encoding: EncodingChoice::Only(encoding),
        weights,
        ..Options::default()
    };
    let options = [
        auto(Goal::Size, WeightType::Int(6)),
        auto(Goal::Speed, WeightType::Int(6)),
        auto(Goal::Balanced, WeightType::Int(8)),
        only(Encoding::Csr, WeightType::Int(6)),
        only(Encoding::Words, WeightType::Int(6)),
        only(Encoding::Columns, WeightType::Int(6)),
        only(Encoding::Dense, WeightType::Int(8)),
    ];
    let figures = options.map(|options| exports(run, &sorted, &options, folder));
    // Each goal is reached: no other container is smaller than the one for size, and none takes
    // fewer instructions than the one for speed by more than the tolerance for ties, which applies
    // once per layer and once to the whole.
    let tolerated = |instructions: u64| instructions as f64 * (1.0 + choose::TIE).powi(2);
    let [size, speed, ..] = &figures;
    for other in &figures {
        assert!(size.bytes <= other.bytes, "{figures:?}");
        let most = tolerated(other.instructions);
        assert!(speed.instructions as f64 <= most, "{figures:?}");
    }
    deploys_without_folder(run, folder);
}

/// Checks that the network of a run, without its run folder, is exported to the same container.
fn deploys_without_folder(run: &FinishedRun, folder: &Path) {
    let trained = run.trained();
    let (graph, state, masks) = (trained.graph(), trained.state(), trained.masks());
    let parts = (graph.clone(), state.clone(), masks.clone());
    let trained = Trained::new(parts.0, parts.1, parts.2, trained.pixels().clone()).unwrap();
    let options = Options::default();
    let [with, without] = ["with.rfy", "without.rfy"].map(|name| folder.join(name));
    let expected = run.export(data(), &options, &with).unwrap().accuracy;
    // Exporting again writes the same bytes.
    let first = container::read(&with).unwrap();
    run.export(data(), &options, &with).unwrap();
    assert!(container::read(&with).unwrap()[..] == first[..]);
    let export = Export::new(&trained, data(), options);
    let found = export.container(&without).unwrap().accuracy;
    let [with, without] = [with, without].map(|path| container::read(&path).unwrap());
    assert!(with[..] == without[..]);
    assert_eq!(found.deployed, expected.deployed);
    // This accuracy is computed with the folded weights instead of candle, so rounding may change
    // the class of a digit or two.
    assert!((found.pruned - expected.pruned).abs() <= 0.001);
}

/// Exports a run with `options`, and checks that the logits are those of the quantizer's own
/// integers; `sorted` is the stripped network with its units in order.
fn exports(
    run: &FinishedRun,
    sorted: &deploy::Network,
    options: &Options,
    folder: &Path,
) -> Figures {
    let what = format!("{options:?}");
    let path = folder.join("model.rfy");
    let report = run.export(data(), options, &path).unwrap();
    let bytes = container::read(&path).unwrap();
    assert_eq!(report.model.bytes, bytes.len());
    assert_eq!(report.model.path, path.display().to_string());
    assert!(
        report.stripping_error <= TOLERANCE,
        "{}",
        report.stripping_error
    );
    let calibration = data().train.limit(CALIBRATION);
    let images: Vec<&[u8]> = (0..calibration.len())
        .map(|i| calibration.image(i))
        .collect();
    let written = export::integers(sorted, &images, options).unwrap();
    assert!(written.bytes[..] == bytes[..], "{what}");
    let spec = written.quantized.spec;
    let expected: Vec<Vec<i32>> = (0..300)
        .map(|index| spec.infer(data().test.image(index)))
        .collect();
    assert!(logits(&bytes) == expected, "{what}");

    // The integer network is as accurate as the trained one, to within 1.5 percentage points after
    // a short run.
    let (pruned, deployed) = (report.accuracy.pruned, report.accuracy.deployed);
    assert!(
        (pruned - deployed).abs() <= 0.015,
        "{what}: {pruned} {deployed}"
    );
    let never = AtomicBool::new(false);
    let model = container::parse(&bytes, &path).unwrap();
    let score = evaluate::evaluate(model, &data().test, &never, &mut |_| {})
        .unwrap()
        .unwrap();
    assert_eq!(score.accuracy, deployed);

    // The dense twin, in which stripped units are zeros again, computes the same logits if its
    // eight bits can represent the weights.
    let twin = AlignedBytes::copy_from(&device::dense_twin(&model).unwrap());
    if let EncodingChoice::Only(Encoding::Csr | Encoding::Dense) = options.encoding {
        assert!(logits(&twin) == expected, "dense twin of {what}");
    }
    assert!(twin.len() >= 266_200);

    let instructions = report.model.layers.iter().map(|layer| layer.instructions);
    Figures {
        bytes: bytes.len(),
        instructions: instructions.sum::<Option<u64>>().unwrap(),
    }
}

#[test]
fn the_main_job_is_deployed_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("magnitude/igq", Target::Effective, 100.0);
    let run = train(&recipe, folder.path());
    assert_eq!(run.report.weights.effective, 2662);
    deploys(&run, folder.path());
}

#[test]
fn a_direct_run_with_detached_units_is_deployed_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("random/uniform", Target::Direct, 20.0);
    let run = train(&recipe, folder.path());
    assert!(run.report.weights.effective < run.report.weights.direct);
    let stripped = strip::strip(&run.trained().fold().unwrap());
    assert!(units(&stripped) < 400, "units are stripped here");
    deploys(&run, folder.path());
}

/// Returns masks of `graph` with detached units of all kinds. In the first layer, every third unit
/// reads nothing and every seventh is not read. In the second, every tenth reads only units that
/// read nothing, and every eighth is not read.
fn with_detached_units(graph: &Graph) -> Masks {
    let tensors = graph.prunable();
    Masks::from_fn(&tensors, |tensor, element| {
        let inputs = tensors[tensor].shape[1];
        let (row, column) = (element / inputs, element % inputs);
        // Spread over rows and columns.
        let one_of = |n: usize| (row * 31 + column * 17 + row * column).is_multiple_of(n);
        match tensor {
            0 => row % 3 != 0 && one_of(20),
            1 if row % 10 == 0 => column % 3 == 0 && one_of(5),
            1 => column % 7 != 0 && one_of(5),
            _ => column % 8 != 0 && one_of(2),
        }
    })
}

/// Tests masks that are not effective: units that read nothing still output constants.
#[test]
fn stripping_keeps_the_constants_of_units_that_read_nothing() {
    let graph = lenet();
    let random = |ratio| {
        let compression = Compression::new(ratio).unwrap();
        let pruner = Pruner::by_name("random/uniform").unwrap();
        let source = Source {
            seed: 1,
            ..Source::new(&graph)
        };
        let pruned = pruner.prune(&source, Target::Direct, compression);
        pruned.unwrap().outcome.direct
    };
    for masks in [with_detached_units(&graph), random(100.0)] {
        let connected = effective::masks(&graph, &masks, Mode::Exact).nonzeros();
        assert!(connected > 0 && connected < masks.nonzeros());

        // Untrained weights, with biases and shifts for which constants matter.
        let mut state = initial::state(&graph, 1);
        for (index, (name, array)) in state.0.iter_mut().enumerate() {
            let mask = masks.iter().find(|mask| mask.name == *name);
            for (element, value) in array.values.iter_mut().enumerate() {
                match mask {
                    Some(mask) if !mask.keep[element] => *value = 0.0,
                    None if name.ends_with(".bias") => {
                        *value += 0.2 * ((element * 7 + index) % 11) as f32 - 0.7;
                    }
                    _ => {}
                }
            }
        }
        let expected = candle_scores(&graph, &state);
        let network = Network::new(&graph, &state, &Device::Cpu).unwrap();
        let training = Batches::new(&data().train, &data().normalisation, &Device::Cpu);
        let statistics = Statistics::compute(&network, || training.in_order(usize::MAX)).unwrap();
        statistics.add_to(network.graph(), &mut state);

        let pixels = &data().normalisation;
        let trained = Trained::new(graph.clone(), state, masks, pixels).unwrap();
        let folded = trained.fold().unwrap();
        let stripped = strip::strip(&folded);
        assert!(units(&stripped) < units(&folded));
        // Exactly the connected weights remain.
        assert_eq!(stripped.nonzeros(), connected);
        agree(&scores(&folded), &expected, "folded");
        agree(&scores(&stripped), &expected, "stripped");
    }
}
