//! `rarefy effective --curve`: the picture and the CSV file.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{json, misused, refused, run, says, texts};

/// Reads the CSV file `path` as lines of fields.
fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().map(fields).collect()
}

/// Checks that the points of a pruner's `curve` are those of the next `rows` of the CSV file.
fn check<'a>(curve: &Value, pruner: &str, rows: &mut impl Iterator<Item = &'a Vec<String>>) {
    let points = curve["points"].as_array().unwrap();
    assert!(points.len() > 50, "{pruner}");
    let mut before = u64::MAX;
    for point in points {
        let count = |key: &str| point[key].as_u64().unwrap();
        let (direct, effective) = (count("direct"), count("effective"));
        assert!(
            0 < effective && effective <= direct && direct <= before,
            "{pruner}"
        );
        assert!(direct >= 44, "--most: {point}");
        before = direct;
        let row = rows.next().unwrap();
        assert_eq!(
            row[..3],
            [pruner.into(), direct.to_string(), effective.to_string()]
        );
        let compression: f64 = row[4].parse().unwrap();
        assert!(
            (compression - 44_190.0 / effective as f64).abs() < 1e-3,
            "{row:?}"
        );
    }
}

#[test]
fn the_picture_and_the_numbers_are_those_printed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pruners = ["random/uniform", "magnitude/igq", "synflow"];
    let given: String = pruners
        .iter()
        .map(|name| format!(" --pruner {name}"))
        .collect();
    fs::create_dir(folder.join("new")).unwrap();
    let draw = format!("effective --arch lenet-5-28 --most 1000 --curve new/c.svg{given}");
    let report = json(folder, &draw);
    assert_eq!(report["arch"], "lenet-5-28");
    assert_eq!(report["mode"], "exact");
    assert_eq!(report["total"], 44_190);
    assert_eq!(report["svg"], "new/c.svg");
    assert_eq!(report["csv"], "new/c.csv");

    let svg = fs::read_to_string(folder.join("new/c.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    says(&svg, &pruners);
    let csv = lines(&folder.join("new/c.csv"));
    assert_eq!(
        csv[0].join(","),
        "pruner,direct,effective,direct_compression,effective_compression"
    );
    let mut rows = csv[1..].iter();
    let curves = report["curves"].as_array().unwrap();
    assert_eq!(curves.len(), pruners.len());
    for (curve, pruner) in curves.iter().zip(pruners) {
        assert_eq!(curve["pruner"], pruner);
        check(curve, pruner, &mut rows);
    }
    assert_eq!(rows.next(), None);

    // A repeated run gives the same bytes; --mode graph never counts fewer weights.
    let read = || ["new/c.svg", "new/c.csv"].map(|name| fs::read(folder.join(name)).unwrap());
    let before = read();
    json(folder, &draw);
    assert!(before == read());
    let coarse = json(folder, &format!("{draw} --mode graph"));
    for (exact, graph) in curves.iter().zip(coarse["curves"].as_array().unwrap()) {
        let points = |curve: &Value| curve["points"].as_array().unwrap().clone();
        for (exact, graph) in points(exact).iter().zip(&points(graph)) {
            let count = |point: &Value| point["effective"].as_u64().unwrap();
            assert!(count(exact) <= count(graph) || exact["direct"] != graph["direct"]);
        }
    }
    let (stdout, _) = texts(&run(folder, &draw));
    says(&stdout, &["new/c.svg", "new/c.csv"]);
}

#[test]
fn a_point_is_what_pruning_directly_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = "--arch lenet-5-28 --pruner lamp --seed 3";
    let report = json(folder, &format!("effective {source} --curve c.svg"));
    let points = report["curves"][0]["points"].as_array().unwrap();
    for point in points.iter().step_by(20) {
        let compression = 44_190.0 / point["direct"].as_f64().unwrap();
        let pruned = json(
            folder,
            &format!("prune {source} --type direct --compression {compression}"),
        );
        assert_eq!(pruned["direct"]["nonzeros"], point["direct"]);
        assert_eq!(pruned["effective"]["nonzeros"], point["effective"]);
    }
}

/// Checks that each curve ends at the last connected mask, which `prune` finds by search.
#[test]
fn a_curve_ends_where_the_network_falls_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = "--arch lenet-5-28 --seed 1";
    let pruners = ["magnitude/global", "random/erk", "lamp"];
    let given: String = pruners
        .iter()
        .map(|name| format!(" --pruner {name}"))
        .collect();
    let report = json(folder, &format!("effective {source} --curve c.svg{given}"));
    for (curve, pruner) in report["curves"].as_array().unwrap().iter().zip(pruners) {
        let last = curve["points"].as_array().unwrap().last().unwrap();
        // The compression of the shortest path, which these pruners do not reach.
        let prune = format!("prune {source} --pruner {pruner} --compression 8838");
        let pruned = json(folder, &prune);
        assert_eq!(last["direct"], pruned["direct"]["nonzeros"], "{pruner}");
        assert_eq!(
            last["effective"], pruned["effective"]["nonzeros"],
            "{pruner}"
        );
    }
}

#[test]
fn a_curve_that_cannot_be_drawn_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    misused(
        folder,
        "effective --curve c.csv --pruner lamp",
        &["--curve c.csv", ".svg"],
    );
    // One invalid pruner of two is enough to fail.
    misused(
        folder,
        "effective --curve c.svg --pruner lamp --pruner random/uniform+",
        &["uniform+", "convolution"],
    );
    misused(
        folder,
        "effective --curve c.png --pruner lamp",
        &["--curve c.png", "would be an SVG file", ".svg"],
    );
    // The user's own CSV file next to the picture.
    fs::write(folder.join("mine.csv"), "day,pruner\n").unwrap();
    refused(
        folder,
        "effective --curve mine.svg --pruner lamp",
        &["mine.csv exists", "give another name"],
    );
    fs::create_dir(folder.join("c.csv")).unwrap();
    refused(folder, "effective --curve c.svg --pruner lamp", &["c.csv"]);
}
