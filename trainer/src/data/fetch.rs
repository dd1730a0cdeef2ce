//! Downloads a published dataset to this machine.
//!
//! Each of the four files is downloaded as `NAME.gz.part`, resuming where an earlier attempt
//! stopped, verified by the length and SHA-256 of its uncompressed contents, and only then
//! renamed: a final name never holds anything but the right file. Mirrors are tried in turn. A
//! mirror whose connection breaks, or that is too slow, is tried again after the others as long as
//! it makes progress. Only one fetch at a time works in a folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::content;
use super::folder::ROLES;
use super::http::{self, DownloadError, Downloaded, MinimumRate};
use super::published::{Published, PublishedFile};
use crate::atomic::{self, FileError};
use crate::remedy::Remedy;

/// Maximum number of attempts per mirror; a mirror that sends nothing is not tried again.
const ROUNDS: usize = 4;

/// Why a dataset could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file or folder could not be created or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process fetches into the same folder.
    #[error("another rarefy is fetching into {folder}: {}", Remedy::Wait)]
    Busy {
        /// The folder.
        folder: String,
    },
    /// A file of another set has a name that takes precedence over the fetched one.
    #[error(
        "{path} is in the way: it does not belong to {name}; {}",
        Remedy::RemoveOrElsewhere
    )]
    InTheWay {
        /// The file.
        path: String,
        /// The dataset's name.
        name: &'static str,
    },
    /// The user requested to stop.
    #[error(
        "stopped while fetching {name}: the bytes received are kept in {folder}; fetch again to resume"
    )]
    Stopped {
        /// The dataset's name.
        name: &'static str,
        /// The folder of the partial file.
        folder: String,
    },
    /// No mirror served the file.
    #[error(
        "cannot fetch {file} of {name}: {attempts}; put the file into {folder} yourself, {}",
        Remedy::OtherMirror
    )]
    Failed {
        /// The file.
        file: String,
        /// The dataset's name.
        name: &'static str,
        /// The last error of each mirror.
        attempts: String,
        /// The folder that lacks the file.
        folder: String,
    },
}

impl FetchError {
    /// Returns the remedy that the message ends with, if it is one that a program may replace.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Busy { .. } => Some(Remedy::Wait),
            Self::InTheWay { .. } => Some(Remedy::RemoveOrElsewhere),
            Self::Failed { .. } => Some(Remedy::OtherMirror),
            Self::File(_) | Self::Stopped { .. } => None,
        }
    }
}

/// Progress of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file being fetched.
    pub file: &'a str,
    /// Index of the file, from 0.
    pub index: usize,
    /// Number of files.
    pub files: usize,
    /// The mirror that serves it.
    pub mirror: &'a str,
    /// Bytes received so far.
    pub received: u64,
    /// Length of the file in bytes, once the mirror has stated it.
    pub total: Option<u64>,
}

/// A fetched dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The dataset's name.
    pub name: &'static str,
    /// The folder that holds it.
    pub folder: PathBuf,
    /// The four files, in the order of [`ROLES`].
    pub files: Vec<FetchedFile>,
}

/// One file of a [`Fetched`] dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// Path of the file.
    pub path: PathBuf,
    /// How the file was obtained.
    #[serde(flatten)]
    pub origin: Origin,
}

/// How a file was obtained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// It was already present, with the right contents.
    AlreadyThere,
    /// It was downloaded.
    Downloaded {
        /// The mirror that served it (the last one, if several did).
        mirror: String,
        /// Compressed length in bytes.
        bytes: u64,
        /// Bytes that an earlier attempt had received.
        resumed_from: u64,
    },
}

/// Fetches `set` into `folder`, creating the folder if needed. `mirrors` are base URLs tried
/// before those of the set.
///
/// # Errors
/// Returns an error if no mirror serves a file, if writing fails, if another fetch works in
/// `folder`, or if `stop` is set.
pub fn fetch(
    set: &Published,
    folder: &Path,
    mirrors: &[String],
    progress: &mut dyn FnMut(&Progress<'_>),
    stop: &AtomicBool,
) -> Result<Fetched, FetchError> {
    atomic::create_folder(folder)?;
    let _lock = FolderLock::acquire(folder)?;
    let mirrors: Vec<&str> = mirrors
        .iter()
        .map(String::as_str)
        .chain(set.mirrors.iter().copied())
        .map(|mirror| mirror.trim_end_matches('/'))
        .collect();
    let mut files = Vec::new();
    for (index, (role, expected)) in ROLES.iter().zip(&set.files).enumerate() {
        if let Some(path) = role.find(folder) {
            if check(&path, expected).is_ok() {
                files.push(FetchedFile {
                    path,
                    origin: Origin::AlreadyThere,
                });
                continue;
            }
            if path != folder.join(role.name() + ".gz") {
                let path = path.display().to_string();
                return Err(FetchError::InTheWay {
                    path,
                    name: set.name,
                });
            }
        }
        let file = Fetch {
            set,
            folder,
            index,
            name: role.name() + ".gz",
            expected,
            stop,
        };
        files.push(file.try_mirrors(&mirrors, progress)?);
    }
    Ok(Fetched {
        name: set.name,
        folder: folder.to_owned(),
        files,
    })
}

/// An exclusive lock on a folder, held until it is dropped.
struct FolderLock {
    file: Option<File>,
    /// The locked file, unless the folder itself is locked.
    path: Option<PathBuf>,
}

impl FolderLock {
    /// Locks `folder` for this process.
    ///
    /// On Unix, the folder itself is locked. Elsewhere, a folder cannot be opened as a file, so a
    /// file in it is locked and removed again. If locking is not supported at all, fetching
    /// continues without a lock: files are still verified before they are renamed.
    fn acquire(folder: &Path) -> Result<Self, FetchError> {
        let path = (!cfg!(unix)).then(|| folder.join(".rarefy-fetch.lock"));
        let file = match &path {
            None => File::open(folder),
            // Truncating a file that another process has locked may fail.
            Some(path) => File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path),
        };
        let file = file.ok();
        if let Some(Err(TryLockError::WouldBlock)) = file.as_ref().map(File::try_lock) {
            return Err(FetchError::Busy {
                folder: folder.display().to_string(),
            });
        }
        Ok(Self { file, path })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Some systems cannot remove an open file.
        drop(self.file.take());
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Checks that `path` holds the expected file; the error describes what it holds instead.
fn check(path: &Path, expected: &PublishedFile) -> Result<(), String> {
    match content::sha256(path, expected.bytes) {
        Ok((bytes, sha256)) if bytes == expected.bytes && sha256 == expected.sha256 => Ok(()),
        Ok((bytes, _)) if bytes > expected.bytes => {
            Err(format!("more than the {} bytes expected", expected.bytes))
        }
        Ok((bytes, _)) if bytes < expected.bytes => Err(format!(
            "{bytes} bytes, not the {} expected",
            expected.bytes
        )),
        Ok((_, sha256)) => Err(format!("SHA-256 {sha256}, not {}", expected.sha256)),
        Err(error) => Err(format!("it does not decompress: {}", error.source)),
    }
}

/// The fetch of one file.
struct Fetch<'a> {
    set: &'a Published,
    folder: &'a Path,
    index: usize,
    name: String,
    expected: &'a PublishedFile,
    stop: &'a AtomicBool,
}

impl Fetch<'_> {
    /// Fetches the file from the first of `mirrors` that serves it.
    fn try_mirrors(
        &self,
        mirrors: &[&str],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<FetchedFile, FetchError> {
        let mut attempts: Vec<(&str, String)> = Vec::new();
        let mut candidates = mirrors.to_vec();
        for _ in 0..ROUNDS {
            let mut interrupted = Vec::new();
            for mirror in candidates {
                let error = match self.try_mirror(mirror, progress) {
                    Ok(fetched) => return Ok(fetched),
                    Err(DownloadError::File(error)) => return Err(error.into()),
                    Err(DownloadError::Stopped) => {
                        let folder = self.folder.display().to_string();
                        return Err(FetchError::Stopped {
                            name: self.set.name,
                            folder,
                        });
                    }
                    Err(error) => error,
                };
                if let DownloadError::Cut { received: 1.., .. }
                | DownloadError::Slow { received: 1.., .. } = error
                {
                    interrupted.push(mirror);
                }
                attempts.retain(|(earlier, _)| *earlier != mirror);
                attempts.push((mirror, error.to_string()));
            }
            candidates = interrupted;
        }
        let attempts: Vec<String> = attempts
            .iter()
            .map(|(mirror, reason)| format!("{mirror}: {reason}"))
            .collect();
        Err(FetchError::Failed {
            file: self.name.clone(),
            name: self.set.name,
            attempts: if attempts.is_empty() {
                "no mirror is known".to_owned()
            } else {
                attempts.join("; ")
            },
            folder: self.folder.display().to_string(),
        })
    }

    /// Downloads the file from `mirror`, verifies it and gives it its final name.
    fn try_mirror(
        &self,
        mirror: &str,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<FetchedFile, DownloadError> {
        let part = self.folder.join(format!("{}.part", self.name));
        let mut downloaded = self.download(mirror, &part, progress)?;
        let mut checked = check(&part, self.expected);
        if checked.is_err() && downloaded.resumed_from > 0 {
            // The first bytes may be another mirror's, compressed differently, so start over once.
            remove(&part)?;
            downloaded = self.download(mirror, &part, progress)?;
            checked = check(&part, self.expected);
        }
        if let Err(reason) = checked {
            remove(&part)?;
            let reason = format!("it served another file ({reason})");
            return Err(DownloadError::Refused(reason));
        }
        let path = self.folder.join(&self.name);
        fs::rename(&part, &path).map_err(|e| FileError::new("write", &path, e))?;
        let Downloaded {
            bytes,
            resumed_from,
        } = downloaded;
        let origin = Origin::Downloaded {
            mirror: mirror.to_owned(),
            bytes,
            resumed_from,
        };
        Ok(FetchedFile { path, origin })
    }

    /// Downloads the compressed file from `mirror` to `part`, reporting to `progress`.
    fn download(
        &self,
        mirror: &str,
        part: &Path,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Downloaded, DownloadError> {
        // Gzip adds little to data that it cannot compress.
        let limit = self.expected.bytes + self.expected.bytes / 100 + 1024;
        let url = format!("{mirror}/{}", self.name);
        let mut report = |received, total| {
            progress(&Progress {
                file: &self.name,
                index: self.index,
                files: ROLES.len(),
                mirror,
                received,
                total,
            });
        };
        http::download(
            &url,
            part,
            limit,
            MinimumRate::default(),
            &mut report,
            self.stop,
        )
    }
}

/// Removes `path` if it exists.
fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, e)),
        _ => Ok(()),
    }
}
