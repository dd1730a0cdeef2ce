//! Tests that every change of a byte and every truncation of every golden container is rejected,
//! and that with a corrected checksum it is rejected or harmless.

use std::fs;
use std::path::Path;
use std::thread;

use rarefy_format::{CHECKSUM_OFFSET, Model, container_checksum};
use rarefy_test_support::harmless::{Verdict, check};

/// Returns the golden containers with their names.
fn golden() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../format/tests/golden");
    let mut containers = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rfy") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            containers.push((name, fs::read(path).unwrap()));
        }
    }
    assert!(containers.len() >= 8, "{} containers", containers.len());
    containers
}

/// Checks `bytes` with a corrected checksum.
fn repaired(mut bytes: Vec<u8>) -> Result<Verdict, String> {
    let checksum = container_checksum(&bytes);
    if let Some(place) = bytes.get_mut(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    check(&bytes, |round, count| {
        (0..count).map(|at| (at * 37 + round * 101) as u8).collect()
    })
}

#[test]
fn every_changed_byte_is_rejected() {
    for (name, mut bytes) in golden() {
        for offset in 0..bytes.len() {
            for change in 1..=255 {
                bytes[offset] ^= change;
                assert!(
                    Model::parse(&bytes).is_err(),
                    "{name}: byte {offset} changed by {change:#04x} is accepted"
                );
                bytes[offset] ^= change;
            }
        }
    }
}

#[test]
fn every_truncation_and_every_surplus_is_rejected() {
    for (name, mut bytes) in golden() {
        for length in 0..bytes.len() {
            assert!(Model::parse(&bytes[..length]).is_err(), "{name}: {length}");
            let verdict = repaired(bytes[..length].to_vec());
            assert!(
                matches!(verdict, Ok(Verdict::Refused(_))),
                "{name}: {length} bytes: {verdict:?}"
            );
        }
        bytes.push(0);
        assert!(matches!(repaired(bytes), Ok(Verdict::Refused(_))), "{name}");
    }
}

#[test]
fn every_changed_byte_with_a_corrected_checksum_is_rejected_or_harmless() {
    let count = |(name, bytes): (String, Vec<u8>)| {
        let (mut refused, mut ran) = (0_usize, 0_usize);
        for offset in 0..bytes.len() {
            for change in 1..=255 {
                let mut changed = bytes.clone();
                changed[offset] ^= change;
                match repaired(changed) {
                    Ok(Verdict::Refused(_)) => refused += 1,
                    Ok(_) => ran += 1,
                    Err(what) => panic!("{name}: byte {offset} changed by {change:#04x}: {what}"),
                }
            }
        }
        (refused, ran)
    };
    let counts = thread::scope(|scope| {
        let one = |container| scope.spawn(move || count(container));
        let threads: Vec<_> = golden().into_iter().map(one).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.fold((0, 0), |sum, (refused, ran)| (sum.0 + refused, sum.1 + ran))
    });
    // Both outcomes must occur often.
    assert!(counts.0 > 100_000 && counts.1 > 100_000, "{counts:?}");
}
