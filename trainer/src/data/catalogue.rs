//! Resolves dataset names and finds their files on this machine.
//!
//! `digits` is built into the program. A published set is searched for, in this order, in
//! `$RAREFY_DATA/NAME`, in `$RAREFY_DATA` itself if the files there belong to that set, in the
//! user's cache folder, and in the folder of its Debian package. The name always means the
//! published files: they are verified by SHA-256 on loading, and files that differ are rejected.
//! Any other set is loaded by its path: that of a [`folder`] of IDX files, of a folder with the
//! files of CIFAR ([`cifar`](super::cifar)), or of a file or folder of another format
//! ([`tables`](super::tables)).

use std::env;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cifar::{CifarError, Kind};
use super::dataset::Dataset;
use super::folder::{self, Files, FolderError, ROLES};
use super::reading::Reading;
use super::tables::{TableError, Tables};
use super::targets::TargetSource;
use super::{content, digits, idx};
use crate::{Remedy, names};

pub use super::published::{MNIST_NORMALISATION, PUBLISHED, Published, PublishedFile};

/// Why a dataset could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The files were found but are invalid.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The folder holds files of CIFAR, but they are invalid.
    #[error(transparent)]
    Cifar(#[from] CifarError),
    /// Files of another format are invalid.
    #[error(transparent)]
    Table(#[from] TableError),
    /// No dataset has this name.
    #[error("{}", names::unknown("dataset", .name, names(), "run `rarefy data list` to see all, or give the path of a folder or a file"))]
    Unknown {
        /// The name that was given.
        name: String,
    },
    /// The targets are to be columns, but the files have none.
    #[error(
        "{name} has classes, not columns such as {columns}: take its inputs as targets, or give a \
         table or arrays"
    )]
    Targets {
        /// The dataset.
        name: String,
        /// The columns.
        columns: String,
    },
    /// No published dataset has this name.
    #[error("{}", names::unknown("dataset", .name, PUBLISHED.iter().map(|set| set.name), "run `rarefy data list` to see all"))]
    Unpublished {
        /// The name that was given.
        name: String,
    },
    /// The set is built into the program, so there is nothing to fetch.
    #[error("{name} is built into the program: use it by its name; there is nothing to fetch")]
    Embedded {
        /// Name of the set.
        name: String,
    },
    /// The set is known but not on this machine.
    #[error("{name} is not on this machine (searched {searched}): {advice}")]
    NotFound {
        /// Name of the set.
        name: &'static str,
        /// The folders that were searched.
        searched: String,
        /// How to obtain the set.
        advice: String,
    },
    /// Only some of the set's files are present.
    #[error("{reason}; {advice}")]
    Incomplete {
        /// Which files are missing, and from which folder.
        reason: String,
        /// How to obtain the set.
        advice: String,
    },
    /// A file has the right name but the contents of another set.
    #[error(
        "{path} does not belong to {name} (SHA-256 {found}, not {expected}): remove it and run \
         `rarefy data fetch {name}`, or name its folder as the dataset if you mean those files"
    )]
    Foreign {
        /// The file at fault.
        path: String,
        /// Name of the set.
        name: &'static str,
        /// SHA-256 of its contents.
        found: String,
        /// SHA-256 of the published contents.
        expected: &'static str,
    },
}

impl CatalogueError {
    /// Returns what to do about the error, if its message ends with a remedy.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Table(error) => error.remedy(),
            _ => None,
        }
    }
}

/// The folders that are searched for datasets.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder named by `$RAREFY_DATA`, searched first.
    pub data: Option<PathBuf>,
    /// Rarefy's folder in the user's cache; fetched sets go there by default.
    pub cache: Option<PathBuf>,
    /// The folder into which Debian's packages install datasets.
    pub system: PathBuf,
}

impl Places {
    /// Returns the places that the environment names.
    ///
    /// The data folder is `$RAREFY_DATA`. The cache is `rarefy` in `$XDG_CACHE_HOME`, in
    /// `%LOCALAPPDATA%` on Windows, or in `.cache` of the home folder.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |variable| {
            env::var_os(variable)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let absolute = |variable| folder(variable).filter(|path| path.is_absolute());
        let local = || absolute("LOCALAPPDATA").filter(|_| cfg!(windows));
        let cache = absolute("XDG_CACHE_HOME")
            .or_else(local)
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self {
            data: folder("RAREFY_DATA"),
            cache: cache.map(|cache| cache.join("rarefy")),
            system: PathBuf::from("/usr/share/datasets"),
        }
    }

    /// Returns the default folder for a fetched `set`: below `$RAREFY_DATA` if that is set,
    /// otherwise below the cache folder. Returns `None` if neither is known.
    #[must_use]
    pub fn destination(&self, set: &Published) -> Option<PathBuf> {
        Some(self.data.as_ref().or(self.cache.as_ref())?.join(set.name))
    }

    /// Returns the folders to search for `set`, in order of precedence.
    fn candidates(&self, set: &Published) -> Vec<PathBuf> {
        let mut candidates = Vec::new();
        if let Some(data) = &self.data {
            candidates.push(data.join(set.name));
            candidates.push(data.clone());
        }
        candidates.extend(self.cache.as_ref().map(|cache| cache.join(set.name)));
        if set.debian_package.is_some() {
            candidates.push(self.system.join(set.name));
        }
        candidates
    }
}

impl Published {
    /// Returns the published dataset called `name`.
    ///
    /// # Errors
    /// Returns an error if there is none.
    pub fn named(name: &str) -> Result<&'static Self, CatalogueError> {
        if name == digits::NAME {
            return Err(CatalogueError::Embedded {
                name: name.to_owned(),
            });
        }
        PUBLISHED
            .iter()
            .find(|set| set.name == name)
            .ok_or_else(|| CatalogueError::Unpublished {
                name: name.to_owned(),
            })
    }

    /// Returns a sentence on how to obtain the set.
    #[must_use]
    pub fn advice(&self) -> String {
        let name = self.name;
        let package = self.debian_package.map_or_else(String::new, |package| {
            format!(", install Debian's package {package}")
        });
        format!(
            "run `rarefy data fetch {name}`{package} or set RAREFY_DATA to the folder that contains it"
        )
    }

    /// Finds the files of the set in `places` without verifying them. Returns their folder as
    /// well.
    ///
    /// # Errors
    /// Returns an error if no folder holds all four files.
    pub fn locate(&self, places: &Places) -> Result<(PathBuf, Files), CatalogueError> {
        let mut incomplete = None;
        let candidates = places.candidates(self);
        for candidate in &candidates {
            // `$RAREFY_DATA` may itself be the folder of this set, or of another one.
            if Some(candidate) == places.data.as_ref() && !self.is_in(candidate) {
                continue;
            }
            match Files::locate(candidate) {
                Ok(files) => return Ok((candidate.clone(), files)),
                Err(FolderError::NoFolder { .. }) => {}
                Err(error) if ROLES.iter().any(|role| role.find(candidate).is_some()) => {
                    incomplete.get_or_insert(error);
                }
                Err(_) => {}
            }
        }
        if let Some(error) = incomplete {
            let reason = match error {
                FolderError::Missing { path, missing } => {
                    format!("{} is incomplete: {path} has no {missing}", self.name)
                }
                other => other.to_string(),
            };
            return Err(CatalogueError::Incomplete {
                reason,
                advice: self.advice(),
            });
        }
        let searched: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
        let searched = searched.join(", ");
        Err(CatalogueError::NotFound {
            name: self.name,
            searched,
            advice: self.advice(),
        })
    }

    /// Returns whether the files in `folder` belong to this set, judged by the smallest one.
    fn is_in(&self, folder: &Path) -> bool {
        let file = &self.files[3];
        ROLES[3]
            .find(folder)
            .and_then(|path| content::sha256(&path, file.bytes).ok())
            .is_some_and(|(_, sha256)| sha256 == file.sha256)
    }

    /// Finds, verifies and loads the set.
    ///
    /// # Errors
    /// Returns an error if the set is not in `places`, or if its files are damaged or belong to
    /// another set.
    pub fn load(&self, places: &Places) -> Result<Dataset, CatalogueError> {
        let (_, files) = self.locate(places)?;
        let contents = files.read()?;
        let [train, test] = &contents.images;
        let [train_labels, test_labels] = &contents.labels;
        let found = [
            train.sha256(),
            idx::labels_sha256(train_labels),
            test.sha256(),
            idx::labels_sha256(test_labels),
        ];
        for (i, (found, file)) in found.into_iter().zip(&self.files).enumerate() {
            // Only dimensions above 32 bits fail here, and these came from 32-bit headers.
            let found = found.unwrap_or_default();
            if found != file.sha256 {
                return Err(CatalogueError::Foreign {
                    path: files.path(i).display().to_string(),
                    name: self.name,
                    found,
                    expected: file.sha256,
                });
            }
        }
        files.check_classes(&contents, self.classes)?;
        let [train, test] = contents.into_splits();
        Ok(Dataset {
            name: self.name.to_owned(),
            train,
            test,
            normalisation: self.normalisation.clone(),
            classes: self.classes,
            class_names: Vec::new(),
            reading: Reading::default(),
            notes: Vec::new(),
        })
    }
}

/// Returns the known set whose training images include every image of the set called `name`, if
/// there is one.
#[must_use]
pub fn part_of(name: &str) -> Option<&'static str> {
    (name == digits::NAME).then_some(digits::PART_OF)
}

/// Returns the names of all known datasets, in listing order.
#[must_use]
pub fn names() -> Vec<&'static str> {
    std::iter::once(digits::NAME)
        .chain(PUBLISHED.iter().map(|set| set.name))
        .collect()
}

/// Loads the dataset called `name` as [`load_as`] does, by the default [`Reading`].
///
/// # Errors
/// Returns an error in the same cases.
pub fn load(name: &str, places: &Places) -> Result<Dataset, CatalogueError> {
    load_as(name, places, &Reading::default())
}

/// Loads the dataset called `name`: a known name, or the path of its folder or file. What the
/// files leave open is decided by `reading`.
///
/// # Errors
/// Returns an error if there is no such dataset, if it is not on this machine, or if its files are
/// invalid.
pub fn load_as(name: &str, places: &Places, reading: &Reading) -> Result<Dataset, CatalogueError> {
    let set = labelled(name, places, reading)?;
    match (&reading.targets, set.has_targets()) {
        (Some(TargetSource::Inputs), false) => Ok(set.with_inputs_as_targets()),
        (Some(columns), false) => Err(CatalogueError::Targets {
            name: name.to_owned(),
            columns: columns.to_string(),
        }),
        _ => Ok(set),
    }
}

/// Loads the dataset called `name`; only the targets of tables are read as `reading` says.
fn labelled(name: &str, places: &Places, reading: &Reading) -> Result<Dataset, CatalogueError> {
    if name == digits::NAME {
        return Ok(digits::load());
    }
    if let Ok(set) = Published::named(name) {
        return set.load(places);
    }
    let path = Path::new(name);
    // A single word that names nothing is more likely a mistyped name than a missing folder.
    if path.exists() || path.components().count() > 1 || path.is_absolute() {
        if let Some(kind) = Kind::of(path) {
            return Ok(kind.load(path)?);
        }
        let has_idx = ROLES.iter().any(|role| role.find(path).is_some());
        let tables = if has_idx { None } else { Tables::of(path)? };
        return Ok(match tables {
            Some(tables) => tables.load(reading)?,
            None => folder::load(path)?,
        });
    }
    Err(CatalogueError::Unknown {
        name: name.to_owned(),
    })
}

/// A known dataset and where it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The name that [`load`] accepts.
    pub name: &'static str,
    /// A one-line description.
    pub description: &'static str,
    /// Where the set was found.
    #[serde(flatten)]
    pub found: Found,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// Shape of an image: (channels, height, width).
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
}

/// Location of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// Built into the program.
    Embedded,
    /// A folder that holds all four files. They are verified on loading, not here.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Not on this machine, or incomplete.
    Missing {
        /// How to obtain the set.
        advice: String,
    },
}

/// Returns all known datasets, found or not.
#[must_use]
pub fn list(places: &Places) -> Vec<Listing> {
    let digits = Listing {
        name: digits::NAME,
        description: "10,000 digits of MNIST's training set",
        found: Found::Embedded,
        train: digits::TRAIN,
        test: digits::TEST,
        shape: [1, 28, 28],
        classes: 10,
    };
    let published = PUBLISHED.iter().map(|set| Listing {
        name: set.name,
        description: set.description,
        found: match set.locate(places) {
            Ok((path, _)) => Found::Folder { path },
            Err(CatalogueError::Incomplete { reason, advice }) => Found::Missing {
                advice: format!("{reason}; {advice}"),
            },
            Err(_) => Found::Missing {
                advice: set.advice(),
            },
        },
        train: set.train,
        test: set.test,
        shape: set.shape,
        classes: set.classes,
    });
    std::iter::once(digits).chain(published).collect()
}
