//! Writes files atomically: each appears whole or not at all.
//!
//! All output is written to a temporary file in the same folder and renamed when complete, so an
//! interrupted run or a full disk leaves nothing half-written under the final name. The temporary
//! file of `NAME` is called `.NAME.XXXXXX.rarefy-tmp` and is locked while it is written. A
//! temporary file that no process has locked was left by a killed process; the next write of
//! `NAME` removes it. Errors name the path and the system's reason.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why a file or folder could not be read, written or created.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{}", advice(.action, .source))]
pub struct FileError {
    /// What was attempted, such as "write", "read" or "create the folder".
    pub action: &'static str,
    /// The path at fault.
    pub path: String,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    /// Returns the error for a failed `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

/// Returns what to do about the most common reasons, or an empty string for the others.
fn advice(action: &str, source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound if action == "read" => "; check its path",
        io::ErrorKind::IsADirectory if action == "read" => "; give a file",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space or write to another disk"
        }
        io::ErrorKind::PermissionDenied if ["read", "list", "start"].contains(&action) => {
            "; check its permissions"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a place you may write to"
        }
        _ => "",
    }
}

/// Creates `folder` and its parents.
///
/// # Errors
/// Returns an error if the system cannot create it.
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(|e| FileError::new("create the folder", folder, e))
}

/// Reads the regular file `path`.
///
/// # Errors
/// Returns an error if `path` is a device, a pipe or a folder, or if it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_at_most(path, u64::MAX, "a file")
}

/// Reads the regular file `path`, unless it has more than `most` bytes; `kind` ("a container")
/// names the kind of file that has this limit.
///
/// # Errors
/// Returns an error if the file is longer, is a device, a pipe or a folder, or cannot be read.
pub fn read_at_most(path: &Path, most: u64, kind: &str) -> Result<Vec<u8>, FileError> {
    let read = || -> io::Result<Vec<u8>> {
        let too_long = |bytes: u64| {
            let reason = format!("it has {bytes} bytes, but {kind} has at most {most}");
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        };
        let length = regular_length(path)?;
        if length > most {
            return Err(too_long(length));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        // The file may grow while it is read.
        let bound = most.saturating_add(1);
        File::open(path)?.take(bound).read_to_end(&mut bytes)?;
        let found = bytes.len() as u64;
        if found > most {
            return Err(too_long(found));
        }
        Ok(bytes)
    };
    read().map_err(|e| FileError::new("read", path, e))
}

/// Returns the length in bytes of the regular file at `path`.
///
/// # Errors
/// Returns an error if `path` is a folder, if it is a device or a pipe (which may have no end), or
/// if the system cannot tell its length.
pub(crate) fn regular_length(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        let reason = "it is not a regular file; copy its contents into one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(metadata.len())
}

/// Writes `bytes` to `path` atomically; missing parent folders are created.
///
/// # Errors
/// Returns an error if writing fails; `path` is then unchanged.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes the output of `fill` to `path` atomically; missing parent folders are created.
///
/// # Errors
/// Returns an error if writing or `fill` fails; `path` is then unchanged.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    create_folder(&folder)?;
    let prefix = prefix(path.file_name().unwrap_or_default());
    remove_leftovers(&folder, &prefix);
    let whole = || -> io::Result<()> {
        // Renaming would replace a device or a pipe, such as `/dev/null`, with a file.
        if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "it is not a regular file"));
        }
        let mut file = temporary(&folder, &prefix)?;
        {
            let mut buffered = io::BufWriter::new(file.as_file_mut());
            fill(&mut buffered)?;
            buffered.flush()?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        sync_folder(&folder);
        Ok(())
    };
    whole().map_err(|e| FileError::new("write", path, e))
}

/// The suffix of temporary names.
const ENDING: &str = ".rarefy-tmp";

/// The number of random characters in a temporary name.
const RANDOM: usize = 6;

/// The maximum number of bytes of a final name that its temporary name repeats; file systems allow
/// 255 bytes per name.
const LONGEST: usize = 150;

/// Returns the prefix of temporary names for the file `name`.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    if name.len() <= LONGEST {
        prefix.push(name);
    } else {
        let name = name.to_string_lossy();
        prefix.push(&name[..name.floor_char_boundary(LONGEST)]);
    }
    prefix.push(".");
    prefix
}

/// Creates and locks a temporary file in `folder`. It has the permissions of a regular file;
/// `tempfile` would by default make it accessible only to its owner.
fn temporary(folder: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(ENDING).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system applies the user's umask.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    loop {
        let file = builder.tempfile_in(folder).map_err(|error| {
            // The library's message contains the temporary name, which means nothing to the user.
            let reason = error.to_string();
            let reason = reason.split(" at path ").next().unwrap_or_default();
            io::Error::new(error.kind(), reason)
        })?;
        // If the system has no locks, no process removes leftovers, so the file needs none.
        let locked = file.as_file().lock().is_ok();
        // Another process may have removed the file as a leftover before it was locked.
        if !locked || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Checks whether `name` is that of a temporary file of this module, in its present form or in
/// that of an earlier version, `.tmpXXXXXX`.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let earlier = name.strip_prefix(b".tmp");
    name.starts_with(b".") && name.ends_with(ENDING.as_bytes())
        || earlier.is_some_and(|random| {
            random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
        })
}

/// Removes the temporary files in `folder` that killed processes left.
pub fn remove_all_leftovers(folder: &Path) {
    remove_leftovers(folder, OsStr::new("."));
}

/// Removes the temporary files in `folder` whose names begin with `prefix` and that no process has
/// locked. Files that cannot be removed do no harm and are ignored.
fn remove_leftovers(folder: &Path, prefix: &OsStr) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let ours = is_temporary(&name)
            && (name.as_encoded_bytes()).starts_with(prefix.as_encoded_bytes())
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(file) = ours.then(|| File::open(&path).ok()).flatten() else {
            continue;
        };
        // Locked until it is removed: a process that waits for the lock then finds the file gone
        // and creates another; see `temporary`.
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Flushes the creations, renamings and removals in `folder` to the disk, so that no later change
/// survives a power failure without the earlier ones. Failures are ignored, since not every system
/// supports this and the files themselves are complete.
pub fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_contents_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().contains("b.txt"), "{error}");
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn files_left_by_killed_processes_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            ".m.rfy.a1B2c3.rarefy-tmp",
            ".other.a1B2c3.rarefy-tmp",
            ".m.rfy.tmp",
            "m.rfy.a1B2c3.rarefy-tmp",
        ] {
            fs::write(at(name), "half").unwrap();
        }
        let living = temporary(folder.path(), OsStr::new(".m.rfy.")).unwrap();
        write(&at("m.rfy"), b"whole").unwrap();
        assert!(living.path().exists(), "another process writes it");
        assert!(!at(".m.rfy.a1B2c3.rarefy-tmp").exists());
        assert!(at(".other.a1B2c3.rarefy-tmp").exists());
        remove_all_leftovers(folder.path());
        assert!(living.path().exists() && !at(".other.a1B2c3.rarefy-tmp").exists());
        assert!(at(".m.rfy.tmp").exists() && at("m.rfy.a1B2c3.rarefy-tmp").exists());
    }

    #[test]
    fn a_denied_permission_is_advised_on_by_what_was_attempted() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(advice("read", &denied), "; check its permissions");
        assert_eq!(
            advice("write", &denied),
            "; choose a place you may write to"
        );
    }

    #[test]
    fn the_longest_names_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ü".repeat(127));
        write(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_failed_write_names_the_final_path() {
        let error = write(Path::new("/proc/new"), b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc/new: "), "{error}");
        assert!(!error.contains(".tmp"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = write(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert!(!fs::metadata(&path).unwrap().is_file());
    }
}
