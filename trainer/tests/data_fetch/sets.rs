//! Tests the folder of a fetched set.

use std::fs;
use std::sync::atomic::AtomicBool;

use rarefy_test_support::mirror::Fault;
use rarefy_trainer::data::catalogue::Places;
use rarefy_trainer::data::fetch::{FetchError, Origin, Progress, fetch};

use crate::tiny::Tiny;

#[test]
fn a_fetched_set_is_complete_and_not_fetched_again() {
    let mut tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::None);
    // The folder is created, and a slash at the end of a URL is harmless.
    let root = tempfile::tempdir().unwrap();
    let destination = root.path().join("a/mnist");
    let urls = [format!("{}/", mirror.url)];
    let stop = AtomicBool::new(false);
    let mut reports = Vec::new();
    let mut progress = |p: &Progress<'_>| {
        assert!(p.total.is_none_or(|total| p.received <= total), "{p:?}");
        reports.push((p.file.to_owned(), p.index, p.received, p.total));
    };
    let fetched = fetch(&tiny.set, &destination, &urls, &mut progress, &stop).unwrap();
    assert_eq!(fetched.folder, destination);
    assert_eq!(mirror.seen().len(), 4);
    for (index, (name, bytes)) in tiny.files.iter().enumerate() {
        let length = bytes.len() as u64;
        assert!(
            reports.contains(&(name.clone(), index, length, Some(length))),
            "{reports:?}"
        );
        assert_eq!(fs::read(destination.join(name)).unwrap(), *bytes);
        let origin = Origin::Downloaded {
            mirror: mirror.url.clone(),
            bytes: length,
            resumed_from: 0,
        };
        assert_eq!(fetched.files[index].origin, origin);
    }
    tiny.set.classes = 10;
    let places = Places {
        data: Some(root.path().join("a")),
        cache: None,
        system: "".into(),
    };
    assert_eq!(tiny.set.load(&places).unwrap().train.len(), 40);

    let again = fetch(&tiny.set, &destination, &urls, &mut |_| {}, &stop).unwrap();
    assert!(
        again
            .files
            .iter()
            .all(|file| file.origin == Origin::AlreadyThere),
        "{again:?}"
    );
    assert_eq!(mirror.seen().len(), 4);
    // Only files that are no longer correct are fetched.
    fs::write(destination.join(&tiny.files[1].0), b"rubbish").unwrap();
    let again = fetch(&tiny.set, &destination, &urls, &mut |_| {}, &stop).unwrap();
    assert_ne!(again.files[1].origin, Origin::AlreadyThere);
    assert_eq!(mirror.seen().len(), 5);
}

#[test]
fn one_fetch_at_a_time_works_in_a_folder() {
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::None);
    let urls = [mirror.url.clone()];
    let stop = AtomicBool::new(false);
    let mut second = None;
    let mut progress = |_: &Progress<'_>| {
        second.get_or_insert_with(|| tiny.fetch(&[&mirror]).unwrap_err());
    };
    fetch(&tiny.set, tiny.folder.path(), &urls, &mut progress, &stop).unwrap();
    assert!(
        matches!(second, Some(FetchError::Busy { .. })),
        "{second:?}"
    );
    tiny.assert_whole();
}

#[test]
fn a_wrong_file_that_takes_precedence_is_reported() {
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::None);
    let path = tiny.folder.path().join("train-images-idx3-ubyte");
    fs::write(&path, b"rubbish").unwrap();
    let message = tiny.fetch(&[&mirror]).unwrap_err().to_string();
    assert!(
        message.contains("in the way") && message.contains("remove it"),
        "{message}"
    );
    fs::write(&path, &tiny.plain[0]).unwrap();
    let fetched = tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(fetched.files[0].origin, Origin::AlreadyThere);
    assert_eq!(mirror.seen_of_first(), []);
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let tiny = Tiny::new();
    let file = tiny.folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let folder = file.join("mnist");
    let stop = AtomicBool::new(false);
    let error = fetch(&tiny.set, &folder, &[], &mut |_| {}, &stop).unwrap_err();
    assert!(
        error.to_string().contains(&folder.display().to_string()),
        "{error}"
    );
}
