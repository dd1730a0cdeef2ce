//! Networks that exceed the limits of a container: noted before training, and rejected with the
//! same sentence at export.

use std::fs;
use std::path::Path;

use crate::boards::ready;
use crate::program::{json, refused, run, says, texts};

/// Writes a dataset of 24 training and 8 test images of shape (rows, columns) in two classes:
/// bright in the upper or in the lower half.
fn data(folder: &Path, (rows, columns): (usize, usize)) {
    let folder = folder.join("data");
    fs::create_dir_all(&folder).unwrap();
    for (part, count) in [("train", 24), ("t10k", 8)] {
        let header = |magic: u32, sizes: &[usize]| -> Vec<u8> {
            let sizes = sizes.iter().map(|&size| size as u32);
            let numbers = [magic, count as u32].into_iter().chain(sizes);
            numbers.flat_map(u32::to_be_bytes).collect()
        };
        let mut images = header(0x803, &[rows, columns]);
        let mut labels = header(0x801, &[]);
        for image in 0..count {
            let pixel = |at: usize| {
                let above = at < rows * columns / 2;
                if above == (image % 2 == 0) { 200 } else { 9 }
            };
            images.extend((0..rows * columns).map(pixel));
            labels.push((image % 2) as u8);
        }
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Writes a network whose input has one channel of this shape: `layers`, then two classes.
fn network(folder: &Path, (rows, columns): (usize, usize), layers: &str) {
    let text = format!(
        "name = \"wide\"\ninput = [1, {rows}, {columns}]\n{layers}\n[[layer]]\ntype = \"dense\"\nunits = 2\n"
    );
    fs::write(folder.join("wide.toml"), text).unwrap();
}

const TRAIN: &str =
    "train --arch wide.toml --data data --compression 2 --epochs 1 --batch 8 -o run --force";

#[test]
fn an_input_that_only_dense_layers_read_may_be_tall() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, (300, 2));
    network(folder, (300, 2), "");
    let (_, stderr) = texts(&run(folder, TRAIN));
    assert!(!stderr.contains("cannot be exported"), "{stderr}");
    let report = json(folder, "export run --data data -o model.rfy");
    assert_eq!(report["inputs"], 600);
    let score = json(folder, "eval model.rfy --data data");
    assert_eq!(score["accuracy"], report["accuracy"]["deployed"]);
}

#[test]
fn what_no_container_holds_is_said_before_training_and_refused_by_the_same_sentence() {
    let conv = "[[layer]]\ntype = \"conv\"\nchannels = 2\nkernel = 3";
    for (shape, layers, says_so) in [
        (
            (300, 4),
            conv,
            "layer conv1 cannot be exported: it reads an input of 1 x 300 x 4 as a map, but a container supports at most 255 channels and 255 rows",
        ),
        (
            (1, 66_000),
            "",
            "layer fc1 cannot be exported: it reads 66000 values, but a dense layer of a container reads at most 65535",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        data(folder, shape);
        network(folder, shape, layers);
        // The warning is pointless if the network cannot read the images.
        let error = texts(&run(folder, "train --arch wide.toml --data digits -o run")).1;
        assert!(!error.contains("as it stands"), "{error}");
        says(&error, &["error: ", "digits", "[1, 28, 28]"]);
        let (_, stderr) = texts(&run(folder, "arch wide.toml"));
        says(&stderr, &["as it stands", says_so]);
        let output = run(folder, TRAIN);
        let (stdout, stderr) = texts(&output);
        says(&stderr, &["as it stands", says_so]);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let last = stdout.lines().last().unwrap();
        says(last, &["No next command", "cannot be exported"]);
        assert!(!stdout.contains("Next: "), "{stdout}");
        refused(folder, "export run --data data -o model.rfy", &[says_so]);
        if ready("mps2-an386") {
            // The quickstart needs a container, so it fails at the start.
            let quick = "quickstart --arch wide.toml --data data --board mps2-an386";
            refused(folder, quick, &[says_so]);
        }
    }
}
