//! The guides: every command on them runs as it stands, in the order of the page.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use rarefy_trainer::data::digits;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::boards::ready;
use crate::program::{json, run, texts};
use crate::projects::shell;
use crate::runs;

/// Returns the text of the guide called `name`.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("guides")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// Returns the blocks of `page` in this `language`.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let parts = page.split(start.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap())
        .collect()
}

/// Runs the commands of the guide `name` in `folder`, calling `before` with each of them first.
/// Returns their number.
fn follow(name: &str, folder: &Path, before: impl Fn(&str)) -> usize {
    let page = page(name);
    let lines: Vec<&str> = blocks(&page, "sh")
        .into_iter()
        .flat_map(str::lines)
        .collect();
    for line in &lines {
        before(line);
        let of_board = line.contains("--board") || line.contains("cargo");
        if of_board && !ready("mps2-an386") {
            continue;
        }
        let Some(arguments) = line.strip_prefix("rarefy ") else {
            let output = shell(folder, line);
            assert!(output.status.success(), "{line}: {}", texts(&output).1);
            continue;
        };
        let output = run(folder, arguments);
        assert!(output.status.success(), "{line}: {}", texts(&output).1);
    }
    lines.len()
}

/// Copies the ONNX file `name` of the tests to `net.onnx` in `folder`.
fn copy_onnx(name: &str, folder: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    fs::copy(fixtures.join(name), folder.join("net.onnx")).unwrap();
}

#[test]
fn the_guide_from_pytorch_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    copy_onnx("torch-dynamo-lenet-300-100.onnx", folder);
    write_arrays(&folder.join("data.npz"), &[1, 14, 14], 10);
    let text = page("pytorch.md");
    fs::write(folder.join("net.toml"), blocks(&text, "toml")[0]).unwrap();
    let commands = follow("pytorch.md", folder, |_| {
        // The state dict of the same model.
        let weights = folder.join("net/weights.safetensors");
        if weights.exists() {
            fs::copy(weights, folder.join("net.safetensors")).unwrap();
        }
    });
    assert_eq!(commands, 8);
}

#[test]
fn the_guide_from_keras_runs() {
    let folder = tempfile::tempdir().unwrap();
    copy_onnx("keras-mlp.onnx", folder.path());
    write_arrays(&folder.path().join("data.npz"), &[12, 12], 10);
    assert_eq!(follow("keras.md", folder.path(), |_| ()), 5);
}

#[test]
fn the_guide_to_data_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = page("data.md");
    for (name, network) in ["motion.toml", "level.toml"]
        .iter()
        .zip(blocks(&text, "toml"))
    {
        fs::write(folder.join(name), network).unwrap();
    }
    fs::write(folder.join("motion.csv"), table(blocks(&text, "csv")[0])).unwrap();
    write_arrays(&folder.join("motion.npz"), &[3], 2);
    write_pictures(&folder.join("photos"));
    assert_eq!(follow("data.md", folder, |_| ()), 12);
    if ready("mps2-an386") {
        // The program names the classes as the table does.
        let labels = fs::read_to_string(folder.join("my-app/src/labels.rs")).unwrap();
        assert!(
            labels.ends_with("[\n    \"still\",\n    \"walk\",\n];\n"),
            "{labels}"
        );
    }
}

#[test]
fn the_guide_to_firmware_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    runs::pruned().lay_out(&folder.join("run"));
    json(folder, "export run -o model.rfy");
    assert_eq!(follow("firmware.md", folder, |_| ()), 3);
    let text = page("firmware.md");
    let main = fs::read_to_string(folder.join("my-app/src/main.rs")).unwrap();
    assert_eq!(blocks(&text, "rust")[0], main);
}

/// Continues the table that begins with the lines of `beginning`.
fn table(beginning: &str) -> String {
    let mut text = beginning.to_owned();
    for row in 0..120 {
        let [x, y, z] = [0, 1, 2].map(|column| feature(row, 2, column));
        writeln!(text, "{x},{y},{z},{}", ["still", "walk"][row % 2]).unwrap();
    }
    text
}

/// Returns the feature in `column` of sample `row`, which belongs to class `row % classes`.
fn feature(row: usize, classes: usize, column: usize) -> u8 {
    let noise = (row * 37 + column * 11) % 29;
    let is_on = column % classes == row % classes;
    (noise + if is_on { 200 } else { 0 }) as u8
}

/// Writes an archive of numpy's arrays with samples of this shape: `x_train`, `y_train`, `x_test`
/// and `y_test`.
fn write_arrays(path: &Path, shape: &[usize], classes: usize) {
    let mut archive = ZipWriter::new(File::create(path).unwrap());
    let mut write = |name: String, shape: &[usize], bytes: Vec<u8>| {
        let options = SimpleFileOptions::default();
        archive.start_file(format!("{name}.npy"), options).unwrap();
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({sizes}), }}\n");
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        let length = header.len() as u16;
        archive.write_all(&length.to_le_bytes()).unwrap();
        archive.write_all(header.as_bytes()).unwrap();
        archive.write_all(&bytes).unwrap();
    };
    let columns: usize = shape.iter().product();
    for (part, rows) in [("train", 0..200), ("test", 200..300)] {
        let features = rows
            .clone()
            .flat_map(|row| (0..columns).map(move |column| feature(row, classes, column)));
        let labels = rows.clone().map(|row| (row % classes) as u8);
        let all = [&[rows.len()], shape].concat();
        write(format!("x_{part}"), &all, features.collect());
        write(format!("y_{part}"), &all[..1], labels.collect());
    }
    archive.finish().unwrap();
}

/// Writes 12 pictures of each of ten classes.
fn write_pictures(folder: &Path) {
    let digits = digits::load().test;
    let mut counts = [0; 10];
    for (index, &label) in digits.labels().iter().enumerate() {
        let count = &mut counts[usize::from(label)];
        if *count == 12 {
            continue;
        }
        *count += 1;
        let class = folder.join(format!("digit-{label}"));
        fs::create_dir_all(&class).unwrap();
        let pixels = digits.image(index).to_vec();
        let picture = image::GrayImage::from_raw(28, 28, pixels).unwrap();
        picture.save(class.join(format!("{count}.png"))).unwrap();
    }
}
