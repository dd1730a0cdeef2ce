//! The state of an unfinished run in its folder: the checkpoint and the metrics.

use super::checkpoint::{Checkpoint, Expected};
use super::error::{Remedy, TrainError};
use super::folder::RunFolder;
use super::layout::CHECKPOINT;
use super::metrics::{self, METRICS, Metrics};
use super::sums::Difference;

impl RunFolder {
    /// Saves a checkpoint of the run.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        Ok(checkpoint.save(&self.file(CHECKPOINT))?)
    }

    /// Removes the checkpoint, if there is one.
    ///
    /// # Errors
    /// Returns an error if the system fails to remove it.
    pub fn remove_checkpoint(&self) -> Result<(), TrainError> {
        self.remove(CHECKPOINT)
    }

    /// Returns the checkpoint of the run; `None` if there is none. `needed` returns the names of
    /// the files that the run writes before a checkpoint.
    ///
    /// # Errors
    /// Returns an error if the checkpoint does not match `expected`, if a file that it names is
    /// missing or has changed, or if the metrics lack an epoch.
    pub(super) fn checkpoint(
        &self,
        expected: &Expected<'_>,
        needed: impl Fn(&Checkpoint) -> Vec<String>,
    ) -> Result<Option<Checkpoint>, TrainError> {
        let path = self.file(CHECKPOINT);
        if !path.exists() {
            // Lines of an epoch whose checkpoint was never written.
            self.remove(METRICS)?;
            return Ok(None);
        }
        let checkpoint = Checkpoint::load(&path, expected).map_err(|e| self.unusable(&e))?;
        let needed = needed(&checkpoint);
        let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
        match checkpoint.files.difference(self.path(), &needed)? {
            None => {}
            Some(Difference::Changed(name)) => {
                return Err(self.unusable(&format!("{name} has changed since it was saved")));
            }
            Some(Difference::Missing(name)) => {
                return Err(self.unusable(&format!("{name} is missing")));
            }
            Some(Difference::Unknown(name)) => {
                return Err(self.unusable(&format!("it has no checksum of {name}")));
            }
        }
        self.check_metrics(&checkpoint, expected)?;
        Ok(Some(checkpoint))
    }

    /// Returns the error that the checkpoint cannot be used for `reason`.
    pub fn unusable(&self, reason: &str) -> TrainError {
        let reason = format!("holds a {CHECKPOINT} from which the run cannot resume ({reason})");
        self.unusable_folder(reason, Remedy::Repeat)
    }

    /// Checks that `metrics.csv` has the lines of all epochs up to `checkpoint`, and drops what
    /// follows them, which will be written again.
    fn check_metrics(
        &self,
        checkpoint: &Checkpoint,
        expected: &Expected<'_>,
    ) -> Result<(), TrainError> {
        let phases = expected.phases.iter();
        let before = phases.take_while(|phase| phase.name != checkpoint.phase);
        let before = before.map(|phase| (phase.name, phase.epochs));
        let now = (checkpoint.phase.as_str(), checkpoint.epochs);
        let epochs: Vec<(&str, usize)> = before.chain([now]).collect();
        let path = self.file(METRICS);
        match metrics::missing(&path, epochs.iter().copied())? {
            Some((phase, epoch)) => Err(self.unusable(&format!(
                "{METRICS} lacks the line of epoch {epoch} of the {phase} phase"
            ))),
            None => Ok(metrics::keep(
                &path,
                epochs.iter().map(|(_, count)| count).sum(),
            )?),
        }
    }

    /// Appends a line to `metrics.csv`, after dropping the line of the same epoch, if there is one,
    /// and all lines after it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written.
    pub fn add_metrics(&self, row: &Metrics) -> Result<(), TrainError> {
        Ok(row.add_to(&self.file(METRICS))?)
    }
}
