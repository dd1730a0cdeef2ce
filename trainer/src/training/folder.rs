//! The run folder: plain files that document a run and let it resume. [`layout`](super::layout)
//! lists them.
//!
//! A run can be killed at any time, and the same command resumes it from its folder. Each file
//! appears whole or not at all, a checkpoint names the files that it depends on, and everything
//! written after the checkpoint is computed again, bit for bit.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Remedy, TrainError};
use super::layout::{Content, FILES, REFUSAL, REPLACED, content, is_own, numbered};
use super::lock::{LOCK, Lock};
use super::recipe::{Difference, Recipe};
use crate::atomic::{self, FileError};
use crate::graph::{self, Graph};

pub use super::layout::{ARCHITECTURE, DENSE, FIGURES, MASKS, MASKS_DIRECT, RECIPE, WEIGHTS};
pub use super::metrics::Metrics;
pub use super::report::{Accuracy, Compressions, TrainReport, WeightCounts};

/// What to do with a run that is in the folder already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Resume it; it must have the same recipe.
    Resume,
    /// Start again. The files of the old run are set aside until the new run is finished. They are
    /// put back if the new run fails before its first checkpoint, or if it would always fail and
    /// has no trained dense network to keep.
    Replace,
}

/// The locked folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: Lock,
    /// The folders that this process created, starting with the run folder.
    created: Vec<PathBuf>,
}

impl RunFolder {
    /// Opens `path` for a run of `recipe`. The folder must be new or empty, or contain a run;
    /// `existing` says what to do with such a run. Other processes are locked out while the value
    /// lives.
    ///
    /// # Errors
    /// Returns an error if another process uses the folder, if it holds another run or other
    /// files, or if it cannot be written.
    pub fn open(path: &Path, recipe: &Recipe, existing: Existing) -> Result<Self, TrainError> {
        // Checked before locking, so that nothing is written into a folder of other files.
        check_own(path)?;
        let parents = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        let created = parents.take_while(|path| !path.exists());
        let created: Vec<PathBuf> = created.map(Path::to_path_buf).collect();
        let lock = atomic::create_folder(path).and_then(|()| Lock::alone(path));
        let lock = lock.inspect_err(|_| remove_empty(&created))?;
        let folder = Self {
            path: path.to_path_buf(),
            lock: lock.ok_or_else(|| in_use(path))?,
            created,
        };
        if let Err(error) = folder.begin(recipe, existing) {
            // The first error says what to do.
            let _ = folder.recover();
            folder.leave();
            return Err(error);
        }
        folder.remove_leftovers();
        Ok(folder)
    }

    /// Prepares the folder for a run of `recipe`: checks or sets aside the run in it, if there is
    /// one, and writes `run.toml` if it is missing.
    fn begin(&self, recipe: &Recipe, existing: Existing) -> Result<(), TrainError> {
        self.recover()?;
        match (check_own(&self.path)?, existing) {
            (Content::Run, Existing::Resume) => {
                self.check_same(recipe)?;
                self.remove(REFUSAL)?;
            }
            (Content::Run, Existing::Replace) => self.set_aside()?,
            _ => self.remove_leftovers(),
        }
        if self.file(RECIPE).exists() {
            return Ok(());
        }
        let text = toml::to_string(recipe).expect("a recipe is plain values");
        let text = format!(
            "# What this run was made with: `rarefy train --recipe` with this file repeats it.\n{text}"
        );
        Ok(atomic::write(&self.file(RECIPE), text.as_bytes())?)
    }

    /// Opens the folder of an existing run to read it. No process trains in it while the value
    /// lives.
    ///
    /// # Errors
    /// Returns an error if `path` contains no run, or if another process is training in it.
    pub fn existing(path: &Path) -> Result<(Self, Recipe), TrainError> {
        if !path.join(RECIPE).exists() {
            return Err(match path.join(REPLACED).join(RECIPE).exists() {
                // A process was killed before it began the new run.
                true => unusable(
                    path,
                    "holds a run whose replacement was interrupted",
                    Remedy::Finish,
                ),
                false if !path.exists() => unusable(path, "does not exist", Remedy::NameRun),
                false => unusable(path, "holds no run", Remedy::NameRun),
            });
        }
        let lock = Lock::shared(path)?.ok_or_else(|| in_use(path))?;
        let folder = Self {
            path: path.to_path_buf(),
            lock,
            created: Vec::new(),
        };
        let recipe = folder.recipe()?;
        Ok((folder, recipe))
    }

    /// Checks whether `path` has the name of a run's file and lies in a run folder, even if it does
    /// not exist.
    pub fn owns(path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        (is_own(name) || name == LOCK) && path.with_file_name(RECIPE).exists()
    }

    /// Checks whether `path` contains a run of `recipe`, finished or not.
    pub fn holds(path: &Path, recipe: &Recipe) -> bool {
        Self::existing(path).is_ok_and(|(_, found)| recipe.difference(&found).is_none())
    }

    /// Returns the path of the file called `name` in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies `file`, from which `graph` was read, into the folder, unless it has a copy already.
    ///
    /// # Errors
    /// Returns an error if the folder has a copy that describes another architecture, or if a file
    /// cannot be read or written.
    pub fn keep_architecture(&self, file: &Path, graph: &Graph) -> Result<(), TrainError> {
        let copy = self.file(ARCHITECTURE);
        match copy.exists() {
            true => self.check_architecture(graph),
            false => Ok(atomic::write(&copy, &atomic::read(file)?)?),
        }
    }

    /// Checks that the copy of the architecture's file in the folder, if there is one, describes
    /// `graph`.
    ///
    /// # Errors
    /// Returns an error if it does not, or if it cannot be read.
    pub(super) fn check_architecture(&self, graph: &Graph) -> Result<(), TrainError> {
        let copy = self.file(ARCHITECTURE);
        if copy.exists() && graph::load(&copy.to_string_lossy())? != *graph {
            return Err(self.changed(ARCHITECTURE));
        }
        Ok(())
    }

    /// Returns the architecture of the run of `recipe`.
    ///
    /// # Errors
    /// Returns an error if the architecture is unknown or not the one the run was made with, or if
    /// the folder's copy cannot be read.
    pub fn architecture(&self, recipe: &Recipe) -> Result<Graph, TrainError> {
        let copy = self.file(ARCHITECTURE);
        let is_own = copy.exists();
        let graph = if is_own {
            graph::load(&copy.to_string_lossy())?
        } else {
            graph::load(&recipe.arch)?
        };
        if graph.fingerprint() == recipe.arch_fingerprint {
            return Ok(graph);
        }
        if is_own {
            return Err(self.changed(ARCHITECTURE));
        }
        let reason = format!(
            "holds a run of another {} than this version of rarefy defines (the version that trained it can export it)",
            recipe.arch
        );
        Err(self.unusable_folder(reason, Remedy::Repeat))
    }

    /// Checks that the run in the folder has the recipe `recipe`.
    pub(super) fn check_same(&self, recipe: &Recipe) -> Result<(), TrainError> {
        let Some(Difference {
            field,
            ours,
            theirs,
        }) = recipe.difference(&self.recipe()?)
        else {
            return Ok(());
        };
        let reason = match &recipe.arch_file {
            Some(file) if field == Recipe::ARCHITECTURE => format!(
                "holds a run of another architecture than {} describes",
                file.display()
            ),
            _ => format!("holds a run with {field} {theirs}, not {ours}"),
        };
        Err(self.unusable_folder(reason, Remedy::ElsewhereOrReplace))
    }

    /// Removes the files of the run, its recipe last.
    pub(super) fn clear(&self) -> Result<(), TrainError> {
        let mut names = FILES.iter().filter(|&&name| name != RECIPE);
        names.try_for_each(|name| self.remove(name))?;
        let numbered = numbered(&self.path);
        numbered.iter().try_for_each(|name| self.remove(name))?;
        atomic::sync_folder(&self.path);
        self.remove(RECIPE)
    }

    /// Removes the run. Puts back the one that it replaces, if there is one; otherwise, removes the
    /// folders that this process created. Returns whether a run was put back.
    ///
    /// # Errors
    /// Returns an error if the system fails to remove or move a file.
    pub(super) fn discard(&self) -> Result<bool, TrainError> {
        self.clear()?;
        let is_back = self.put_back()?;
        self.leave();
        Ok(is_back)
    }

    /// Removes the lock, and the folders that this process created, if nothing is in them.
    fn leave(&self) {
        self.lock.remove();
        remove_empty(&self.created);
    }

    /// Removes the temporary files of killed processes.
    pub(super) fn remove_leftovers(&self) {
        atomic::remove_all_leftovers(&self.path);
    }

    /// Returns the error that this folder cannot be used for `reason`.
    pub(super) fn unusable_folder(&self, reason: impl Into<String>, remedy: Remedy) -> TrainError {
        unusable(&self.path, reason, remedy)
    }

    /// Returns the error that the file called `name` has changed since the run wrote it.
    pub(super) fn changed(&self, name: &str) -> TrainError {
        let reason = format!("holds a {name} that was changed after the run made it");
        self.unusable_folder(reason, Remedy::RestoreOrRepeat)
    }

    /// Removes the file called `name`, if it exists.
    ///
    /// # Errors
    /// Returns an error if the system fails to remove it.
    pub fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, e).into())
            }
            _ => Ok(()),
        }
    }

    /// Reads `run.toml`.
    fn recipe(&self) -> Result<Recipe, TrainError> {
        let text = String::from_utf8_lossy(&atomic::read(&self.file(RECIPE))?).into_owned();
        let recipe: Recipe = toml::from_str(&text).map_err(|e| {
            let reason = e.message().replace('\n', " ");
            let reason = format!(
                "holds a run.toml that cannot be read ({reason}; another version of rarefy may have written it)"
            );
            self.unusable_folder(reason, Remedy::Repeat)
        })?;
        recipe.check_numbers().map_err(|e| {
            let reason = format!("holds a run.toml with an invalid value ({e})");
            self.unusable_folder(reason, Remedy::Repeat)
        })?;
        Ok(recipe)
    }
}

/// Returns the error that `folder` cannot be used for `reason`.
fn unusable(folder: &Path, reason: impl Into<String>, remedy: Remedy) -> TrainError {
    TrainError::Folder {
        folder: folder.display().to_string(),
        reason: reason.into(),
        remedy,
    }
}

/// Removes `folders`, each the parent of the one before, up to the first that is not empty.
fn remove_empty(folders: &[PathBuf]) {
    let mut folders = folders.iter();
    // A folder in which another process has written since is kept.
    let _ = folders.try_for_each(fs::remove_dir);
}

/// Returns the error for a folder that another process has locked.
fn in_use(folder: &Path) -> TrainError {
    unusable(
        folder,
        "is in use by another process of rarefy",
        Remedy::Wait,
    )
}

/// Returns whether `folder` contains a run or nothing; rejects a folder of other files.
fn check_own(folder: &Path) -> Result<Content, TrainError> {
    match content(folder)? {
        Content::Foreign => Err(unusable(
            folder,
            "is not empty and holds no run.toml",
            Remedy::Elsewhere,
        )),
        content => Ok(content),
    }
}
