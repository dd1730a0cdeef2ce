//! The embedded set `digits`: 10,000 real MNIST digits inside the program.
//!
//! Where they come from and how they are split is told in `trainer/datasets/digits/README.md`.
//! They are sorted by class, so that taking every fifth to test on is a stratified split.

use std::io::Cursor;

use flate2::read::MultiGzDecoder;

use super::catalogue::MNIST_NORMALISATION;
use super::idx;
use super::{Dataset, Split};

/// The set's name in the catalogue.
pub const NAME: &str = "digits";

/// The set whose training images they were taken from.
pub const PART_OF: &str = "mnist";

/// How many of the digits are trained on.
pub const TRAIN: usize = 8_000;

/// How many of the digits are tested on.
pub const TEST: usize = 2_000;

static IMAGES: &[u8] = include_bytes!("../../datasets/digits/digits-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../../datasets/digits/digits-labels-idx1-ubyte.gz");

/// All 10,000 images, in the embedded order, as one split.
///
/// # Panics
/// Never in a program that passes its tests: the bytes are part of it.
#[must_use]
pub fn whole() -> Split {
    let most = u64::MAX;
    let images = idx::parse_images(NAME, MultiGzDecoder::new(Cursor::new(IMAGES)), true, most)
        .expect("the embedded images are IDX");
    let labels = idx::parse_labels(NAME, MultiGzDecoder::new(Cursor::new(LABELS)), true, most)
        .expect("the embedded labels are IDX");
    Split::new(images.pixels, labels, [1, images.rows, images.columns])
}

/// Whether image `i` of the embedded order is tested on.
#[must_use]
pub fn is_test(i: usize) -> bool {
    i % 5 == 4
}

/// The embedded set: 8,000 digits to train on, 2,000 to test on.
#[must_use]
pub fn load() -> Dataset {
    let whole = whole();
    Dataset {
        name: NAME.to_owned(),
        train: whole.select((0..whole.len()).filter(|&i| !is_test(i))),
        test: whole.select((0..whole.len()).filter(|&i| is_test(i))),
        normalisation: MNIST_NORMALISATION,
        classes: 10,
    }
}
