//! Networks without a run folder, and data that is not bytes: exported, evaluated, trained further.

use std::fs;
use std::path::Path;

use rarefy_trainer::data::digits;
use rarefy_trainer::deploy::Trained;
use rarefy_trainer::import;
use rarefy_trainer::pruning::Masks;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::program::{json, misused, refused, run, says, texts};
use crate::runs;
use crate::tensors::{self, Tensors, single, tensor};

/// Writes a fixture of `tests/onnx` to `net.onnx` in `folder` and imports it into `net`.
pub(crate) fn imported(folder: &Path, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/onnx")
        .join(name);
    fs::copy(from, folder.join("net.onnx")).unwrap();
    json(folder, "import net.onnx -o net");
}

/// Writes a dataset of `count` samples of 28 x 28 features from -1 to 1 in ten classes.
fn features(folder: &Path, count: usize) {
    let value = |at: usize| (at * 7919 % 2001) as f32 / 1000.0 - 1.0;
    let x: Vec<f32> = (0..count * 784).map(value).collect();
    let y = (0..count).map(|at| (at as i64 % 10).to_le_bytes());
    let set: Tensors = [
        ("x", single(&[count, 28, 28], &x)),
        ("y", tensor(Dtype::I64, &[count], y)),
    ]
    .into();
    tensors::write(&folder.join("d.safetensors"), &set);
}

#[test]
fn an_export_without_a_run_reads_its_data_as_the_options_say() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-dynamo-lenet-5.onnx");
    features(folder, 40);
    let options = "--data d.safetensors --input-range -1:1 --test-share 1/2";
    let export = format!("export net {options} --mean 0.5 --std 0.25 --weights int8 --allow-loss");
    json(folder, &format!("{export} -o model.rfy"));
    let companion = fs::read(folder.join("model.rfy.json")).unwrap();
    let companion: serde_json::Value = serde_json::from_slice(&companion).unwrap();
    let reading = &companion["data"]["reading"];
    assert_eq!(reading["input_range"], "-1:1", "{companion}");
    assert_eq!(reading["test_share"], 0.5);

    // It was calibrated on these data, but trained elsewhere.
    let score = json(folder, "eval model.rfy");
    assert_eq!(score["samples"], 20);
    assert!(score["trained_on"].is_null(), "{score}");
    let (_, stderr) = texts(&run(folder, "eval model.rfy"));
    says(&stderr, &["the training samples of model.rfy are unknown"]);
    assert!(!stderr.contains("trained on"), "{stderr}");

    // The range is recorded; what else the files leave open can be said anew.
    misused(
        folder,
        "eval model.rfy --data d.safetensors --input-range 0:1",
        &["--input-range", "model.rfy", "recorded"],
    );
    misused(
        folder,
        "eval model.rfy --test-share 1/2",
        &["--test-share", "model.rfy", "add --data"],
    );
    let some = json(
        folder,
        "eval model.rfy --data d.safetensors --test-share 1/4",
    );
    assert_eq!(some["samples"], 10);
    let eval = "eval model.rfy --data d.safetensors --test-share 1";
    assert_eq!(json(folder, eval)["samples"], 40);
    let (_, stderr) = texts(&run(folder, eval));
    says(&stderr, &["all of its 40 samples are for testing"]);
}

#[test]
fn features_have_no_range_of_their_own_for_a_container_of_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-dynamo-lenet-5.onnx");
    features(folder, 20);
    json(
        folder,
        "export net --data digits --mean 0 --std 1 --weights int8 --allow-loss -o model.rfy",
    );
    let words = ["d.safetensors", "not bytes", "model.rfy"];
    let eval = "eval model.rfy --data d.safetensors";
    misused(folder, eval, &[&words[..], &["--input-range"]].concat());
    misused(
        folder,
        "measure model.rfy --board mps2-an386 --data d.safetensors",
        &words,
    );
    let score = json(folder, &format!("{eval} --input-range -1:1"));
    assert_eq!(score["samples"], 10);
    fs::remove_file(folder.join("model.rfy.json")).unwrap();
    misused(folder, eval, &words);
    json(folder, &format!("{eval} --input-range -1:1"));
}

#[test]
fn options_for_reading_need_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (command, option) in [
        ("prune --pruner snip", "--input-range all"),
        ("prune", "--test-share 1/3"),
        (
            "effective --curve c.svg --pruner magnitude/igq",
            "--label a",
        ),
        ("effective --curve c.svg --pruner snip", "--resize 4x4"),
    ] {
        let words = [option.split(' ').next().unwrap(), "add --data"];
        misused(folder, &format!("{command} {option}"), &words);
    }
    misused(
        folder,
        "effective --masks m --shape 1x28x28",
        &["--shape", "--curve"],
    );
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/run.toml"), "").unwrap();
    misused(
        folder,
        "export run --input-range all -o other.rfy",
        &["--input-range", "recorded", "run"],
    );
}

/// The options that name the weights of the shared run.
const OF_RUN: &str = "--arch lenet-300-100 --weights run/weights.safetensors";

/// Copies the shared run's weights without the tensors whose names contain `word` to `w`.
fn without(folder: &Path, word: &str) {
    let bytes = fs::read(folder.join("run/weights.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let all = file.tensors().into_iter();
    let kept: Vec<(String, TensorView<'_>)> =
        all.filter(|(name, _)| !name.contains(word)).collect();
    let written = safetensors::serialize(kept, None).unwrap();
    fs::write(folder.join("w"), written).unwrap();
}

#[test]
fn weights_without_a_run_are_evaluated_and_exported_as_the_run_is() {
    let folder = runs::folder();
    let folder = folder.path();
    let trained = &runs::pruned().trained["accuracy"]["pruned"];
    for arguments in [
        format!("eval {OF_RUN} --data digits"),
        format!("eval {OF_RUN} --masks run/masks.safetensors --data digits"),
        "eval run".into(),
    ] {
        let score = json(folder, &arguments);
        assert_eq!(score["accuracy"], *trained, "{arguments}");
        assert_eq!(
            (&score["samples"], &score["data"]),
            (&2000.into(), &"digits".into())
        );
    }
    let output = run(folder, &format!("eval {OF_RUN} --data digits"));
    let (stdout, stderr) = texts(&output);
    says(&stdout, &["2,000 test images of digits correct in floats"]);
    says(
        &stdout,
        &[&format!(
            "Next: rarefy export {OF_RUN} --data digits -o model.rfy"
        )],
    );
    says(
        &stderr,
        &["run/weights.safetensors: ", "test images right in floats"],
    );

    // Without statistics, those of the training images are computed, as at the end of the run.
    without(folder, ".running_");
    let computed = "eval --arch lenet-300-100 --weights w --data digits";
    assert_eq!(json(folder, computed)["accuracy"], *trained);
    let (_, stderr) = texts(&run(folder, computed));
    says(
        &stderr,
        &["w: ", "it lacks bn1.running_mean, bn1.running_var"],
    );

    for masks in ["", "--masks zeros", "--masks run/masks.safetensors"] {
        let export = format!("export {OF_RUN} {masks} --data digits -o model.rfy");
        let exported = json(folder, &export);
        assert_eq!(exported["accuracy"], runs::pruned().exported["accuracy"]);
        let container = fs::read(folder.join("model.rfy")).unwrap();
        assert!(container == runs::pruned().container, "{masks}");
    }
    let export = format!("export {OF_RUN} --weights int4 --data digits -o int4.rfy");
    assert_eq!(json(folder, &export)["weights"], "int4");
}

#[test]
fn an_imported_network_has_the_accuracy_of_its_folded_network() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    imported(folder, "torch-old-lenet-5.onnx");
    let network = import::read(&folder.join("net.onnx")).unwrap();
    let masks = Masks::dense(&network.graph);
    let trained = Trained::new(network.graph, network.state, masks, (0.5, 0.25)).unwrap();
    let folded = trained.fold().unwrap();
    let test = digits::load().test.limit(300);
    let is_right = |&image: &usize| {
        let scores = folded.scores(test.image(image));
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.unwrap().0 == usize::from(test.label(image))
    };
    let right = (0..test.len()).filter(is_right).count();
    // The same images, as a dataset of their own.
    let x: Vec<u8> = test.images().to_vec();
    let y = test
        .labels()
        .iter()
        .map(|&label| i64::from(label).to_le_bytes());
    let [x_train, y_train] = [
        tensors::bytes(&[300, 28, 28], &x),
        tensor(Dtype::I64, &[300], y),
    ];
    let set: Tensors = [
        ("x_test", x_train.clone()),
        ("y_test", y_train.clone()),
        ("x_train", x_train),
        ("y_train", y_train),
    ]
    .into();
    tensors::write(&folder.join("some.safetensors"), &set);
    for network in ["net", "--arch net", "--arch net/arch.toml --weights net"] {
        let options = "--data some.safetensors --mean 0.5 --std 0.25";
        let score = json(folder, &format!("eval {network} {options}"));
        assert_eq!(score["correct"], right, "{network}: {score}");
        assert_eq!(score["arithmetic"], "f32");
    }
    json(folder, "quotas --arch net --quota uniform --compression 10");
    json(
        folder,
        "prune --arch net --weights net --compression 4 --pruner magnitude/global -o m",
    );
    assert_eq!(json(folder, "arch net")["total"], 6244);
}

#[test]
fn zeros_of_weights_are_masks() {
    let folder = runs::folder();
    let folder = folder.path();
    let by_file = json(folder, "effective --masks run/masks.safetensors --out a");
    let by_zeros = json(
        folder,
        "effective --weights run/weights.safetensors --masks zeros --out b",
    );
    assert_eq!(by_file, by_zeros);
    assert_eq!(by_zeros["effective"]["nonzeros"], 2662);
    assert_eq!(
        fs::read(folder.join("a")).unwrap(),
        fs::read(folder.join("b")).unwrap()
    );
    misused(
        folder,
        "effective --masks zeros",
        &["--masks zeros", "--weights"],
    );
    misused(
        folder,
        "effective --masks run/masks.safetensors --weights run/weights.safetensors",
        &["--weights needs --curve"],
    );
    misused(
        folder,
        "effective --masks zeros --weights run/weights.safetensors --data digits",
        &["--data needs --curve"],
    );
}

#[test]
fn given_weights_are_fine_tuned_under_given_masks() {
    let folder = runs::folder();
    let folder = folder.path();
    let train = format!("train {OF_RUN} --after finetune --epochs 1 --learning-rate 0.001");
    let masks = "--masks run/masks.safetensors";
    let output = run(folder, &format!("{train} {masks} -o tuned"));
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    says(
        &stderr,
        &[
            "run/weights.safetensors: ",
            "test images right (before training)",
            "run/masks.safetensors keeps 2662 of 266200 weights",
        ],
    );
    let recipe = fs::read_to_string(folder.join("tuned/run.toml")).unwrap();
    says(
        &recipe,
        &["masks = \"run/masks.safetensors\"", "masks_fingerprint = "],
    );
    json(folder, &format!("{train} --masks zeros -o zeros"));
    json(folder, "train --recipe tuned/run.toml -o again");
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    for other in ["zeros", "again"] {
        let weights = format!("{other}/weights.safetensors");
        assert!(
            read("tuned/weights.safetensors") == read(&weights),
            "{other}"
        );
    }
    assert!(read("tuned/masks.safetensors") == read("run/masks.safetensors"));
    let exported = json(folder, "export tuned -o tuned.rfy");
    assert_eq!(exported["total"], 266_200);

    for (options, words) in [
        ("--compression 200", &["--compression", "--pruner"][..]),
        ("--gradual", &["--gradual", "--pruner"]),
    ] {
        misused(folder, &format!("{train} {masks} {options} -o none"), words);
    }
    misused(
        folder,
        "train --masks zeros --epochs 1 -o none",
        &["zeros of the weights", "there are no weights"],
    );
    misused(
        folder,
        &format!("train {OF_RUN} {masks} --pruner magnitude/global --compression 50 -o none"),
        &["prunes to 50x", "already prune to 100x"],
    );
}

#[test]
fn a_network_is_named_once_and_wholly() {
    let folder = runs::folder();
    let folder = folder.path();
    imported(folder, "torch-old-lenet-5.onnx");
    let data = "--data digits";
    for (command, words) in [
        (
            format!("eval --arch lenet-300-100 {data}"),
            &["--arch lenet-300-100", "--weights"][..],
        ),
        (format!("eval {OF_RUN}"), &["without a run", "--data"]),
        (
            format!("export run --weights w.safetensors {data} -o m"),
            &["run has weights of its own"],
        ),
        (
            format!("export net --weights w.safetensors {data} -o m"),
            &["net has weights of its own"],
        ),
        (
            "export run --masks zeros -o m".into(),
            &["--masks is recorded in the run"],
        ),
        (
            format!("export {OF_RUN} --weights w.b {data} -o m"),
            &["one type and one file"],
        ),
    ] {
        misused(folder, &command, words);
    }
    // Missing and unknown tensors are named.
    without(folder, "bn2.bias");
    refused(
        folder,
        &format!("eval --arch lenet-300-100 --weights w {data}"),
        &["w lacks bn2.bias"],
    );
    refused(
        folder,
        &format!("eval --arch lenet-5-28 --weights run/weights.safetensors {data}"),
        &[
            "run/weights.safetensors",
            "conv1.weight of lenet-5-28 is missing",
        ],
    );
    json(folder, "export run -o model.rfy");
    misused(
        folder,
        "eval model.rfy --mean 0.5",
        &["--mean is part of the container model.rfy"],
    );
}
