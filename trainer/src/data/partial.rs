//! The partial file of a download: a regular file with exactly one name.
//!
//! A partial file lies in a folder that others may write to. A symbolic link under its name is
//! never followed, and a file with a second name (a hard link) is never written to. Both are
//! replaced, so nothing outside the folder can change.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Returns the number of bytes in `part` that a download can resume from.
///
/// Returns 0 if there is no such file, or if it is not a regular file with one name.
pub(super) fn length(part: &Path) -> u64 {
    match fs::symlink_metadata(part) {
        Ok(metadata) if is_exclusive(&metadata) => metadata.len(),
        _ => 0,
    }
}

/// Creates `part` empty, replacing whatever has its name.
///
/// # Errors
/// Returns the system's error, for instance if a folder has the name.
pub(super) fn create(part: &Path) -> io::Result<File> {
    match fs::remove_file(part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // Fails instead of following a link that was created in between.
    OpenOptions::new().write(true).create_new(true).open(part)
}

/// Opens `part` for appending after its first `from` bytes, the length that [`length`] returned.
///
/// # Errors
/// Returns an error if the file cannot be opened, or if it was replaced or changed in between.
#[cfg(unix)]
pub(super) fn resume(part: &Path, from: u64) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;

    let file = OpenOptions::new().append(true).open(part)?;
    let (named, opened) = (fs::symlink_metadata(part)?, file.metadata()?);
    let is_same = (named.dev(), named.ino()) == (opened.dev(), opened.ino());
    if is_exclusive(&named) && is_same && opened.len() == from {
        return Ok(file);
    }
    Err(replaced())
}

/// Opens `part` for appending after its first `from` bytes, the length that [`length`] returned.
///
/// The standard library does not count the names of a file on this system, so the bytes are copied
/// to a new file: if the old file has another name, its contents stay unchanged there.
///
/// # Errors
/// Returns an error if the file cannot be read or created, or if its length changed in between.
#[cfg(not(unix))]
pub(super) fn resume(part: &Path, from: u64) -> io::Result<File> {
    use std::io::Write;

    let received = fs::read(part)?;
    if received.len() as u64 != from {
        return Err(replaced());
    }
    let mut file = create(part)?;
    file.write_all(&received)?;
    Ok(file)
}

/// Returns the error for a partial file that changed while it was in use.
fn replaced() -> io::Error {
    io::Error::other("it was replaced by another program")
}

/// Returns whether this is a regular file without a second name. Only Unix systems count the
/// names.
fn is_exclusive(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    let names = std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    let names = 1;
    metadata.is_file() && names == 1
}
