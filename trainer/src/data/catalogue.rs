//! The datasets Rarefy knows by name, and where on this machine they are.
//!
//! `digits` is inside the program. A published set is looked up, in this order, in
//! `$RAREFY_DATA/NAME`, in `$RAREFY_DATA` itself when the files there are that set's, in the
//! user's cache folder, and where its Debian package puts it. A name means exactly that set: its
//! files are checked by SHA-256 when loaded, and others are refused. Any other set is given as a
//! [`folder`].

use std::env;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::{self, Files, FolderError, PARTS};
use super::{Dataset, Normalisation, content, digits, idx};
use crate::names;

/// MNIST's usual normalisation.
pub const MNIST_NORMALISATION: Normalisation = Normalisation::published(0.1307, 0.3081);

/// A dataset published as four IDX files.
#[derive(Debug, Clone)]
pub struct Published {
    /// What it is called after `--data`.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// How many samples there are to train on.
    pub train: usize,
    /// How many samples there are to test on.
    pub test: usize,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes there are.
    pub classes: usize,
    /// How a pixel becomes an input.
    pub normalisation: Normalisation,
    /// The files, in the order of [`folder::PARTS`].
    pub files: [PublishedFile; 4],
    /// The addresses below which the files lie, compressed, as `NAME.gz`.
    pub mirrors: &'static [&'static str],
    /// The Debian package that brings it, if there is one.
    pub debian_package: Option<&'static str>,
}

/// A file of a published dataset, uncompressed: the same however it is recompressed.
#[derive(Debug, Clone, Copy)]
pub struct PublishedFile {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
}

/// The published datasets.
pub static PUBLISHED: [Published; 2] = [
    Published {
        name: "mnist",
        description: "MNIST: handwritten digits",
        train: 60_000,
        test: 10_000,
        shape: [1, 28, 28],
        classes: 10,
        normalisation: MNIST_NORMALISATION,
        files: [
            PublishedFile {
                bytes: 47_040_016,
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            },
            PublishedFile {
                bytes: 60_008,
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
            PublishedFile {
                bytes: 7_840_016,
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            },
            PublishedFile {
                bytes: 10_008,
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ],
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ],
        debian_package: None,
    },
    Published {
        name: "fashion-mnist",
        description: "Fashion-MNIST: articles of clothing",
        train: 60_000,
        test: 10_000,
        shape: [1, 28, 28],
        classes: 10,
        normalisation: Normalisation::published(0.2860, 0.3530),
        files: [
            PublishedFile {
                bytes: 47_040_016,
                sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            },
            PublishedFile {
                bytes: 60_008,
                sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
            PublishedFile {
                bytes: 7_840_016,
                sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            },
            PublishedFile {
                bytes: 10_008,
                sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ],
        // The bucket behind this address answers over plain HTTP only; the hashes guard it.
        mirrors: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"],
        debian_package: Some("dataset-fashion-mnist"),
    },
];

/// A dataset that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The files found are not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No such name.
    #[error("{}", names::unknown("dataset", .name, names(), "`rarefy data list` shows all, and a folder with the four IDX files of another may be given"))]
    Unknown {
        /// What was given.
        name: String,
    },
    /// No such name of a set that can be fetched.
    #[error("{}", names::unknown("dataset", .name, PUBLISHED.iter().map(|set| set.name), "`rarefy data list` shows all"))]
    Unpublished {
        /// What was given.
        name: String,
    },
    /// A known set that is inside the program.
    #[error("{name} is inside the program: there is nothing to fetch, use it with --data {name}")]
    Embedded {
        /// The set's name.
        name: String,
    },
    /// Known, but not on this machine.
    #[error("{name} is not on this machine (looked in {looked}): {advice}")]
    NotFound {
        /// The set's name.
        name: &'static str,
        /// The folders looked in.
        looked: String,
        /// How to get it.
        advice: String,
    },
    /// Found in part.
    #[error("{reason}; {advice}")]
    Incomplete {
        /// What is missing where.
        reason: String,
        /// How to get it.
        advice: String,
    },
    /// A file of another set under this one's name.
    #[error(
        "{path} is not the file of {name} (SHA-256 {found}, not {expected}): remove it and run \
         `rarefy data fetch {name}`, or give its folder to --data if you mean that set"
    )]
    Foreign {
        /// The file at fault.
        path: String,
        /// The set's name.
        name: &'static str,
        /// The SHA-256 of what it holds.
        found: String,
        /// The SHA-256 of what it should hold.
        expected: &'static str,
    },
}

/// The folders in which datasets are looked up.
#[derive(Debug, Clone)]
pub struct Places {
    /// `$RAREFY_DATA`: the user's own choice.
    pub data: Option<PathBuf>,
    /// The user's cache folder for Rarefy.
    pub cache: Option<PathBuf>,
    /// Where Debian's packages of datasets put them.
    pub system: PathBuf,
}

impl Places {
    /// The places that the environment names: `RAREFY_DATA`, then `XDG_CACHE_HOME` or the home
    /// folder's `.cache`.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |variable| {
            env::var_os(variable)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let cache = folder("XDG_CACHE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self {
            data: folder("RAREFY_DATA"),
            cache: cache.map(|cache| cache.join("rarefy")),
            system: PathBuf::from("/usr/share/datasets"),
        }
    }

    /// Where a fetched `set` goes when nothing else is said: `$RAREFY_DATA/NAME`, or the cache
    /// folder's; nothing when there is neither.
    #[must_use]
    pub fn destination(&self, set: &Published) -> Option<PathBuf> {
        Some(self.data.as_ref().or(self.cache.as_ref())?.join(set.name))
    }

    /// The folders to look for `set` in, the first that has it winning.
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
    /// The published dataset called `name`.
    ///
    /// # Errors
    /// When there is none.
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

    /// How to get it onto this machine.
    #[must_use]
    pub fn advice(&self) -> String {
        let name = self.name;
        let package = self.debian_package.map_or_else(String::new, |package| {
            format!(", install Debian's package {package}")
        });
        format!("run `rarefy data fetch {name}`{package} or set RAREFY_DATA to the folder with it")
    }

    /// Finds its files in `places`.
    ///
    /// # Errors
    /// When no place has all four.
    pub fn locate(&self, places: &Places) -> Result<(PathBuf, Files), CatalogueError> {
        let mut incomplete = None;
        let candidates = places.candidates(self);
        for candidate in &candidates {
            // The folder for all sets may itself be one set's folder, or another's.
            if Some(candidate) == places.data.as_ref() && !self.is_in(candidate) {
                continue;
            }
            match Files::locate(candidate) {
                Ok(files) => return Ok((candidate.clone(), files)),
                Err(FolderError::NoFolder { .. }) => {}
                Err(error) if PARTS.iter().any(|part| part.find(candidate).is_some()) => {
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
        let looked: Vec<String> = candidates.iter().map(|c| c.display().to_string()).collect();
        let looked = looked.join(", ");
        Err(CatalogueError::NotFound {
            name: self.name,
            looked,
            advice: self.advice(),
        })
    }

    /// Whether the files in `folder` are this set's, judged by the smallest.
    fn is_in(&self, folder: &Path) -> bool {
        let file = &self.files[3];
        PARTS[3]
            .find(folder)
            .and_then(|path| content::sha256(&path, file.bytes).ok())
            .is_some_and(|(_, sha256)| sha256 == file.sha256)
    }

    /// Finds and loads it.
    ///
    /// # Errors
    /// When it is not in `places`, or what is there is damaged or another set.
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
            // What was read from 32-bit headers fits them.
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
            normalisation: self.normalisation,
            classes: self.classes,
        })
    }
}

/// Returns the known set among whose training images all images of the set called `name` are.
#[must_use]
pub fn part_of(name: &str) -> Option<&'static str> {
    (name == digits::NAME).then_some(digits::PART_OF)
}

/// The names that [`load`] knows, in the order in which they are listed.
#[must_use]
pub fn names() -> Vec<&'static str> {
    std::iter::once(digits::NAME)
        .chain(PUBLISHED.iter().map(|set| set.name))
        .collect()
}

/// Loads what `--data` asks for: a known name, or a folder.
///
/// # Errors
/// When there is no such dataset, it is not on this machine, or its files are not usable.
pub fn load(name: &str, places: &Places) -> Result<Dataset, CatalogueError> {
    if name == digits::NAME {
        return Ok(digits::load());
    }
    if let Ok(set) = Published::named(name) {
        return set.load(places);
    }
    let folder = Path::new(name);
    // A word is more likely a name mistyped than a folder that is not there.
    if folder.is_dir() || folder.components().count() > 1 || folder.is_absolute() {
        return Ok(folder::load(folder)?);
    }
    Err(CatalogueError::Unknown {
        name: name.to_owned(),
    })
}

/// A dataset as `rarefy data list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// What it is called after `--data`.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// Where it is.
    #[serde(flatten)]
    pub found: Found,
    /// How many samples there are to train on.
    pub train: usize,
    /// How many samples there are to test on.
    pub test: usize,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// How many classes there are.
    pub classes: usize,
}

/// Where a dataset is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// Inside the program.
    Embedded,
    /// In a folder of this machine. The files are there; they are checked when loaded.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Not on this machine, or not whole.
    Missing {
        /// How to get it.
        advice: String,
    },
}

/// All known datasets, found or not.
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
