//! A folder with the four IDX files of a dataset, under their usual names.
//!
//! `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
//! `t10k-labels-idx1-ubyte`, each also with `.gz` after it or with a dot before `idx` (`idx4` for images
//! with channels). Refused:
//! a folder without one of them, images and labels of different number, splits of different
//! shape, labels that cannot be counted from 0, images that are all alike.

use std::path::{Path, PathBuf};

use super::idx::{self, IdxError, Images};
use super::{Dataset, Normalisation, Split};

/// The parts of a dataset, in the order in which this module keeps them.
pub const PARTS: [Part; 4] = [
    Part {
        split: "train",
        kind: "images",
        ending: "idx3-ubyte",
    },
    Part {
        split: "train",
        kind: "labels",
        ending: "idx1-ubyte",
    },
    Part {
        split: "t10k",
        kind: "images",
        ending: "idx3-ubyte",
    },
    Part {
        split: "t10k",
        kind: "labels",
        ending: "idx1-ubyte",
    },
];

/// One of the four files, by the words of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    split: &'static str,
    kind: &'static str,
    ending: &'static str,
}

impl Part {
    /// Its usual name, without `.gz`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.split, self.kind, self.ending)
    }

    /// All the names it may have, the usual one first; images with channels may end in
    /// `idx4-ubyte`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let endings = [self.ending.to_owned(), self.ending.replace("idx3", "idx4")];
        let mut names = Vec::new();
        for ending in &endings[..1 + usize::from(endings[0] != endings[1])] {
            for mark in ["-", "."] {
                let name = format!("{}-{}{mark}{ending}", self.split, self.kind);
                names.extend([name.clone(), name + ".gz"]);
            }
        }
        names
    }

    /// Where it is in `folder`, if it is there.
    #[must_use]
    pub fn find(&self, folder: &Path) -> Option<PathBuf> {
        self.names()
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    }
}

/// A folder that cannot be used as a dataset.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// One of the files could not be read.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// There is no such folder.
    #[error("there is no folder {path}: give one with the four IDX files of a dataset")]
    NoFolder {
        /// What was given.
        path: String,
    },
    /// Files are missing.
    #[error("{path} has no {missing}: put the four IDX files of the dataset there, plain or .gz")]
    Missing {
        /// The folder at fault.
        path: String,
        /// The usual names of the files that are missing.
        missing: String,
    },
    /// Not one label an image.
    #[error(
        "{images} holds {image_count} images and {labels} holds {label_count} labels: give the \
         files that belong together"
    )]
    Counts {
        /// The file of images.
        images: String,
        /// How many it holds.
        image_count: usize,
        /// The file of labels.
        labels: String,
        /// How many it holds.
        label_count: usize,
    },
    /// The splits do not belong together.
    #[error(
        "the images of {train} are {train_shape} pixels and those of {test} {test_shape}: give the \
         files that belong together"
    )]
    Shapes {
        /// The file of training images.
        train: String,
        /// Their channels, rows and columns.
        train_shape: String,
        /// The file of test images.
        test: String,
        /// Their channels, rows and columns.
        test_shape: String,
    },
    /// A label that is no class.
    #[error("{path}: label {index} is {label}, out of range: {reason}; correct the labels")]
    Label {
        /// The file of labels.
        path: String,
        /// The position of the label, from 0.
        index: usize,
        /// The label.
        label: u8,
        /// Why it cannot be.
        reason: String,
    },
    /// Nothing to learn from.
    #[error("every pixel of {path} is {value}: give images that differ")]
    Constant {
        /// The file of training images.
        path: String,
        /// The value of every pixel.
        value: u8,
    },
}

/// The paths of the four files of one folder, in the order of [`PARTS`].
#[derive(Debug, Clone)]
pub struct Files([PathBuf; 4]);

impl Files {
    /// Looks for the four files in `folder`.
    ///
    /// # Errors
    /// When the folder or one of the files does not exist.
    pub fn locate(folder: &Path) -> Result<Self, FolderError> {
        if !folder.is_dir() {
            return Err(FolderError::NoFolder {
                path: folder.display().to_string(),
            });
        }
        let found = PARTS.map(|part| part.find(folder));
        if let [Some(a), Some(b), Some(c), Some(d)] = found {
            return Ok(Self([a, b, c, d]));
        }
        let missing: Vec<String> = PARTS
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(part, _)| part.name())
            .collect();
        let path = folder.display().to_string();
        Err(FolderError::Missing {
            path,
            missing: missing.join(", "),
        })
    }

    /// The path of the part at `index` of [`PARTS`].
    #[must_use]
    pub fn path(&self, index: usize) -> &Path {
        &self.0[index]
    }

    fn shown(&self, index: usize) -> String {
        self.0[index].display().to_string()
    }

    /// Reads all four.
    ///
    /// # Errors
    /// When one is not IDX, or they do not belong together.
    pub fn read(&self) -> Result<Contents, FolderError> {
        let contents = Contents {
            images: [
                idx::read_images(self.path(0))?,
                idx::read_images(self.path(2))?,
            ],
            labels: [
                idx::read_labels(self.path(1))?,
                idx::read_labels(self.path(3))?,
            ],
        };
        for (split, (images, labels)) in contents.images.iter().zip(&contents.labels).enumerate() {
            if images.count != labels.len() {
                return Err(FolderError::Counts {
                    images: self.shown(2 * split),
                    image_count: images.count,
                    labels: self.shown(2 * split + 1),
                    label_count: labels.len(),
                });
            }
        }
        let [train, test] = &contents.images;
        if train.dimensions() != test.dimensions() {
            return Err(FolderError::Shapes {
                train: self.shown(0),
                train_shape: train.dimensions(),
                test: self.shown(2),
                test_shape: test.dimensions(),
            });
        }
        Ok(contents)
    }

    /// How many classes the labels of `contents` tell apart: the highest label trained on, and
    /// one. Labels count from 0 or from 1 without a gap, so that a damaged label does not pass
    /// for a class of its own.
    ///
    /// # Errors
    /// When there is a gap, or a test label that is not trained on.
    pub fn classes(&self, contents: &Contents) -> Result<usize, FolderError> {
        let [train, test] = &contents.labels;
        let mut first = [None; 256];
        for (index, &label) in train.iter().enumerate() {
            first[usize::from(label)].get_or_insert(index);
        }
        let classes = first
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |highest| highest + 1);
        if let Some(gap) = (1..classes).find(|&label| first[label].is_none()) {
            // The first label above the gap is the one that does not belong.
            let above = (gap..classes).find_map(|label| Some((label, first[label]?)));
            let (label, index) = above.unwrap_or_default();
            return Err(FolderError::Label {
                path: self.shown(1),
                index,
                label: label as u8,
                reason: format!("classes count without a gap, and no training image is a {gap}"),
            });
        }
        self.check_labels(3, test, classes)?;
        Ok(classes)
    }

    /// Checks that all `labels`, of the part at `index`, are below `classes`.
    fn check_labels(&self, index: usize, labels: &[u8], classes: usize) -> Result<(), FolderError> {
        match labels
            .iter()
            .position(|&label| usize::from(label) >= classes)
        {
            None => Ok(()),
            Some(position) => Err(FolderError::Label {
                path: self.shown(index),
                index: position,
                label: labels[position],
                reason: format!("there are {classes} classes, from 0 to {}", classes - 1),
            }),
        }
    }

    /// Checks that every label of `contents` is below `classes`.
    ///
    /// # Errors
    /// When one is not.
    pub fn check_classes(&self, contents: &Contents, classes: usize) -> Result<(), FolderError> {
        self.check_labels(1, &contents.labels[0], classes)?;
        self.check_labels(3, &contents.labels[1], classes)
    }
}

/// What the four files hold: what is trained on, then what is tested on.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The images of the two splits.
    pub images: [Images; 2],
    /// The labels of the two splits.
    pub labels: [Vec<u8>; 2],
}

impl Contents {
    /// The two splits, for training and for testing.
    #[must_use]
    pub fn into_splits(self) -> [Split; 2] {
        let [train, test] = self.images;
        let [train_labels, test_labels] = self.labels;
        [(train, train_labels), (test, test_labels)].map(|(images, labels)| {
            let shape = [images.channels, images.rows, images.columns];
            Split::new(images.pixels, labels, shape)
        })
    }
}

/// Loads the dataset in `folder`, called by its path, normalised by its own training images.
///
/// # Errors
/// Whatever the module refuses.
pub fn load(folder: &Path) -> Result<Dataset, FolderError> {
    let files = Files::locate(folder)?;
    let contents = files.read()?;
    let classes = files.classes(&contents)?;
    let [train, test] = contents.into_splits();
    let normalisation =
        Normalisation::computed(train.images()).ok_or_else(|| FolderError::Constant {
            path: files.shown(0),
            value: train.images()[0],
        })?;
    Ok(Dataset {
        name: folder.display().to_string(),
        train,
        test,
        normalisation,
        classes,
    })
}
