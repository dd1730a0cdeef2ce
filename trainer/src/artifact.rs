//! Files that appear whole or not at all.
//!
//! Everything Rarefy writes goes to a temporary name in the same folder first and is renamed
//! when complete, so an interrupted run or a full disk leaves nothing half-written under the
//! final name. The temporary file of `NAME` is called `.NAME.XXXXXX.rarefy-tmp` and locked while it
//! is written: one that nobody holds is what a killed process left, and the next write of `NAME`
//! removes it. Errors name the path and the system's reason.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
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

/// Reads the whole of the ordinary file `path`.
///
/// # Errors
/// When it is a device, a pipe or a folder, or the system refuses.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_at_most(path, u64::MAX, "a file")
}

/// Reads the whole of the ordinary file `path`, which as `kind` ("a container") has at most `most`
/// bytes. A longer one is not read.
///
/// # Errors
/// When it is longer, a device, a pipe or a folder, or the system refuses.
pub fn read_at_most(path: &Path, most: u64, kind: &str) -> Result<Vec<u8>, FileError> {
    let read = || -> io::Result<Vec<u8>> {
        let too_long = |bytes: u64| {
            let reason = format!("it has {bytes} bytes, but {kind} has at most {most}");
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        };
        let length = ordinary_length(path)?;
        if length > most {
            return Err(too_long(length));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        // It may grow while it is read.
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

/// Returns the length in bytes of the ordinary file `path`.
///
/// # Errors
/// When it is a folder, a device or a pipe, which may have no end, or the system refuses.
pub(crate) fn ordinary_length(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        let reason = "it is not an ordinary file; copy what it holds into one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(metadata.len())
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
    let prefix = prefix(path.file_name().unwrap_or_default());
    remove_leftovers(&folder, &prefix);
    let whole = || -> io::Result<()> {
        // Renaming would put a file in the place of a device or a pipe, `/dev/null` say.
        if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "it is not an ordinary file"));
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

/// How the names of temporary files end.
const ENDING: &str = ".rarefy-tmp";

/// Random letters in such a name.
const RANDOM: usize = 6;

/// The longest part of a final name, in bytes, that its temporary name repeats: systems allow 255.
const LONGEST: usize = 150;

/// How the names of the temporary files of the final name `name` begin.
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

/// Creates a locked file of a temporary name in `folder`, with the permissions of an ordinary one:
/// those that the library would give it are for its owner alone.
fn temporary(folder: &Path, prefix: &OsStr) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(ENDING).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system takes the user's umask from it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    loop {
        let file = builder.tempfile_in(folder).map_err(|error| {
            // The library adds the temporary name, which nobody has asked for.
            let reason = error.to_string();
            let reason = reason.split(" at path ").next().unwrap_or_default();
            io::Error::new(error.kind(), reason)
        })?;
        // Where the system has no locks, nobody removes leftovers either.
        let locked = file.as_file().lock().is_ok();
        // Another process may have taken it for a leftover before it was locked.
        if !locked || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Whether `name` is that of a temporary file of this module, whatever its final name, or of one
/// as earlier versions called theirs: `.tmpXXXXXX`.
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

/// Removes the temporary files in `folder` whose names begin with `prefix` and that no living
/// process holds. One that cannot be removed stays: it does no harm.
fn remove_leftovers(folder: &Path, prefix: &OsStr) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let ours = is_temporary(&name)
            && (name.as_encoded_bytes()).starts_with(prefix.as_encoded_bytes())
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(file) = ours.then(|| File::open(&path).ok()).flatten() else {
            continue;
        };
        // Held until it is gone, so that its writer notices; see `temporary`.
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Brings what was created, renamed and removed in `folder` to the disk, so that no later change
/// survives a loss of power without the earlier ones. Not every system can; it is no reason to
/// fail, for the files themselves are whole.
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
    fn leftovers_of_the_dead_are_removed_and_nothing_else() {
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
    fn names_as_long_as_they_get_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ü".repeat(127));
        write(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
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
