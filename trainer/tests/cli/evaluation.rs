//! The data a container is run on: the data it was made for unless other data is given, with a
//! warning if test images were training images.

use std::fs;
use std::path::Path;

use rarefy_trainer::data::idx::{self, Images};
use serde_json::{Value, json};

use crate::program::{json, misuse, refusal, run, says, texts};
use crate::runs;

/// Returns distinct images of `shape`: the pixels encode the index.
fn images(places: impl Iterator<Item = usize>, [channels, rows, columns]: [usize; 3]) -> Images {
    let size = channels * rows * columns;
    let pixel = |place: usize, i: usize| match i {
        0 => place / 251,
        1 => place % 251,
        _ => (i * i + place % 10 * i) % 251,
    };
    let image = |place: usize| (0..size).map(move |i| pixel(place, i) as u8);
    let places: Vec<usize> = places.collect();
    Images {
        count: places.len(),
        channels,
        rows,
        columns,
        pixels: places.iter().flat_map(|&place| image(place)).collect(),
    }
}

/// Writes a dataset of these training and test images into `folder`, with labels of `classes`
/// classes.
fn write(folder: &Path, [train, test]: [&Images; 2], classes: usize) {
    fs::create_dir_all(folder).unwrap();
    for (name, images) in [("train", train), ("t10k", test)] {
        let mut bytes = Vec::new();
        idx::write_images(&mut bytes, images).unwrap();
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), bytes).unwrap();
        let labels: Vec<u8> = (0..images.count).map(|i| (i % classes) as u8).collect();
        let mut bytes = Vec::new();
        idx::write_labels(&mut bytes, &labels).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), bytes).unwrap();
    }
}

const SHAPE: [usize; 3] = [1, 28, 28];

/// Runs a command that succeeds, and returns its stdout and stderr.
fn said(folder: &Path, arguments: &str) -> (String, String) {
    let output = run(folder, arguments);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{arguments}: {stderr}");
    (stdout, stderr)
}

/// Creates a folder with the shared run, exported to `model.rfy`.
fn exported() -> tempfile::TempDir {
    let folder = runs::folder();
    json(folder.path(), "export run -o model.rfy");
    folder
}

/// Edits the companion of `model.rfy`.
fn change(folder: &Path, change: impl Fn(&mut Value)) {
    let path = folder.join("model.rfy.json");
    let mut companion = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut companion);
    fs::write(path, companion.to_string()).unwrap();
}

#[test]
fn a_container_is_run_on_the_data_it_was_made_for() {
    let folder = exported();
    let folder = folder.path();
    // The container itself is the same as without a companion.
    assert_eq!(
        fs::read(folder.join("model.rfy")).unwrap(),
        runs::pruned().container
    );
    let (stdout, stderr) = said(folder, "eval model.rfy");
    says(&stdout, &["2,000 test images of digits correct"]);
    assert_eq!(stderr, "data: digits, which model.rfy was made for\n");
    let score = json(folder, "eval model.rfy");
    assert_eq!(
        score["accuracy"],
        runs::pruned().exported["accuracy"]["deployed"]
    );
    assert_eq!(
        (&score["data"], &score["trained_on"]),
        (&"digits".into(), &0.into())
    );
    // The next command does not name a board that is unknown.
    change(folder, |companion| companion["board"] = json!("abacus"));
    let (stdout, _) = said(folder, "eval model.rfy");
    says(&stdout, &["measure model.rfy --board mps2-an386"]);
}

#[test]
fn a_companion_that_is_not_of_this_container_is_ignored() {
    let folder = exported();
    let folder = folder.path();
    let sound = fs::read(folder.join("model.rfy.json")).unwrap();
    // Each field must be possible for this container.
    for (pointer, value, word) in [
        ("/data/fingerprint", json!("0123"), "data.fingerprint"),
        ("/data/shape/1", json!(29), "data.shape"),
        ("/data/shape/1", json!(u64::MAX), "data.shape"),
        ("/data/classes", json!(0), "data.classes is 0"),
        ("/data/classes", json!(11), "data.classes is 11"),
        ("/data/pixel_std", json!(0.0), "data.pixel_std is 0"),
        ("/data/pixel_std", json!(-0.3), "data.pixel_std is -0.3"),
        ("/data/pixel_std", json!(1e39), "data.pixel_std is inf"),
        ("/data/pixel_mean", json!(1e300), "data.pixel_mean is inf"),
        ("/data/pixel_mean", json!(null), "model.rfy.json"),
        ("/activity/0", json!(1.5), "activity"),
        ("/activity", json!([]), "activity"),
        ("/export/layers", json!([]), "export.layers"),
    ] {
        change(folder, |companion| {
            *companion.pointer_mut(pointer).unwrap() = value.clone();
        });
        let sentence = misuse(folder, "eval model.rfy");
        says(&sentence, &["model.rfy.json", word, "--data"]);
        fs::write(folder.join("model.rfy.json"), &sound).unwrap();
    }
    // The companion of another container.
    json(folder, "export run --weights int8 -o other.rfy");
    fs::copy(folder.join("other.rfy.json"), folder.join("model.rfy.json")).unwrap();
    let (_, stderr) = said(folder, "inspect model.rfy");
    says(
        &stderr,
        &[
            "model.rfy.json belongs to another container",
            "it is ignored",
        ],
    );
    fs::write(folder.join("model.rfy.json"), "{").unwrap();
    let (_, stderr) = said(folder, "inspect model.rfy");
    says(
        &stderr,
        &["model.rfy.json", "it is ignored; export the model again"],
    );
    for command in ["eval model.rfy", "measure model.rfy --board microbit"] {
        let sentence = misuse(folder, command);
        says(&sentence, &["which data model.rfy was made for", "--data"]);
        // The file exists; the error says why it is ignored.
        says(
            &sentence,
            &["model.rfy.json is not a companion written by `export`"],
        );
        assert!(!sentence.contains("there is no"), "{sentence}");
    }
    // Without a companion, the training images are unknown.
    fs::remove_file(folder.join("model.rfy.json")).unwrap();
    let (_, stderr) = said(folder, "eval model.rfy --data digits");
    says(&stderr, &["the training images of model.rfy are unknown"]);
    assert!(json(folder, "eval model.rfy --data digits")["trained_on"].is_null());
}

#[test]
fn a_folder_is_found_from_elsewhere_and_missed_when_it_moves_or_changes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (train, test) = (images(0..200, SHAPE), images(200..250, SHAPE));
    write(&folder.join("data"), [&train, &test], 10);
    let options = "--pruner random/igq --compression 5 --epochs 1 --batch 50 -o run";
    json(folder, &format!("train --data ./data {options}"));
    json(folder, "export run -o model.rfy");
    let elsewhere = folder.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let (stdout, stderr) = said(&elsewhere, "eval ../model.rfy");
    let data = folder.join("data").canonicalize().unwrap();
    says(&stdout, &["50 test images of", data.to_str().unwrap()]);
    says(&stderr, &["which ../model.rfy was made for"]);

    // Other data: first with seven of the training images among the test images, then with
    // training and test images swapped.
    let mixed = images((0..7).chain(300..343), SHAPE);
    write(
        &folder.join("mixed"),
        [&images(400..600, SHAPE), &mixed],
        10,
    );
    let (stdout, stderr) = said(folder, "eval model.rfy --data ./mixed");
    says(&stdout, &["(7 of them used for training)"]);
    says(
        &stderr,
        &[
            "warning: model.rfy was trained on",
            "7 of the 50 test images of ./mixed",
        ],
    );
    assert_eq!(
        json(folder, "eval model.rfy --data ./mixed")["trained_on"],
        7
    );
    write(&folder.join("turned"), [&test, &train], 10);
    let score = json(folder, "eval model.rfy --data ./turned");
    assert_eq!(
        (&score["trained_on"], &score["samples"]),
        (&200.into(), &200.into())
    );

    write(&folder.join("data"), [&train, &images(200..260, SHAPE)], 10);
    let sentence = refusal(folder, "eval model.rfy");
    says(
        &sentence,
        &[
            "samples or labels of",
            "not those that model.rfy was exported with",
            "--data",
        ],
    );
    json(folder, "eval model.rfy --data ./data");
    fs::rename(folder.join("data"), folder.join("moved")).unwrap();
    let sentence = refusal(folder, "eval model.rfy");
    says(
        &sentence,
        &["model.rfy was made for", "no file or folder", "--data"],
    );
    // The training data is missing, so it cannot be compared.
    let (_, stderr) = said(folder, "eval model.rfy --data ./moved");
    says(&stderr, &["warning", "which was not found"]);
}

#[test]
fn test_images_that_are_trained_on_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = images(0..200, SHAPE);
    write(&folder.join("same"), [&train, &train], 10);
    let options = "--pruner random/igq --compression 5 --epochs 1 --batch 50 -o same-run";
    let (_, stderr) = said(folder, &format!("train --data ./same {options}"));
    says(&stderr, &["warning: 200 of the 200 test images of ./same"]);
    json(folder, "export same-run -o same.rfy");
    assert_eq!(json(folder, "eval same.rfy")["trained_on"], 200);
}

#[test]
fn digits_are_training_images_of_mnist_even_where_that_is_not() {
    let folder = exported();
    let folder = folder.path();
    change(folder, |companion| {
        companion["data"]["name"] = "mnist".into();
        companion["data"]["fingerprint"] = "0".repeat(64).into();
    });
    let (stdout, stderr) = said(folder, "eval model.rfy --data digits");
    says(
        &stdout,
        &["2,000 test images of digits (2,000 of them used for training)"],
    );
    says(&stderr, &["warning: model.rfy was trained on mnist"]);
    // Without --data, the command needs MNIST and says how to fetch it.
    let sentence = refusal(folder, "eval model.rfy");
    says(
        &sentence,
        &["made for mnist", "rarefy data fetch mnist", "--data"],
    );
}

#[test]
fn data_that_cannot_be_right_is_refused_and_what_is_apart_is_said() {
    let folder = exported();
    let folder = folder.path();
    let other = |name: &str, shape: [usize; 3], classes: usize| {
        let (train, test) = (images(0..260, shape), images(260..270, shape));
        write(&folder.join(name), [&train, &test], classes);
        format!("model.rfy --data ./{name}")
    };
    // Labels up to 255 for a network of ten classes.
    let wide = other("wide", SHAPE, 256);
    let flat = other("flat", [1, 14, 56], 10);
    let narrow = other("narrow", SHAPE, 4);
    for command in ["eval", "measure --board microbit"] {
        let sentence = misuse(folder, &format!("{command} {wide}"));
        says(
            &sentence,
            &["./wide", "labels up to 255", "10 classes", "--data"],
        );
        let sentence = misuse(folder, &format!("{command} {flat}"));
        says(
            &sentence,
            &["./flat", "1 x 14 x 56", "1 x 28 x 28", "--data"],
        );
    }
    let (_, stderr) = said(folder, &format!("eval {narrow}"));
    let words = [
        "made for digits",
        "mean 0.1307 and standard deviation 0.3081",
        "has 10 classes",
        "has 4",
    ];
    says(&stderr, &words);
    // The check does not need the companion.
    fs::remove_file(folder.join("model.rfy.json")).unwrap();
    for command in [wide, flat] {
        says(&misuse(folder, &format!("eval {command}")), &["--data"]);
    }
}

#[test]
fn instructions_are_predicted_by_what_layers_read_or_said_to_be_at_most() {
    let folder = runs::folder();
    let folder = folder.path();
    let export = "export run --weights int4 --encoding columns --board microbit -o model.rfy";
    let exported = json(folder, export);
    let instructions = |report: &Value| -> Vec<u64> {
        let layers = report["layers"].as_array().unwrap();
        let figures = layers.iter().map(|layer| layer["instructions"].as_u64());
        figures.collect::<Option<_>>().unwrap()
    };
    let known = json(folder, "inspect model.rfy");
    assert_eq!(
        (&known["core"], &known["at_most"]),
        (&"M0".into(), &false.into())
    );
    assert_eq!(instructions(&known), instructions(&exported));
    let (table, _) = said(folder, "inspect model.rfy");
    assert!(!table.contains("at most"), "{table}");

    fs::remove_file(folder.join("model.rfy.json")).unwrap();
    let bounded = json(folder, "inspect model.rfy");
    assert_eq!(
        (&bounded["core"], &bounded["at_most"]),
        (&"M4".into(), &true.into())
    );
    let (table, _) = said(folder, "inspect model.rfy");
    says(&table, &["at most"]);
    // Exported for the same core, so that the two can be compared. The prediction is lower,
    // because digits are mostly black.
    let exported = json(folder, &export.replace("microbit", "mps2-an386"));
    for (most, predicted) in instructions(&bounded).iter().zip(instructions(&exported)) {
        assert!(*most > predicted, "{most} {predicted}");
    }
    // The cost of `words` does not depend on the inputs.
    json(
        folder,
        "export run --weights int4 --encoding words -o words.rfy",
    );
    fs::remove_file(folder.join("words.rfy.json")).unwrap();
    assert_eq!(json(folder, "inspect words.rfy")["at_most"], false);
}
