//! Tests training runs through the library: the phases of each pruner, the initial weights of the
//! pruned phase, and that interruptions do not change the result.

use std::fs;

use rarefy_trainer::graph::architecture;
use rarefy_trainer::network::State;
use rarefy_trainer::pruning::{Compression, Mask, Masks, Place, Target};
use rarefy_trainer::training::recipe::{self as recipes, Gradual, Method, Prune, Regrow, Training};
use rarefy_trainer::training::{After, Phase, Plan, Recipe, RecipeFile, TrainError};

mod distillation;
mod given;
mod refusals;
mod support;

use support::{compare, phases, plan, planned, recipe, run, whole, with};

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
        weights_fingerprint: Some(recipes::fingerprint(&weights).unwrap()),
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
