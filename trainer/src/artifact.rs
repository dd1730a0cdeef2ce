//! Files that appear whole or not at all.
//!
//! Everything Rarefy writes goes to a temporary name in the same folder first and is renamed
//! when complete, so an interrupted run or a full disk leaves nothing half-written under the
//! final name. Refuses, with the path and the system's reason, whatever cannot be written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{}", advice(.source))]
pub struct FileError {
    /// What was being done: "write", "read", "create the folder".
    pub action: &'static str,
    /// The path at fault.
    pub path: String,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    /// An error about `path` while doing `action`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

/// What to do about the commonest reasons.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space or write to another disk"
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
/// When the system refuses.
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder).map_err(|e| FileError::new("create the folder", folder, e))
}

/// Reads the whole of `path`.
///
/// # Errors
/// When the system refuses.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|e| FileError::new("read", path, e))
}

/// Writes `bytes` to `path`, all or nothing; parent folders are created.
///
/// # Errors
/// When the system refuses; `path` is then as it was before.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |file| file.write_all(bytes))
}

/// Lets `fill` write the contents of `path`, all or nothing; parent folders are created.
///
/// # Errors
/// When the system or `fill` refuses; `path` is then as it was before.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    create_folder(&folder)?;
    let whole = || -> io::Result<()> {
        // Renaming would put a file in the place of a device or a pipe, `/dev/null` say.
        if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "it is not an ordinary file"));
        }
        let mut file = temporary(&folder)?;
        {
            let mut buffered = io::BufWriter::new(file.as_file_mut());
            fill(&mut buffered)?;
            buffered.flush()?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    whole().map_err(|e| FileError::new("write", path, e))
}

/// A file of a temporary name in `folder`, with the permissions of an ordinary one: those that
/// the library would give it are for its owner alone.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system takes the user's umask from it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder).map_err(|error| {
        // The library adds the temporary name, which nobody has asked for.
        let reason = error.to_string();
        let reason = reason.split(" at path ").next().unwrap_or_default();
        io::Error::new(error.kind(), reason)
    })
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_told_with_the_name_asked_for() {
        let error = write(Path::new("/proc/new"), b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /proc/new: "), "{error}");
        assert!(!error.contains(".tmp"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = write(&path, b"new").unwrap_err();
        assert!(
            error.to_string().contains("not an ordinary file"),
            "{error}"
        );
        assert!(!fs::metadata(&path).unwrap().is_file());
    }
}
