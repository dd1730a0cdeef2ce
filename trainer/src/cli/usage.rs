//! Distinguishes wrong usage (exit code 2) from failures (exit code 1).
//!
//! Wrong usage is an error in the command line itself: unknown names, numbers out of range,
//! options that are missing or contradict each other. clap finds most of these; the rest are
//! errors of the library or of [`wrong`].

use std::num::NonZeroUsize;

use anyhow::Error;

use crate::data::catalogue::CatalogueError;
use crate::deploy::DeployError;
use crate::device::BoardError;
use crate::graph::ArchitectureError;
use crate::pruning::{InvalidCompression, PruneError};
use crate::training::TrainError;

/// Wrong usage found by a command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// Returns an error of wrong usage with this `reason`.
pub(super) fn wrong(reason: impl Into<String>) -> Error {
    WrongUsage(reason.into()).into()
}

/// Parses a whole number of at least 1, for clap.
///
/// # Errors
/// Returns an error if `text` is not such a number.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse()
        .map_err(|_| "give a whole number of at least 1")
}

/// Returns whether `error` is wrong usage.
pub(super) fn is_wrong(error: &Error) -> bool {
    let of = error;
    of.downcast_ref::<WrongUsage>().is_some()
        || of.downcast_ref::<InvalidCompression>().is_some()
        || of.downcast_ref().is_some_and(PruneError::is_wrong_usage)
        || of.downcast_ref().is_some_and(TrainError::is_wrong_usage)
        || of.downcast_ref().is_some_and(DeployError::is_wrong_usage)
        || matches!(of.downcast_ref(), Some(BoardError::Unknown { .. }))
        || matches!(of.downcast_ref(), Some(ArchitectureError::Unknown(_)))
        || matches!(
            of.downcast_ref(),
            Some(
                CatalogueError::Unknown { .. }
                    | CatalogueError::Unpublished { .. }
                    | CatalogueError::Embedded { .. }
            )
        )
}
