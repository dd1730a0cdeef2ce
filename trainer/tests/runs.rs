//! Tests training runs through the library: the phases of each pruner, the initial weights of the
//! pruned phase, and that interruptions do not change the result.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use candle_core::Device;
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::architecture;
use rarefy_trainer::network::State;
use rarefy_trainer::pruning::{Compression, Mask, Masks, Place, Target};
use rarefy_trainer::training::folder::{RunFolder, TrainReport};
use rarefy_trainer::training::recipe::{Gradual, Method, Prune, Regrow, Training};
use rarefy_trainer::training::run::{self, Event};
use rarefy_trainer::training::{
    After, DeviceKind, Existing, Phase, Plan, Recipe, RecipeFile, TrainError, recipe,
};

fn data() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(|| {
        let mut data = digits::load();
        data.train = data.train.limit(1000);
        data.test = data.test.limit(500);
        data
    })
}

/// Returns the default options for `pruner`, with short phases and a compression of 10.
fn plan(pruner: &str) -> Plan {
    Plan {
        pruner: pruner.into(),
        compression: Compression::new(10.0).unwrap(),
        epochs: 2,
        ..Plan::default()
    }
}

fn planned(plan: &Plan) -> Recipe {
    with(plan.phases().unwrap())
}

fn with(phases: Vec<Phase>) -> Recipe {
    let graph = architecture::by_name("lenet-300-100").unwrap();
    Recipe {
        seed: 3,
        phases,
        ..Recipe::new(&graph, data())
    }
}

fn recipe(pruner: &str) -> Recipe {
    planned(&plan(pruner))
}

/// Runs `recipe` in `folder` and interrupts it after `epochs` epochs, if the run has that
/// many. Returns the report with the phases and losses of the epochs.
fn run(
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
struct Seen {
    /// The phases and losses of the epochs that ended.
    epochs: Vec<(String, f64)>,
    /// The steps of the checkpoints in the middle of an epoch.
    checkpoints: Vec<usize>,
    /// The notes.
    notes: Vec<String>,
}

/// Runs `recipe` in `folder` with a checkpoint before every step, and interrupts it after `steps`
/// steps of training.
fn run_steps(
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

fn whole(recipe: &Recipe, folder: &Path) -> (TrainReport, Vec<(String, f64)>) {
    let (report, epochs) = run(recipe, folder, usize::MAX);
    (report.unwrap(), epochs)
}

fn phases(epochs: &[(String, f64)]) -> Vec<&str> {
    epochs.iter().map(|(phase, _)| phase.as_str()).collect()
}

#[test]
fn the_pruner_dense_trains_only_the_dense_network() {
    let folder = tempfile::tempdir().unwrap();
    let (report, epochs) = whole(&recipe("dense"), &folder.path().join("dense"));
    assert_eq!(phases(&epochs), ["dense", "dense"]);
    assert_eq!(report.weights.direct, 266_200);
    assert_eq!(report.weights.effective, 266_200);
    assert_eq!(report.accuracy.dense, Some(report.accuracy.pruned));
    let graph = architecture::by_name("lenet-300-100").unwrap();
    let masks = Masks::load(&graph, &folder.path().join("dense/masks.safetensors")).unwrap();
    assert_eq!(masks, Masks::dense(&graph));
    // Pruners that rank trained weights train the same dense network.
    whole(&recipe("lamp"), &folder.path().join("lamp"));
    let state = |file: &str| State::load(&folder.path().join(file)).unwrap().0;
    assert_eq!(
        state("dense/weights.safetensors"),
        state("lamp/dense.safetensors")
    );
}

#[test]
fn given_weights_replace_dense_training() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let trained = recipe("magnitude/global");
    let (expected, epochs) = whole(&trained, &of("trained"));
    assert_eq!(phases(&epochs), ["dense", "dense", "pruned", "pruned"]);

    let weights = of("trained/dense.safetensors");
    let replaced = Plan {
        has_weights: true,
        ..plan("magnitude/global")
    };
    let given = Recipe {
        weights: Some(weights.display().to_string()),
        weights_fingerprint: Some(recipe::fingerprint(&weights).unwrap()),
        ..planned(&replaced)
    };
    let (found, epochs) = whole(&given, &of("given"));
    assert_eq!(phases(&epochs), ["pruned", "pruned"]);
    // The accuracy of the given network equals that after its training.
    assert_eq!(found.accuracy, expected.accuracy);
    assert_eq!(found.weights, expected.weights);

    // A file that has changed is rejected, and so is a run of other weights in the folder.
    let strange = Recipe {
        weights_fingerprint: Some("0".repeat(64)),
        ..given.clone()
    };
    let refused = run(&strange, &of("strange"), 9).0.unwrap_err().to_string();
    assert!(refused.contains("dense.safetensors"), "{refused}");
    let again = run(&trained, &of("given"), 9).0.unwrap_err().to_string();
    assert!(again.contains("weights"), "{again}");
}

#[test]
fn fine_tuning_starts_where_the_dense_network_ended() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |after: After| {
        let recipe = planned(&Plan {
            after,
            ..plan("magnitude/global")
        });
        let (report, epochs) = whole(&recipe, &folder.path().join(format!("{after:?}")));
        (report.weights, epochs)
    };
    let ((rewound, a), (tuned, b)) = (losses(After::Rewind), losses(After::Finetune));
    assert_eq!(rewound, tuned, "the masks are the same");
    assert_eq!(a[..2], b[..2], "the dense phase is the same");
    assert!(b[2].1 < a[2].1, "trained weights lose less: {a:?} {b:?}");

    let refused = |recipe: Result<Vec<Phase>, TrainError>, word: &str| {
        let message = recipe.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    };
    let tuned = Plan {
        after: After::Finetune,
        ..plan("snip")
    };
    refused(tuned.phases(), "provide its weights");
    let rewound = Plan {
        has_weights: true,
        ..plan("snip")
    };
    refused(rewound.phases(), "fine-tune from them");
}

/// Runs `recipe` at once, in parts of one epoch, and in parts of a few steps, and compares files
/// and figures to the bit. Returns the report and the phases of the epochs.
fn compare(recipe: &Recipe, files: &[&str]) -> (TrainReport, Vec<String>) {
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

#[test]
fn an_interrupted_run_resumes_to_the_same_result() {
    for (pruner, after) in [
        ("lamp", After::Finetune),
        ("snip/iterative", After::Rewind),
        ("dense", After::Rewind),
    ] {
        let recipe = planned(&Plan {
            after,
            ..plan(pruner)
        });
        compare(&recipe, &[]);
    }
}

#[test]
fn rounds_rewind_to_a_step_and_prune_what_is_left() {
    let recipe = planned(&Plan {
        rounds: 2,
        rewind_to: 7,
        epochs: 1,
        ..plan("magnitude/global")
    });
    let files = [
        "rewind-7.safetensors",
        "masks-1.safetensors",
        "dense.safetensors",
    ];
    let (report, phases) = compare(&recipe, &files);
    assert_eq!(phases, ["dense", "pruned-1", "pruned-2"]);
    assert_eq!(report.weights.effective, 26_620);

    let folder = tempfile::tempdir().unwrap();
    whole(&recipe, folder.path());
    let graph = architecture::by_name("lenet-300-100").unwrap();
    let masks = |name: &str| Masks::load(&graph, &folder.path().join(name)).unwrap();
    let (first, second) = (masks("masks-1.safetensors"), masks("masks.safetensors"));
    // 266,200 / sqrt(10) = 84,179.9.
    assert_eq!(first.nonzeros(), 84_180);
    for (first, second) in first.iter().zip(second.iter()) {
        let mut pairs = first.keep.iter().zip(&second.keep);
        assert!(pairs.all(|(&first, &second)| first || !second));
    }
    // Training that stops after seven steps has the weights that are rewound to: two epochs of
    // one image less would not.
    let rewound = State::load(&folder.path().join("rewind-7.safetensors"))
        .unwrap()
        .0;
    let dense = State::load(&folder.path().join("dense.safetensors"))
        .unwrap()
        .0;
    assert_ne!(rewound.get("fc1.weight"), dense.get("fc1.weight"));
}

#[test]
fn a_run_rewinds_to_the_ends_of_shorter_ones() {
    let folder = tempfile::tempdir().unwrap();
    // Ten steps are one epoch, after which a constant rate makes both runs the same.
    let phases = |list: &str| -> Vec<Phase> {
        let file: RecipeFile = RecipeFile::parse(list).unwrap();
        file.phases.unwrap()
    };
    let train = "[[phase]]\nkind = \"train\"\nschedule = { kind = \"constant\" }\n";
    let short = with(phases(&format!("{train}epochs = 1\n")));
    whole(&short, &folder.path().join("short"));
    let round = |compression: usize, to: usize| {
        format!(
            "[[phase]]\nkind = \"prune\"\ncompression = {compression}\n\
             [[phase]]\nkind = \"rewind\"\nto = {to}\n{train}epochs = 1\n"
        )
    };
    // Each step has its own file: one in the middle, and the end of the phase.
    let rounds = [round(4, 20), round(6, 10), round(8, 7)].concat();
    let long = with(phases(&format!("{train}epochs = 2\n{rounds}")));
    let names = [7, 10, 20].map(|step| format!("rewind-{step}.safetensors"));
    compare(&long, &names.each_ref().map(String::as_str));
    whole(&long, &folder.path().join("long"));
    let state = |file: &str| State::load(&folder.path().join(file)).unwrap().0;
    let trained = |file: &str| {
        let mut state = state(file);
        state.0.retain(|name, _| !name.contains(".running_"));
        state
    };
    assert_eq!(
        state("long/rewind-10.safetensors"),
        trained("short/weights.safetensors")
    );
    assert_eq!(
        state("long/rewind-20.safetensors"),
        trained("long/dense.safetensors")
    );
    let sums = fs::read_to_string(folder.path().join("long/SHA256SUMS")).unwrap();
    assert!(names.iter().all(|name| sums.contains(name)), "{sums}");
}

#[test]
fn gradual_pruning_ends_at_the_effective_compression_exactly() {
    let recipe = with(vec![Phase::Gradual(Gradual {
        training: Training::epochs(3),
        pruner: "magnitude/igq".into(),
        compression: Compression::new(20.0).unwrap(),
        every: 4,
        ..Gradual::default()
    })]);
    let (report, phases) = compare(&recipe, &["masks-direct.safetensors"]);
    assert_eq!(phases, ["gradual"; 3]);
    assert_eq!(report.weights.effective, 13_310);
    assert_eq!(report.pruner, "magnitude/igq");
}

#[test]
fn connections_move_while_their_number_stays() {
    for method in [Method::Set, Method::Rigl] {
        let prune = Prune {
            pruner: "random/erk-rigl".into(),
            target: Target::Direct,
            compression: Some(Compression::new(10.0).unwrap()),
            ..Prune::default()
        };
        let regrow = Regrow {
            training: Training::epochs(3),
            method,
            every: 4,
            ..Regrow::default()
        };
        let recipe = with(vec![Phase::Prune(prune), Phase::Regrow(regrow)]);
        let (report, phases) = compare(&recipe, &["masks-1.safetensors"]);
        assert_eq!(phases, ["regrow"; 3]);
        assert_eq!(report.pruner, method.name());
        assert!(report.weights.direct.abs_diff(26_620) <= 3, "{report:?}");
        assert!(report.weights.effective <= report.weights.direct);

        let folder = tempfile::tempdir().unwrap();
        whole(&recipe, folder.path());
        let graph = architecture::by_name("lenet-300-100").unwrap();
        let masks = |name: &str| Masks::load(&graph, &folder.path().join(name)).unwrap();
        let first = masks("masks-direct-1.safetensors");
        let last = masks("masks-direct.safetensors");
        assert_ne!(first, last);
        let counts = |masks: &Masks| masks.iter().map(Mask::nonzeros).collect::<Vec<_>>();
        assert_eq!(counts(&first), counts(&last), "{method:?}");
        // The densities of RigL's formula, see the quota.
        let expected = [18_714, 6906, 1000];
        for (found, expected) in counts(&first).iter().zip(expected) {
            assert!(found.abs_diff(expected) <= 1, "{found} of {expected}");
        }
    }
}

#[test]
fn patterns_and_dense_layers_are_kept_to_the_end() {
    let recipe = with(vec![
        Phase::Prune(Prune {
            pruner: "snip".into(),
            pattern: Some("2:4".parse().unwrap()),
            dense: vec![Place::Last],
            ..Prune::default()
        }),
        Phase::Train(Training::epochs(1)),
    ]);
    let (report, _) = compare(&recipe, &[]);
    assert_eq!(report.weights.direct, 117_600 + 15_000 + 1000);
    let recipe = with(vec![
        Phase::Prune(Prune {
            pruner: "random/igq".into(),
            compression: Some(Compression::new(100.0).unwrap()),
            dense: vec![Place::Last],
            ..Prune::default()
        }),
        Phase::Train(Training::epochs(1)),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = whole(&recipe, folder.path());
    assert_eq!(report.weights.effective, 2662);
    let graph = architecture::by_name("lenet-300-100").unwrap();
    let masks = Masks::load(&graph, &folder.path().join("masks-direct.safetensors")).unwrap();
    assert_eq!(masks.get(2).nonzeros(), 1000);
}

#[test]
fn phases_that_make_no_sense_are_refused_and_leave_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let train = "[[phase]]\nkind = \"train\"\n";
    let prune = |options: &str| format!("[[phase]]\nkind = \"prune\"\n{options}\n");
    let rewind = |to: usize| format!("[[phase]]\nkind = \"rewind\"\nto = {to}\n");
    let gradual = "[[phase]]\nkind = \"gradual\"\n";
    let regrow = "[[phase]]\nkind = \"regrow\"\n";
    for (text, words) in [
        (
            prune("") + train,
            "phase 1 prunes by magnitude/igq, but there are no trained",
        ),
        (rewind(0) + train, "phase 1 rewinds, but nothing is trained"),
        (prune("pruner = \"snip\""), "trains nothing"),
        (
            train.to_owned() + &prune("compression = 10") + &prune("compression = 5"),
            "phase 3 prunes to 5, but phase 2 has pruned to 10",
        ),
        (
            train.to_owned() + &prune("compression = 10\npattern = \"2:4\""),
            "both a compression and a pattern",
        ),
        (
            train.to_owned() + &prune("pattern = \"2:3\""),
            "the pattern 2:3 does not divide fc1.weight, whose outputs read 784 inputs",
        ),
        (
            train.to_owned() + &prune("pattern = \"2:7\"") + train,
            "does not divide fc2.weight",
        ),
        (
            train.to_owned() + &prune("compression = 300\ndense = [\"last\"]"),
            "the layers kept dense have 1000 of 266200",
        ),
        (
            train.to_owned() + "epochs = 1\n" + &prune("") + &rewind(11) + train,
            "rewind_to is 11, but must be at most 10",
        ),
        (
            [
                train,
                "epochs = 1\n",
                &prune("compression = 2"),
                &rewind(3),
                train,
                &prune("compression = 4"),
                &rewind(11),
                train,
            ]
            .concat(),
            "rewind_to is 11, but must be at most 10",
        ),
        (regrow.to_owned(), "nothing is pruned before it"),
        (
            train.to_owned() + &prune("pattern = \"2:4\"") + regrow,
            "would break the pattern",
        ),
        (
            gradual.to_owned() + "every = 500",
            "every is 500, but must be below 200",
        ),
        (
            gradual.to_owned() + "pruner = \"snip\"",
            "ranks weights while they train",
        ),
        (
            train.to_owned() + "epochs = 1\nschedule = { warmup = 10 }",
            "schedule.warmup is 10, but must be below 10",
        ),
        (
            train.to_owned() + "batch = 1001",
            "batch is 1001, but must be between 1 and 1000",
        ),
        // No path, whether or not anything is trained before.
        (
            train.to_owned() + &prune("compression = 90000") + train,
            "needs 3 of 266200 weights",
        ),
        (
            prune("pruner = \"random/igq\"\ncompression = 90000") + train,
            "it reaches at most effective compression",
        ),
        (
            gradual.to_owned() + "compression = 90000",
            "needs 3 of 266200 weights",
        ),
    ] {
        let file = RecipeFile::parse(&text).unwrap();
        let recipe = with(file.phases.unwrap());
        let path = folder.path().join("runs/run");
        let refused = run(&recipe, &path, 9).0.unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
        assert!(!folder.path().join("runs").exists(), "{words}");
    }
}

#[test]
fn a_run_cannot_resume_on_another_kind_of_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let ours = recipe("dense");
    run(&ours, &path, 1).0.unwrap_err();
    let elsewhere = Recipe {
        device: DeviceKind::Cuda,
        ..ours.clone()
    };
    let refused = RunFolder::open(&path, &elsewhere, Existing::Resume).unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("device \"cpu\", not \"cuda\""),
        "{refused}"
    );
    // The device must be the one of the recipe.
    let refused = run(&elsewhere, &folder.path().join("other"), 9)
        .0
        .unwrap_err();
    assert!(refused.to_string().contains("Cuda"), "{refused}");
    assert!(!folder.path().join("other").exists());
}
