//! Locks a run folder: either one process trains in it, or any number of processes read it.
//!
//! The lock is an operating system lock on the file `run.lock` in the folder, so it ends with its
//! process. The content of the file is irrelevant; on Unix, the file is removed with the lock.
//! Training takes an exclusive lock; reading a run takes a shared one. On systems without file
//! locks, no process is locked out.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::atomic::FileError;

/// The name of the file that is locked.
pub const LOCK: &str = "run.lock";

/// The number of attempts to take a shared lock: a reader that removes the file locks it
/// exclusively for a moment.
const ATTEMPTS: usize = 10;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// A lock on a run folder, held while the value lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The locked file; `None` if it cannot be created or locked.
    file: Option<File>,
}

impl Lock {
    /// Takes an exclusive lock on `folder`; returns `None` if another process uses the folder.
    ///
    /// # Errors
    /// Returns an error if the lock file cannot be created or opened.
    pub fn alone(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join(LOCK);
        acquire(&path, File::try_lock).map_err(|e| FileError::new("write", &path, e))
    }

    /// Takes a shared lock on `folder`, so that no process trains in it; returns `None` if one
    /// does.
    ///
    /// # Errors
    /// Returns an error if the lock file cannot be created or opened, unless the folder is
    /// read-only.
    pub fn shared(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join(LOCK);
        for _ in 0..ATTEMPTS {
            match acquire(&path, File::try_lock_shared) {
                Ok(None) => thread::sleep(PAUSE),
                Err(e) if is_read_only(e.kind()) => return Ok(Some(Self { path, file: None })),
                found => return found.map_err(|e| FileError::new("write", &path, e)),
            }
        }
        Ok(None)
    }
}

/// Checks whether an error means that the folder or the file is read-only.
fn is_read_only(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Locks the file `path` with `lock`, after creating it if necessary; returns `None` if another
/// process has locked it.
fn acquire(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> std::io::Result<Option<Lock>> {
    loop {
        let mut options = File::options();
        let file = match options.read(true).write(true).create(true).open(path) {
            // An existing file can be locked without write access.
            Err(e) if is_read_only(e.kind()) => File::open(path).map_err(|_| e)?,
            opened => opened?,
        };
        let file = match lock(&file) {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => None,
            // The last owner may have removed the file since it was opened here.
            Ok(()) if !is_at(&file, path) => continue,
            Ok(()) => Some(file),
        };
        let path = path.to_owned();
        return Ok(Some(Lock { path, file }));
    }
}

/// Checks whether `path` still refers to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Returns true: on systems other than Unix, the file is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Lock {
    /// Removes the file (on Unix only), unless another process has locked it. A process that has
    /// already opened the file notices its removal when it takes the lock.
    pub fn remove(&self) {
        let Some(file) = &self.file else { return };
        if cfg!(unix) && file.try_lock().is_ok() && is_at(file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_trains_or_many_read_and_leftover_files_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join(LOCK), "of a dead process").unwrap();
        let alone = Lock::alone(folder).unwrap().expect("it is free");
        assert!(Lock::alone(folder).unwrap().is_none());
        assert!(Lock::shared(folder).unwrap().is_none());
        drop(alone);
        assert!(!folder.join(LOCK).exists());
        let first = Lock::shared(folder).unwrap().expect("it is free");
        let second = Lock::shared(folder).unwrap().expect("it can be shared");
        drop(first);
        assert!(Lock::alone(folder).unwrap().is_none(), "one reader is left");
        drop(second);
        assert!(Lock::alone(folder).unwrap().is_some());
        assert!(!folder.join(LOCK).exists());
    }
}
