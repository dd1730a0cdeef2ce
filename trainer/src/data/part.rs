//! The part of a file being downloaded: an ordinary file that no other name shares.
//!
//! A part lies in a folder that others may write to. A symbolic link under its name is never
//! followed and a file with a second name (a hard link) is never written to: both are replaced, so
//! that nothing outside the folder changes.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Returns the bytes of `part` that a download can continue from: 0 where there is none, or where
/// it is anything but an ordinary file with one name.
pub(super) fn length(part: &Path) -> u64 {
    match fs::symlink_metadata(part) {
        Ok(metadata) if is_own(&metadata) => metadata.len(),
        _ => 0,
    }
}

/// Creates `part` empty, in place of whatever has its name.
///
/// # Errors
/// When the system refuses, for instance because a folder has the name.
pub(super) fn create(part: &Path) -> io::Result<File> {
    match fs::remove_file(part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // Fails rather than follows a link that appears meanwhile.
    OpenOptions::new().write(true).create_new(true).open(part)
}

/// Opens `part` to be continued after its first `from` bytes, its length when it was looked at.
///
/// # Errors
/// When the system refuses, or the part was replaced or changed meanwhile.
pub(super) fn resume(part: &Path, from: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).open(part)?;
    let (named, opened) = (fs::symlink_metadata(part)?, file.metadata()?);
    if is_own(&named) && same_file(&named, &opened) && opened.len() == from {
        return Ok(file);
    }
    Err(io::Error::other("it was replaced by another program"))
}

/// Whether this is an ordinary file that has no other name.
fn is_own(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    let names = std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    let names = 1;
    metadata.is_file() && names == 1
}

/// Whether both describe the same file, as far as the system can tell.
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.len() == b.len()
    }
}
