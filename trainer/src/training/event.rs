//! What a run reports while it runs.

use super::metrics::Metrics;

/// What a run reports while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A message for the user.
    Note(String),
    /// Connections are being scored.
    Scoring {
        /// The number of steps done.
        done: usize,
        /// The number of all steps.
        of: usize,
    },
    /// An epoch starts.
    Epoch {
        /// The phase, such as "dense".
        phase: &'a str,
        /// The epoch, from 1.
        epoch: usize,
        /// The number of epochs of the phase.
        of: usize,
        /// The number of images of an epoch.
        images: usize,
        /// The number of epochs done, of all phases.
        done: usize,
        /// The number of epochs of all phases.
        all: usize,
    },
    /// The given number of images of the epoch are done.
    Images(usize),
    /// An epoch is done.
    Done(&'a Metrics),
}
