//! Brings a published dataset onto this machine.
//!
//! Each of the four files is downloaded as `NAME.gz.part`, continued if it is there already,
//! checked by the length and SHA-256 of what it holds uncompressed, and renamed only then: under
//! a final name there is never anything but the right file. Mirrors are tried in turn; one whose
//! connection breaks or that is too slow is tried again, after the others, while it makes progress.
//! One fetch at a time works in a folder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::catalogue::{Published, PublishedFile};
use super::content;
use super::download::{self, DownloadError, Downloaded, Pace};
use super::folder::PARTS;
use crate::artifact::{self, FileError};

/// How often the mirrors whose connection broke midway are gone through.
const ROUNDS: usize = 4;

/// A dataset that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The disk refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// Someone else is at it.
    #[error("another rarefy is fetching into {folder}: wait for it, or give another folder")]
    Busy {
        /// The folder.
        folder: String,
    },
    /// A wrong file under a name that would be read in place of the fetched one.
    #[error(
        "{path} is in the way: it is not the file of {name}; remove it, or give another folder"
    )]
    InTheWay {
        /// The file.
        path: String,
        /// The dataset's name.
        name: &'static str,
    },
    /// The user wished to stop.
    #[error(
        "stopped while fetching {name}: what has arrived stays in {folder}, run it again to go on"
    )]
    Stopped {
        /// The dataset's name.
        name: &'static str,
        /// The folder with the part.
        folder: String,
    },
    /// No mirror has it.
    #[error(
        "cannot fetch {file} of {name}: {attempts}; check the network, give another address with \
         --mirror, or put the file into {folder} yourself"
    )]
    Failed {
        /// The file.
        file: String,
        /// The dataset's name.
        name: &'static str,
        /// What each mirror said.
        attempts: String,
        /// Where it should have gone.
        folder: String,
    },
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file being fetched.
    pub file: &'a str,
    /// Its position among the files, from 0.
    pub index: usize,
    /// How many files there are.
    pub files: usize,
    /// The mirror it comes from.
    pub mirror: &'a str,
    /// Bytes of it that are here.
    pub received: u64,
    /// Bytes it has in all, once the mirror has said so.
    pub total: Option<u64>,
}

/// A fetched dataset, as `rarefy data fetch` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The dataset's name.
    pub name: &'static str,
    /// The folder it is in.
    pub folder: PathBuf,
    /// Its four files.
    pub files: Vec<FetchedFile>,
}

/// One file of a [`Fetched`] dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it came there.
    #[serde(flatten)]
    pub origin: Origin,
}

/// How a file came to be where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// It was there, and right.
    AlreadyThere,
    /// It was downloaded.
    Downloaded {
        /// The mirror that gave it (the last one, when several did).
        mirror: String,
        /// Its length in bytes, compressed.
        bytes: u64,
        /// How many of them had arrived in an earlier attempt.
        resumed_from: u64,
    },
}

/// Fetches `set` into `folder`, which is created; `mirrors` are tried before the known ones.
///
/// # Errors
/// When no mirror gives a file, the disk refuses, another fetch is at work there, or `stop` is set.
pub fn fetch(
    set: &Published,
    folder: &Path,
    mirrors: &[String],
    progress: &mut dyn FnMut(&Progress<'_>),
    stop: &AtomicBool,
) -> Result<Fetched, FetchError> {
    artifact::create_folder(folder)?;
    let _lock = lock(folder)?;
    let mirrors: Vec<&str> = mirrors
        .iter()
        .map(String::as_str)
        .chain(set.mirrors.iter().copied())
        .map(|mirror| mirror.trim_end_matches('/'))
        .collect();
    let mut files = Vec::new();
    for (index, (part, expected)) in PARTS.iter().zip(&set.files).enumerate() {
        if let Some(path) = part.find(folder) {
            if check(&path, expected).is_ok() {
                files.push(FetchedFile {
                    path,
                    origin: Origin::AlreadyThere,
                });
                continue;
            }
            if path != folder.join(part.name() + ".gz") {
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
            name: part.name() + ".gz",
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

/// Keeps others from fetching into `folder` for as long as the result lives.
fn lock(folder: &Path) -> Result<Option<File>, FetchError> {
    // Where a folder cannot be opened or locked (not every system can), fetching goes on
    // without: the check before renaming still holds.
    let Ok(handle) = File::open(folder) else {
        return Ok(None);
    };
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy {
            folder: folder.display().to_string(),
        }),
        _ => Ok(Some(handle)),
    }
}

/// Whether `path` holds what is expected; if not, what it holds, in words.
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

/// One file being fetched.
struct Fetch<'a> {
    set: &'a Published,
    folder: &'a Path,
    index: usize,
    name: String,
    expected: &'a PublishedFile,
    stop: &'a AtomicBool,
}

impl Fetch<'_> {
    fn try_mirrors(
        &self,
        mirrors: &[&str],
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<FetchedFile, FetchError> {
        let mut attempts: Vec<(&str, String)> = Vec::new();
        let mut willing = mirrors.to_vec();
        for _ in 0..ROUNDS {
            let mut broken = Vec::new();
            for mirror in willing {
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
                    broken.push(mirror);
                }
                attempts.retain(|(earlier, _)| *earlier != mirror);
                attempts.push((mirror, error.to_string()));
            }
            willing = broken;
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

    fn try_mirror(
        &self,
        mirror: &str,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<FetchedFile, DownloadError> {
        let part = self.folder.join(format!("{}.part", self.name));
        let mut downloaded = self.download(mirror, &part, progress)?;
        let mut checked = check(&part, self.expected);
        if checked.is_err() && downloaded.resumed_from > 0 {
            // The beginning may be another mirror's, compressed differently: once more, whole.
            remove(&part)?;
            downloaded = self.download(mirror, &part, progress)?;
            checked = check(&part, self.expected);
        }
        if let Err(reason) = checked {
            remove(&part)?;
            let reason = format!("it gave another file ({reason})");
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

    fn download(
        &self,
        mirror: &str,
        part: &Path,
        progress: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Downloaded, DownloadError> {
        // Gzip makes nothing much longer than it was.
        let most = self.expected.bytes + self.expected.bytes / 100 + 1024;
        let url = format!("{mirror}/{}", self.name);
        let mut report = |received, total| {
            progress(&Progress {
                file: &self.name,
                index: self.index,
                files: PARTS.len(),
                mirror,
                received,
                total,
            });
        };
        download::download(&url, part, most, Pace::default(), &mut report, self.stop)
    }
}

/// Removes `path`, which may be gone already.
fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, e)),
        _ => Ok(()),
    }
}
