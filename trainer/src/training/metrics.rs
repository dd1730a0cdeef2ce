//! The metrics of each epoch: `metrics.csv`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::atomic::{self, FileError};

/// The name of the file.
pub const METRICS: &str = "metrics.csv";

/// One line of `metrics.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The name of the phase, such as "dense".
    pub phase: String,
    /// The epoch, from 1.
    pub epoch: usize,
    /// The mean training loss.
    pub loss: f64,
    /// The accuracy on the test images, with batch-norm statistics from a sample of the training
    /// images, or from all of them if the network after this epoch is saved. If targets are
    /// numbers, R².
    pub accuracy: f64,
    /// The mean squared error on the test images, in the squared units of the targets; `None` if
    /// these are classes.
    pub mse: Option<f64>,
    /// The seconds spent training and pruning so far, by all processes of the run.
    pub seconds: f64,
}

/// The header of `metrics.csv`.
const HEADER: &str = "phase,epoch,loss,accuracy,seconds\n";

/// The header if targets are numbers.
const HEADER_OF_NUMBERS: &str = "phase,epoch,loss,mse,seconds\n";

impl Metrics {
    /// Appends the line to the file `path`, after dropping the line of the same epoch, if there is
    /// one, and all lines after it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written.
    pub fn add_to(&self, path: &Path) -> Result<(), FileError> {
        let key = key(&self.phase, self.epoch);
        let header = self.mse.map_or(HEADER, |_| HEADER_OF_NUMBERS);
        let old = read(path, header)?;
        let mut text: String = old
            .split_inclusive('\n')
            .take_while(|line| !line.starts_with(&key))
            .collect();
        let quality = match self.mse {
            Some(mse) => format!("{mse:e}"),
            None => format!("{:.4}", self.accuracy),
        };
        text += &format!("{key}{:.6},{quality},{:.1}\n", self.loss, self.seconds);
        atomic::write(path, text.as_bytes())
    }
}

/// Returns the beginning of the line of an epoch.
fn key(phase: &str, epoch: usize) -> String {
    format!("{phase},{epoch},")
}

/// Checks whether `line` begins with `key` and ends in three numbers.
fn is_row(line: &str, key: &str) -> bool {
    let numbers = line.strip_prefix(key).map(|rest| rest.split(','));
    numbers.is_some_and(|numbers| {
        let numbers: Vec<_> = numbers.map(str::parse::<f64>).collect();
        numbers.len() == 3 && numbers.iter().all(Result::is_ok)
    })
}

/// Reads the file `path`; returns only the `header` if it does not exist yet.
fn read(path: &Path, header: &str) -> Result<String, FileError> {
    match fs::read_to_string(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(header.into()),
        read => read.map_err(|e| FileError::new("read", path, e)),
    }
}

/// Drops all but the header and the first `count` lines after it from the file `path`, if it has
/// more.
///
/// # Errors
/// Returns an error if the file cannot be read or written.
pub fn keep(path: &Path, count: usize) -> Result<(), FileError> {
    let text = read(path, HEADER)?;
    let kept: String = text.split_inclusive('\n').take(1 + count).collect();
    match kept == text {
        true => Ok(()),
        false => atomic::write(path, kept.as_bytes()),
    }
}

/// Returns the first epoch of `phases` (names and numbers of epochs, in order) whose line is
/// missing from the file `path` or out of order; `None` if there is none.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn missing<'a>(
    path: &Path,
    phases: impl IntoIterator<Item = (&'a str, usize)>,
) -> Result<Option<(&'a str, usize)>, FileError> {
    let text = read(path, HEADER)?;
    let mut lines = text.lines();
    let first = lines.next();
    let is_first = |header: &&str| first == Some(header.trim_end());
    let has_header = [HEADER, HEADER_OF_NUMBERS].iter().any(is_first);
    for (phase, epochs) in phases {
        for epoch in 1..=epochs {
            let key = key(phase, epoch);
            if !(has_header && lines.next().is_some_and(|line| is_row(line, &key))) {
                return Ok(Some((phase, epoch)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_epoch_replaces_its_line_and_those_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS);
        let row = |phase: &str, epoch, loss| Metrics {
            phase: phase.into(),
            epoch,
            loss,
            accuracy: 0.5,
            mse: None,
            seconds: 1.0,
        };
        let missing = |last| missing(&path, [("dense", 1), ("pruned", last)]).unwrap();
        assert_eq!(missing(0), Some(("dense", 1)));
        for (phase, epoch, loss) in [
            ("dense", 1, 4.0),
            ("pruned", 1, 3.0),
            ("pruned", 2, 2.0),
            ("pruned", 1, 1.0),
        ] {
            row(phase, epoch, loss).add_to(&path).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "phase,epoch,loss,accuracy,seconds\n\
             dense,1,4.000000,0.5000,1.0\n\
             pruned,1,1.000000,0.5000,1.0\n"
        );
        assert_eq!(missing(1), None);
        assert_eq!(missing(2), Some(("pruned", 2)));
        fs::write(&path, [0xff]).unwrap();
        assert!(row("dense", 1, 1.0).add_to(&path).is_err());
    }
}
