//! Wrong usage, exit code 2, told apart from what failed, exit code 1.
//!
//! Wrong usage is what the command line alone shows to be wrong: names that nothing has, numbers
//! out of range, options that contradict each other or are missing. clap finds most of it; the
//! rest comes as errors of the library, or as [`wrong`].

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

/// The error of a command line that is wrong for this `reason`.
pub(super) fn wrong(reason: impl Into<String>) -> Error {
    WrongUsage(reason.into()).into()
}

/// The number of at least 1 that `text` is, for clap.
///
/// # Errors
/// When it is none.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse()
        .map_err(|_| "give a whole number of at least 1")
}

/// Whether `error` says that the command line is wrong.
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
