//! Recipe files: those that are shipped, those of finished runs, and invalid ones.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{self, json, says};

/// Returns the recipes that are shipped, by name, shortened for the few images of `digits`.
fn shipped() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = text
            .replace("to = 500", "to = 5")
            .replace("every = 100", "every = 5");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        found.push((name, text));
    }
    found.sort();
    found
}

/// Returns the phases in `metrics.csv` of the run in `folder`.
fn phases(folder: &Path) -> Vec<String> {
    let metrics = fs::read_to_string(folder.join("metrics.csv")).unwrap();
    let lines = metrics.lines().skip(1);
    lines
        .map(|line| line.split(',').next().unwrap().into())
        .collect()
}

#[test]
fn shipped_recipes_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, text) in shipped() {
        fs::write(folder.join("recipe.toml"), text).unwrap();
        let line = format!("train --recipe recipe.toml --data digits --epochs 1 -o {name}");
        let report = json(folder, &line);
        let (expected, pruner, counted): (&[&str], _, _) = match name.as_str() {
            "lenet-300-100" => (&["dense", "pruned"], "magnitude/igq", 2662),
            "iterative" => (
                &["dense", "pruned-1", "pruned-2", "pruned-3"],
                "magnitude/global",
                // 266,200 / 125 = 2129.6.
                2130,
            ),
            "gradual" => (&["dense", "gradual"], "magnitude/igq", 2662),
            "rigl" => (&["regrow"], "rigl", 13_310),
            "two-of-four" => (&["dense", "pruned"], "magnitude/global", 133_600),
            _ => panic!("{name} is not known here"),
        };
        assert_eq!(phases(&folder.join(&name)), expected, "{name}");
        assert_eq!(report["pruner"], pruner, "{name}");
        let weights = &report["weights"];
        let kind = match name.as_str() {
            "rigl" | "two-of-four" => &weights["direct"],
            _ => &weights["effective"],
        };
        let found = kind.as_i64().unwrap();
        assert!((found - counted).abs() <= 3, "{name}: {weights}");
    }
}

#[test]
fn the_recipe_of_a_finished_run_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arch = "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join("small.toml"), arch).unwrap();
    let options = "--optimizer adamw --learning-rate 0.01 --schedule cosine --warmup 3 --clip 1 --label-smoothing 0.1 --augment shift=1,rotation=5 --rounds 2 --rewind-to 4 --compression 4 --pruner magnitude/global";
    json(
        folder,
        &format!("train --arch small.toml --epochs 1 --seed 4 {options} -o run"),
    );
    fs::remove_file(folder.join("small.toml")).unwrap();
    json(folder, "train --recipe run/run.toml -o again");
    for name in ["weights", "masks", "masks-1", "rewind-4"] {
        let read = |run: &str| fs::read(folder.join(run).join(format!("{name}.safetensors")));
        assert_eq!(read("run").unwrap(), read("again").unwrap(), "{name}");
    }
    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    assert_eq!(
        recipe,
        fs::read_to_string(folder.join("again/run.toml")).unwrap()
    );
    // The data that the recipe names must be unchanged, which its fingerprint shows.
    let changed = recipe.replace("data_fingerprint = \"", "data_fingerprint = \"0");
    fs::write(folder.join("run/run.toml"), changed).unwrap();
    let error = program::refusal(folder, "train --recipe run/run.toml -o other");
    says(&error, &["digits", "not the one", "fingerprint"]);
}

#[test]
fn options_override_a_recipe_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lenet = shipped()
        .into_iter()
        .find(|(name, _)| name == "lenet-300-100");
    fs::write(folder.join("recipe.toml"), lenet.unwrap().1).unwrap();
    let line = "train --recipe recipe.toml --data digits --epochs 1";
    let options = "--compression 20 --pruner lamp --type direct --batch 50 --seed 7 -o run";
    let report = json(folder, &format!("{line} {options}"));
    assert_eq!(report["pruner"], "lamp");
    assert_eq!(report["seed"], 7);
    assert_eq!(report["weights"]["direct"], 13_310);
    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    says(&recipe, &["batch = 50", "epochs = 1", "compression = 20.0"]);

    for (options, words) in [
        ("--rounds 3", ["--rounds", "change the file"]),
        ("--pattern 2:3", ["2:3", "fc1.weight"]),
        ("--learning-rate 0", ["--learning-rate is 0", "positive"]),
        ("--warmup 5000", ["--warmup is 5000", "steps of the phase"]),
        (
            "--optimizer adam --momentum 0.5",
            ["--momentum", "--optimizer sgd"],
        ),
    ] {
        let error = program::misuse(folder, &format!("{line} {options} -o none"));
        says(&error, &words);
        assert!(!folder.join("none").exists(), "{options}");
    }
    for (text, words) in [
        ("sead = 3", ["recipe.toml, line 1", "did you mean seed?"]),
        (
            "[[phase]]\nkind = \"prune\"",
            ["recipe.toml", "trains nothing"],
        ),
        (
            "[[phase]]\nkind = \"train\"\nepocs = 3",
            ["unknown key epocs", "did you mean epochs?"],
        ),
    ] {
        fs::write(folder.join("recipe.toml"), text).unwrap();
        let error = program::misuse(folder, "train --recipe recipe.toml -o none");
        says(&error, &words[1..]);
        assert!(!folder.join("none").exists(), "{text}");
    }
}

#[test]
fn options_that_the_pruner_dense_ignores_are_said_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    for option in ["--pattern 2:4", "--rounds 2", "--keep-dense first"] {
        let line = format!("train --pruner dense {option} -o run");
        let error = program::misuse(folder.path(), &line);
        says(&error, &[option.split(' ').next().unwrap(), "no effect"]);
    }
    let line = "train --pruner dense --compression 10 --epochs 1 -o run";
    let (_, stderr) = program::texts(&program::run(folder.path(), line));
    says(
        &stderr,
        &["--compression has no effect with --pruner dense"],
    );
    // Without a terminal, each epoch is a line.
    says(&stderr, &["epoch 1 of 1 (dense 1): loss "]);
}

#[test]
fn a_jump_past_the_compression_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let line = "train --pruner random/uniform --compression 50000 --epochs 1 -o run";
    let (_, stderr) = program::texts(&program::run(folder.path(), line));
    says(
        &stderr,
        &["random/uniform keeps 14 connected weights, not 6"],
    );
}

#[test]
fn a_run_that_failed_after_dense_training_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = "train --pruner magnitude/uniform --type direct --epochs 1";
    let error = program::refusal(folder, &format!("{line} --compression 1900 -o run"));
    says(
        &error,
        &[
            "disconnects the network",
            "run/dense.safetensors",
            "--weights",
            "--force",
        ],
    );
    let given = "--weights run/dense.safetensors -o other";
    let report = json(folder, &format!("{line} --compression 100 {given}"));
    assert_eq!(report["weights"]["direct"], 2662);
    // A run that diverges at once leaves nothing.
    let line = "train --pruner dense --epochs 1 --learning-rate 1e30 -o diverged";
    says(
        &program::refusal(folder, line),
        &["diverged", "--learning-rate"],
    );
    assert!(!folder.join("diverged").exists());
}
