//! The end of a run: its figures, and the checksums that bind its files together; or why it cannot
//! be finished.

use std::path::Path;

use super::error::{Remedy, TrainError};
use super::folder::RunFolder;
use super::layout::{
    ARCHITECTURE, CHECKPOINT, FIGURES, FILES, NEEDED, RECIPE, REFUSAL, RESULT, numbered,
};
use super::recipe::Recipe;
use super::report::TrainReport;
use super::sums::{Difference, SUMS, Sums};
use crate::atomic;
use crate::graph::Graph;

impl RunFolder {
    /// Returns the figures of the finished run of `recipe` on `graph` in the folder `path`, which
    /// can be on a read-only disk; `None` if it holds no finished run.
    ///
    /// # Errors
    /// Returns an error if another process trains in the folder, if it holds another run, or if a
    /// file has changed since the run finished.
    pub(super) fn finished(
        path: &Path,
        recipe: &Recipe,
        graph: &Graph,
    ) -> Result<Option<TrainReport>, TrainError> {
        if !(path.join(RESULT).exists() && path.join(RECIPE).exists()) {
            return Ok(None);
        }
        let (folder, _) = Self::existing(path)?;
        folder.check_same(recipe)?;
        if recipe.arch_file.is_some() {
            folder.check_architecture(graph)?;
        }
        let report = folder.result(recipe)?;
        // A process that was killed at the end of the run may have left these.
        let _ = folder.remove_checkpoint();
        let _ = folder.remove_replaced();
        folder.remove_leftovers();
        Ok(report)
    }

    /// Records why the run cannot be finished.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn refuse(&self, reason: &str) -> Result<(), TrainError> {
        Ok(atomic::write(&self.file(REFUSAL), reason.as_bytes())?)
    }

    /// Returns the error for a run that is not finished; if the run cannot be finished, it says
    /// why.
    pub fn unfinished(&self) -> TrainError {
        match atomic::read(&self.file(REFUSAL)) {
            Ok(reason) => {
                let reason = String::from_utf8_lossy(&reason).replace('\n', " ");
                let reason = format!("holds a run that cannot be finished ({reason})");
                self.unusable_folder(reason, Remedy::StartFromDense)
            }
            Err(_) => self.unusable_folder("holds a run that is not finished", Remedy::Finish),
        }
    }

    /// Returns the figures of the run of `recipe`; `None` if it is not finished.
    ///
    /// # Errors
    /// Returns an error if the figures cannot be read or belong to another run, or if a file has
    /// changed since the run finished.
    pub fn result(&self, recipe: &Recipe) -> Result<Option<TrainReport>, TrainError> {
        let path = self.file(RESULT);
        if !path.exists() {
            return Ok(None);
        }
        let report: TrainReport = serde_json::from_slice(&atomic::read(&path)?).map_err(|e| {
            let reason = format!("holds a result.json that cannot be read ({e})");
            self.unusable_folder(reason, Remedy::Repeat)
        })?;
        self.check_sums()?;
        let pruner = report.pruner.as_str();
        let found = (&report.arch, &report.dataset, pruner, report.seed);
        if found != (&recipe.arch, &recipe.data, recipe.pruner(), recipe.seed) {
            let reason = "holds a result.json and a run.toml of different runs";
            return Err(self.unusable_folder(reason, Remedy::Repeat));
        }
        // The folder may have been moved.
        let run = self.path().display().to_string();
        Ok(Some(TrainReport { run, ..report }))
    }

    /// Checks that the files of the finished run have not changed.
    fn check_sums(&self) -> Result<(), TrainError> {
        let lacks = |name: &str| {
            let reason = format!("lacks {name}, which its run ended with");
            self.unusable_folder(reason, Remedy::RestoreOrRepeat)
        };
        if !self.file(SUMS).exists() {
            return Err(lacks(SUMS));
        }
        let text = atomic::read(&self.file(SUMS))?;
        let Some(sums) = str::from_utf8(&text).ok().and_then(Sums::parse) else {
            return Err(self.changed(SUMS));
        };
        let has_own = sums.names().any(|name| name == ARCHITECTURE);
        let needed = NEEDED
            .iter()
            .copied()
            .chain(has_own.then_some(ARCHITECTURE));
        match sums.difference(self.path(), &needed.collect::<Vec<_>>())? {
            None => Ok(()),
            Some(Difference::Changed(name)) => {
                let reason = format!(
                    "holds a {name} that does not match its checksum in {SUMS} (one of the two was changed after the run made them)"
                );
                Err(self.unusable_folder(reason, Remedy::RestoreOrRepeat))
            }
            Some(Difference::Missing(name)) => Err(lacks(&name)),
            Some(Difference::Unknown(_)) => Err(self.changed(SUMS)),
        }
    }

    /// Writes the checksums and then the figures, which mark the run as finished.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written.
    pub fn finish(&self, report: &TrainReport) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(report).expect("a report is plain values") + "\n";
        // All files except those that are written here, removed at the end, or written later.
        let kept = FILES
            .iter()
            .filter(|&&name| ![FIGURES, RESULT, SUMS, CHECKPOINT].contains(&name));
        let numbered = numbered(self.path());
        let kept = kept.copied().chain(numbered.iter().map(String::as_str));
        let mut sums = Sums::of(self.path(), &kept.collect::<Vec<_>>())?;
        sums.insert(RESULT, text.as_bytes());
        atomic::write(&self.file(SUMS), sums.text().as_bytes())?;
        atomic::write(&self.file(RESULT), text.as_bytes())?;
        self.remove(CHECKPOINT)?;
        self.remove_replaced()
    }
}
