//! All containers of a run at once: `rarefy measure --all`, `rarefy fits RUN`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::boards::ready;
use crate::program::{self, json, misused, refused, says, texts};
use crate::runs;

/// Returns the settings of some types of weights, as reports show them.
fn settings(weights: &[&str]) -> Vec<Value> {
    let goals = ["size", "balanced", "speed"];
    let of = |weights| goals.map(|goal| serde_json::json!({"goal": goal, "weights": weights}));
    weights.iter().flat_map(of).collect()
}

/// Tells by the definition whether `row` is optimal among the fitting `rows`.
fn is_optimal(row: &Value, rows: &[Value]) -> bool {
    // Larger is better.
    let values = |row: &Value| {
        let cost = row.pointer("/instructions/median").and_then(Value::as_f64);
        let bytes = row["bytes"].as_f64().unwrap();
        [
            row["accuracy"].as_f64().unwrap(),
            -bytes,
            -cost.unwrap_or(0.0),
        ]
    };
    let own = values(row);
    let surpasses = |other: &Value| {
        let pairs = || values(other).into_iter().zip(own);
        pairs().all(|(other, own)| other >= own) && pairs().any(|(other, own)| other > own)
    };
    let fitting = || rows.iter().filter(|row| row["fits"] == true);
    row["fits"] == true && !fitting().any(surpasses)
}

/// Checks that the row of the first container with int4 weights, kept in `kept`, has the figures of
/// the single commands.
fn check_single(folder: &Path, rows: &[Value]) {
    let row = rows
        .iter()
        .find(|row| row["settings"][0]["weights"] == "int4")
        .unwrap();
    let goal = row["settings"][0]["goal"].as_str().unwrap();
    let export = format!("export run --optimize {goal} --weights int4 --board mps2-an386");
    let exported = json(folder, &format!("{export} --allow-loss -o single.rfy"));
    let single = fs::read(folder.join("single.rfy")).unwrap();
    assert_eq!(
        fs::read(folder.join(format!("kept/{goal}-int4.rfy"))).unwrap(),
        single
    );
    assert_eq!(row["bytes"], single.len());
    let score = json(folder, &format!("eval kept/{goal}-int4.rfy"));
    assert_eq!(row["accuracy"], score["accuracy"]);
    assert_eq!(row["encodings"][0], exported["layers"][0]["encoding"]);
    let measured = json(
        folder,
        "measure single.rfy --board mps2-an386 --samples 2 --no-dense",
    );
    for figure in ["instructions", "estimated_cycles", "flash", "ram"] {
        assert_eq!(row[figure], measured[figure], "{figure}");
    }
}

#[test]
fn the_containers_of_a_run_are_measured_in_one_table() {
    if !ready("mps2-an386") {
        return;
    }
    let folder = runs::folder();
    let folder = folder.path();
    let measure = "measure run --all --weights f32,int4 --samples 2 -o kept";
    let report = json(folder, measure);
    assert_eq!(
        (&report["board"], &report["samples"]),
        (&"mps2-an386".into(), &2.into())
    );
    assert_eq!(report["failures"], serde_json::json!([]));
    let rows = report["rows"].as_array().unwrap();
    let of_row = |row: &Value| row["settings"].as_array().unwrap().clone();
    let mut seen: Vec<Value> = rows.iter().flat_map(of_row).collect();
    let mut expected = settings(&["f32", "int4"]);
    for list in [&mut seen, &mut expected] {
        list.sort_by_key(Value::to_string);
    }
    assert_eq!(seen, expected, "each setting is in one row");
    assert_eq!(of_row(&rows[0]).len(), 3, "goals do not matter for floats");
    for row in rows {
        assert_eq!(
            (&row["fits"], &row["matches_host"]),
            (&true.into(), &true.into())
        );
        assert_eq!(row["pareto"], is_optimal(row, rows), "{row}");
        assert!(
            row["estimated_cycles"]["median"]["low"].as_u64()
                > row["instructions"]["median"].as_u64()
        );
    }
    check_single(folder, rows);

    // As text, with progress where there is no terminal; the run's files are unchanged.
    let output = program::run(folder, measure);
    let (stdout, stderr) = texts(&output);
    says(
        &stdout,
        &[
            "goal, bits",
            "estimated cycles",
            "* ",
            "rarefy export run -o model.rfy",
        ],
    );
    says(&stderr, &["container 1 of", "any f32"]);
    let fresh = tempfile::tempdir().unwrap();
    runs::pruned().lay_out(fresh.path());
    for entry in fresh.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        let now = fs::read(folder.join("run").join(entry.file_name())).unwrap();
        assert!(
            now == fs::read(entry.path()).unwrap(),
            "{:?}",
            entry.file_name()
        );
    }
}

#[test]
fn the_most_accurate_container_of_a_run_is_found_for_each_chip() {
    if !ready("microbit") {
        return;
    }
    let folder = runs::folder();
    let folder = folder.path();
    // 128 KB of flash with 16 KB of RAM, and 4 KB of flash with 1 KB of RAM.
    let report = json(
        folder,
        "fits run --weights int4 --chip STM32F072RB,LPC810M021FN8",
    );
    let chips = report["chips"].as_array().unwrap();
    assert_eq!(chips[0]["name"], "LPC810M021FN8");
    assert!(
        chips[0]["chosen"].is_null() && chips[0]["ram_over"].as_u64() > Some(0),
        "{report}"
    );
    let chosen = &chips[1]["chosen"];
    assert_eq!(
        (&report["smallest"], &chips[1]["fits"]),
        (&"STM32F072RB".into(), &true.into())
    );

    // No other container is more accurate, or as accurate and smaller.
    let mut best = (-1.0, 0);
    for goal in ["size", "balanced", "speed"] {
        let export = format!("export run --optimize {goal} --weights int4 -o {goal}.rfy");
        let exported = json(folder, &export);
        let accuracy = exported["accuracy"]["deployed"].as_f64().unwrap();
        let bytes = exported["bytes"].as_i64().unwrap();
        if (accuracy, -bytes) > best {
            best = (accuracy, -bytes);
        }
    }
    assert_eq!(chosen["accuracy"].as_f64(), Some(best.0));
    assert_eq!(chosen["bytes"].as_i64(), Some(-best.1));
    // The sizes are those of the container by itself.
    let goal = chosen["settings"][0]["goal"].as_str().unwrap();
    let single = json(folder, &format!("fits {goal}.rfy --chip STM32F072RB"));
    for size in ["flash_used", "ram_used"] {
        assert_eq!(chips[1][size], single["chips"][0][size], "{size}");
    }
}

#[test]
fn what_cannot_be_compared_is_one_sentence() {
    let folder = runs::folder();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let cases: [(&str, &[&str]); 7] = [
        (
            "measure model.rfy --all",
            &["model.rfy is not a folder", "without --all"],
        ),
        (
            "measure run --board microbit",
            &["run is a folder", "--all"],
        ),
        (
            "measure model.rfy --board microbit --build-only --data digits",
            &["--build-only", "--data"],
        ),
        (
            "fits model.rfy --data digits",
            &["--data concerns a run folder", "model.rfy"],
        ),
        (
            "fits model.rfy --weights int4",
            &["--weights concerns a run folder"],
        ),
        (
            "measure model.rfy --data digits --board microbit --calibrate",
            &["microbit is emulated", "rarefy chips"],
        ),
        (
            "measure model.rfy --data digits --chip STM32U575ZI --calibrate",
            &["Cortex-M33", "no instruction timings"],
        ),
    ];
    for (command, words) in cases {
        misused(folder, command, words);
    }
}

#[test]
fn a_folder_that_cannot_be_compared_is_one_sentence() {
    let folder = runs::folder();
    let folder = folder.path();
    fs::create_dir(folder.join("empty")).unwrap();
    fs::create_dir(folder.join("used")).unwrap();
    fs::write(folder.join("used/size-int6.rfy"), "my notes").unwrap();
    let cases: [(&str, &[&str]); 4] = [
        (
            "measure empty --all --chip STM32F411CE",
            &["empty", "rarefy train"],
        ),
        ("fits empty", &["empty", "rarefy train"]),
        (
            "measure run --all --chip STM32F411CE -o used",
            &["used/size-int6.rfy", "does not hold a container"],
        ),
        (
            "measure run --all --chip STM32F411CE -o a/b",
            &["there is no folder a"],
        ),
    ];
    for (command, words) in cases {
        refused(folder, command, words);
    }
}
