//! What a run reports as it proceeds.

use super::metrics::Metrics;

/// What a run reports as it proceeds.
#[derive(Debug)]
pub enum Event<'a> {
    /// A message for the user.
    Note(String),
    /// The phases start or resume.
    Start {
        /// The number of images that earlier processes trained on.
        done: usize,
        /// The number of images that all epochs of the run train on.
        of: usize,
    },
    /// Connections are being scored.
    Scoring {
        /// The number of steps done.
        done: usize,
        /// The total number of steps.
        of: usize,
    },
    /// An epoch starts or resumes.
    Epoch {
        /// The phase, such as "dense".
        phase: &'a str,
        /// The epoch, from 1.
        epoch: usize,
        /// The number of epochs of the phase.
        of: usize,
        /// The number of epochs done, of all phases.
        done: usize,
        /// The number of epochs of all phases.
        all: usize,
    },
    /// The given number of images of the run are done.
    Images(usize),
    /// A checkpoint was written in the middle of an epoch.
    Checkpoint {
        /// The number of steps of the epoch that are done.
        steps: usize,
        /// The number of steps of the epoch.
        of: usize,
        /// The mean loss of these steps.
        loss: f64,
        /// The seconds since the start of the run.
        seconds: f64,
    },
    /// An epoch is done.
    Done(&'a Metrics),
}
