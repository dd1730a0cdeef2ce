//! Datasets in numpy's archives, tables and folders of pictures: trained on, exported and
//! evaluated; bad ones are refused.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::program::{json, misused, refusal, run, says, texts};

/// An architecture for four features.
pub(crate) const ARCH: &str = "name = \"tiny\"\ninput = [1, 1, 4]\n\n[[layer]]\ntype = \"dense\"\nunits = 8\n\n\
                    [[layer]]\ntype = \"dense\"\nunits = 3\n";

/// Returns a table of `rows` rows: four features of different magnitudes, and a label of three
/// classes.
pub(crate) fn table(rows: usize, factor: f64) -> String {
    let mut text = "a,b,c,d,kind\n".to_owned();
    for row in 0..rows {
        let class = row % 3;
        let noise = (row * 7919 % 97) as f64 / 97.0;
        let [a, b] = [
            class as f64 * 1000.0 + 200.0 * noise,
            -0.001 * class as f64 + 0.0002 * noise,
        ];
        let name = ["ant", "bee", "cow"][class];
        writeln!(text, "{},{b},{noise},{},{name}", a * factor, 1.0 - noise).unwrap();
    }
    text
}

#[test]
fn a_table_is_trained_on_exported_and_evaluated_by_the_same_map() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("tiny.toml"), ARCH).unwrap();
    fs::write(folder.join("a.csv"), table(180, 1.0)).unwrap();
    let train = "train --arch tiny.toml --data a.csv --pruner magnitude/global --compression 1.5 --epochs 30 --batch 10";
    let output = run(folder, &format!("{train} --learning-rate 0.05 -o run"));
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let words = [
        "labels are those of column kind",
        "a.csv has no test part: 30 of its 180 samples are held out",
        "each by its range for training",
    ];
    says(&stderr, &words);

    let recipe = fs::read_to_string(folder.join("run/run.toml")).unwrap();
    for words in [
        "[reading]",
        "input_range = \"feature\"",
        "test_share = 0.16666666666666666",
        "label = \"kind\"",
        "[reading.map]",
    ] {
        assert!(recipe.contains(words), "{words}: {recipe}");
    }
    let exported = json(folder, "export run -o model.rfy");
    assert_eq!(exported["inputs"], 4);
    let own = json(folder, "eval model.rfy");
    assert_eq!(own["samples"], 30);
    assert!(own["accuracy"].as_f64().unwrap() > 0.9, "{own}");

    // The container states the map of the run, and runs with it where its companion is lost.
    let inspected = json(folder, "inspect model.rfy");
    let recipe: toml::Table = recipe.parse().unwrap();
    let map = &recipe["reading"]["map"];
    for feature in 0..4 {
        let of = |key: &str| map[key][feature].as_float().unwrap();
        let (minimum, maximum) = (of("minimum"), of("maximum"));
        let stated = &inspected["units"]["maps"][feature];
        assert_eq!(stated["minimum"].as_f64().unwrap() as f32, minimum as f32);
        let factor = stated["factor"].as_f64().unwrap() * (maximum - minimum);
        assert!((factor - 255.0).abs() < 1e-4, "{stated}");
    }
    assert_eq!(inspected["units"]["inputs_per_map"], 1);
    assert!(inspected["units"]["output_step"].as_f64() > Some(0.0));
    let (stdout, _) = texts(&run(folder, "inspect model.rfy"));
    says(&stdout, &["an output is its logit *", "  input 3: (x"]);
    fs::copy(folder.join("model.rfy"), folder.join("alone.rfy")).unwrap();
    let alone = json(folder, "eval alone.rfy --data a.csv");
    assert_eq!(alone["accuracy"], own["accuracy"]);
    misused(
        folder,
        "eval alone.rfy --data a.csv --input-range all",
        &["--input-range is stated in alone.rfy"],
    );
    // A companion with another map is not the container's.
    fs::copy(folder.join("model.rfy"), folder.join("other.rfy")).unwrap();
    let companion = fs::read(folder.join("model.rfy.json")).unwrap();
    let mut companion: serde_json::Value = serde_json::from_slice(&companion).unwrap();
    companion["data"]["reading"]["map"]["maximum"][2] = serde_json::json!(0.5);
    fs::write(folder.join("other.rfy.json"), companion.to_string()).unwrap();
    let (_, stderr) = texts(&run(folder, "inspect other.rfy"));
    says(
        &stderr,
        &["data.reading.map is not the map that the container states"],
    );
    let without = json(folder, "export run --units never -o without.rfy");
    assert!(without.get("units").is_none());
    let bytes = |report: &serde_json::Value| report["bytes"].as_u64().unwrap();
    assert!((40..44).contains(&(bytes(&exported) - bytes(&without))));
    let code = json(folder, "export run --emit rust -o model.rs");
    assert!(code["accuracy"]["deployed"].as_f64() > Some(0.9));
    let code = fs::read_to_string(folder.join("model.rs")).unwrap();
    says(
        &code,
        &["pub const BYTE_MAPS: [(f32, f32); 4]", "pub fn quantize"],
    );

    // Ten times larger features saturate in the map of the run, which is not fitted again.
    fs::write(folder.join("b.csv"), table(180, 10.0)).unwrap();
    let other = json(folder, "eval model.rfy --data b.csv");
    assert!(
        other["accuracy"].as_f64() < own["accuracy"].as_f64(),
        "{other}"
    );

    // The run repeats from its own recipe, with the same samples and the same map.
    json(folder, "train --recipe run/run.toml -o again");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(
        read("run/weights.safetensors"),
        read("again/weights.safetensors")
    );
    assert_eq!(read("run/run.toml"), read("again/run.toml"));
}

#[test]
fn a_dataset_is_shown_with_a_contact_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("a.csv"), table(18, 1.0)).unwrap();
    let shown = json(
        folder,
        "data show a.csv --svg sheet.svg --test-share 1/3 --input-range all",
    );
    assert_eq!(shown["shape"], serde_json::json!([1, 1, 4]));
    assert_eq!(
        shown["class_names"],
        serde_json::json!(["ant", "bee", "cow"])
    );
    assert_eq!(shown["train"]["counts"], serde_json::json!([4, 4, 4]));
    assert_eq!(shown["test"]["counts"], serde_json::json!([2, 2, 2]));
    assert_eq!(shown["reading"]["input_range"], "all");
    let sheet = fs::read_to_string(folder.join("sheet.svg")).unwrap();
    assert!(sheet.contains(">bee</text>") && sheet.contains("data:image/png;base64,"));

    let (stdout, _) = texts(&run(folder, "data show a.csv"));
    says(
        &stdout,
        &[
            "1 x 1 x 4",
            "3 classes",
            "15 samples for training and 3",
            "0 ant",
        ],
    );
    let (stdout, _) = texts(&run(folder, "data show digits"));
    says(&stdout, &["1 x 28 x 28", "10 classes", "greatest"]);
}

#[test]
fn pictures_of_unequal_sizes_are_resized_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, side) in [
        ("cat/1.png", 28),
        ("cat/2.png", 28),
        ("dog/1.png", 30),
        ("dog/2.png", 28),
    ] {
        let path = folder.join("pets").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel = |x: u32, y: u32| image::Luma([(x * y % 251) as u8]);
        image::GrayImage::from_fn(side, side, pixel)
            .save(path)
            .unwrap();
    }
    let words = [
        "pets/dog/1.png has 30 x 30 pixels, but pets/cat/1.png has 28 x 28",
        "have them resized (--resize 32x32)",
    ];
    says(&refusal(folder, "data show pets"), &words);
    let (stdout, stderr) = texts(&run(
        folder,
        "data show pets --resize 28x28 --test-share 1/2",
    ));
    says(
        &stdout,
        &["1 x 28 x 28", "2 samples for training and 2", "0 cat"],
    );
    says(
        &stdout,
        &["Next: rarefy train --data pets --test-share 0.5 --resize 28x28"],
    );
    says(&stderr, &["2 of its 4 samples are held out"]);
    let options = "--resize 28x28 --pruner random/igq --compression 10 --epochs 1 --batch 2";
    let trained = json(folder, &format!("train --data pets {options} -o run"));
    assert_eq!(trained["dataset"], "pets");
}

#[test]
fn bad_data_are_refused_by_row_column_or_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/numpy");
    for name in ["objects.npz", "nan.npz", "stored.npz"] {
        fs::copy(golden.join(name), folder.join(name)).unwrap();
    }
    let whole = fs::read(folder.join("stored.npz")).unwrap();
    fs::write(folder.join("cut.npz"), &whole[..500]).unwrap();
    fs::write(folder.join("one.npy"), "").unwrap();
    fs::write(folder.join("notes.txt"), "").unwrap();
    fs::write(folder.join("ragged.csv"), "a,y\n1,0\n1,2,3\n").unwrap();
    fs::write(folder.join("float.csv"), "a,y\n1,0.5\n2,1\n").unwrap();
    let many = |text: String, row: u32| text + &format!("{row},{row}\n");
    fs::write(
        folder.join("many.csv"),
        (0..1_000_000).fold("a,y\n".into(), many),
    )
    .unwrap();
    let late = "a,y\n1700000000,0\n1700000001,1\n1700003600,0\n1700003601,1\n";
    fs::write(folder.join("late.csv"), late).unwrap();
    fs::create_dir(folder.join("both")).unwrap();
    fs::write(folder.join("both/train.csv"), "a,y\n1,0\n2,1\n").unwrap();
    fs::write(folder.join("both/test.csv"), "a,y\n1,0\n").unwrap();
    for (data, words) in [
        (
            "objects.npz",
            &["x of objects.npz", "Python objects", "never read"][..],
        ),
        ("nan.npz", &["x of nan.npz is NaN at [3, 0, 0]"]),
        ("cut.npz", &["cut.npz is not a whole .npz archive"]),
        ("one.npy", &["one.npy is one array"]),
        (
            "notes.txt",
            &["notes.txt", ".npz, .csv, .tsv or .safetensors"],
        ),
        ("ragged.csv", &["line 3 of ragged.csv has 3 columns"]),
        (
            "float.csv",
            &["line 2 of float.csv has the label 0.5 in column y"],
        ),
        (
            "many.csv",
            &["line 258 of many.csv", "1000000 classes", "256"],
        ),
        ("both", &["both/test.csv has no sample of class 1"]),
        (
            "late.csv",
            &[
                "late.csv has a feature of 17000",
                "f32",
                "subtract a constant",
            ],
        ),
        ("stored.npz --shape 1x4x2", &["rows of 6 features", "1x4x2"]),
    ] {
        says(&refusal(folder, &format!("data show {data}")), words);
    }
}
