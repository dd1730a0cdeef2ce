//! Arrays in numpy's archives (`.npz`), and in a folder with a `.npy` file each.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::Array;
use super::error::TableError;
use super::keyed::Source;
use super::npy;
use crate::atomic::regular_length;

/// The ending of an array's name in an archive.
const ENDING: &str = ".npy";

/// An archive of arrays, stored or deflated.
pub(super) struct Npz {
    name: String,
    archive: ZipArchive<BufReader<File>>,
}

impl Npz {
    /// Opens the archive at `path`.
    ///
    /// # Errors
    /// Returns an error if it cannot be read, or if it is truncated or not an archive.
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let file = regular_length(path).and_then(|_| File::open(path));
        let file = file.map_err(|error| TableError::read(path, error))?;
        let name = path.display().to_string();
        match ZipArchive::new(BufReader::new(file)) {
            Ok(archive) => Ok(Self { name, archive }),
            Err(ZipError::Io(error)) => Err(TableError::read(path, error)),
            Err(_) => {
                let problem = "is not a whole .npz archive";
                let advice = "it is truncated or of another format; save it again with numpy.savez";
                Err(TableError::new(name, problem, advice))
            }
        }
    }
}

impl Source for Npz {
    fn name(&self) -> &str {
        &self.name
    }

    fn keys(&self) -> Vec<String> {
        let names = self.archive.file_names().flatten();
        let keys = names.filter_map(|name| Some(name.strip_suffix(ENDING)?.to_owned()));
        keys.collect()
    }

    fn array(&mut self, key: &str) -> Result<Array, TableError> {
        let shown = format!("{key} of {}", self.name);
        let mut entry = self
            .archive
            .by_name(&format!("{key}{ENDING}"))
            .map_err(|error| {
                let problem = format!("cannot be unpacked ({error})");
                let advice = "save it again with numpy.savez or numpy.savez_compressed";
                TableError::new(&shown, problem, advice)
            })?;
        let declared = entry.size();
        npy::read(&shown, &mut entry, Some(declared))
    }
}

/// A folder with a file `NAME.npy` per array.
pub(super) struct NpyFolder {
    name: String,
    folder: PathBuf,
    keys: Vec<String>,
}

impl NpyFolder {
    /// Returns the files of arrays in `folder`, in the order of their names.
    #[must_use]
    pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let is_array = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "npy");
        let mut files: Vec<PathBuf> = entries.map(|it| it.path()).filter(is_array).collect();
        files.sort_unstable();
        files
    }

    /// Returns the arrays in `folder`.
    #[must_use]
    pub(super) fn open(folder: &Path) -> Self {
        let files = Self::files(folder);
        let keys = files.iter().filter_map(|file| file.file_stem()?.to_str());
        Self {
            name: folder.display().to_string(),
            folder: folder.to_owned(),
            keys: keys.map(str::to_owned).collect(),
        }
    }
}

impl Source for NpyFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn keys(&self) -> Vec<String> {
        self.keys.clone()
    }

    fn array(&mut self, key: &str) -> Result<Array, TableError> {
        let path = self.folder.join(format!("{key}{ENDING}"));
        let opened = regular_length(&path).and_then(|length| Ok((length, File::open(&path)?)));
        let (length, file) = opened.map_err(|error| TableError::read(&path, error))?;
        let mut reader = BufReader::new(file);
        npy::read(&path.display().to_string(), &mut reader, Some(length))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::reading::Reading;
    use crate::data::tables::array::Values;
    use crate::data::tables::keyed;
    use crate::data::tables::part::Parts;

    /// Returns the path of an archive that numpy wrote.
    fn golden(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/numpy");
        folder.join(name)
    }

    fn read(path: &Path) -> Result<Parts, String> {
        let parts = Npz::open(path).and_then(|mut npz| keyed::read(&mut npz, &Reading::default()));
        parts.map_err(|error| error.to_string())
    }

    #[test]
    fn archives_of_numpy_are_read() {
        let x: Vec<f32> = (0..36).map(|index| (index - 10) as f32 / 4.0).collect();
        for name in ["stored.npz", "deflated.npz"] {
            let parts = read(&golden(name)).unwrap();
            assert_eq!(parts.train.values, Values::Singles(x.clone()), "{name}");
            assert_eq!(
                (parts.train.labels, parts.shape),
                (vec![0, 1, 0, 1, 1, 0], [1, 2, 3])
            );
        }
        let parts = read(&golden("parts.npz")).unwrap();
        let whole = |values: &[f32]| values.iter().map(|&it| it.trunc() as i64).collect();
        assert_eq!(parts.train.values, Values::Integers(whole(&x[..24])));
        let test = parts.test.unwrap();
        assert_eq!(
            (test.values, test.labels),
            (Values::Integers(whole(&x[24..])), vec![1, 0])
        );
    }

    #[test]
    fn the_arrays_of_a_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Npz::open(&golden("stored.npz")).unwrap().archive;
        archive.extract(folder.path()).unwrap();
        assert_eq!(NpyFolder::files(folder.path()).len(), 2);
        let parts = keyed::read(&mut NpyFolder::open(folder.path()), &Reading::default());
        assert_eq!(parts.unwrap().train.labels, [0, 1, 0, 1, 1, 0]);
    }

    #[test]
    fn damaged_archives_and_pickles_are_refused() {
        let error = read(&golden("objects.npz")).unwrap_err();
        let words = "objects.npz is an array of Python objects, which are pickled and never read";
        assert!(
            error.starts_with("x of ") && error.contains(words),
            "{error}"
        );
        let error = read(&golden("nan.npz")).unwrap_err();
        assert!(error.contains("nan.npz is NaN at [3, 0, 0]"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        for name in ["stored.npz", "deflated.npz"] {
            let whole = fs::read(golden(name)).unwrap();
            for end in (0..whole.len()).step_by(23) {
                fs::write(&path, &whole[..end]).unwrap();
                let error = read(&path).unwrap_err();
                assert!(
                    error.contains("a.npz is not a whole .npz archive"),
                    "{end}: {error}"
                );
            }
            // An element of x, after the header of 128 bytes in the stored archive.
            let mut damaged = whole.clone();
            damaged[200] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = read(&path).unwrap_err();
            assert!(
                error.contains("x of ") && error.contains("a.npz"),
                "{error}"
            );
        }
        let error = read(Path::new("nowhere.npz")).unwrap_err();
        assert!(error.starts_with("cannot read nowhere.npz"), "{error}");
    }
}
