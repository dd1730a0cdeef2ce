//! Run folders that are none, unfinished, another's or damaged.

use std::fs::{self, File};
use std::path::Path;

use rarefy_trainer::network::State;
use rarefy_trainer::training::checkpoint::Checkpoint;
use rarefy_trainer::training::sums::Sums;

use crate::program::{self, json, refusal, says};
use crate::runs;

/// Checks that exporting `run` is refused with `words` and leaves no container, nor touches an
/// earlier one.
fn refused(folder: &Path, words: &[&str]) {
    let model = folder.join("model.rfy");
    says(&refusal(folder, "export run -o new.rfy"), words);
    fs::write(&model, "an earlier model").unwrap();
    says(&refusal(folder, "export run -o model.rfy"), words);
    assert_eq!(fs::read(&model).unwrap(), b"an earlier model");
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.retain(|name| name != "run" && name != "model.rfy");
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_folder_without_a_run_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    refused(folder, &["run holds no run", "rarefy train"]);
    fs::create_dir(folder.join("run")).unwrap();
    refused(folder, &["run holds no run", "rarefy train"]);
    fs::write(folder.join("run/run.toml"), "arch = 7").unwrap();
    refused(folder, &["run", "run.toml", "--force"]);
}

#[test]
fn an_unfinished_run_cannot_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("run"));
    fs::remove_file(folder.join("run/result.json")).unwrap();
    refused(folder, &["not finished", "rarefy train"]);
}

#[test]
fn damaged_files_of_a_run_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    let needed = [
        "run.toml",
        "masks-direct.safetensors",
        "masks.safetensors",
        "weights.safetensors",
    ];
    for name in needed {
        let path = folder.join("run").join(name);
        let whole = run.file(name);
        run.lay_out(&folder.join("run"));
        // Cut, one bit turned, another file of the run in its place, a comment at its end.
        let mut turned = whole.to_vec();
        turned[whole.len() / 2] ^= 1;
        let other = run.file(if name == needed[3] {
            needed[2]
        } else {
            needed[3]
        });
        let longer = [whole, b"# mine"].concat();
        for damaged in [&whole[..whole.len() - 1], &turned, other, &longer] {
            fs::write(&path, damaged).unwrap();
            refused(folder, &["run", name, "--force"]);
            says(
                &refusal(folder, "train --epochs 2 -o run"),
                &["run", name, "--force"],
            );
        }
        fs::remove_file(&path).unwrap();
        let words = if name == "run.toml" {
            ["holds no run", "rarefy train"]
        } else {
            ["lacks", name]
        };
        refused(folder, &words);
    }

    // Epochs and the dense network are not what is deployed: they may go, but not change.
    run.lay_out(&folder.join("run"));
    for name in ["metrics.csv", "dense.safetensors"] {
        fs::write(folder.join("run").join(name), "mine").unwrap();
        refused(folder, &[name, "changed", "--force"]);
        fs::remove_file(folder.join("run").join(name)).unwrap();
    }
    json(folder, "export run -o model.rfy");

    // Sums that are none, or not there.
    let sums = folder.join("run/SHA256SUMS");
    for text in ["", "none", "00  run.toml\n"] {
        fs::write(&sums, text).unwrap();
        refused(folder, &["SHA256SUMS", "--force"]);
    }
    fs::remove_file(&sums).unwrap();
    refused(folder, &["SHA256SUMS"]);

    run.lay_out(&folder.join("run"));
    fs::write(folder.join("run/result.json"), "{\"run\":").unwrap();
    refused(folder, &["result.json", "--force"]);
    fs::remove_file(folder.join("run/result.json")).unwrap();
    refused(folder, &["not finished"]);

    run.lay_out(&folder.join("run"));
    fs::remove_file(folder.join("model.rfy")).unwrap();
    json(folder, "export run -o model.rfy");
    assert_eq!(fs::read(folder.join("model.rfy")).unwrap(), run.container);
}

/// Edits `run.toml` in `folder`: the value of `key` becomes `value`.
fn set(folder: &Path, key: &str, value: &str) {
    let path = folder.join("run/run.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = |line: &str| match line.split_once(" = ") {
        Some((name, _)) if name == key => format!("{key} = {value}\n"),
        _ => format!("{line}\n"),
    };
    let edited: String = text.lines().map(line).collect();
    assert_ne!(edited, text, "{key}");
    fs::write(&path, edited).unwrap();
}

#[test]
fn a_recipe_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    // What no run can be made with is named; what one could be is known by its fingerprint.
    for (key, value, words) in [
        ("pixel_std", "inf", ["pixel_std inf", "--force"]),
        ("pixel_std", "-0.3", ["pixel_std -0.3", "--force"]),
        ("pixel_mean", "nan", ["pixel_mean NaN", "--force"]),
        (
            "batch_norm_epsilon",
            "1e-5",
            ["batch_norm_epsilon", "0.001"],
        ),
        ("learning_rate", "0.0", ["--learning-rate 0", "--force"]),
        ("epochs", "0", ["--epochs 0", "--force"]),
        ("compression", "inf", ["compression of inf", "--force"]),
        ("pixel_std", "0.5", ["run.toml", "changed"]),
        ("seed", "1", ["run.toml", "changed"]),
        ("device", "\"cuda\"", ["run.toml", "changed"]),
    ] {
        run.lay_out(&folder.join("run"));
        set(folder, key, value);
        refused(folder, &words);
        refused(folder, &["run"]);
    }
    // A recipe of before, without what is recorded now.
    run.lay_out(&folder.join("run"));
    let text = String::from_utf8(run.file("run.toml").to_vec()).unwrap();
    let old = text.lines().filter(|line| !line.starts_with("device"));
    let old: Vec<&str> = old.collect();
    fs::write(folder.join("run/run.toml"), old.join("\n")).unwrap();
    refused(
        folder,
        &["run.toml", "device", "another version", "--force"],
    );
    // It says what is recorded: everything that makes the bits.
    for line in ["batch_norm_epsilon = 0.001\n", "device = \"cpu\"\n"] {
        says(&text, &[line]);
    }
}

#[test]
fn an_architecture_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arch = "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join("small.toml"), arch).unwrap();
    let train = "train --arch small.toml --compression 2 --epochs 1 --batch 500 -o run";
    json(folder, train);
    fs::remove_file(folder.join("small.toml")).unwrap();
    let copy = folder.join("run/arch.toml");
    // The same network in other words is not the file that the run made, either.
    for edited in [
        arch.replace("units", "norm = false\nunits"),
        format!("# mine\n{arch}"),
    ] {
        fs::write(&copy, edited).unwrap();
        refused(folder, &["arch.toml", "changed", "--force"]);
    }
    // A copy in a run of a named architecture.
    runs::pruned().lay_out(&folder.join("named"));
    fs::write(folder.join("named/arch.toml"), arch).unwrap();
    says(
        &refusal(folder, "export named"),
        &["named", "arch.toml", "changed"],
    );
}

#[test]
fn a_result_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    let text = String::from_utf8(run.file("result.json").to_vec()).unwrap();
    let path = folder.join("run/result.json");
    for (old, new) in [
        ("\"seed\": 0", "\"seed\": 1"),
        ("\"target\": 100", "\"target\": 101"),
    ] {
        assert!(text.contains(old));
        fs::write(&path, text.replace(old, new)).unwrap();
        refused(folder, &["result.json", "--force"]);
    }
}

#[test]
fn a_run_that_was_moved_is_told_by_its_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("moved"));
    let mut expected = runs::pruned().trained.clone();
    expected["run"] = "moved".into();
    assert_eq!(json(folder, "train --epochs 2 -o moved"), expected);
}

#[test]
fn a_folder_with_another_run_or_other_files_is_not_trained_into() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = folder.join("run");
    runs::pruned().lay_out(&run);
    for (options, words) in [
        ("--epochs 3", ["epochs 2, not 3", "--force"]),
        ("--epochs 2 --seed 1", ["seed 0, not 1", "--force"]),
        (
            "--epochs 2 --compression 50",
            ["compression 100.0, not 50.0", "--force"],
        ),
        ("--epochs 2 --pruner random/igq", ["random/igq", "--force"]),
        ("--epochs 2 --type direct", ["effective", "--force"]),
    ] {
        let sentence = refusal(folder, &format!("train {options} -o run"));
        says(&sentence, &["run holds a run with"]);
        says(&sentence, &words);
    }
    for name in runs::pruned().names() {
        assert_eq!(
            fs::read(run.join(name)).unwrap(),
            runs::pruned().file(name),
            "{name}"
        );
    }
    // Replacing it takes saying so, and leaves what is not a run's.
    fs::write(run.join("notes.txt"), "mine").unwrap();
    let report = json(
        folder,
        "train --epochs 1 --pruner random/igq -o run --force",
    );
    assert_eq!(report["pruner"], "random/igq");
    assert_eq!(fs::read(run.join("notes.txt")).unwrap(), b"mine");
    assert!(
        !run.join("dense.safetensors").exists(),
        "the replaced run's"
    );

    fs::create_dir(folder.join("photos")).unwrap();
    fs::write(folder.join("photos/cat.jpg"), "cat").unwrap();
    for force in ["", "--force"] {
        let sentence = refusal(folder, &format!("train --epochs 1 {force} -o photos"));
        says(&sentence, &["photos", "not empty", "run.toml", "-o"]);
    }
    assert_eq!(fs::read_dir(folder.join("photos")).unwrap().count(), 1);
    says(
        &refusal(folder, "train --epochs 1 -o photos/cat.jpg"),
        &["photos/cat.jpg"],
    );
    assert_eq!(fs::read(folder.join("photos/cat.jpg")).unwrap(), b"cat");
}

#[test]
fn a_damaged_checkpoint_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    fs::remove_file(folder.join("run/result.json")).unwrap();
    let checkpoint = folder.join("run/checkpoint.safetensors");
    // Cut to nothing, cut, whole but of something else.
    let weights = run.file("weights.safetensors");
    for (damaged, words) in [
        (&b""[..], "not a whole safetensors file"),
        (&weights[..1000], "not a whole safetensors file"),
        (weights, "is missing"),
    ] {
        fs::write(&checkpoint, damaged).unwrap();
        let sentence = refusal(folder, "train --epochs 2 -o run");
        says(&sentence, &["run/checkpoint.safetensors", words]);
        assert_eq!(fs::read(&checkpoint).unwrap(), damaged);
    }
    let report = json(folder, "train --epochs 2 -o run --force");
    assert_eq!(report["accuracy"], run.trained["accuracy"]);
}

#[test]
fn a_checkpoint_that_does_not_belong_to_the_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arch = "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join("small.toml"), arch).unwrap();
    let train =
        "train --arch small.toml --pruner lamp --compression 4 --epochs 2 --batch 500 -o run";
    let expected = json(folder, train);
    let run = folder.join("run");
    let read = |name: &str| fs::read(run.join(name)).unwrap();
    let (masks, metrics) = (read("masks.safetensors"), read("metrics.csv"));
    let weights = State::load(&run.join("weights.safetensors")).unwrap().0;
    let mut weights = weights.0;
    weights.retain(|name, _| !name.contains("running"));
    let rest = |values: &State| {
        let mut velocities = values.clone();
        velocities
            .0
            .values_mut()
            .for_each(|array| array.values.fill(0.0));
        velocities
    };
    let sound = Checkpoint {
        phase: "pruned".into(),
        epochs: 2,
        seconds: 1.0,
        files: Sums::of(
            &run,
            &[
                "run.toml",
                "dense.safetensors",
                "masks-direct.safetensors",
                "masks.safetensors",
            ],
        )
        .unwrap(),
        velocities: rest(&State(weights.clone())),
        weights: State(weights),
    };
    fs::remove_file(run.join("result.json")).unwrap();
    let path = run.join("checkpoint.safetensors");
    let refused = |checkpoint: &Checkpoint, word: &str| {
        checkpoint.save(&path).unwrap();
        let sentence = refusal(folder, train);
        says(&sentence, &["run holds a checkpoint", word, "--force"]);
    };
    let outside = masks[masks.len() - 7840..]
        .iter()
        .position(|&keep| keep == 0);
    let mut disobedient = sound.clone();
    disobedient.weights.0.get_mut("fc1.weight").unwrap().values[outside.unwrap()] = 0.5;
    refused(&disobedient, "the mask prunes it");
    let beyond = Checkpoint {
        epochs: 99,
        ..sound.clone()
    };
    refused(&beyond, "epoch 99");
    let unbound = Checkpoint {
        files: Sums::default(),
        ..sound.clone()
    };
    refused(&unbound, "fingerprint of run.toml");
    // Masks of another run, lines that were lost.
    let mut other = masks.clone();
    let last = masks.len() - 1;
    other[last] ^= 1;
    fs::write(run.join("masks.safetensors"), other).unwrap();
    refused(&sound, "masks.safetensors is not the one");
    fs::remove_file(run.join("masks.safetensors")).unwrap();
    refused(&sound, "masks.safetensors is missing");
    fs::write(run.join("masks.safetensors"), &masks).unwrap();
    fs::write(run.join("metrics.csv"), &metrics[..metrics.len() - 40]).unwrap();
    refused(&sound, "metrics.csv lacks");
    // The one that is sound is taken.
    fs::write(run.join("metrics.csv"), &metrics).unwrap();
    sound.save(&path).unwrap();
    assert_eq!(json(folder, train)["accuracy"], expected["accuracy"]);
}

#[test]
fn one_process_at_a_time_works_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    fs::write(folder.join("run/run.lock"), "").unwrap();
    let lock = File::open(folder.join("run/run.lock")).unwrap();
    lock.lock().unwrap();
    for command in [
        "train --epochs 2 -o run",
        "train -o run --force",
        "export run",
    ] {
        says(
            &refusal(folder, command),
            &["run is in use by another process"],
        );
    }
    for name in run.names() {
        assert_eq!(
            fs::read(folder.join("run").join(name)).unwrap(),
            run.file(name)
        );
    }
    // The lock of a process that is no more means nothing.
    drop(lock);
    assert_eq!(json(folder, "train --epochs 2 -o run"), run.trained);
    json(folder, "export run");
    assert!(!folder.join("run/run.lock").exists());
}

#[test]
fn what_a_process_killed_at_once_leaves_is_no_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = "train --pruner random/igq --epochs 1 --batch 500 -o run";
    let leftovers = [".run.toml.a1B2c3.rarefy-tmp", ".tmpQYsYvU", "run.lock"];
    for (name, force) in [(0, ""), (1, ""), (2, ""), (1, " --force")] {
        fs::create_dir(folder.join("run")).unwrap();
        fs::write(folder.join("run").join(leftovers[name]), "").unwrap();
        if name == 0 {
            // Refused before anything begins, nothing is touched.
            says(
                &refusal(folder, "train --compression 0.5 -o run"),
                &["compression"],
            );
            assert!(folder.join("run").join(leftovers[0]).exists());
        }
        json(folder, &format!("{train}{force}"));
        for leftover in leftovers {
            assert!(!folder.join("run").join(leftover).exists(), "{leftover}");
        }
        fs::remove_dir_all(folder.join("run")).unwrap();
    }
    // Beside a stranger's file they protect nothing and are left alone.
    fs::create_dir(folder.join("run")).unwrap();
    for name in [".run.toml.a1B2c3.rarefy-tmp", "cat.jpg"] {
        fs::write(folder.join("run").join(name), "").unwrap();
    }
    program::refused(folder, train, &["not empty", "run.toml"]);
}

#[test]
fn no_command_writes_over_a_run_or_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    let alone = folder.join("m.safetensors");
    fs::write(&alone, run.file("masks.safetensors")).unwrap();
    fs::write(folder.join("w.safetensors"), run.file("dense.safetensors")).unwrap();
    fs::write(folder.join("model.rfy"), &run.container).unwrap();
    let arch = "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    fs::write(folder.join("small.toml"), arch).unwrap();
    for (command, words) in [
        (
            "export run -o run/result.json",
            ["-o run/result.json", "another name"],
        ),
        (
            "export run -o run/../run/run.toml",
            ["run.toml", "another name"],
        ),
        (
            "export run --emit rust -o run/run.lock",
            ["run.lock", "another name"],
        ),
        (
            "prune --pruner random/igq --out run/masks.safetensors",
            ["--out", "another name"],
        ),
        (
            "prune --pruner magnitude/igq --weights w.safetensors --out ./w.safetensors",
            ["--out ./w.safetensors", "read"],
        ),
        (
            "prune --pruner random/igq --arch small.toml --out small.toml",
            ["--out small.toml", "read"],
        ),
        (
            "effective --masks m.safetensors --out m.safetensors",
            ["--out m.safetensors", "read"],
        ),
        (
            "effective --arch small.toml --curve small.toml --pruner random/igq",
            ["--curve small.toml", "read"],
        ),
        (
            "effective --curve run/metrics.svg --pruner random/igq",
            ["metrics.csv", "run folder"],
        ),
        (
            "inspect model.rfy --svg model.rfy",
            ["--svg model.rfy", "read"],
        ),
        (
            "inspect model.rfy --svg run/arch.toml",
            ["--svg", "run folder"],
        ),
        (
            "train --weights run/dense.safetensors --epochs 1 -o run --force",
            ["--weights run/dense.safetensors", "--force"],
        ),
    ] {
        program::refused(folder, command, &words);
    }
}

#[test]
fn a_compression_that_cannot_be_reached_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for options in [
        "--compression 1000000",
        "--compression 1000000 --type direct",
        "--compression 1000000 --pruner lamp --type direct",
        "--compression 1000000 --pruner random/igq",
    ] {
        let train = format!("train {options} --epochs 1000000 -o runs");
        program::refused(folder, &train, &["1000000", "disconnects"]);
    }
}

#[test]
fn masks_that_do_not_belong_to_the_architecture_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let masks = runs::pruned().file("masks.safetensors");
    let path = folder.join("masks.safetensors");
    let effective = "effective --masks masks.safetensors --out out.safetensors";
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "No such file"],
    );
    fs::write(&path, &masks[..masks.len() - 1]).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "not a whole safetensors file"],
    );
    fs::write(&path, "").unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "not a whole safetensors file"],
    );
    let mut three = masks.to_vec();
    *three.last_mut().unwrap() = 3;
    fs::write(&path, three).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "holds 3", "0 and 1"],
    );
    fs::write(&path, runs::pruned().file("weights.safetensors")).unwrap();
    says(
        &refusal(folder, effective),
        &["masks.safetensors", "no prunable tensor called"],
    );
    assert!(!folder.join("out.safetensors").exists());
}
