//! Programs that were linked before: what would be built again from the same inputs is read instead.
//!
//! A program's name is a hash of all that it is made of: the sources of firmware, runtime and format, cargo's
//! settings, the compiler, and what the plan adds. Where one of these cannot be read, nothing is kept.
//! The registry's crates are pinned by the lock file. The newest programs stay, older ones are deleted.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::artifact;
use crate::digest::hexadecimal;

/// Programs kept: more than the boards times the networks that one command measures.
const KEPT: usize = 24;

/// The files beside `firmware` that it is built from: folders whole, and manifests it inherits from.
const BESIDE: [&str; 3] = ["format", "runtime", "Cargo.toml"];

/// Where one program is kept.
pub(super) struct Place {
    folder: PathBuf,
    name: String,
}

impl Place {
    /// The place in `folder` of what is built from the workspace `firmware` and `parts`. `None` when a source
    /// cannot be read.
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
        let name = hexadecimal(&hash.finalize());
        let folder = folder.to_path_buf();
        Some(Self { folder, name })
    }

    /// The program, if it is there.
    pub(super) fn find(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.join(&self.name)).ok()
    }

    /// Keeps `program`. One that cannot be kept is built again.
    pub(super) fn keep(&self, program: &[u8]) {
        let kept = artifact::create_folder(&self.folder)
            .and_then(|()| artifact::write(&self.folder.join(&self.name), program));
        if kept.is_ok() {
            delete_oldest(&self.folder);
        }
    }
}

/// The files that programs are built from, in a fixed order. Tests and what was built before are none.
fn sources(firmware: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(firmware, &mut files)?;
    for name in BESIDE {
        collect(&firmware.parent()?.join(name), &mut files)?;
    }
    // Settings of cargo from any folder around; there need not be any.
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let around = firmware
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(".cargo"));
    let settings = around
        .chain(home)
        .flat_map(|folder| ["config.toml", "config"].map(|name| folder.join(name)));
    files.extend(settings.filter(|path| path.is_file()));
    files.sort();
    files.dedup();
    Some(files)
}

/// Adds `path`, or the files in the folder `path`, to `files`.
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

/// Deletes what exceeds [`KEPT`], the oldest first.
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
    let excess = programs.len().saturating_sub(KEPT);
    for (_, path) in &programs[..excess] {
        // Somebody else may have deleted it.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_program_is_made_of_changes_its_place() {
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
        let place = |parts: &[&[u8]]| {
            let place = Place::new(&root.path().join("kept"), &firmware, parts);
            place.unwrap()
        };
        let before = place(&[b"model", b"samples"]);
        assert_eq!(before.find(), None);
        before.keep(b"program");
        assert_eq!(place(&[b"model", b"samples"]).find().unwrap(), b"program");
        assert_eq!(place(&[b"models", b"amples"]).find(), None);

        // What was built is no source.
        write("firmware/target-rustup/release/measure", "2");
        assert!(place(&[b"model", b"samples"]).find().is_some());
        for path in [
            "firmware/src/lib.rs",
            "firmware/boards/new/board.toml",
            "format/src/lib.rs",
            "runtime/src/deep/file.rs",
            "Cargo.toml",
            ".cargo/config.toml",
        ] {
            let before = place(&[]);
            before.keep(b"program");
            write(path, "2");
            assert_eq!(place(&[]).find(), None, "{path}");
        }
        fs::remove_dir_all(root.path().join("runtime")).unwrap();
        fs::remove_file(root.path().join("Cargo.toml")).unwrap();
        assert!(Place::new(&root.path().join("kept"), &firmware, &[]).is_none());
    }

    #[test]
    fn only_the_newest_programs_stay() {
        let folder = tempfile::tempdir().unwrap();
        let place = |index: usize| Place {
            folder: folder.path().to_path_buf(),
            name: index.to_string(),
        };
        for index in 0..KEPT + 3 {
            place(index).keep(b"program");
            let file = fs::File::open(folder.path().join(index.to_string())).unwrap();
            let age = std::time::Duration::from_secs(1_000 - index as u64);
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        place(KEPT + 3).keep(b"program");
        assert!((0..4).all(|index| place(index).find().is_none()));
        assert!((4..KEPT + 4).all(|index| place(index).find().is_some()));
    }
}
