//! Training networks described by a file, and training from given weights.

use std::fs;
use std::path::Path;

use crate::interrupts::{signal, start, wait_until};
use crate::program::{command, json, misused, refused, run, says, sentence, texts};

/// A network for the digits, with 7,940 weights.
const SMALL: &str = "name = \"small\"\ninput = [1, 28, 28]\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

/// Runs `arguments` until `run/metrics.csv` has a line that begins with `line`, then interrupts.
fn interrupt(folder: &Path, arguments: &str, line: &str) {
    let mut child = start(command(folder, &format!("{arguments} --quiet")));
    let metrics = folder.join("run/metrics.csv");
    wait_until(&mut child, || {
        fs::read_to_string(&metrics)
            .is_ok_and(|text| text.lines().any(|found| found.starts_with(line)))
    });
    signal("INT", child.id().into());
    let output = child.wait_with_output().unwrap();
    says(
        &sentence(&output),
        &["interrupted after", "resumes from run"],
    );
}

#[test]
fn a_network_of_ones_own_is_trained_interrupted_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("small.toml");
    fs::write(&file, SMALL).unwrap();
    let train = "train --arch small.toml --compression 10 --epochs 8 -o";
    let whole = json(folder, &format!("{train} whole"));
    assert_eq!(whole["arch"], "small");
    assert_eq!(whole["weights"]["effective"], 794);
    assert_eq!(
        fs::read_to_string(folder.join("whole/arch.toml")).unwrap(),
        SMALL
    );

    let train = format!("{train} run");
    interrupt(folder, &train, "dense,1,");
    let another = SMALL.replacen("units = 10", "units = 11", 1);
    fs::write(&file, &another).unwrap();
    refused(
        folder,
        &train,
        &["run", "small.toml", "another architecture", "--force"],
    );
    fs::write(&file, "name =").unwrap();
    refused(folder, &train, &["small.toml, line 1"]);
    // The same network, written differently.
    fs::write(&file, format!("# The same.\n{SMALL}")).unwrap();
    let output = run(folder, &format!("{train} --json"));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    // After an epoch, or after the step that was running.
    says(&stderr, &["resuming after"]);
    let report = crate::program::object(&stdout);
    for key in ["arch", "weights", "accuracy", "compression"] {
        assert_eq!(report[key], whole[key], "{key}");
    }

    // The folder of a finished run does not accept another network either.
    fs::write(&file, another).unwrap();
    refused(folder, &train, &["another architecture"]);
    refused(
        folder,
        "train --compression 10 --epochs 8 -o run",
        &["\"small\"", "lenet-300-100", "--force"],
    );
    // The run folder holds everything that the export needs.
    fs::remove_file(&file).unwrap();
    for name in ["whole", "run"] {
        json(folder, &format!("export {name} -o {name}.rfy"));
    }
    let container = |name: &str| fs::read(folder.join(name)).unwrap();
    assert!(container("whole.rfy") == container("run.rfy"));
    fs::remove_file(folder.join("run/arch.toml")).unwrap();
    refused(folder, "export run -o model.rfy", &["lacks arch.toml"]);
}

#[test]
fn given_weights_take_the_place_of_dense_training_and_must_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let train = "train --arch small.toml --compression 10 --epochs 8";
    let dense = json(folder, &format!("{train} --pruner dense -o dense"));
    assert_eq!(dense["weights"]["effective"], 7940);
    assert_eq!(dense["accuracy"]["dense"], dense["accuracy"]["pruned"]);
    let weights = folder.join("w.safetensors");
    fs::copy(folder.join("dense/weights.safetensors"), &weights).unwrap();

    let train = format!("{train} --weights w.safetensors --after finetune -o run");
    interrupt(folder, &train, "pruned,1,");
    let kept = fs::read(&weights).unwrap();
    let mut changed = kept.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&weights, changed).unwrap();
    refused(folder, &train, &["run", "weights", "--force"]);
    fs::remove_file(&weights).unwrap();
    refused(folder, &train, &["w.safetensors", "No such file"]);
    fs::write(&weights, kept).unwrap();
    refused(
        folder,
        &train.replace(" --after finetune", ""),
        &["phases", "rewind", "--force"],
    );
    let report = json(folder, &train);
    assert_eq!(report["weights"]["effective"], 794);
    // The accuracy of the given network.
    assert_eq!(report["accuracy"]["dense"], dense["accuracy"]["dense"]);
    let metrics = fs::read_to_string(folder.join("run/metrics.csv")).unwrap();
    assert!(!metrics.contains("\ndense,"), "{metrics}");
    json(folder, "export run -o model.rfy");
}

#[test]
fn fine_tuning_needs_a_trained_network() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let train = "train --arch small.toml --compression 10 --epochs 1 -o run --pruner";
    for pruner in ["snip", "synflow", "grasp", "random/igq", "dense"] {
        misused(
            folder,
            &format!("{train} {pruner} --after finetune"),
            &["fine-tuning", pruner, "--weights"],
        );
    }
    // Weights that no phase would read.
    let trained = json(
        folder,
        "train --arch small.toml --compression 10 --epochs 1 -o first",
    );
    misused(
        folder,
        &format!("{train} snip --weights first/dense.safetensors"),
        &["snip", "--weights", "--after finetune"],
    );
    let tuned = json(
        folder,
        &format!(
            "{train} snip --after finetune --weights first/dense.safetensors --loss reference"
        ),
    );
    let accuracy = |report: &serde_json::Value| report["accuracy"]["pruned"].as_f64().unwrap();
    assert!(
        accuracy(&trained) > 0.5 && accuracy(&tuned) > 0.5,
        "{trained} {tuned}"
    );
    assert_eq!(tuned["weights"]["effective"], 794);
}
