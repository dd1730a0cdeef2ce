//! Tests IDX files and folders of them: valid ones are read back, and invalid ones are rejected in
//! one sentence that names the file and the numbers.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use rarefy_trainer::data::folder::{self, FolderError};
use rarefy_trainer::data::idx::{self, IdxError, Images};
use rarefy_trainer::data::{NormalisationSource, content};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images(count: usize, rows: usize, columns: usize) -> Images {
    let pixels = (0..count * rows * columns)
        .map(|i| (i * 37 % 251) as u8)
        .collect();
    Images {
        count,
        channels: 1,
        rows,
        columns,
        pixels,
    }
}

fn images_idx(images: &Images) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx::write_images(&mut bytes, images).unwrap();
    bytes
}

fn labels_idx(labels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx::write_labels(&mut bytes, labels).unwrap();
    bytes
}

/// Writes `bytes` to a file and reads them as images.
fn read(bytes: &[u8]) -> Result<Images, IdxError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the-images");
    fs::write(&path, bytes).unwrap();
    idx::read_images(&path)
}

/// Checks that `bytes` are rejected as images, plain and compressed, with a message that contains
/// all of `expected`.
#[track_caller]
fn refusal(bytes: &[u8], expected: &[&str]) {
    for bytes in [bytes.to_vec(), gzip(bytes)] {
        sentence(
            &read(&bytes).unwrap_err().to_string(),
            "the-images",
            expected,
        );
    }
}

#[track_caller]
fn sentence(message: &str, name: &str, expected: &[&str]) {
    assert!(message.contains(name), "{message}");
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
    for part in expected {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

/// Checks that images with channels, which have four dimensions, are written and read.
#[test]
fn images_with_channels_are_read_channel_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train-images-idx4-ubyte");
    let pixels: Vec<u8> = (0..2 * 3 * 2 * 4).collect();
    let written = Images {
        count: 2,
        channels: 3,
        rows: 2,
        columns: 4,
        pixels,
    };
    let mut file = fs::File::create(&path).unwrap();
    idx::write_images(&mut file, &written).unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap()[..8], [0, 0, 8, 4, 0, 0, 0, 2]);
    assert_eq!(idx::read_images(&path).unwrap(), written);
    let cut = fs::read(&path).unwrap();
    fs::write(&path, &cut[..cut.len() - 1]).unwrap();
    let refused = idx::read_images(&path).unwrap_err().to_string();
    assert!(
        refused.contains("2 images of 3 x 2 x 4 pixels"),
        "{refused}"
    );
}

#[test]
fn plain_and_compressed_files_round_trip() {
    let set = images(7, 4, 5);
    let bytes = images_idx(&set);
    assert_eq!(
        bytes[..16],
        [0, 0, 8, 3, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 5]
    );
    assert_eq!(read(&bytes).unwrap(), set);
    assert_eq!(read(&gzip(&bytes)).unwrap(), set);
    // A gzip file may have several members.
    let members = [gzip(&bytes[..50]), gzip(&bytes[50..])].concat();
    assert_eq!(read(&members).unwrap(), set);

    let folder = tempfile::tempdir().unwrap();
    // The name does not matter: a plain file may be called .gz, and the other way round.
    for (name, bytes) in [
        ("labels.gz", labels_idx(&[3, 1, 4])),
        ("labels", gzip(&labels_idx(&[3, 1, 4]))),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(idx::read_labels(&path).unwrap(), [3, 1, 4]);
        let digest = idx::labels_sha256(&[3, 1, 4]).unwrap();
        assert_eq!(content::sha256(&path, 100).unwrap(), (11, digest));
    }
}

#[test]
fn missing_and_special_files_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere");
    let error = idx::read_images(&path).unwrap_err().to_string();
    sentence(&error, "nowhere", &["cannot read", "No such file"]);
    let error = idx::read_images(folder.path()).unwrap_err().to_string();
    sentence(
        &error,
        &folder.path().display().to_string(),
        &["cannot read", "directory"],
    );
    #[cfg(unix)]
    {
        let error = idx::read_images(Path::new("/dev/zero"))
            .unwrap_err()
            .to_string();
        sentence(&error, "/dev/zero", &["not a regular file"]);
    }
}

#[test]
fn every_truncation_is_rejected() {
    let bytes = images_idx(&images(3, 4, 5));
    assert!(matches!(
        read(&[]).unwrap_err(),
        IdxError::NoHeader {
            found: 0,
            needed: 16,
            ..
        }
    ));
    for end in 0..bytes.len() {
        let error = read(&bytes[..end]).unwrap_err();
        if end < 16 {
            sentence(
                &error.to_string(),
                "the-images",
                &[&format!("{end} bytes"), "16"],
            );
        } else {
            let numbers = [
                &format!("the file has {end}"),
                "3 images of 4 x 5 pixels need 76 bytes",
            ];
            sentence(&error.to_string(), "the-images", &numbers);
        }
    }
    let whole = gzip(&bytes);
    for end in 0..whole.len() {
        assert!(
            read(&whole[..end]).is_err(),
            "cut at {end} of {}",
            whole.len()
        );
    }
}

#[test]
fn damaged_gzip_is_rejected() {
    let set = images(3, 4, 5);
    let whole = gzip(&images_idx(&set));
    let mut refused = 0;
    for i in 10..whole.len() {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x10;
        // Some bits of gzip have no meaning; a change of any other bit must be detected.
        match read(&bytes) {
            Ok(read) => assert_eq!(read, set, "byte {i} of {} changed", whole.len()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= whole.len() - 12, "{refused} of {}", whole.len());
    let mut bytes = whole.clone();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    sentence(
        &read(&bytes).unwrap_err().to_string(),
        "the-images",
        &["does not decompress"],
    );
}

#[test]
fn trailing_bytes_are_rejected() {
    let mut bytes = images_idx(&images(3, 4, 5));
    bytes.push(0);
    refusal(
        &bytes,
        &["3 images of 4 x 5 pixels need 76 bytes", "77", "too long"],
    );
    // A long tail of a compressed file is not decompressed to its end.
    bytes.resize(1 << 20, 0);
    let error = read(&gzip(&bytes)).unwrap_err().to_string();
    sentence(&error, "the-images", &["at least 77"]);
}

/// Checks that zero padding after gzip data is accepted, as `gzip` does for tapes and block
/// devices.
#[test]
fn zeros_after_gzip_data_are_padding() {
    let images = images(3, 4, 5);
    let padded = [gzip(&images_idx(&images)), vec![0; 512]].concat();
    assert_eq!(read(&padded).unwrap(), images);
    let garbage = [gzip(&images_idx(&images)), b"garbage".to_vec()].concat();
    let error = read(&garbage).unwrap_err().to_string();
    sentence(&error, "the-images", &["damaged"]);
}

#[test]
fn other_magic_numbers_are_rejected() {
    refusal(
        &labels_idx(&[1; 20]),
        &["0x00000801", "0x00000803", "swapped"],
    );
    refusal(
        b"\x89PNG\r\n\x1a\n0123456789",
        &["0x89504e47", "0x00000803"],
    );
    refusal(b"<html>", &["0x3c68746d", "0x00000803"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the-labels");
    fs::write(&path, images_idx(&images(3, 4, 5))).unwrap();
    let error = idx::read_labels(&path).unwrap_err().to_string();
    sentence(
        &error,
        "the-labels",
        &["0x00000803", "0x00000801", "swapped"],
    );
}

#[test]
fn empty_files_are_rejected() {
    for (count, rows, columns) in [(0, 28, 28), (5, 0, 28), (5, 28, 0)] {
        let announced = format!("{count} images of {rows} x {columns} pixels");
        refusal(
            &images_idx(&images(count, rows, columns)),
            &[&announced, "is empty"],
        );
    }
}

/// Returns an image file whose header announces `dimensions`, with `body` bytes after it.
fn announcing(dimensions: [u32; 3], body: usize) -> Vec<u8> {
    let mut bytes = 0x803_u32.to_be_bytes().to_vec();
    bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
    bytes.resize(16 + body, 7);
    bytes
}

#[test]
fn huge_headers_are_rejected_before_allocation() {
    // 2^96 bytes, which overflow 64 bits, and 4 GiB, which exceeds the limit.
    refusal(
        &announcing([u32::MAX; 3], 100),
        &["4294967295 images", "2147483648"],
    );
    refusal(
        &announcing([1 << 16, 1 << 8, 1 << 8], 100),
        &["65536 images", "2147483648"],
    );
    // Within the limit, but more than the file can contain.
    refusal(
        &announcing([40_000, 200, 200], 100),
        &[
            "40000 images of 200 x 200 pixels",
            "1600000016",
            "truncated",
        ],
    );
}

/// A folder with 20 training and 10 test images of 4 classes.
struct Set(tempfile::TempDir);

impl Set {
    fn new() -> Self {
        let set = Self(tempfile::tempdir().unwrap());
        set.write("train-images-idx3-ubyte", &images_idx(&images(20, 3, 2)));
        set.write(
            "train-labels.idx1-ubyte.gz",
            &gzip(&labels_idx(&labels(20))),
        );
        set.write("t10k-images.idx3-ubyte", &images_idx(&images(10, 3, 2)));
        set.write("t10k-labels-idx1-ubyte.gz", &gzip(&labels_idx(&labels(10))));
        set
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn refusal(&self, name: &str, expected: &[&str]) {
        sentence(
            &folder::load(self.0.path()).unwrap_err().to_string(),
            name,
            expected,
        );
    }
}

fn labels(count: u8) -> Vec<u8> {
    (0..count).map(|i| i % 4).collect()
}

#[test]
fn a_folder_is_a_dataset_under_any_of_the_usual_names() {
    let set = Set::new();
    let dataset = folder::load(set.0.path()).unwrap();
    assert_eq!(
        (dataset.train.len(), dataset.test.len(), dataset.classes),
        (20, 10, 4)
    );
    assert_eq!(dataset.train.shape(), [1, 3, 2]);
    assert_eq!(dataset.train.images(), images(20, 3, 2).pixels);
    assert_eq!(dataset.test.labels(), labels(10));
    assert_eq!(dataset.normalisation.source, NormalisationSource::Computed);
    let normalise = |&pixel| f64::from(dataset.normalisation.apply(pixel, 0));
    let mean = dataset.train.images().iter().map(normalise).sum::<f64>() / 120.0;
    let square = dataset
        .train
        .images()
        .iter()
        .map(|p| normalise(p).powi(2))
        .sum::<f64>()
        / 120.0;
    assert!(
        mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-5,
        "{mean} {square}"
    );
}

#[test]
fn missing_files_are_named() {
    let set = Set::new();
    fs::remove_file(set.path("train-labels.idx1-ubyte.gz")).unwrap();
    fs::remove_file(set.path("t10k-images.idx3-ubyte")).unwrap();
    let name = set.0.path().display().to_string();
    set.refusal(&name, &["train-labels-idx1-ubyte, t10k-images-idx3-ubyte"]);
    let nowhere = set.path("nowhere");
    assert!(matches!(
        folder::load(&nowhere).unwrap_err(),
        FolderError::NoFolder { .. }
    ));
}

#[test]
fn inconsistent_files_are_rejected() {
    let set = Set::new();
    set.write(
        "train-labels.idx1-ubyte.gz",
        &gzip(&labels_idx(&labels(19))),
    );
    set.refusal("train-labels.idx1-ubyte.gz", &["20 images", "19 labels"]);

    let set = Set::new();
    set.write("t10k-images.idx3-ubyte", &images_idx(&images(10, 2, 3)));
    set.refusal("t10k-images.idx3-ubyte", &["3 x 2", "2 x 3"]);

    let set = Set::new();
    let constant = Images {
        pixels: vec![9; 120],
        ..images(20, 3, 2)
    };
    set.write("train-images-idx3-ubyte", &images_idx(&constant));
    set.refusal("train-images-idx3-ubyte", &["every pixel", "is 9"]);
}

#[test]
fn labels_out_of_range_are_rejected() {
    let set = Set::new();
    let mut wrong = labels(10);
    wrong[6] = 4;
    set.write("t10k-labels-idx1-ubyte.gz", &labels_idx(&wrong));
    set.refusal(
        "t10k-labels-idx1-ubyte.gz",
        &["label 6 is 4", "4 classes, 0 to 3"],
    );

    let set = Set::new();
    let mut wrong = labels(20);
    wrong[5] = 200;
    set.write("train-labels.idx1-ubyte.gz", &labels_idx(&wrong));
    set.refusal(
        "train-labels.idx1-ubyte.gz",
        &["label 5 is 200", "no training image has class 4"],
    );
}
