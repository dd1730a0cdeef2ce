//! Runs that learn from their dense network, or from a given one.

use rarefy_trainer::network::State;
use rarefy_trainer::training::hyperparameters::Distillation;
use rarefy_trainer::training::recipe as recipes;
use rarefy_trainer::training::{After, Hyperparameters, Plan, Recipe};

use crate::support::{compare, phases, plan, planned, recipe, run, whole};

/// Returns `recipe` with a distillation of this `share` and mixed inputs.
fn distilled(recipe: Recipe, share: f64) -> Recipe {
    Recipe {
        hyperparameters: Hyperparameters {
            distillation: Some(Distillation {
                share,
                temperature: 2.0,
            }),
            mixup: Some(0.5),
            ..recipe.hyperparameters.clone()
        },
        ..recipe
    }
}

#[test]
fn an_interrupted_run_that_learns_from_its_dense_network_resumes_to_the_same_result() {
    let (_, phases) = compare(&distilled(recipe("lamp"), 0.7), &["dense.safetensors"]);
    assert_eq!(phases, ["dense", "dense", "pruned", "pruned"]);
}

#[test]
fn a_given_network_teaches_as_the_dense_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let finetuned = |has_weights| {
        let plan = Plan {
            after: After::Finetune,
            has_weights,
            ..plan("magnitude/global")
        };
        distilled(planned(&plan), 1.0)
    };
    let trained = finetuned(false);
    let (_, epochs) = whole(&trained, &of("trained"));
    let weights = of("trained/dense.safetensors");
    let given = Recipe {
        weights: Some(weights.display().to_string()),
        weights_fingerprint: Some(recipes::fingerprint(&weights).unwrap()),
        ..finetuned(true)
    };
    let (_, again) = whole(&given, &of("given"));
    assert_eq!(phases(&again), ["pruned", "pruned"]);
    assert_eq!(again, epochs[2..]);
    let state = |run: &str| State::load(&of(run).join("weights.safetensors")).unwrap().0;
    assert_eq!(state("given"), state("trained"));

    // Learning from the classes instead ends elsewhere.
    let mut alone = trained.clone();
    alone.hyperparameters.distillation = None;
    whole(&alone, &of("alone"));
    assert_ne!(state("alone"), state("trained"));
}

#[test]
fn a_run_without_a_dense_network_to_learn_from_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let error = run(&distilled(recipe("random/erk"), 0.5), &path, 9).0;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no dense network to learn from"), "{error}");
    assert!(!path.exists());
}
