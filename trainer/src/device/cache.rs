//! A cache of linked programs, so that unchanged firmware is not built again.
//!
//! The key is a hash of everything that goes into a program: the sources of firmware, runtime and
//! format, cargo's configuration, the compiler, and the plan's board, model, samples, code and
//! features. Crates from the registry are pinned by the lock file. If a source cannot be read, the
//! program is not cached. Only the newest programs are kept.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::atomic;
use crate::digest::hexadecimal;

/// Capacity in programs. Most commands need less: they build one program per board and network.
const CAPACITY: usize = 24;

/// Files and folders next to `firmware` from which programs are also built.
const SIBLINGS: [&str; 3] = ["format", "runtime", "Cargo.toml"];

/// The cache entry of one program.
pub(super) struct Entry {
    folder: PathBuf,
    /// Key, which is also the file's name.
    key: String,
}

impl Entry {
    /// Computes the entry in `folder` for the program built from the workspace `firmware` and
    /// `parts`. Returns `None` if a source cannot be read.
    pub(super) fn new(folder: &Path, firmware: &Path, parts: &[&[u8]]) -> Option<Self> {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        for file in sources(firmware)? {
            add(file.as_os_str().as_encoded_bytes());
            add(&fs::read(&file).ok()?);
        }
        parts.iter().for_each(|part| add(part));
        let key = hexadecimal(&hash.finalize());
        let folder = folder.to_path_buf();
        Some(Self { folder, key })
    }

    /// Returns the program if it is cached.
    pub(super) fn get(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.join(&self.key)).ok()
    }

    /// Stores `program`. A failure is ignored; the program is then built again next time.
    pub(super) fn put(&self, program: &[u8]) {
        let stored = atomic::create_folder(&self.folder)
            .and_then(|()| atomic::write(&self.folder.join(&self.key), program));
        if stored.is_ok() {
            delete_oldest(&self.folder);
        }
    }
}

/// Lists the files that programs are built from, in a fixed order and without build outputs.
fn sources(firmware: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(firmware, &mut files)?;
    for name in SIBLINGS {
        collect(&firmware.parent()?.join(name), &mut files)?;
    }
    // Cargo reads its configuration from every parent folder and from its home folder.
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let parents = firmware
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(".cargo"));
    let configurations = parents
        .chain(home)
        .flat_map(|folder| ["config.toml", "config"].map(|name| folder.join(name)));
    files.extend(configurations.filter(|path| path.is_file()));
    files.sort();
    files.dedup();
    Some(files)
}

/// Appends `path`, or all files under it if it is a folder, to `files`.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Option<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Some(());
    }
    for entry in fs::read_dir(path).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy();
        if !(path.is_dir() && name.starts_with("target")) {
            collect(&path, files)?;
        }
    }
    Some(())
}

/// Deletes the oldest programs beyond [`CAPACITY`].
fn delete_oldest(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut programs: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    programs.sort();
    let excess = programs.len().saturating_sub(CAPACITY);
    for (_, path) in &programs[..excess] {
        // Another process may have deleted it already.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_a_program_changes_its_key() {
        let root = tempfile::tempdir().unwrap();
        let firmware = root.path().join("firmware");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for path in [
            "firmware/src/lib.rs",
            "format/src/lib.rs",
            "runtime/src/lib.rs",
            "Cargo.toml",
        ] {
            write(path, "1");
        }
        let entry = |parts: &[&[u8]]| {
            let entry = Entry::new(&root.path().join("cache"), &firmware, parts);
            entry.unwrap()
        };
        let before = entry(&[b"model", b"samples"]);
        assert_eq!(before.get(), None);
        before.put(b"program");
        assert_eq!(entry(&[b"model", b"samples"]).get().unwrap(), b"program");
        assert_eq!(entry(&[b"models", b"amples"]).get(), None);

        // Build outputs are not sources.
        write("firmware/target-rustup/release/measure", "2");
        assert!(entry(&[b"model", b"samples"]).get().is_some());
        for path in [
            "firmware/src/lib.rs",
            "firmware/boards/new/board.toml",
            "format/src/lib.rs",
            "runtime/src/deep/file.rs",
            "Cargo.toml",
            ".cargo/config.toml",
        ] {
            let before = entry(&[]);
            before.put(b"program");
            write(path, "2");
            assert_eq!(entry(&[]).get(), None, "{path}");
        }
        fs::remove_dir_all(root.path().join("runtime")).unwrap();
        fs::remove_file(root.path().join("Cargo.toml")).unwrap();
        assert!(Entry::new(&root.path().join("cache"), &firmware, &[]).is_none());
    }

    #[test]
    fn only_the_newest_programs_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |index: usize| Entry {
            folder: folder.path().to_path_buf(),
            key: index.to_string(),
        };
        for index in 0..CAPACITY + 3 {
            entry(index).put(b"program");
            let file = fs::File::open(folder.path().join(index.to_string())).unwrap();
            let age = std::time::Duration::from_secs(1_000 - index as u64);
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        entry(CAPACITY + 3).put(b"program");
        assert!((0..4).all(|index| entry(index).get().is_none()));
        assert!((4..CAPACITY + 4).all(|index| entry(index).get().is_some()));
    }
}
