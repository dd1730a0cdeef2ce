//! Names of classes: kept with a run and a container, so that other data are labelled by name.

use std::fs;
use std::path::Path;

use crate::program::{json, refused};
use crate::tables::{ARCH, table};

/// Trains on a table with the classes ant, bee and cow in `run`, and exports `model.rfy`.
fn trained(folder: &Path) {
    fs::write(folder.join("tiny.toml"), ARCH).unwrap();
    fs::write(folder.join("a.csv"), table(180, 1.0)).unwrap();
    json(
        folder,
        "train --arch tiny.toml --data a.csv --pruner dense --epochs 30 --batch 10 --learning-rate 0.05 -o run",
    );
    json(folder, "export run --weights int8 -o model.rfy");
}

/// Returns the accuracies of the container with integers, and of the run in floats, on `data`.
fn accuracies(folder: &Path, data: &str) -> [f64; 2] {
    let evals = ["eval model.rfy --data", "eval run --data"];
    evals.map(|eval| {
        let score = json(folder, &format!("{eval} {data}"));
        score["accuracy"].as_f64().unwrap()
    })
}

#[test]
fn other_data_are_labelled_by_the_names_that_the_network_was_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    trained(folder);
    let names = serde_json::json!(["ant", "bee", "cow"]);
    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    let recipe: toml::Table = recipe.parse().unwrap();
    let reading = serde_json::to_value(&recipe["reading"]).unwrap();
    assert_eq!(reading["class_names"], names);
    let companion = fs::read(folder.join("model.rfy.json")).unwrap();
    let companion: serde_json::Value = serde_json::from_slice(&companion).unwrap();
    assert_eq!(companion["data"]["reading"]["class_names"], names);

    // Alone, bee and cow would be the classes 0 and 1.
    let rows: Vec<String> = table(180, 1.0)
        .lines()
        .filter(|line| !line.ends_with(",ant"))
        .map(str::to_owned)
        .collect();
    fs::write(folder.join("b.csv"), rows.join("\n")).unwrap();
    let all = accuracies(folder, "a.csv");
    assert!(all.iter().all(|accuracy| *accuracy > 0.9), "{all:?}");
    let some = accuracies(folder, "b.csv");
    assert!(some.iter().all(|accuracy| *accuracy > 0.9), "{some:?}");
    assert_eq!(json(folder, "data show b.csv")["classes"], 2);
}

#[test]
fn a_name_that_the_network_does_not_know_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    trained(folder);
    let words = ["line 2 of c.csv", "\"elk\"", "ant, bee, cow"];
    fs::write(folder.join("c.csv"), table(30, 1.0).replace(",ant", ",elk")).unwrap();
    refused(folder, "eval model.rfy --data c.csv", &words);
    refused(folder, "eval run --data c.csv", &words);
    // A new run has its own classes.
    json(
        folder,
        "train --recipe run/run.toml --data c.csv --epochs 1 -o new",
    );
    let recipe = fs::read_to_string(folder.join("new/run.toml")).unwrap();
    assert!(
        recipe.contains("\"bee\"") && recipe.contains("\"elk\""),
        "{recipe}"
    );
}
