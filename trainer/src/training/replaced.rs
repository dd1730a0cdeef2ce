//! The run that a new run replaces: kept until the new one is finished, and put back if that fails.
//!
//! Its files are moved to a folder within the run folder, which is then a run folder of its own. A
//! process can be killed between two moves, so the recipe leaves last and returns first: unless
//! both folders hold one, the moves were interrupted, and the next process undoes them.

use std::fs;
use std::path::Path;

use super::error::TrainError;
use super::folder::RunFolder;
use super::layout::{FILES, RECIPE, REPLACED, numbered};
use crate::atomic::{self, FileError};

impl RunFolder {
    /// Moves the files of the run aside. If an earlier run is set aside already, the run in the
    /// folder was meant to replace it and did not finish: the files of the unfinished run are
    /// removed.
    ///
    /// # Errors
    /// Returns an error if the system fails to move or remove a file.
    pub(super) fn set_aside(&self) -> Result<(), TrainError> {
        if self.replaces() {
            return self.clear();
        }
        let aside = self.file(REPLACED);
        atomic::create_folder(&aside)?;
        move_all(self.path(), &aside, run_files(self.path()).iter())
    }

    /// Checks whether the run in the folder replaces another, which is kept until it is finished.
    pub(super) fn replaces(&self) -> bool {
        self.file(REPLACED).join(RECIPE).exists()
    }

    /// Undoes moves that a killed process did not complete.
    ///
    /// # Errors
    /// Returns an error if the system fails to move a file.
    pub(super) fn recover(&self) -> Result<(), TrainError> {
        match self.replaces() && self.file(RECIPE).exists() {
            true => Ok(()),
            false => self.put_back().map(drop),
        }
    }

    /// Puts back the run that was moved aside, if there is one, and returns whether there was. The
    /// folder must hold no other run.
    ///
    /// # Errors
    /// Returns an error if the system fails to move a file.
    pub(super) fn put_back(&self) -> Result<bool, TrainError> {
        let aside = self.file(REPLACED);
        let names = run_files(&aside);
        move_all(&aside, self.path(), names.iter().rev())?;
        // Anything else in it is kept.
        let _ = fs::remove_dir(&aside);
        Ok(!names.is_empty())
    }

    /// Removes the run that was moved aside, if there is one.
    ///
    /// # Errors
    /// Returns an error if the system fails to remove a file.
    pub(super) fn remove_replaced(&self) -> Result<(), TrainError> {
        let aside = self.file(REPLACED);
        for name in run_files(&aside) {
            let path = aside.join(name);
            fs::remove_file(&path).map_err(|e| FileError::new("remove", &path, e))?;
        }
        let _ = fs::remove_dir(&aside);
        Ok(())
    }
}

/// Returns the names of the files of the run in `folder`, the recipe last.
fn run_files(folder: &Path) -> Vec<String> {
    let others = FILES.iter().filter(|&&name| name != RECIPE);
    let others = others.map(|&name| name.to_owned());
    let names = others.chain(numbered(folder)).chain([RECIPE.to_owned()]);
    names.filter(|name| folder.join(name).exists()).collect()
}

/// Moves the files called `names` from one folder to another, in this order.
fn move_all<'a>(
    from: &Path,
    to: &Path,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), TrainError> {
    for name in names {
        let path = from.join(name);
        fs::rename(&path, to.join(name)).map_err(|e| FileError::new("move", &path, e))?;
    }
    [from, to].into_iter().for_each(atomic::sync_folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::digits;
    use crate::graph::architecture;
    use crate::training::folder::{DENSE, Existing, WEIGHTS};
    use crate::training::layout::{RESULT, rewind};
    use crate::training::recipe::Recipe;

    /// Checks that a process killed after any number of moves loses no file, in both directions.
    #[test]
    fn interrupted_moves_are_undone() {
        let graph = architecture::by_name("lenet-300-100").unwrap();
        let recipe = Recipe::new(&graph, &digits::load());
        let rewound = rewind(500);
        let written = [RESULT, WEIGHTS, DENSE, rewound.as_str()];
        for moves in 0..=5 {
            for returns in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("run");
                drop(RunFolder::open(&path, &recipe, Existing::Resume).unwrap());
                for name in written {
                    fs::write(path.join(name), name).unwrap();
                }
                fs::write(path.join("notes.txt"), "mine").unwrap();
                let aside = path.join(REPLACED);
                let mut names = run_files(&path);
                assert_eq!(names.len(), 5);
                fs::create_dir(&aside).unwrap();
                if returns {
                    move_all(&path, &aside, names.iter()).unwrap();
                    names.reverse();
                    move_all(&aside, &path, names[..moves].iter()).unwrap();
                } else {
                    move_all(&path, &aside, names[..moves].iter()).unwrap();
                }
                if let Err(error) = RunFolder::existing(&path) {
                    let error = error.to_string();
                    assert!(
                        error.contains("run the same `rarefy train` again"),
                        "{error}"
                    );
                }
                let opened = RunFolder::open(&path, &recipe, Existing::Resume).unwrap();
                assert!(!aside.exists(), "{moves} {returns}");
                assert!(!opened.replaces());
                for name in written {
                    assert_eq!(fs::read(path.join(name)).unwrap(), name.as_bytes());
                }
                assert_eq!(fs::read(path.join("notes.txt")).unwrap(), b"mine");
            }
        }
    }

    #[test]
    fn a_replacement_that_is_itself_replaced_costs_no_earlier_run() {
        let graph = architecture::by_name("lenet-300-100").unwrap();
        let recipe = Recipe::new(&graph, &digits::load());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        for (name, kept) in [(WEIGHTS, false), (DENSE, true), (RESULT, true)] {
            let opened = RunFolder::open(&path, &recipe, Existing::Replace).unwrap();
            assert_eq!(opened.replaces(), kept);
            fs::write(path.join(name), name).unwrap();
        }
        assert!(!path.join(DENSE).exists() && path.join(RESULT).exists());
        let opened = RunFolder::open(&path, &recipe, Existing::Resume).unwrap();
        assert!(opened.discard().unwrap());
        assert_eq!(fs::read(path.join(WEIGHTS)).unwrap(), WEIGHTS.as_bytes());
        assert!(!path.join(RESULT).exists() && !path.join(REPLACED).exists());
    }
}
