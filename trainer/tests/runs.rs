//! Tests training runs through the library: the phases of each pruner, the initial weights of the
//! pruned phase, and that interruptions do not change the result.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use candle_core::Device;
use rarefy_trainer::data::{Dataset, digits};
use rarefy_trainer::graph::architecture;
use rarefy_trainer::network::State;
use rarefy_trainer::pruning::{Compression, Masks};
use rarefy_trainer::training::folder::{RunFolder, TrainReport};
use rarefy_trainer::training::run::{self, Event};
use rarefy_trainer::training::{After, DeviceKind, Existing, Recipe, TrainError, recipe};

fn data() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(|| {
        let mut data = digits::load();
        data.train = data.train.limit(1000);
        data.test = data.test.limit(500);
        data
    })
}

fn recipe(pruner: &str) -> Recipe {
    let graph = architecture::by_name("lenet-300-100").unwrap();
    Recipe {
        pruner: pruner.into(),
        compression: Compression::new(10.0).unwrap(),
        seed: 3,
        epochs: 2,
        ..Recipe::new(&graph, data())
    }
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
        Existing::Resume,
        &Device::Cpu,
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
    let given = Recipe {
        weights: Some(weights.display().to_string()),
        weights_fingerprint: Some(recipe::fingerprint(&weights).unwrap()),
        ..trained.clone()
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
        let recipe = Recipe {
            after,
            ..recipe("magnitude/global")
        };
        let (report, epochs) = whole(&recipe, &folder.path().join(format!("{after:?}")));
        (report.weights, epochs)
    };
    let ((rewound, a), (tuned, b)) = (losses(After::Rewind), losses(After::Finetune));
    assert_eq!(rewound, tuned, "the masks are the same");
    assert_eq!(a[..2], b[..2], "the dense phase is the same");
    assert!(b[2].1 < a[2].1, "trained weights lose less: {a:?} {b:?}");

    let refused = |recipe: &Recipe, word: &str| {
        let refused = run(recipe, &folder.path().join("refused"), 9).0;
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    };
    let snip = Recipe {
        after: After::Finetune,
        ..recipe("snip")
    };
    refused(&snip, "provide the weights");
    let rewound = Recipe {
        weights: Some("dense.safetensors".into()),
        ..recipe("snip")
    };
    refused(&rewound, "fine-tune from them");
}

#[test]
fn an_interrupted_run_resumes_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    for (pruner, after, epochs) in [
        ("lamp", After::Finetune, 4),
        ("snip/iterative", After::Rewind, 2),
        ("dense", After::Rewind, 2),
    ] {
        let recipe = Recipe {
            after,
            ..recipe(pruner)
        };
        let of = |kind: &str| {
            folder
                .path()
                .join(format!("{kind}-{}", recipe.epochs))
                .join(pruner)
        };
        let (expected, _) = whole(&recipe, &of("whole"));
        for _ in 0..epochs {
            let (stopped, done) = run(&recipe, &of("halting"), 1);
            assert_eq!(done.len(), 1, "{pruner}");
            if let Ok(found) = stopped {
                assert_eq!(found.accuracy, expected.accuracy, "{pruner}");
            }
        }
        let (found, done) = whole(&recipe, &of("halting"));
        assert!(done.is_empty(), "{pruner}");
        assert_eq!(found.accuracy, expected.accuracy, "{pruner}");
        for file in ["weights.safetensors", "masks.safetensors"] {
            let read = |kind: &str| fs::read(of(kind).join(file)).unwrap();
            assert!(read("whole") == read("halting"), "{pruner}: {file}");
        }
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
