//! Runs that start from given weights under given masks.

use std::fs;
use std::path::Path;

use rarefy_trainer::pruning::Compression;
use rarefy_trainer::training::recipe::{self as recipes, Prune, Training, ZEROS};
use rarefy_trainer::training::{Phase, Recipe, RecipeFile};

use crate::support::{compare, phases, recipe, run, whole, with};

/// Returns the recipe of `phases` that starts from the weights and masks of the run in `folder`.
fn given(folder: &Path, phases: Vec<Phase>) -> Recipe {
    let [weights, masks] = ["weights", "masks"].map(|name| {
        let path = folder.join(format!("{name}.safetensors"));
        let sum = recipes::fingerprint(&path).unwrap();
        (Some(path.display().to_string()), Some(sum))
    });
    let ((weights, weights_fingerprint), (masks, masks_fingerprint)) = (weights, masks);
    Recipe {
        weights,
        weights_fingerprint,
        masks,
        masks_fingerprint,
        ..with(phases)
    }
}

fn train() -> Phase {
    Phase::Train(Training::epochs(2))
}

#[test]
fn training_under_given_masks_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let (first, _) = whole(&recipe("magnitude/global"), &of("first"));
    let tuned = given(&of("first"), vec![train()]);
    let (report, names) = compare(&tuned, &["masks-direct.safetensors"]);
    assert_eq!(names, ["pruned", "pruned"]);
    assert_eq!(report.pruner, "given");
    assert_eq!(report.weights.effective, first.weights.effective);
    assert_eq!(report.weights.direct, first.weights.effective);
    // The accuracy before training is that of the given network.
    assert_eq!(report.accuracy.dense, Some(first.accuracy.pruned));

    whole(&tuned, &of("tuned"));
    let read = |file: &str| fs::read(of(file)).unwrap();
    for masks in ["masks", "masks-direct"] {
        let found = read(&format!("tuned/{masks}.safetensors"));
        assert!(found == read("first/masks.safetensors"), "{masks}");
    }
    assert!(read("tuned/weights.safetensors") != read("first/weights.safetensors"));

    // The zeros of the weights are the same masks.
    let zeros = Recipe {
        masks: Some(ZEROS.into()),
        masks_fingerprint: None,
        ..tuned.clone()
    };
    whole(&zeros, &of("zeros"));
    assert!(read("tuned/weights.safetensors") == read("zeros/weights.safetensors"));
    assert!(tuned.difference(&zeros).is_some());

    // Masks are trained under from the initial weights, too.
    let initial = Recipe {
        weights: None,
        weights_fingerprint: None,
        ..tuned.clone()
    };
    let (report, _) = whole(&initial, &of("initial"));
    assert_eq!(report.accuracy.dense, None);
    // The rewound phase of the first run starts from the same weights, under the same masks, and
    // differs only in the name of the phase's random stream.
    assert!(read("initial/masks.safetensors") == read("first/masks.safetensors"));

    // Its own recipe repeats the run.
    let file = RecipeFile::load(&of("tuned/run.toml")).unwrap();
    assert_eq!(file.masks, tuned.masks);
    assert_eq!(file.masks_fingerprint, tuned.masks_fingerprint);
}

#[test]
fn given_masks_are_pruned_further() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    whole(&recipe("random/uniform"), &of("first"));
    let prune = |compression: f64| {
        Phase::Prune(Prune {
            pruner: "magnitude/global".into(),
            compression: Some(Compression::new(compression).unwrap()),
            ..Prune::default()
        })
    };
    let further = given(&of("first"), vec![prune(40.0), train()]);
    let (report, epochs) = whole(&further, &of("further"));
    assert_eq!(phases(&epochs), ["pruned", "pruned"]);
    assert_eq!(report.weights.effective, 266_200 / 40);
    let masks = |name: &str| {
        let graph = rarefy_trainer::graph::load("lenet-300-100").unwrap();
        rarefy_trainer::pruning::Masks::load(&graph, &of(name)).unwrap()
    };
    let (before, after) = (
        masks("first/masks.safetensors"),
        masks("further/masks.safetensors"),
    );
    for (before, after) in before.iter().zip(after.iter()) {
        let mut pairs = before.keep.iter().zip(&after.keep);
        assert!(pairs.all(|(&before, &after)| before || !after));
    }

    // They cannot be pruned to less.
    let less = given(&of("first"), vec![prune(4.0), train()]);
    let error = run(&less, &of("less"), 9).0.unwrap_err().to_string();
    assert!(error.contains("prunes to 4x, but the masks"), "{error}");
    assert!(!of("less").exists());
}

#[test]
fn masks_that_cannot_be_trained_under_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    whole(&recipe("random/uniform"), &of("first"));
    let tuned = given(&of("first"), vec![train()]);
    let refused = |recipe: &Recipe, words: &str| {
        let error = run(recipe, &of("none"), 9).0.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let zeros_of_nothing = Recipe {
        masks: Some(ZEROS.into()),
        weights: None,
        ..tuned.clone()
    };
    refused(&zeros_of_nothing, "but there are no weights");
    let changed = Recipe {
        masks_fingerprint: Some("0".repeat(64)),
        ..tuned.clone()
    };
    refused(&changed, "is not the masks file that the run started with");
    let missing = Recipe {
        masks: Some(of("missing").display().to_string()),
        ..tuned
    };
    refused(&missing, "missing");
}
