//! Loads a folder with the four IDX files of a dataset, under their usual names.
//!
//! The names are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`
//! and `t10k-labels-idx1-ubyte`, optionally with `.gz` appended, with a dot instead of the hyphen
//! before `idx`, or with `idx4` for images with channels. A folder is rejected if
//!
//! - one of the files is missing or is not valid IDX,
//! - the numbers of images and labels differ, or the shapes of the two splits differ,
//! - the classes have gaps, or a test label is above every training label,
//! - all pixels of the training images are equal.

use std::path::{Path, PathBuf};

use super::dataset::{Dataset, Split};
use super::idx::{self, IdxError, Images};
use super::normalisation::Normalisation;
use super::reading::Reading;

/// The roles of the four files, in the order that this module uses throughout.
pub const ROLES: [Role; 4] = [
    Role {
        split: "train",
        kind: "images",
        ending: "idx3-ubyte",
    },
    Role {
        split: "train",
        kind: "labels",
        ending: "idx1-ubyte",
    },
    Role {
        split: "t10k",
        kind: "images",
        ending: "idx3-ubyte",
    },
    Role {
        split: "t10k",
        kind: "labels",
        ending: "idx1-ubyte",
    },
];

/// The role of a file in a dataset: its split and its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    split: &'static str,
    kind: &'static str,
    ending: &'static str,
}

impl Role {
    /// Returns the usual name of the file, without `.gz`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.split, self.kind, self.ending)
    }

    /// Returns every name that the file may have, the usual one first. Images with channels may
    /// end in `idx4-ubyte`.
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

    /// Returns the path of the file in `folder`, if it exists.
    #[must_use]
    pub fn find(&self, folder: &Path) -> Option<PathBuf> {
        self.names()
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    }
}

/// Why a folder cannot be loaded as a dataset.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file could not be read.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// The folder does not exist.
    #[error(
        "there is no file or folder {path}: give the path of a dataset, such as a folder with its four IDX files, or a .npz or .csv file"
    )]
    NoFolder {
        /// The path that was given.
        path: String,
    },
    /// The folder lacks files.
    #[error(
        "{path} has no {missing}: put the four IDX files of the dataset there, plain or .gz, the .bin files of CIFAR-10 or CIFAR-100, .npy files, train.csv, or a folder of pictures per class"
    )]
    Missing {
        /// The folder at fault.
        path: String,
        /// The usual names of the missing files.
        missing: String,
    },
    /// The numbers of images and labels differ.
    #[error(
        "{images} holds {image_count} images but {labels} holds {label_count} labels: give files of \
         the same dataset"
    )]
    Counts {
        /// Path of the image file.
        images: String,
        /// Number of images in it.
        image_count: usize,
        /// Path of the label file.
        labels: String,
        /// Number of labels in it.
        label_count: usize,
    },
    /// The shapes of training and test images differ.
    #[error(
        "the images of {train} have {train_shape} pixels but those of {test} have {test_shape}: give \
         files of the same dataset"
    )]
    Shapes {
        /// Path of the file of training images.
        train: String,
        /// Their dimensions, as [`Images::dimensions`] writes them.
        train_shape: String,
        /// Path of the file of test images.
        test: String,
        /// Their dimensions, as [`Images::dimensions`] writes them.
        test_shape: String,
    },
    /// A label is out of range.
    #[error("{path}: label {index} is {label}, out of range: {reason}; correct the labels")]
    Label {
        /// Path of the label file.
        path: String,
        /// Index of the label in the file, from 0.
        index: usize,
        /// The label.
        label: u8,
        /// Why the label is invalid.
        reason: String,
    },
    /// All training pixels are equal, so there is nothing to learn.
    #[error("every pixel of {path} is {value}: give images with different pixels")]
    Constant {
        /// Path of the file of training images.
        path: String,
        /// The value of every pixel.
        value: u8,
    },
}

/// Paths of the four files of one folder, in the order of [`ROLES`].
#[derive(Debug, Clone)]
pub struct Files([PathBuf; 4]);

impl Files {
    /// Finds the four files in `folder`.
    ///
    /// # Errors
    /// Returns an error if the folder or one of the files does not exist.
    pub fn locate(folder: &Path) -> Result<Self, FolderError> {
        if !folder.is_dir() {
            return Err(FolderError::NoFolder {
                path: folder.display().to_string(),
            });
        }
        let found = ROLES.map(|role| role.find(folder));
        if let [Some(a), Some(b), Some(c), Some(d)] = found {
            return Ok(Self([a, b, c, d]));
        }
        let missing: Vec<String> = ROLES
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(role, _)| role.name())
            .collect();
        let path = folder.display().to_string();
        Err(FolderError::Missing {
            path,
            missing: missing.join(", "),
        })
    }

    /// Returns the path of the file with the role at `index` of [`ROLES`].
    #[must_use]
    pub fn path(&self, index: usize) -> &Path {
        &self.0[index]
    }

    /// Returns the path at `index` for messages.
    fn shown(&self, index: usize) -> String {
        self.0[index].display().to_string()
    }

    /// Reads all four files.
    ///
    /// # Errors
    /// Returns an error if a file is not valid IDX, or if counts or shapes do not match.
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

    /// Returns the number of classes: the highest training label plus one.
    ///
    /// Labels must start at 0 or 1 and have no gap, so that a damaged label is not taken for a
    /// class of its own.
    ///
    /// # Errors
    /// Returns an error if there is a gap, or if a test label is above every training label.
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
            // The first label above the gap is reported as the one at fault.
            let above = (gap..classes).find_map(|label| Some((label, first[label]?)));
            let (label, index) = above.unwrap_or_default();
            return Err(FolderError::Label {
                path: self.shown(1),
                index,
                label: label as u8,
                reason: format!("classes must have no gap, but no training image has class {gap}"),
            });
        }
        self.check_labels(3, test, classes)?;
        Ok(classes)
    }

    /// Checks that all `labels` of the file at `index` are below `classes`.
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
                reason: format!("there are {classes} classes, 0 to {}", classes - 1),
            }),
        }
    }

    /// Checks that every label of `contents` is below `classes`.
    ///
    /// # Errors
    /// Returns an error that names the first label that is not.
    pub fn check_classes(&self, contents: &Contents, classes: usize) -> Result<(), FolderError> {
        self.check_labels(1, &contents.labels[0], classes)?;
        self.check_labels(3, &contents.labels[1], classes)
    }
}

/// Contents of the four files; index 0 is the training split, index 1 the test split.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Images of the two splits.
    pub images: [Images; 2],
    /// Labels of the two splits.
    pub labels: [Vec<u8>; 2],
}

impl Contents {
    /// Converts the contents to the training and the test split.
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

/// Loads the dataset in `folder`. Its name is the path, and its normalisation is computed from its
/// training images.
///
/// # Errors
/// Returns an error in every case that the module documentation lists.
pub fn load(folder: &Path) -> Result<Dataset, FolderError> {
    let files = Files::locate(folder)?;
    let contents = files.read()?;
    let classes = files.classes(&contents)?;
    let [train, test] = contents.into_splits();
    let normalisation =
        Normalisation::per_channel(train.images(), train.shape()).ok_or_else(|| {
            FolderError::Constant {
                path: files.shown(0),
                value: train.images()[0],
            }
        })?;
    Ok(Dataset {
        name: folder.display().to_string(),
        train,
        test,
        normalisation,
        classes,
        class_names: Vec::new(),
        reading: Reading::default(),
        notes: Vec::new(),
    })
}
