//! The embedded set `digits`: 10,000 real MNIST digits, built into the program.
//!
//! `trainer/datasets/digits/README.md` documents their origin and split. They are sorted by class,
//! so testing on every fifth image makes a stratified split.

use std::io::Cursor;

use flate2::read::MultiGzDecoder;

use super::content::Content;
use super::dataset::{Dataset, Split};
use super::idx;
use super::published::MNIST_NORMALISATION;
use super::reading::Reading;

/// Name of the set in the catalogue.
pub const NAME: &str = "digits";

/// Name of the set whose training images include all of these digits.
pub const PART_OF: &str = "mnist";

/// Number of training images.
pub const TRAIN: usize = 8_000;

/// Number of test images.
pub const TEST: usize = 2_000;

static IMAGES: &[u8] = include_bytes!("../../datasets/digits/digits-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../../datasets/digits/digits-labels-idx1-ubyte.gz");

/// Returns all 10,000 images, in the embedded order, as one split.
///
/// # Panics
/// Panics if the embedded files are damaged, which the tests rule out.
#[must_use]
pub fn whole() -> Split {
    let images =
        idx::parse_images(NAME, decompressed(IMAGES)).expect("the embedded images are valid");
    let labels =
        idx::parse_labels(NAME, decompressed(LABELS)).expect("the embedded labels are valid");
    Split::new(images.pixels, labels, [1, images.rows, images.columns])
}

/// Wraps an embedded gzip file for reading.
fn decompressed(gzip: &'static [u8]) -> Content {
    Content {
        reader: Box::new(MultiGzDecoder::new(Cursor::new(gzip))),
        compressed: true,
        max_bytes: u64::MAX,
    }
}

/// Returns whether image `i` of the embedded order belongs to the test split.
#[must_use]
pub fn is_test(i: usize) -> bool {
    i % 5 == 4
}

/// Returns the embedded set: 8,000 training images and 2,000 test images.
#[must_use]
pub fn load() -> Dataset {
    let whole = whole();
    Dataset {
        name: NAME.to_owned(),
        train: whole.select((0..whole.len()).filter(|&i| !is_test(i))),
        test: whole.select((0..whole.len()).filter(|&i| is_test(i))),
        normalisation: MNIST_NORMALISATION,
        classes: 10,
        class_names: Vec::new(),
        reading: Reading::default(),
        notes: Vec::new(),
    }
}
