//! Protection of run folders from concurrent processes, foreign checkpoints, outputs of other
//! commands, and leftovers of killed processes.

use std::fs::{self, File};
use std::path::Path;

use rarefy_trainer::network::State;
use rarefy_trainer::training::checkpoint::Checkpoint;
use rarefy_trainer::training::optimizer::OptimizerState;
use rarefy_trainer::training::phase::Part;
use rarefy_trainer::training::sums::Sums;

use crate::interrupts;
use crate::program::{self, json, misuse, refusal, says};
use crate::runs;

/// An architecture file that trains quickly.
const SMALL: &str =
    "name = \"small\"\ninput = [1, 28, 28]\n[[layer]]\ntype = \"dense\"\nunits = 10\n";

#[test]
fn a_damaged_checkpoint_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    fs::remove_file(folder.join("run/result.json")).unwrap();
    let checkpoint = folder.join("run/checkpoint.safetensors");
    // Empty, truncated, and a valid file of another kind.
    let weights = run.file("weights.safetensors");
    for (damaged, words) in [
        (&b""[..], "not a valid safetensors file"),
        (&weights[..1000], "not a valid safetensors file"),
        (weights, "is missing"),
    ] {
        fs::write(&checkpoint, damaged).unwrap();
        let sentence = refusal(folder, "train --epochs 2 -o run");
        says(&sentence, &["run holds a checkpoint.safetensors", words]);
        // There is only one remedy, because the run wrote the file, not the user.
        assert!(!sentence.contains("write it again"), "{sentence}");
        assert_eq!(fs::read(&checkpoint).unwrap(), damaged);
    }
    let report = json(folder, "train --epochs 2 -o run --force");
    assert_eq!(report["accuracy"], run.trained["accuracy"]);
}

/// Returns a checkpoint at the end of the finished `run`, with velocities of zero.
fn checkpoint(run: &Path) -> Checkpoint {
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
    Checkpoint {
        masks: None,
        phase: "pruned".into(),
        epochs: 2,
        part: Part::default(),
        seconds: 1.0,
        files: Sums::of(
            run,
            &[
                "run.toml",
                "dense.safetensors",
                "masks-direct.safetensors",
                "masks.safetensors",
            ],
        )
        .unwrap(),
        kept_by_index: None,
        optimizer: OptimizerState {
            steps: 100,
            moments: [("velocity".into(), rest(&State(weights.clone())))].into(),
        },
        weights: State(weights),
    }
}

#[test]
fn a_checkpoint_that_does_not_belong_to_the_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let train =
        "train --arch small.toml --pruner lamp --compression 4 --epochs 2 --batch 500 -o run";
    let expected = json(folder, train);
    let run = folder.join("run");
    let read = |name: &str| fs::read(run.join(name)).unwrap();
    let (masks, metrics) = (read("masks.safetensors"), read("metrics.csv"));
    let sound = checkpoint(&run);
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
    refused(&beyond, "99 epochs");
    let unbound = Checkpoint {
        files: Sums::default(),
        ..sound.clone()
    };
    refused(&unbound, "checksum of run.toml");
    // Masks of another run, and missing lines of metrics.
    let mut other = masks.clone();
    let last = masks.len() - 1;
    other[last] ^= 1;
    fs::write(run.join("masks.safetensors"), other).unwrap();
    refused(&sound, "masks.safetensors has changed");
    fs::remove_file(run.join("masks.safetensors")).unwrap();
    refused(&sound, "masks.safetensors is missing");
    fs::write(run.join("masks.safetensors"), &masks).unwrap();
    fs::write(run.join("metrics.csv"), &metrics[..metrics.len() - 40]).unwrap();
    refused(&sound, "metrics.csv lacks");
    // The valid checkpoint is accepted.
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
    // The lock of a process that has ended does not count.
    drop(lock);
    assert_eq!(json(folder, "train --epochs 2 -o run"), run.trained);
    json(folder, "export run");
    assert!(!folder.join("run/run.lock").exists());
}

/// Checks that a run in the middle of any phase keeps other processes out.
#[test]
fn a_second_process_is_refused_while_the_first_trains() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for options in [
        "--gradual --compression 10",
        "--pruner random/erk-rigl --regrow set --compression 10",
    ] {
        let train = format!("train {options} --epochs 1000 --batch 2 -o run");
        let line = format!("{train} --checkpoint-minutes 1e-9 --quiet");
        let mut child = interrupts::start(program::command(folder, &line));
        let run = folder.join("run");
        interrupts::wait_until(&mut child, || run.join("checkpoint.safetensors").exists());
        for command in [
            &train,
            &format!("{train} --force"),
            "train --epochs 1 -o run",
            "export run",
        ] {
            says(
                &refusal(folder, command),
                &["run is in use by another process", "wait until"],
            );
        }
        assert_eq!(child.try_wait().unwrap(), None, "the first goes on");
        child.kill().unwrap();
        child.wait().unwrap();
        // The lock has ended with its process.
        says(&refusal(folder, "export run"), &["not finished"]);
        fs::remove_dir_all(run).unwrap();
    }
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
            // The command fails before it changes anything.
            says(
                &misuse(folder, "train --compression 0.5 -o run"),
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
    // Next to a foreign file, leftovers are left alone.
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
    fs::write(folder.join("small.toml"), SMALL).unwrap();
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
            ["run/dense.safetensors", "another folder (-o)"],
        ),
    ] {
        program::misused(folder, command, &words);
    }
}

/// Checks that a named file is replaced only by the same kind of output, in every command.
#[test]
fn no_command_writes_over_what_is_not_its_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = runs::pruned();
    run.lay_out(&folder.join("run"));
    fs::write(folder.join("m.safetensors"), run.file("masks.safetensors")).unwrap();
    fs::write(folder.join("w.safetensors"), run.file("dense.safetensors")).unwrap();
    fs::write(
        folder.join("notes.svg"),
        "<svg>\n<text>mine</text>\n</svg>\n",
    )
    .unwrap();
    json(folder, "export run -o model.rfy");
    for (command, outputs) in [
        (
            "prune --pruner random/igq -o",
            ["w.safetensors", "notes.svg"],
        ),
        (
            "effective --masks m.safetensors --out",
            ["w.safetensors", "model.rfy"],
        ),
        (
            "effective --pruner random/igq --most 10 --curve",
            ["notes.svg", "m.safetensors"],
        ),
        ("inspect model.rfy --svg", ["notes.svg", "m.safetensors"]),
        ("export run -o", ["w.safetensors", "notes.svg"]),
        // The companion of the container would be left beside the code.
        ("export run --emit rust -o", ["model.rfy", "notes.svg"]),
    ] {
        for output in outputs {
            let words = [output, "exists and does not hold", "another name"];
            program::refused(folder, &format!("{command} {output}"), &words);
        }
    }
    // A command's own earlier output is replaced.
    for command in [
        "prune --pruner random/igq -o own.safetensors",
        "effective --masks m.safetensors --out own.safetensors",
        "effective --pruner random/igq --most 10 --curve own.svg",
        "inspect model.rfy --svg own.svg",
        "export run -o model.rfy",
    ] {
        for _ in 0..2 {
            json(folder, command);
        }
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

/// Checks that `quickstart` replaces the results of a quickstart, but no other run.
#[test]
fn a_quickstart_leaves_other_runs_alone() {
    let folder = runs::folder();
    let folder = folder.path();
    let sums = fs::read(folder.join("run/SHA256SUMS")).unwrap();
    let quickstart = "quickstart -o run --seed 77 --epochs 1 --board microbit";
    says(
        &refusal(folder, quickstart),
        &["run holds another run", "choose another -o"],
    );
    assert_eq!(fs::read(folder.join("run/SHA256SUMS")).unwrap(), sums);
}
