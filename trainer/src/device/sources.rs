//! The firmware's sources inside the program `rarefy`, for users without a checkout.
//!
//! The program hands them over when it starts ([`embed_sources`]). They are unpacked into the
//! user's cache when they are first needed, into a folder whose name is a hash of all of them, so
//! that another version of the program uses another folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::atomic::{self, FileError};
use crate::digest::hexadecimal;

/// A file of the firmware's sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Folder, relative to the root of a checkout, with `/` between names; empty for the root.
    pub folder: &'static str,
    /// Path inside `folder`.
    pub path: &'static str,
    /// Contents.
    pub bytes: &'static [u8],
}

/// The sources, once the program has handed them over.
static EMBEDDED: OnceLock<Vec<SourceFile>> = OnceLock::new();

/// Hands over the sources that are used where there is no checkout. Only the first call counts.
pub fn embed_sources(files: Vec<SourceFile>) {
    // A program has one set of sources, so a second call would bring the same ones.
    let _ = EMBEDDED.set(files);
}

/// Returns the embedded sources; empty if the program has none.
pub(super) fn embedded() -> &'static [SourceFile] {
    EMBEDDED.get().map_or(&[], Vec::as_slice)
}

/// Unpacks `files` into a folder below `cache`, unless that was done before, and returns the
/// folder, which is laid out as a checkout is. It appears whole or not at all.
///
/// # Errors
/// Returns an error if the folder cannot be written.
pub(super) fn unpack(files: &[SourceFile], cache: &Path) -> Result<PathBuf, FileError> {
    let parent = cache.join("sources");
    let folder = parent.join(key(files));
    if folder.is_dir() {
        return Ok(folder);
    }
    atomic::create_folder(&parent)?;
    let failed = |e| FileError::new("create a folder in", &parent, e);
    let unfinished = tempfile::Builder::new()
        .prefix(".")
        .tempdir_in(&parent)
        .map_err(failed)?;
    for file in files {
        let path = unfinished.path().join(file.folder).join(file.path);
        if let Some(folder) = path.parent() {
            atomic::create_folder(folder)?;
        }
        fs::write(&path, file.bytes).map_err(|e| FileError::new("write", &path, e))?;
    }
    match fs::rename(unfinished.path(), &folder) {
        // Another process may have unpacked the same files first.
        Err(error) if !folder.is_dir() => Err(FileError::new("create the folder", &folder, error)),
        _ => Ok(folder),
    }
}

/// Returns the name of the folder for `files`: the beginning of a hash of their paths and contents.
fn key(files: &[SourceFile]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [file.folder.as_bytes(), file.path.as_bytes(), file.bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hexadecimal(&hash.finalize())[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &'static str, bytes: &'static [u8]) -> SourceFile {
        SourceFile {
            folder: "firmware/src",
            path,
            bytes,
        }
    }

    #[test]
    fn files_are_unpacked_once_and_other_files_elsewhere() {
        let cache = tempfile::tempdir().unwrap();
        let files = [file("lib.rs", b"one"), file("bin/a.rs", b"two")];
        let folder = unpack(&files, cache.path()).unwrap();
        let nested = folder.join("firmware/src/bin/a.rs");
        assert_eq!(fs::read(&nested).unwrap(), b"two");
        // What is there already is not written again.
        fs::write(&nested, "changed").unwrap();
        assert_eq!(unpack(&files, cache.path()).unwrap(), folder);
        assert_eq!(fs::read(&nested).unwrap(), b"changed");

        let others = [file("lib.rs", b"three"), files[1]];
        let other = unpack(&others, cache.path()).unwrap();
        assert_ne!(other, folder);
        let names = fs::read_dir(cache.path().join("sources")).unwrap().count();
        assert_eq!(names, 2, "no unfinished folder is left");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("file");
        fs::write(&cache, "").unwrap();
        let error = unpack(&[file("lib.rs", b"")], &cache).unwrap_err();
        assert!(error.to_string().contains("file/sources"), "{error}");
    }
}
