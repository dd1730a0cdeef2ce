//! Trained runs shared by tests: made once, kept in memory, written again for each test.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::program;

/// A finished run and its container.
pub(crate) struct Run {
    files: Vec<(String, Vec<u8>)>,
    /// What `train` printed.
    pub(crate) trained: Value,
    /// What `export` printed.
    pub(crate) exported: Value,
    /// The container.
    pub(crate) container: Vec<u8>,
}

impl Run {
    /// Trains with `options` in a folder called `run` and exports to `model.rfy`.
    fn make(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let trained = program::json(folder, &format!("train {options} -o run"));
        let exported = program::json(folder, "export run -o model.rfy");
        let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder.join("run"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        let container = fs::read(folder.join("model.rfy")).unwrap();
        Self {
            files,
            trained,
            exported,
            container,
        }
    }

    /// Writes the run's files into the folder `path`.
    pub(crate) fn lay_out(&self, path: &Path) {
        fs::create_dir_all(path).unwrap();
        for (name, bytes) in &self.files {
            fs::write(path.join(name), bytes).unwrap();
        }
    }

    /// Returns the names of the run's files, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.files.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the contents of the run's file `name`.
    pub(crate) fn file(&self, name: &str) -> &[u8] {
        let file = self.files.iter().find(|(found, _)| found == name);
        &file
            .unwrap_or_else(|| panic!("{name} in {:?}", self.names()))
            .1
    }
}

/// Returns a short version of the main run: magnitude/igq to 100x effective compression, 2 epochs
/// per phase.
pub(crate) fn pruned() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| Run::make("--epochs 2"))
}

/// Creates a folder that holds the files of [`pruned`] in its folder `run`.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    pruned().lay_out(&folder.path().join("run"));
    folder
}

/// Returns a run whose direct mask leaves units detached: random/uniform to 20x direct
/// compression.
pub(crate) fn direct() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        Run::make("--epochs 1 --pruner random/uniform --type direct --compression 20")
    })
}
