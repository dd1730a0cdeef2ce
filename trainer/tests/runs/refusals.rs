//! Recipes that make no sense, and runs of another device: refused before anything is trained.

use rarefy_trainer::training::folder::RunFolder;
use rarefy_trainer::training::{DeviceKind, Existing, Recipe, RecipeFile};

use crate::support::{recipe, run, with};

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
            "phase 3 prunes to 5x, but phase 2 already prunes to 10x",
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
            "phase 3 (rewind): to is 11, but must be at most 10",
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
            "phase 6 (rewind): to is 11, but must be at most 10",
        ),
        (regrow.to_owned(), "nothing is pruned before it"),
        (
            train.to_owned() + &prune("pattern = \"2:4\"") + regrow,
            "would break the pattern",
        ),
        (
            gradual.to_owned() + "every = 500",
            "phase 1 (gradual): every is 500, but must be below 200",
        ),
        (
            gradual.to_owned() + "pruner = \"snip\"",
            "ranks weights while they train",
        ),
        (
            train.to_owned() + "epochs = 1\nschedule = { warmup = 10 }",
            "phase 1 (train): schedule.warmup is 10, but must be below 10",
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
            "the highest effective compression that it reaches is",
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
