//! Loads a folder with the files of CIFAR-10 or CIFAR-100 in their binary version (Krizhevsky
//! 2009).
//!
//! A file is a list of records: the labels of an image, one byte each, then its 3072 pixels, red,
//! green and blue planes of 32 x 32 one after another. CIFAR-10 has one label; CIFAR-100 has that
//! of the superclass, which is ignored, and that of the class. A folder is rejected if a file is
//! missing, cannot be read, is empty, is larger than 1 GiB, does not hold whole records, or has a
//! label out of range. It is also rejected if all training pixels are equal, or if it holds a file
//! of another dataset.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::content;
use super::dataset::{Dataset, Split};
use super::folder::ROLES;
use super::normalisation::Normalisation;
use super::reading::Reading;
use crate::atomic::FileError;

/// The shape of every image: (channels, height, width).
const SHAPE: [usize; 3] = [3, 32, 32];

/// The number of pixels of an image.
const PIXELS: usize = 3 * 32 * 32;

/// The largest size of a file in bytes; the published ones have at most 154 MB.
const MAX_BYTES: u64 = 1 << 30;

/// One of the two sets.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    name: &'static str,
    classes: usize,
    /// The number of labels before an image. The last one is that of the class.
    labels: usize,
    train: &'static [&'static str],
    test: &'static str,
}

/// The two sets.
static KINDS: [Kind; 2] = [
    Kind {
        name: "CIFAR-10",
        classes: 10,
        labels: 1,
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
    },
    Kind {
        name: "CIFAR-100",
        classes: 100,
        labels: 2,
        train: &["train.bin"],
        test: "test.bin",
    },
];

/// Why a folder cannot be loaded as CIFAR.
#[derive(Debug, thiserror::Error)]
pub enum CifarError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder lacks files.
    #[error("{path} has some files of {set} but not {missing}: put all of its .bin files there")]
    Missing {
        /// The folder.
        path: String,
        /// The set that the other files belong to.
        set: &'static str,
        /// The names of the missing files.
        missing: String,
    },
    /// The folder holds files of two datasets.
    #[error(
        "{path} holds {one} of {set} and {other} of {of}: keep each dataset in a folder of its own"
    )]
    Both {
        /// The folder.
        path: String,
        /// A file of the one set.
        one: &'static str,
        /// The one set.
        set: &'static str,
        /// A file of the other set.
        other: String,
        /// The other set.
        of: &'static str,
    },
    /// A file does not hold whole records.
    #[error(
        "{path} holds {found} bytes, which is not a positive multiple of the {record} of an image of \
         {set} with its labels: it is truncated or of another format; unpack it again"
    )]
    Length {
        /// The file.
        path: String,
        /// The set.
        set: &'static str,
        /// Its length in bytes.
        found: u64,
        /// The length of a record in bytes.
        record: usize,
    },
    /// The file is larger than any of the set.
    #[error("{path} holds more than {MAX_BYTES} bytes: it is no file of {set}")]
    TooLarge {
        /// The file.
        path: String,
        /// The set.
        set: &'static str,
    },
    /// A label is out of range.
    #[error(
        "{path}: the label of image {index} is {label}, but {set} has {classes} classes: the file is damaged \
         or of another format; unpack it again"
    )]
    Label {
        /// The file.
        path: String,
        /// The set.
        set: &'static str,
        /// Index of the image in the file, from 0.
        index: usize,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },
    /// All training pixels are equal, so there is nothing to learn.
    #[error("every training pixel in {path} is {value}: give images with different pixels")]
    Constant {
        /// The folder.
        path: String,
        /// The value of every pixel.
        value: u8,
    },
}

impl Kind {
    /// Returns the set of which `folder` holds a file, if there is one.
    #[must_use]
    pub fn of(folder: &Path) -> Option<&'static Self> {
        let holds = |kind: &&Kind| kind.names().any(|name| folder.join(name).is_file());
        KINDS.iter().find(holds)
    }

    /// Returns the names of all files.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.train.iter().copied().chain([self.test])
    }

    /// Loads the set from `folder`. Its name is the path, and its normalisation is computed from
    /// its training images, per channel.
    ///
    /// # Errors
    /// Returns an error for every folder that the module documentation lists.
    pub fn load(&self, folder: &Path) -> Result<Dataset, CifarError> {
        self.check_alone(folder)?;
        let missing = self.names().filter(|name| !folder.join(name).is_file());
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            return Err(CifarError::Missing {
                path: folder.display().to_string(),
                set: self.name,
                missing: missing.join(", "),
            });
        }
        let train = self.read(self.train.iter().map(|name| folder.join(name)))?;
        let test = self.read([folder.join(self.test)])?;
        let normalisation = Normalisation::per_channel(train.images(), SHAPE);
        Ok(Dataset {
            name: folder.display().to_string(),
            normalisation: normalisation.ok_or_else(|| CifarError::Constant {
                path: folder.display().to_string(),
                value: train.images()[0],
            })?,
            train,
            test,
            classes: self.classes,
            class_names: Vec::new(),
            reading: Reading::default(),
            notes: Vec::new(),
        })
    }

    /// Checks that `folder` holds no file of another dataset, so that it is clear which one is
    /// meant.
    fn check_alone(&self, folder: &Path) -> Result<(), CifarError> {
        let present = |name: &&str| folder.join(name).is_file();
        let sets = KINDS.iter().filter(|kind| *kind != self);
        let mut files = sets.flat_map(|kind| kind.names().map(|name| (name.to_owned(), kind.name)));
        let cifar = files.find(|(name, _)| present(&name.as_str()));
        let idx = ROLES.iter().find(|role| role.find(folder).is_some());
        let other = cifar.or_else(|| idx.map(|role| (role.name(), "a dataset of IDX files")));
        let (Some((other, of)), Some(one)) = (other, self.names().find(present)) else {
            return Ok(());
        };
        Err(CifarError::Both {
            path: folder.display().to_string(),
            one,
            set: self.name,
            other,
            of,
        })
    }

    /// Reads the images of `files` as one split.
    fn read(&self, files: impl IntoIterator<Item = PathBuf>) -> Result<Split, CifarError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for path in files {
            self.append(&path, &mut images, &mut labels)?;
        }
        Ok(Split::new(images, labels, SHAPE))
    }

    /// Appends the images and labels of the file `path`.
    fn append(
        &self,
        path: &Path,
        images: &mut Vec<u8>,
        labels: &mut Vec<u8>,
    ) -> Result<(), CifarError> {
        let (set, shown) = (self.name, || path.display().to_string());
        let mut bytes = Vec::new();
        let reader = content::open(path)?.reader;
        reader
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error: io::Error| FileError::new("read", path, error))?;
        let found = bytes.len() as u64;
        if found > MAX_BYTES {
            return Err(CifarError::TooLarge { path: shown(), set });
        }
        let record = self.labels + PIXELS;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let path = shown();
            return Err(CifarError::Length {
                path,
                set,
                found,
                record,
            });
        }
        for (index, bytes) in bytes.chunks_exact(record).enumerate() {
            let (marks, pixels) = bytes.split_at(self.labels);
            let label = marks[self.labels - 1];
            if usize::from(label) >= self.classes {
                return Err(CifarError::Label {
                    path: shown(),
                    set,
                    index,
                    label,
                    classes: self.classes,
                });
            }
            labels.push(label);
            images.extend_from_slice(pixels);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns the records of `count` images whose pixels tell image, channel and position apart.
    fn records(marks: usize, first: usize, count: usize, classes: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for image in first..first + count {
            bytes.extend(vec![19; marks - 1]);
            bytes.push((image % classes) as u8);
            bytes.extend((0..PIXELS).map(|at| (7 * image + at / 1024 * 80 + at % 1024 / 32) as u8));
        }
        bytes
    }

    /// Writes a small set of `kind` to `folder`.
    fn write(kind: &Kind, folder: &Path) {
        for (index, name) in kind.names().enumerate() {
            let bytes = records(kind.labels, 3 * index, 3, kind.classes);
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    #[test]
    fn both_sets_are_read_in_the_order_of_their_files() {
        for kind in &KINDS {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(Kind::of(folder.path()), None);
            write(kind, folder.path());
            assert_eq!(Kind::of(folder.path()), Some(kind));
            let set = kind.load(folder.path()).unwrap();
            let files = kind.train.len();
            assert_eq!((set.train.len(), set.test.len()), (3 * files, 3));
            assert_eq!(
                (set.train.shape(), set.classes),
                ([3, 32, 32], kind.classes)
            );
            for (split, first) in [(&set.train, 0), (&set.test, 3 * files)] {
                for index in 0..split.len() {
                    let image = first + index;
                    assert_eq!(usize::from(split.label(index)), image % kind.classes);
                    for (channel, row) in [(0, 0), (1, 4), (2, 31)] {
                        let pixel = split.image(index)[channel * 1024 + row * 32 + 5];
                        assert_eq!(pixel, (7 * image + channel * 80 + row) as u8);
                    }
                }
            }
            assert_eq!(set.normalisation.mean.values().len(), 3);
        }
    }

    #[test]
    fn a_folder_of_two_datasets_is_refused() {
        let idx = ROLES[0].name();
        for (others, words) in [
            (
                &["train.bin", "test.bin"][..],
                "data_batch_1.bin of CIFAR-10 and train.bin of CIFAR-100",
            ),
            (&["test.bin"], "and test.bin of CIFAR-100"),
            (
                &[idx.as_str()],
                "and train-images-idx3-ubyte of a dataset of IDX files",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            write(&KINDS[0], folder.path());
            for name in others {
                fs::write(folder.path().join(name), "").unwrap();
            }
            let kind = Kind::of(folder.path()).unwrap();
            let error = kind.load(folder.path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn damaged_folders_are_refused_in_a_sentence() {
        let kind = &KINDS[0];
        let fails = |name: &str, contents: Option<Vec<u8>>, words: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            write(kind, folder.path());
            match contents {
                Some(bytes) => fs::write(folder.path().join(name), bytes).unwrap(),
                None => fs::remove_file(folder.path().join(name)).unwrap(),
            }
            let error = kind.load(folder.path()).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{word}: {error}");
            }
        };
        fails("data_batch_3.bin", None, &["CIFAR-10", "data_batch_3.bin"]);
        fails("test_batch.bin", Some(Vec::new()), &["holds 0 bytes"]);
        let cut = records(1, 0, 2, 10)[..6000].to_vec();
        fails("data_batch_2.bin", Some(cut), &["6000 bytes", "3073"]);
        let mut wrong = records(1, 0, 2, 10);
        wrong[3073] = 10;
        let words = ["test_batch.bin", "image 1 is 10", "10 classes"];
        fails("test_batch.bin", Some(wrong), &words);
    }
}
