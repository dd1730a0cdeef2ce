//! Recipe files: those that are shipped, those of finished runs, and invalid ones.

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_trainer::data::idx::{self, Images};

use crate::program::{self, json, says};

/// The recipes of deep networks, whose datasets are not available to tests.
const DEEP: [&str; 3] = ["resnet-18", "vgg-16", "vgg-19"];

/// Returns the recipes that are shipped, by name, shortened for the few images of `digits`.
fn shipped() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut text = fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "md") {
            // The page shows a recipe with every key.
            let block = text.split("```").nth(1).unwrap();
            text = block.strip_prefix("toml").unwrap().to_owned();
        }
        let text = text
            .replace("to = 500", "to = 5")
            .replace("every = 100", "every = 5")
            .replace("every = 50", "every = 5")
            .replace("warmup = 50", "warmup = 5");
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
        if DEEP.contains(&name.as_str()) {
            continue;
        }
        fs::write(folder.join("recipe.toml"), text).unwrap();
        let line = format!("train --recipe recipe.toml --data digits --epochs 1 -o {name}");
        let report = json(folder, &line);
        let (expected, pruner, counted): (&[&str], _, _) = match name.as_str() {
            "lenet-300-100" | "distillation" => (&["dense", "pruned"], "magnitude/igq", 2662),
            "iterative" => (
                &["dense", "pruned-1", "pruned-2", "pruned-3"],
                "magnitude/global",
                // 266,200 / 125 = 2129.6.
                2130,
            ),
            "gradual" => (&["dense", "gradual"], "magnitude/igq", 2662),
            "rigl" => (&["regrow"], "rigl", 13_310),
            "README" => (
                &["dense", "pruned", "regrow", "gradual"],
                "magnitude/igq",
                13_310,
            ),
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

/// Writes the files of CIFAR-10, or of CIFAR-100 with two `labels` per image, to `folder`: ten
/// images for training (two in each of CIFAR-10's five files) and two for testing.
fn cifar(folder: &Path, labels: usize) {
    fs::create_dir_all(folder).unwrap();
    let records = |first: usize, count: usize| -> Vec<u8> {
        let record = |image: usize| {
            let pixels = (0..3072).map(move |at| (at * (image + 3) / 7 % 251) as u8);
            std::iter::repeat_n((image % 10) as u8, labels).chain(pixels)
        };
        (first..first + count).flat_map(record).collect()
    };
    let train: Vec<String> = match labels {
        1 => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
        _ => vec!["train.bin".into()],
    };
    let each = 10 / train.len();
    for (index, name) in train.iter().enumerate() {
        fs::write(folder.join(name), records(index * each, each)).unwrap();
    }
    let test = if labels == 1 {
        "test_batch.bin"
    } else {
        "test.bin"
    };
    fs::write(folder.join(test), records(20, 2)).unwrap();
}

/// Writes IDX files of ten training and two test images of 64 x 64 pixels in three channels to
/// `folder`.
fn colour_images(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (split, count) in [("train", 10), ("t10k", 2)] {
        let pixels = (0..count * 3 * 64 * 64).map(|at| (at * 13 % 241) as u8);
        let images = Images {
            count,
            channels: 3,
            rows: 64,
            columns: 64,
            pixels: pixels.collect(),
        };
        let mut bytes = Vec::new();
        idx::write_images(&mut bytes, &images).unwrap();
        fs::write(folder.join(format!("{split}-images-idx4-ubyte")), bytes).unwrap();
        let labels: Vec<u8> = (0..count as u8).collect();
        let mut bytes = Vec::new();
        idx::write_labels(&mut bytes, &labels).unwrap();
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), bytes).unwrap();
    }
}

/// Runs the recipes of deep networks for one step per phase, on images in the place where they
/// expect their data.
#[test]
fn recipes_of_deep_networks_normalise_each_channel() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cifar(&folder.join("data/cifar-10-batches-bin"), 1);
    cifar(&folder.join("data/cifar-100-binary"), 2);
    colour_images(&folder.join("data/tiny-imagenet"));
    for (name, text) in shipped() {
        if !DEEP.contains(&name.as_str()) {
            continue;
        }
        fs::write(folder.join("recipe.toml"), &text).unwrap();
        let line = format!("train --recipe recipe.toml --batch 10 --epochs 1 -o {name}");
        let report = json(folder, &line);
        assert_eq!(phases(&folder.join(&name)), ["dense", "pruned"], "{name}");
        assert_eq!(report["arch"], name);
        let recipe = fs::read_to_string(folder.join(&name).join("run.toml")).unwrap();
        let table = |text: &str| text.parse::<toml::Table>().unwrap();
        let (recipe, shipped) = (table(&recipe), table(&text));
        for field in ["pixel_mean", "pixel_std"] {
            let numbers = |table: &toml::Table| -> Vec<f32> {
                let list = table[field].as_array().unwrap().iter();
                list.map(|number| number.as_float().unwrap() as f32)
                    .collect()
            };
            assert_eq!(numbers(&recipe), numbers(&shipped), "{name}");
            assert_eq!(numbers(&recipe).len(), 3, "{name}");
        }
    }
    // Two means do not fit three channels.
    let line = "train --recipe recipe.toml --mean 0.4,0.5 --batch 10 --epochs 1 -o none";
    let error = program::misuse(folder, line);
    says(&error, &["--mean is [0.4, 0.5]", "channels", "3"]);
    assert!(!folder.join("none").exists());
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
            [
                "recipe.toml, line 3",
                "unknown key epocs: did you mean epochs?",
            ],
        ),
        (
            "[[phase]]\nkind = \"train\"\nbatch = \"x\"",
            [
                "recipe.toml, line 3: phase train: batch is \"x\"",
                "but must be a whole number",
            ],
        ),
    ] {
        fs::write(folder.join("recipe.toml"), text).unwrap();
        let error = program::misuse(folder, "train --recipe recipe.toml -o none");
        says(&error, &words);
        assert!(!folder.join("none").exists(), "{text}");
    }
}

#[test]
fn what_a_recipe_leaves_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let notes = |text: &str, options: &str| -> Vec<String> {
        fs::write(folder.join("recipe.toml"), text).unwrap();
        let line = format!("train --recipe recipe.toml {options} -o run --force");
        let (_, stderr) = program::texts(&program::run(folder, &line));
        let lines = stderr.lines().filter(|line| line.contains("does not set"));
        lines.map(str::to_owned).collect()
    };
    let all = "recipe.toml does not set all values; used by default: arch = lenet-300-100; \
        data = digits; phase = train (1 epochs), prune (magnitude/igq to 100x), rewind, \
        train (1 epochs)";
    assert_eq!(notes("", "--epochs 1"), [all]);
    let phases = "arch = \"lenet-300-100\"\n[[phase]]\nkind = \"prune\"\npruner = \"random/igq\"\n\
        [[phase]]\nkind = \"train\"\nepochs = 1\n";
    let compression = "recipe.toml does not set all values; used by default: data = digits; \
        compression of phase 1 (prune) = 100";
    assert_eq!(notes(phases, ""), [compression]);
    // Options give what the file leaves out.
    let none: [&str; 0] = [];
    assert_eq!(notes(phases, "--data digits --compression 50"), none);
    assert_eq!(notes(phases, "--data digits --pattern 2:4"), none);
}

#[test]
fn a_folder_without_a_name_is_named_after_what_prunes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (options, name) in [
        (
            "--pattern 2:4 --pruner random/uniform",
            "random-uniform_2-of-4",
        ),
        ("--compression 2.5 --pruner random/igq", "random-igq_2.5"),
    ] {
        let report = json(folder, &format!("train {options} --epochs 1"));
        let run = format!("runs/lenet-300-100_{name}_digits_0");
        assert_eq!(report["run"], run.as_str());
    }
}

#[test]
fn divergence_is_not_blamed_on_the_learning_rate_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = "train --pruner dense --epochs 1 --l2 1e10 --augment shift=1 -o run";
    says(
        &program::refusal(folder, line),
        &[
            "diverged with learning rate 0.1, a strong weight decay and augmented images",
            "(--learning-rate) or the weight decay (--l2, --decay), or augment images less (--augment)",
        ],
    );
    assert!(!folder.join("run").exists());
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
