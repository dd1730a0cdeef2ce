//! IDX files that are missing, damaged or inconsistent: the error names the file.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use rarefy_trainer::data::idx::{self, Images};

use crate::program::{json, misuse, refusal, run, says, texts};
use crate::runs;

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn images(count: usize, side: usize) -> Vec<u8> {
    let pixels = (0..count * side * side)
        .map(|i| (i * i % 251) as u8)
        .collect();
    let images = Images {
        count,
        channels: 1,
        rows: side,
        columns: side,
        pixels,
    };
    let mut bytes = Vec::new();
    idx::write_images(&mut bytes, &images).unwrap();
    bytes
}

fn labels(count: usize) -> Vec<u8> {
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    let mut bytes = Vec::new();
    idx::write_labels(&mut bytes, &labels).unwrap();
    bytes
}

/// Writes a complete dataset of 200 training and 100 test images of 28 x 28 pixels.
fn whole(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in
        FILES
            .iter()
            .zip([images(200, 28), labels(200), images(100, 28), labels(100)])
    {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Checks that training and evaluating on the folder `data` fail with the same error and write
/// nothing.
fn refused(folder: &Path, words: &[&str]) {
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let train = refusal(folder, "train --data ./data --epochs 1 --batch 50 -o run");
    says(&train, words);
    assert!(!folder.join("run").exists());
    assert_eq!(refusal(folder, "eval model.rfy --data ./data"), train);
}

#[test]
fn a_whole_folder_plain_or_compressed_is_trained_on_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    whole(&data);
    let layers =
        "[[layer]]\ntype = \"dense\"\nunits = 40\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    let network = format!("name = \"small\"\ninput = [1, 28, 28]\n{layers}");
    fs::write(folder.join("small.toml"), network).unwrap();
    let train = "train --arch small.toml --data ./data --pruner random/igq --compression 30 --epochs 1 --batch 50";
    let plain = json(folder, &format!("{train} -o plain"));
    assert_eq!(plain["dataset"], "./data");
    let exported = json(folder, "export plain -o plain.rfy");
    assert_eq!(exported["inputs"], 784);

    for name in FILES {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&fs::read(data.join(name)).unwrap()).unwrap();
        fs::write(data.join(format!("{name}.gz")), gzip.finish().unwrap()).unwrap();
        fs::remove_file(data.join(name)).unwrap();
    }
    json(folder, &format!("{train} -o packed"));
    let weights = |run: &str| fs::read(folder.join(run).join("weights.safetensors")).unwrap();
    assert!(
        weights("plain") == weights("packed"),
        "compression of the files changes nothing"
    );

    // The mean is the images' own only if none is stated.
    let own = "inputs are normalised by their own mean";
    for (options, is_own) in [("", true), ("--mean 0.5 --std 0.25", false)] {
        let line = format!("{train} {options} -o stated --force");
        let (_, stderr) = texts(&run(folder, &line));
        assert_eq!(stderr.contains(own), is_own, "{stderr}");
        let (_, stderr) = texts(&run(folder, "export stated -o stated.rfy"));
        assert!(!stderr.contains(own), "{stderr}");
    }

    // If the run's data has moved, its new place can be given, but not another dataset.
    fs::rename(&data, folder.join("moved")).unwrap();
    says(&refusal(folder, "export plain -o again.rfy"), &["./data"]);
    json(folder, "export plain -o again.rfy --data ./moved");
    assert_eq!(
        fs::read(folder.join("again.rfy")).unwrap(),
        fs::read(folder.join("plain.rfy")).unwrap()
    );
    let sentence = misuse(folder, "export plain -o other.rfy --data digits");
    says(&sentence, &["digits", "not the one", "plain"]);
    assert!(!folder.join("other.rfy").exists());
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    refused(folder, &["there is no file or folder ./data"]);
    fs::create_dir(folder.join("data")).unwrap();
    refused(folder, &FILES);
    for name in FILES {
        whole(&folder.join("data"));
        fs::remove_file(folder.join("data").join(name)).unwrap();
        refused(folder, &["./data has no", name]);
    }
}

#[test]
fn every_file_that_is_cut_too_long_or_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    for (name, other) in FILES.iter().zip([1, 0, 3, 2]) {
        let path = data.join(name);
        whole(&data);
        let bytes = fs::read(&path).unwrap();
        let damage = |bytes: &[u8], words: &[&str]| {
            fs::write(&path, bytes).unwrap();
            says(
                &refusal(folder, "train --data ./data -o run"),
                &[&[*name], words].concat(),
            );
        };
        for length in [0, 3, 7] {
            damage(&bytes[..length], &["truncated"]);
        }
        damage(
            &bytes[..bytes.len() - 1],
            &["truncated", &bytes.len().to_string()],
        );
        damage(&bytes[..bytes.len() / 2], &["truncated"]);
        damage(&[&bytes[..], b"x"].concat(), &["too long"]);
        damage(&[b"junk", &bytes[4..]].concat(), &["0x6a756e6b"]);
        damage(&fs::read(data.join(FILES[other])).unwrap(), &["swapped"]);
        let mut empty = bytes.clone();
        empty[4..8].fill(0);
        damage(&empty, &["is empty"]);
        let mut huge = bytes.clone();
        huge[4..8].fill(0xff);
        let sentence = ["announces", "need"];
        fs::write(&path, &huge).unwrap();
        let found = refusal(folder, "train --data ./data -o run");
        assert!(
            found.contains(name) && sentence.iter().any(|word| found.contains(word)),
            "{found}"
        );
        // A truncated gzip file, and one with invalid bytes after its magic number.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).unwrap();
        let gzip = gzip.finish().unwrap();
        damage(&gzip[..gzip.len() - 10], &[]);
        damage(b"\x1f\x8b\x08no gzip at all", &["damaged"]);
        fs::remove_file(&path).unwrap();
        assert!(!folder.join("run").exists());
    }
}

#[test]
fn files_that_do_not_belong_together_are_named_in_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    whole(&data);
    fs::write(data.join(FILES[1]), labels(199)).unwrap();
    refused(folder, &[FILES[0], FILES[1], "200 images", "199 labels"]);
    whole(&data);
    fs::write(data.join(FILES[2]), images(101, 28)).unwrap();
    refused(folder, &[FILES[2], FILES[3], "101 images", "100 labels"]);
    whole(&data);
    fs::write(data.join(FILES[2]), images(100, 20)).unwrap();
    refused(folder, &[FILES[0], FILES[2], "28 x 28", "20 x 20"]);
    whole(&data);
    let mut wrong = labels(100);
    wrong[8 + 17] = 77;
    fs::write(data.join(FILES[3]), wrong).unwrap();
    refused(folder, &[FILES[3], "label 17 is 77"]);
}

#[test]
fn images_of_another_size_than_the_network_takes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    whole(&data);
    fs::write(data.join(FILES[0]), images(200, 20)).unwrap();
    fs::write(data.join(FILES[2]), images(100, 20)).unwrap();
    let sentence = misuse(folder, "train --data ./data --batch 50 -o run");
    says(&sentence, &["./data", "20", "lenet-300-100", "28"]);
    assert!(!folder.join("run").exists());
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    says(
        &misuse(folder, "eval model.rfy --data ./data"),
        &["400 values", "784 inputs", "--data"],
    );
}
