//! Tests mirrors that fail, and the next mirrors that replace them.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rarefy_test_support::mirror::{FIRST, Fault, Mirror};
use rarefy_trainer::data::fetch::Origin;
use rarefy_trainer::data::http::{self, DownloadError, MinimumRate};

use crate::tiny::{Tiny, names};

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
        "name another mirror",
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

#[test]
fn a_slow_server_is_abandoned() {
    let tiny = Tiny::new();
    let mirror = tiny.mirror(Fault::Trickle);
    let part = tiny.folder.path().join("part");
    let url = format!("{}/{FIRST}", mirror.url);
    let fetch = |pace| {
        let stop = AtomicBool::new(false);
        http::download(&url, &part, 1 << 20, pace, &mut |_, _| {}, &stop)
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
    let whole = http::download(&url, &part, 1 << 20, impatient, &mut |_, _| {}, &stop);
    assert_eq!(whole.unwrap().resumed_from, received);
    assert_eq!(fs::read(&part).unwrap(), tiny.files[0].1);
}
