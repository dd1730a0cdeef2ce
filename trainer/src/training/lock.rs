//! One process at a time in a run folder.
//!
//! The lock is the system's, on the file `run.lock` in the folder, so it dies with its process; the
//! file itself means nothing and is removed with the lock. Training takes the lock for itself;
//! reading a finished run shares it. Where the system has no locks, nothing is kept out.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::atomic::FileError;

/// The name of the file that is locked.
pub const LOCK: &str = "run.lock";

/// How often a shared lock is tried, and the pause between: another reader that ends has the file
/// for itself while it removes it.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(5);

/// A lock on a run folder, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// None where it cannot be created or locked.
    file: Option<File>,
}

impl Lock {
    /// Locks `folder` for this process alone; none when another process uses the folder.
    ///
    /// # Errors
    /// When the file to be locked cannot be created.
    pub fn alone(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join(LOCK);
        acquire(&path, File::try_lock).map_err(|e| FileError::new("write", &path, e))
    }

    /// Keeps others from training in `folder`; none when another process trains there.
    ///
    /// # Errors
    /// When the file to be locked cannot be created, unless nobody may write there.
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

/// Whether an error says that one may not write.
fn is_read_only(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Locks the file `path`, created if need be, by `lock`; none when another process has it.
fn acquire(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> std::io::Result<Option<Lock>> {
    loop {
        let mut options = File::options();
        let file = match options.read(true).write(true).create(true).open(path) {
            // A file that is there can be locked without writing to it.
            Err(e) if is_read_only(e.kind()) => File::open(path).map_err(|_| e)?,
            opened => opened?,
        };
        let file = match lock(&file) {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => None,
            // Whoever had it may have removed it since it was opened here.
            Ok(()) if !is_at(&file, path) => continue,
            Ok(()) => Some(file),
        };
        let path = path.to_owned();
        return Ok(Some(Lock { path, file }));
    }
}

/// Whether `path` is still the name of `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Whether `path` is still the name of `file`: elsewhere it is never removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Lock {
    /// Removes the file, if nobody else has it: whoever opened it before it was removed notices.
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
    fn one_trains_or_many_read_and_leftovers_mean_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join(LOCK), "of a dead process").unwrap();
        let alone = Lock::alone(folder).unwrap().expect("nobody has it");
        assert!(Lock::alone(folder).unwrap().is_none());
        assert!(Lock::shared(folder).unwrap().is_none());
        drop(alone);
        assert!(!folder.join(LOCK).exists());
        let first = Lock::shared(folder).unwrap().expect("nobody has it");
        let second = Lock::shared(folder).unwrap().expect("it can be shared");
        drop(first);
        assert!(Lock::alone(folder).unwrap().is_none(), "one still reads");
        drop(second);
        assert!(Lock::alone(folder).unwrap().is_some());
        assert!(!folder.join(LOCK).exists());
    }
}
