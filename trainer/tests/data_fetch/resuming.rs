//! Tests interrupted downloads, which are resumed from a partial file.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flate2::Compression;
use rarefy_test_support::mirror::{FIRST, Fault};
use rarefy_trainer::data::fetch::{FetchError, Origin, Progress, fetch};

use crate::tiny::{Tiny, names, range, served};

#[test]
fn a_broken_connection_is_resumed() {
    let tiny = Tiny::new();
    let whole = tiny.files[0].1.len();
    let mirror = tiny.mirror(Fault::CutOnce(5000));
    let fetched = tiny.fetch(&[&mirror]).unwrap();
    tiny.assert_whole();
    // Only the rest was requested; the bytes before it were not sent again.
    assert_eq!(
        mirror.seen_of_first(),
        [(None, 5000), (range(5000), whole - 5000)]
    );
    let origin = Origin::Downloaded {
        mirror: mirror.url.clone(),
        bytes: whole as u64,
        resumed_from: 5000,
    };
    assert_eq!(fetched.files[0].origin, origin);
}

#[test]
fn a_later_run_resumes_an_earlier_one() {
    let tiny = Tiny::new();
    let whole = tiny.files[0].1.len();
    let broken = tiny.mirror(Fault::CutAlways(1000));
    let error = tiny.fetch(&[&broken]).unwrap_err();
    assert!(matches!(error, FetchError::Failed { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("connection closed after 1000 bytes"),
        "{error}"
    );
    tiny.assert_nothing_final();
    let part = tiny.folder.path().join(format!("{FIRST}.part"));
    // A mirror that makes progress is tried again, a few times.
    let left = fs::metadata(&part).unwrap().len() as usize;
    assert_eq!(left, 4000);
    assert_eq!(fs::read(&part).unwrap(), tiny.files[0].1[..left]);

    let mirror = tiny.mirror(Fault::None);
    tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(mirror.seen_of_first(), [(range(left), whole - left)]);
    tiny.assert_whole();
}

#[test]
fn a_complete_partial_file_needs_no_download() {
    let tiny = Tiny::new();
    fs::write(
        tiny.folder.path().join(format!("{FIRST}.part")),
        &tiny.files[0].1,
    )
    .unwrap();
    let mirror = tiny.mirror(Fault::None);
    tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(mirror.seen_of_first(), [(range(tiny.files[0].1.len()), 0)]);
    tiny.assert_whole();
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let tiny = Tiny::new();
    let whole = tiny.files[0].1.len();
    let mirror = tiny.mirror(Fault::IgnoresRange(5000));
    let fetched = tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(mirror.seen_of_first(), [(None, 5000), (range(5000), whole)]);
    assert!(matches!(
        fetched.files[0].origin,
        Origin::Downloaded {
            resumed_from: 0,
            ..
        }
    ));
    tiny.assert_whole();
}

#[test]
fn a_partial_file_of_another_mirror_starts_over_once() {
    let tiny = Tiny::new();
    let part = tiny.folder.path().join(format!("{FIRST}.part"));
    let mirror = tiny.mirror(Fault::None);
    let whole = tiny.files[0].1.len();
    fs::write(
        &part,
        &served(&tiny.plain, Compression::none())[0].1[..3000],
    )
    .unwrap();
    tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(
        mirror.seen_of_first(),
        [(range(3000), whole - 3000), (None, whole)]
    );
    tiny.assert_whole();

    // The partial file is longer than the file, so the server has nothing to add.
    let tiny = Tiny::new();
    let part = tiny.folder.path().join(format!("{FIRST}.part"));
    let mirror = tiny.mirror(Fault::None);
    fs::write(&part, vec![0; whole + 7]).unwrap();
    tiny.fetch(&[&mirror]).unwrap();
    assert_eq!(
        mirror.seen_of_first(),
        [(range(whole + 7), 0), (None, whole)]
    );
    tiny.assert_whole();
}

/// Tests stopping while a server is silent, and within a file.
#[test]
fn stopping_interrupts_a_silent_server_and_leaves_no_final_file() {
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::Silent);
    let stop = AtomicBool::new(false);
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while mirror.seen().is_empty() {
                thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let urls = [mirror.url.clone()];
        fetch(&tiny.set, tiny.folder.path(), &urls, &mut |_| {}, &stop).unwrap_err()
    });
    assert!(matches!(error, FetchError::Stopped { .. }), "{error}");
    tiny.assert_nothing_final();

    // Stopped within a file: the bytes received are kept, and the next run resumes.
    let mirror = tiny.mirror(Fault::None);
    let stop = AtomicBool::new(false);
    let mut progress = |p: &Progress<'_>| {
        if p.received > 0 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let urls = [mirror.url.clone()];
    let error = fetch(&tiny.set, tiny.folder.path(), &urls, &mut progress, &stop).unwrap_err();
    assert!(matches!(error, FetchError::Stopped { .. }), "{error}");
    tiny.assert_nothing_final();
    tiny.fetch(&[&mirror]).unwrap();
    assert!(mirror.seen_of_first()[1].0.is_some(), "{:?}", mirror.seen());
    tiny.assert_whole();
}

/// Checks that a partial file that is a link to another file never changes that file.
#[cfg(unix)]
#[test]
fn a_linked_partial_file_is_replaced_and_never_written() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    let linked: [fn(&Path, &Path); 2] = [
        |victim, part| symlink(victim, part).unwrap(),
        |victim, part| fs::hard_link(victim, part).unwrap(),
    ];
    for link in linked {
        let tiny = Tiny::new();
        let mirror = tiny.mirror(Fault::None);
        // A valid beginning of the file, from which a partial file of our own would be resumed.
        let precious = &tiny.files[0].1[..3000];
        fs::write(&victim, precious).unwrap();
        link(&victim, &tiny.folder.path().join(format!("{FIRST}.part")));
        tiny.fetch(&[&mirror]).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), precious);
        assert_eq!(mirror.seen_of_first()[0].0, None);
        tiny.assert_whole();
        for name in names(tiny.folder.path()) {
            let metadata = fs::symlink_metadata(tiny.folder.path().join(name)).unwrap();
            assert!(metadata.is_file());
        }
    }
    // The target of a dangling link does not exist, and is not created.
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::None);
    let nowhere = elsewhere.path().join("nowhere");
    symlink(&nowhere, tiny.folder.path().join(format!("{FIRST}.part"))).unwrap();
    tiny.fetch(&[&mirror]).unwrap();
    assert!(!nowhere.exists());
    tiny.assert_whole();
}
