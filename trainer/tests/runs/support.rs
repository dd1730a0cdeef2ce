//! What the tests of runs share: recipes on a few digits, and runs in parts.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use candle_core::Device;
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::architecture;
use rarefy_trainer::pruning::Compression;
use rarefy_trainer::training::folder::TrainReport;
use rarefy_trainer::training::run::{self, Event};
use rarefy_trainer::training::{Phase, Plan, Recipe, TrainError};

pub(crate) fn data() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(|| {
        let mut data = digits::load();
        data.train = data.train.limit(1000);
        data.test = data.test.limit(500);
        data
    })
}

/// Returns the default options for `pruner`, with short phases and a compression of 10.
pub(crate) fn plan(pruner: &str) -> Plan {
    Plan {
        pruner: pruner.into(),
        compression: Compression::new(10.0).unwrap(),
        epochs: 2,
        ..Plan::default()
    }
}

pub(crate) fn planned(plan: &Plan) -> Recipe {
    with(plan.phases().unwrap())
}

pub(crate) fn with(phases: Vec<Phase>) -> Recipe {
    let graph = architecture::by_name("lenet-300-100").unwrap();
    Recipe {
        seed: 3,
        phases,
        ..Recipe::new(&graph, data())
    }
}

pub(crate) fn recipe(pruner: &str) -> Recipe {
    planned(&plan(pruner))
}

/// Runs `recipe` in `folder` and interrupts it after `epochs` epochs, if the run has that
/// many. Returns the report with the phases and losses of the epochs.
pub(crate) fn run(
    recipe: &Recipe,
    folder: &Path,
    epochs: usize,
) -> (Result<TrainReport, TrainError>, Vec<(String, f64)>) {
    let stop = AtomicBool::new(false);
    let done = RefCell::new(Vec::new());
    let report = run::run(
        recipe,
        data(),
        folder,
        &run::Options::new(&Device::Cpu),
        &stop,
        &mut |event| {
            if let Event::Done(row) = event {
                done.borrow_mut().push((row.phase.clone(), row.loss));
                stop.store(done.borrow().len() >= epochs, Relaxed);
            }
        },
    );
    (report, done.into_inner())
}

/// What a process that runs a part of a recipe saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// The phases and losses of the epochs that ended.
    pub(crate) epochs: Vec<(String, f64)>,
    /// The steps of the checkpoints in the middle of an epoch.
    pub(crate) checkpoints: Vec<usize>,
    /// The notes.
    pub(crate) notes: Vec<String>,
}

/// Runs `recipe` in `folder` with a checkpoint before every step, and interrupts it after `steps`
/// steps of training.
pub(crate) fn run_steps(
    recipe: &Recipe,
    folder: &Path,
    steps: usize,
) -> (Result<TrainReport, TrainError>, Seen) {
    let stop = AtomicBool::new(false);
    let options = run::Options {
        checkpoint_every: Duration::ZERO,
        ..run::Options::new(&Device::Cpu)
    };
    let (mut seen, mut taken) = (Seen::default(), 0);
    let report = run::run(
        recipe,
        data(),
        folder,
        &options,
        &stop,
        &mut |event| match event {
            Event::Done(row) => seen.epochs.push((row.phase.clone(), row.loss)),
            Event::Checkpoint { steps, .. } => seen.checkpoints.push(steps),
            Event::Note(note) => seen.notes.push(note),
            Event::Images(_) => {
                taken += 1;
                stop.store(taken >= steps, Relaxed);
            }
            _ => {}
        },
    );
    (report, seen)
}

pub(crate) fn whole(recipe: &Recipe, folder: &Path) -> (TrainReport, Vec<(String, f64)>) {
    let (report, epochs) = run(recipe, folder, usize::MAX);
    (report.unwrap(), epochs)
}

pub(crate) fn phases(epochs: &[(String, f64)]) -> Vec<&str> {
    epochs.iter().map(|(phase, _)| phase.as_str()).collect()
}

/// Runs `recipe` at once, in parts of one epoch, and in parts of a few steps, and compares files
/// and figures to the bit. Returns the report and the phases of the epochs.
pub(crate) fn compare(recipe: &Recipe, files: &[&str]) -> (TrainReport, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let of = |kind: &str| folder.path().join(kind);
    let (expected, epochs) = whole(recipe, &of("whole"));
    for _ in 0..epochs.len() {
        let (stopped, done) = run(recipe, &of("halting"), 1);
        assert_eq!(done.len(), 1);
        if let Ok(found) = stopped {
            assert_eq!(found.accuracy, expected.accuracy);
        }
    }
    let (found, done) = whole(recipe, &of("halting"));
    assert!(done.is_empty());
    assert_eq!(found.accuracy, expected.accuracy);

    // An epoch has ten steps, so parts end at its start, in its middle and at its end.
    let mut done = Vec::new();
    let mut resumed = 0;
    for steps in [3, 4, 2, 1, 7, 6, 9, 5].into_iter().cycle() {
        let (report, seen) = run_steps(recipe, &of("stepping"), steps);
        done.extend(seen.epochs);
        let begins = |start: &str| seen.notes.iter().any(|note| note.starts_with(start));
        resumed += usize::from(begins("resuming after step"));
        match report {
            Ok(found) => {
                assert_eq!(found.accuracy, expected.accuracy);
                break;
            }
            Err(error) => assert!(matches!(error, TrainError::Interrupted { .. }), "{error}"),
        }
    }
    assert!(resumed > epochs.len(), "{resumed}");
    assert_eq!(done, epochs, "the losses are the same to the bit");
    for file in files
        .iter()
        .chain(&["weights.safetensors", "masks.safetensors"])
    {
        let read = |kind: &str| fs::read(of(kind).join(file)).unwrap();
        assert!(read("whole") == read("halting"), "{file}");
        assert!(read("whole") == read("stepping"), "{file}");
    }
    let names = epochs.into_iter().map(|(phase, _)| phase);
    (expected, names.collect())
}
