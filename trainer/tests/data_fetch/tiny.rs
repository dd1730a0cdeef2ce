//! A small dataset to fetch.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use flate2::{Compression, write::GzEncoder};
use rarefy_test_support::mirror::{Fault, Mirror};
use rarefy_trainer::data::catalogue::{PUBLISHED, Published};
use rarefy_trainer::data::fetch::{FetchError, Fetched, fetch};
use rarefy_trainer::data::idx::{self, Images};
use rarefy_trainer::data::{content, folder};

/// A dataset of four small files with published digests, in a temporary folder.
pub(crate) struct Tiny {
    pub(crate) set: Published,
    /// The files as mirrors serve them: name and compressed contents.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// The uncompressed contents.
    pub(crate) plain: Vec<Vec<u8>>,
    pub(crate) folder: tempfile::TempDir,
}

impl Tiny {
    /// Returns a set without known mirrors, whose folder is empty.
    pub(crate) fn new() -> Self {
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

    /// Starts a mirror of the set with this fault.
    pub(crate) fn mirror(&self, fault: Fault) -> Mirror {
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

    /// Fetches the set from `mirrors`.
    pub(crate) fn fetch(&self, mirrors: &[&Mirror]) -> Result<Fetched, FetchError> {
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
    pub(crate) fn assert_whole(&self) {
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
    pub(crate) fn assert_nothing_final(&self) {
        for name in names(self.folder.path()) {
            assert!(name.ends_with(".part"), "{name}");
        }
    }
}

/// Returns the names of the files in `folder`.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Returns the files as mirrors serve them, compressed at `level`.
pub(crate) fn served(plain: &[Vec<u8>], level: Compression) -> Vec<(String, Vec<u8>)> {
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

/// Returns the value of the `Range` header of a request from byte `from` on.
pub(crate) fn range(from: usize) -> Option<String> {
    Some(format!("bytes={from}-"))
}
