//! Tests how dataset names are resolved, which folders are searched, and the errors.

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_trainer::data::catalogue::{self, CatalogueError, Found, PUBLISHED, Places, Published};
use rarefy_trainer::data::idx::{self, Images};
use rarefy_trainer::data::{digits, folder};

/// Returns places inside `root`, none of which exists yet.
fn places(root: &Path) -> Places {
    Places {
        data: Some(root.join("data")),
        cache: Some(root.join("cache")),
        system: root.join("system"),
    }
}

/// Writes a tiny set to `folder`, with contents that depend on `seed`.
fn write_set(folder: &Path, seed: u8) {
    fs::create_dir_all(folder).unwrap();
    for (part, count) in folder::ROLES.iter().zip([6_u8, 6, 4, 4]) {
        let mut bytes = Vec::new();
        let name = part.name();
        if name.contains("images") {
            let pixels = (0..count * 4).map(|i| i.wrapping_mul(seed)).collect();
            let images = Images {
                count: count.into(),
                channels: 1,
                rows: 2,
                columns: 2,
                pixels,
            };
            idx::write_images(&mut bytes, &images).unwrap();
        } else {
            let labels: Vec<u8> = (0..count).map(|i| (i + seed) % 2).collect();
            idx::write_labels(&mut bytes, &labels).unwrap();
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Returns a published set that describes the tiny set in `folder`.
fn published(folder: &Path) -> Published {
    let mut set = PUBLISHED[0].clone();
    set.classes = 2;
    set.debian_package = Some("dataset-tiny");
    for (part, file) in folder::ROLES.iter().zip(&mut set.files) {
        let path = part.find(folder).unwrap();
        let (bytes, sha256) = rarefy_trainer::data::content::sha256(&path, u64::MAX - 1).unwrap();
        (file.bytes, file.sha256) = (bytes, sha256.leak());
    }
    set
}

fn located(set: &Published, places: &Places) -> PathBuf {
    set.locate(places).unwrap().0
}

#[test]
fn the_first_place_with_the_set_wins() {
    let root = tempfile::tempdir().unwrap();
    let places = places(root.path());
    write_set(&root.path().join("system/mnist"), 3);
    let set = published(&root.path().join("system/mnist"));
    assert_eq!(located(&set, &places), root.path().join("system/mnist"));
    write_set(&root.path().join("cache/mnist"), 3);
    assert_eq!(located(&set, &places), root.path().join("cache/mnist"));
    // `$RAREFY_DATA` itself counts only if it holds this very set.
    write_set(&root.path().join("data"), 4);
    assert_eq!(located(&set, &places), root.path().join("cache/mnist"));
    write_set(&root.path().join("data"), 3);
    assert_eq!(located(&set, &places), root.path().join("data"));
    write_set(&root.path().join("data/mnist"), 3);
    assert_eq!(located(&set, &places), root.path().join("data/mnist"));

    let dataset = set.load(&places).unwrap();
    assert_eq!(
        (
            dataset.name.as_str(),
            dataset.train.len(),
            dataset.test.len()
        ),
        ("mnist", 6, 4)
    );
    assert_eq!(dataset.normalisation, catalogue::MNIST_NORMALISATION);
    assert_eq!(
        places.destination(&set),
        Some(root.path().join("data/mnist"))
    );
}

#[test]
fn another_set_under_a_known_name_is_rejected() {
    let root = tempfile::tempdir().unwrap();
    write_set(&root.path().join("cache/mnist"), 3);
    let set = published(&root.path().join("cache/mnist"));
    write_set(&root.path().join("cache/mnist"), 5);
    let error = set.load(&places(root.path())).unwrap_err();
    assert!(matches!(error, CatalogueError::Foreign { .. }), "{error}");
    let message = error.to_string();
    for part in [
        "train-images-idx3-ubyte",
        set.files[0].sha256,
        "rarefy data fetch mnist",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_missing_set_names_the_searched_folders_and_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let places = places(root.path());
    for set in &PUBLISHED {
        let message = catalogue::load(set.name, &places).unwrap_err().to_string();
        let data = format!("{}", root.path().join("data").join(set.name).display());
        let cache = format!("{}", root.path().join("cache").join(set.name).display());
        let fetch = format!("rarefy data fetch {}", set.name);
        for part in [&data, &cache, &fetch] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(
            message.contains("dataset-fashion-mnist"),
            set.name == "fashion-mnist",
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
    // An interrupted fetch leaves an incomplete set.
    write_set(&root.path().join("cache/mnist"), 3);
    fs::remove_file(root.path().join("cache/mnist/t10k-labels-idx1-ubyte")).unwrap();
    let message = catalogue::load("mnist", &places).unwrap_err().to_string();
    for part in [
        "mnist is incomplete",
        "t10k-labels-idx1-ubyte",
        "rarefy data fetch mnist",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn unknown_names_get_suggestions_and_folders_load() {
    let root = tempfile::tempdir().unwrap();
    let places = places(root.path());
    let message = catalogue::load("mnits", &places).unwrap_err().to_string();
    for part in ["mnits", "did you mean mnist?", "folder"] {
        assert!(message.contains(part), "{message}");
    }
    let nowhere = root.path().join("nowhere").display().to_string();
    let message = catalogue::load(&nowhere, &places).unwrap_err().to_string();
    assert!(
        message.contains("no file or folder") && message.contains(&nowhere),
        "{message}"
    );
    let message = Published::named("digits").unwrap_err().to_string();
    assert!(message.contains("nothing to fetch"), "{message}");

    let folder = root.path().join("mine");
    write_set(&folder, 3);
    let dataset = catalogue::load(folder.to_str().unwrap(), &places).unwrap();
    assert_eq!((dataset.train.len(), dataset.classes), (6, 2));
    assert_eq!(
        catalogue::load("digits", &places).unwrap().train.len(),
        digits::TRAIN
    );
}

#[test]
fn the_list_shows_every_set_and_where_it_is() {
    let root = tempfile::tempdir().unwrap();
    let places = places(root.path());
    let list = catalogue::list(&places);
    let names: Vec<&str> = list.iter().map(|listing| listing.name).collect();
    assert_eq!(names, catalogue::names());
    assert_eq!(list[0].found, Found::Embedded);
    assert!(matches!(&list[2].found, Found::Missing { advice } if advice.contains("Debian")));
    write_set(&root.path().join("system/fashion-mnist"), 3);
    let list = catalogue::list(&places);
    let path = root.path().join("system/fashion-mnist");
    assert_eq!(list[2].found, Found::Folder { path: path.clone() });
    let json = serde_json::to_value(&list[2]).unwrap();
    assert_eq!(json["found"], "folder");
    assert_eq!(json["path"], path.to_str().unwrap());
    assert_eq!(json["train"], 60_000);
    assert_eq!(json["shape"], serde_json::json!([1, 28, 28]));
}
