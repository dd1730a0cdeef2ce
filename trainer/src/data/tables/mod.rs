//! Datasets in formats other than images of bytes: numpy's arrays, safetensors, CSV, and folders
//! of pictures.
//!
//! A reader per format returns `Parts`: rows of numbers with their labels. `assemble` alone turns
//! these into a [`Dataset`]. The format is recognised by the name of a file, or by what a folder
//! holds.

mod array;
mod assemble;
mod classes;
mod columns;
mod csv;
mod error;
mod holdout;
mod keyed;
mod npy;
mod npz;
mod part;
mod pictures;
mod safetensors;

use std::path::{Path, PathBuf};

use self::npz::{NpyFolder, Npz};
use self::part::Parts;
use self::safetensors::Tensors;
use super::dataset::Dataset;
use super::reading::Reading;

pub use self::error::TableError;

/// The files of the parts in a folder of tables.
const TABLES: [&str; 2] = ["train.csv", "test.csv"];

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// An archive of numpy's arrays.
    Npz,
    /// A folder with one of numpy's arrays per file.
    NpyFolder,
    /// A safetensors file.
    Safetensors,
    /// A table.
    Table,
    /// A folder with a table per part.
    TableFolder,
    /// A folder with a folder of pictures per class.
    Pictures,
}

/// A dataset of one of these formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    path: PathBuf,
    format: Format,
}

impl Tables {
    /// Returns the dataset at `path`; `None` if there is nothing, or a folder with nothing of these
    /// formats.
    ///
    /// # Errors
    /// Returns an error if it is a file of another format, or of one that does not hold a dataset,
    /// or no regular file.
    pub fn of(path: &Path) -> Result<Option<Self>, TableError> {
        let format = match (path.is_dir(), path.is_file()) {
            (true, _) => Self::of_folder(path),
            (_, true) => Some(Self::of_file(path)?),
            // A FIFO or a device could be read once at most, or without end.
            _ if path.exists() => {
                let name = path.display().to_string();
                let problem = "is not a regular file or a folder";
                return Err(TableError::new(
                    name,
                    problem,
                    "copy its contents into a file",
                ));
            }
            _ => None,
        };
        let own = |format| Self {
            path: path.to_owned(),
            format,
        };
        Ok(format.map(own))
    }

    /// Returns the format of the files in `folder`.
    fn of_folder(folder: &Path) -> Option<Format> {
        if !NpyFolder::files(folder).is_empty() {
            return Some(Format::NpyFolder);
        }
        if folder.join(TABLES[0]).is_file() {
            return Some(Format::TableFolder);
        }
        pictures::is_one(folder).then_some(Format::Pictures)
    }

    /// Returns the format of a file.
    fn of_file(path: &Path) -> Result<Format, TableError> {
        let ending = path
            .extension()
            .map(|it| it.to_string_lossy().to_ascii_lowercase());
        let refused =
            |problem, advice| Err(TableError::new(path.display().to_string(), problem, advice));
        match ending.as_deref() {
            Some("npz") => Ok(Format::Npz),
            Some("safetensors") => Ok(Format::Safetensors),
            Some("csv" | "tsv") => Ok(Format::Table),
            Some("npy") => refused(
                "is one array",
                "put x.npy and y.npy into a folder and give the folder",
            ),
            _ => refused(
                "has not the name of a dataset",
                "give a file that ends in .npz, .csv, .tsv or .safetensors, or a folder",
            ),
        }
    }

    /// Returns the files at `path`, a file or a folder, that can hold a dataset of one of these
    /// formats, except pictures. The tables of a folder are listed whether they exist or not.
    #[must_use]
    pub fn files(path: &Path) -> Vec<PathBuf> {
        if path.is_file() {
            return vec![path.to_owned()];
        }
        let mut files = NpyFolder::files(path);
        files.extend(TABLES.map(|name| path.join(name)));
        files
    }

    /// Loads the dataset. Its name is the path.
    ///
    /// # Errors
    /// Returns an error that names the row, the column, the key or the picture at fault.
    pub fn load(&self, reading: &Reading) -> Result<Dataset, TableError> {
        let parts = self.parts(reading)?;
        assemble::dataset(self.path.display().to_string(), parts, reading)
    }

    /// Reads the files.
    fn parts(&self, reading: &Reading) -> Result<Parts, TableError> {
        let path = &self.path;
        match self.format {
            Format::Npz => keyed::read(&mut Npz::open(path)?, reading),
            Format::NpyFolder => keyed::read(&mut NpyFolder::open(path), reading),
            Format::Safetensors => keyed::read(&mut Tensors::open(path)?, reading),
            Format::Table => csv::read(path, None, reading),
            Format::TableFolder => {
                let [train, test] = TABLES.map(|name| path.join(name));
                csv::read(
                    &train,
                    Some(&test).filter(|it| it.exists()).map(|it| &**it),
                    reading,
                )
            }
            Format::Pictures => pictures::read(path, reading),
        }
    }
}
