//! Runs that can be known to fail before anything is trained: they are refused in one sentence,
//! leave no folder, and replace no run.

use std::fs;

use crate::program::{self, misused, refusal, refused, says};
use crate::runs;

/// Recipes that make no sense, with words of the sentence that says so.
const RECIPES: [(&str, &[&str]); 12] = [
    (
        "[[phase]]\nkind = \"prune\"\n[[phase]]\nkind = \"train\"",
        &[
            "recipe.toml: phase 1 prunes by magnitude/igq",
            "train before it",
        ],
    ),
    (
        "[[phase]]\nkind = \"train\"\nepochs = 1\nbatch = 50000",
        &[
            "recipe.toml, phase 1 (train): batch is 50000, but must be",
            "the number of training images",
        ],
    ),
    (
        "[[phase]]\nkind = \"gradual\"\nepochs = 1\nevery = 500",
        &[
            "recipe.toml, phase 1 (gradual): every is 500, but must be below",
            "steps of the phase",
        ],
    ),
    (
        "[[phase]]\nkind = \"train\"\nschedule = { kind = \"cosine\", warmup = 100000 }",
        &[
            "recipe.toml, phase 1 (train): schedule.warmup is 100000, but must be below",
            "steps of the phase",
        ],
    ),
    (
        "[[phase]]\nkind = \"train\"\n[[phase]]\nkind = \"prune\"\npattern = \"2:3\"",
        &[
            "recipe.toml: the pattern 2:3 does not divide fc1.weight",
            "--pattern",
        ],
    ),
    (
        "[[phase]]\nkind = \"train\"\n[[phase]]\nkind = \"prune\"\nratio = 3",
        &["recipe.toml", "unknown key ratio"],
    ),
    (
        "[[phase]]\nkind = \"train\"\nepochs = 1\n[[phase]]\nkind = \"prune\"\n\
         [[phase]]\nkind = \"rewind\"\nto = 5000",
        &["recipe.toml, phase 3 (rewind): to is 5000, but must be at most"],
    ),
    (
        "[hyperparameters]\nlearning_rate = 0\n[[phase]]\nkind = \"train\"",
        &["recipe.toml: learning_rate is 0, but must be"],
    ),
    (
        "[[phase]]\nkind = \"train\"\n[[phase]]\nkind = \"train\"\noptimizer = { kind = \"sgd\", momentum = 2 }",
        &["recipe.toml, phase 2 (train): optimizer.momentum is 2, but must be"],
    ),
    (
        "pixel_std = 0\n[[phase]]\nkind = \"train\"",
        &["recipe.toml: pixel_std is 0, but must be"],
    ),
    (
        "[[phase]]\nkind = \"prune\"\npruner = \"snap\"\n[[phase]]\nkind = \"train\"",
        &["recipe.toml: there is no pruner \"snap\"", "snip"],
    ),
    (
        "[[phase]]\nkind = \"train\"\n[[phase]]\nkind = \"regrow\"",
        &["phase 2 regrows connections, but nothing is pruned"],
    ),
];

#[test]
fn what_can_be_known_at_once_leaves_no_folder_and_replaces_no_run() {
    let folder = runs::folder();
    let folder = folder.path();
    for place in ["-o runs/new", "-o run --force"] {
        for (recipe, words) in RECIPES {
            fs::write(folder.join("recipe.toml"), recipe).unwrap();
            misused(
                folder,
                &format!("train --recipe recipe.toml {place}"),
                words,
            );
        }
        for (options, words) in [
            ("--batch 50000", &["--batch is 50000, but must be"][..]),
            (
                "--epochs 1 --warmup 999",
                &["--warmup is 999, but must be below"],
            ),
            ("--pattern 2:3", &["2:3 does not divide fc1.weight"]),
            ("--compression 300 --keep-dense last", &["kept dense"]),
            (
                "--gradual --epochs 1 --batch 500",
                &[
                    "every is 100, but must be below",
                    "(a recipe file sets it, --recipe)",
                ],
            ),
            (
                "--augment elastic=1e300",
                &["--augment elastic is 1", "must be at most 672", "28 pixels"],
            ),
            (
                "--optimizer adam --augment rotation=200",
                &["--augment rotation is 200, but must be"],
            ),
        ] {
            misused(folder, &format!("train {options} {place}"), words);
        }
        // The highest compression of any mask is known before training, and so is that of a pruner
        // that does not rank trained weights.
        for (options, words) in [
            ("", "needs 3 of 266200 weights"),
            ("--gradual", "needs 3 of 266200 weights"),
            ("--rounds 3", "needs 3 of 266200 weights"),
            ("--pruner random/igq", "compression that it reaches is"),
            ("--pruner snip", "compression that it reaches is"),
            (
                "--pruner random/erk-rigl --regrow rigl",
                "compression that it reaches is",
            ),
        ] {
            let line = format!("train --compression 90000 {options} {place}");
            refused(folder, &line, &["disconnects the network", words]);
        }
    }
}

#[test]
fn a_pruner_that_disconnects_the_network_at_the_start_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The compression that this pruner can reach depends on the seed, so it is known only once
    // the connections are ranked.
    let line = "train --pruner random/uniform --type direct --compression 2000 -o new/folder/run";
    refused(
        folder,
        line,
        &["disconnects the network", "compression that it reaches is"],
    );
    // Folders that were there before are kept.
    fs::create_dir(folder.join("new")).unwrap();
    refused(folder, line, &["disconnects the network"]);
}

#[test]
fn a_checkpoint_needs_a_time_above_zero() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for minutes in ["0", "-1", "soon", "nan", "1e300", "inf"] {
        let line = format!("train --checkpoint-minutes {minutes} -o run");
        let output = program::run(folder, &line);
        assert_eq!(output.status.code(), Some(2), "{minutes}");
        let words = [
            "--checkpoint-minutes",
            "give a number of minutes above 0 and at most 525600, a year",
        ];
        says(&program::texts(&output).1, &words);
        assert!(!folder.join("run").exists());
    }
}

/// Two rounds: the first prunes trained weights; the second chooses connections at random, and so
/// few that they disconnect the network.
const ROUNDS: &str = r#"
phase = [
    { kind = "train", epochs = 1 },
    { kind = "prune", pruner = "magnitude/uniform", type = "direct", compression = 10 },
    { kind = "train", epochs = 1 },
    { kind = "prune", pruner = "random/uniform", type = "direct", compression = 1900 },
    { kind = "train", epochs = 1 },
]
"#;

#[test]
fn a_round_that_fails_leaves_the_dense_network_for_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("rounds.toml"), ROUNDS).unwrap();
    let error = refusal(folder, "train --recipe rounds.toml -o run");
    let words = [
        "random/uniform at direct compression 1900 disconnects the network",
        "compression that it reaches is",
        "the dense network is kept in run/dense.safetensors",
        "--weights",
    ];
    says(&error, &words);
    let options = "--compression 100 --epochs 1 --weights run/dense.safetensors -o other";
    let report = program::json(folder, &format!("train {options}"));
    assert_eq!(report["weights"]["effective"], 2662);
    // The dense network was trained for one epoch.
    let line = "train --pruner dense --epochs 1 -o dense";
    let dense = program::json(folder, line);
    assert_eq!(report["accuracy"]["dense"], dense["accuracy"]["dense"]);
}
