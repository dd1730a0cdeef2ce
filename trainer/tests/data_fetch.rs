//! Tests fetching from a server on loopback with the faults that mirrors have.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use rarefy_test_support::mirror::{FIRST, Fault, Mirror};
use rarefy_trainer::data::catalogue::{PUBLISHED, Places, Published};
use rarefy_trainer::data::download::{self, DownloadError, MinimumRate};
use rarefy_trainer::data::fetch::{FetchError, Fetched, Origin, Progress, fetch};
use rarefy_trainer::data::idx::{self, Images};
use rarefy_trainer::data::{content, folder};

/// A set of four small files: their contents, with published digests, and as served.
struct Tiny {
    set: Published,
    files: Vec<(String, Vec<u8>)>,
    plain: Vec<Vec<u8>>,
    folder: tempfile::TempDir,
}

impl Tiny {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut set = PUBLISHED[0].clone();
        set.mirrors = &[];
        let mut plain = Vec::new();
        for (index, file) in set.files.iter_mut().enumerate() {
            let mut bytes = Vec::new();
            let count: u32 = if index < 2 { 40 } else { 20 };
            if index % 2 == 0 {
                // Noise of seven bits per byte changes under compression but does not shrink much.
                let mut noise = 0x9e37_79b9_u32 + count;
                let mut next = || {
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    noise as u8 & 0x7f
                };
                let pixels: Vec<u8> = (0..count * 400).map(|_| next()).collect();
                let images = Images {
                    count: count as usize,
                    channels: 1,
                    rows: 20,
                    columns: 20,
                    pixels,
                };
                file.sha256 = images.sha256().unwrap().leak();
                idx::write_images(&mut bytes, &images).unwrap();
            } else {
                let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
                file.sha256 = idx::labels_sha256(&labels).unwrap().leak();
                idx::write_labels(&mut bytes, &labels).unwrap();
            }
            file.bytes = bytes.len() as u64;
            plain.push(bytes);
        }
        let files = served(&plain, Compression::best());
        Self {
            set,
            files,
            plain,
            folder,
        }
    }

    fn mirror(&self, fault: Fault) -> Mirror {
        if fault == Fault::OtherContents {
            let other: Vec<Vec<u8>> = self
                .plain
                .iter()
                .map(|bytes| bytes.iter().map(|&byte| byte ^ 1).collect())
                .collect();
            return Mirror::start(&served(&other, Compression::best()), fault);
        }
        Mirror::start(&self.files, fault)
    }

    fn fetch(&self, mirrors: &[&Mirror]) -> Result<Fetched, FetchError> {
        let urls: Vec<String> = mirrors.iter().map(|mirror| mirror.url.clone()).collect();
        fetch(
            &self.set,
            self.folder.path(),
            &urls,
            &mut |_| {},
            &AtomicBool::new(false),
        )
    }

    /// Checks that every file is present and correct, and nothing else is present.
    #[track_caller]
    fn assert_whole(&self) {
        for (part, expected) in folder::ROLES.iter().zip(&self.set.files) {
            let path = self.folder.path().join(part.name() + ".gz");
            let found = content::sha256(&path, expected.bytes).unwrap();
            assert_eq!(found, (expected.bytes, expected.sha256.to_owned()));
        }
        assert_eq!(
            names(self.folder.path()).len(),
            4,
            "{:?}",
            names(self.folder.path())
        );
    }

    /// Checks that no file has its final name.
    #[track_caller]
    fn assert_nothing_final(&self) {
        for name in names(self.folder.path()) {
            assert!(name.ends_with(".part"), "{name}");
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn served(plain: &[Vec<u8>], level: Compression) -> Vec<(String, Vec<u8>)> {
    folder::ROLES
        .iter()
        .zip(plain)
        .map(|(part, bytes)| {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            (part.name() + ".gz", encoder.finish().unwrap())
        })
        .collect()
}

fn range(from: usize) -> Option<String> {
    Some(format!("bytes={from}-"))
}

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

#[test]
fn a_mirror_that_fails_is_followed_by_the_next() {
    for fault in [
        Fault::Status(404),
        Fault::Status(503),
        Fault::OtherContents,
        Fault::Shortened,
        Fault::Endless,
        Fault::CutAlways(0),
    ] {
        let tiny = Tiny::new();
        let (bad, good) = (tiny.mirror(fault), tiny.mirror(Fault::None));
        let fetched = tiny
            .fetch(&[&bad, &good])
            .unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        tiny.assert_whole();
        let origin = &fetched.files[0].origin;
        let from_good = matches!(origin, Origin::Downloaded { mirror, .. } if *mirror == good.url);
        assert!(from_good, "{fault:?}: {origin:?}");
        // The bytes of the bad mirror were discarded.
        assert_eq!(good.seen_of_first()[0].0, None, "{fault:?}");
    }
}

#[test]
fn the_error_reports_every_failed_mirror() {
    let tiny = Tiny::new();
    let missing = tiny.mirror(Fault::Status(404));
    let wrong = tiny.mirror(Fault::OtherContents);
    let endless = tiny.mirror(Fault::Endless);
    // Nothing listens at this address any more.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let down = Mirror {
        url: format!("http://{closed}"),
        seen: Arc::default(),
    };
    let junk = Mirror {
        url: "not an address".to_owned(),
        seen: Arc::default(),
    };
    let error = tiny
        .fetch(&[&missing, &wrong, &endless, &down, &junk])
        .unwrap_err();
    let message = error.to_string();
    for part in [
        "cannot fetch train-images-idx3-ubyte.gz of mnist",
        &format!("{}: it answered with HTTP 404", missing.url),
        &format!("{}: it served another file (SHA-256 ", wrong.url),
        tiny.set.files[0].sha256,
        &format!("{}: it sends more than", endless.url),
        &format!("{}: ", down.url),
        "refused",
        "not an address: ",
        "give another mirror",
        &tiny.folder.path().display().to_string(),
    ] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
    assert_eq!(names(tiny.folder.path()), Vec::<String>::new());
}

#[test]
fn the_known_mirrors_come_after_those_given() {
    let mut tiny = Tiny::new();
    let (given, known) = (tiny.mirror(Fault::Status(500)), tiny.mirror(Fault::None));
    tiny.set.mirrors = vec![&*known.url.clone().leak()].leak();
    tiny.fetch(&[&given]).unwrap();
    tiny.assert_whole();
    assert_eq!((given.seen().len(), known.seen().len()), (4, 4));
}

/// Requests to stop once a request has arrived, or at once.
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

#[test]
fn a_slow_server_is_abandoned() {
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::Trickle);
    let part = tiny.folder.path().join("part");
    let url = format!("{}/{FIRST}", mirror.url);
    let fetch = |pace| {
        let stop = AtomicBool::new(false);
        download::download(&url, &part, 1 << 20, pace, &mut |_, _| {}, &stop)
    };
    let window = Duration::from_millis(300);
    let impatient = MinimumRate {
        bytes: 10_000,
        window,
    };
    let error = fetch(impatient).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("too slow"), "{message}");
    let received = match error {
        DownloadError::Slow { received, .. } => received,
        other => panic!("{other}"),
    };
    // The bytes received are kept, and the next mirror continues.
    assert_eq!(
        fs::read(&part).unwrap(),
        tiny.files[0].1[..received as usize]
    );
    let good = tiny.mirror(Fault::None);
    let url = format!("{}/{FIRST}", good.url);
    let stop = AtomicBool::new(false);
    let whole = download::download(&url, &part, 1 << 20, impatient, &mut |_, _| {}, &stop);
    assert_eq!(whole.unwrap().resumed_from, received);
    assert_eq!(fs::read(&part).unwrap(), tiny.files[0].1);
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
