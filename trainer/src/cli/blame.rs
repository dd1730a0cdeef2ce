//! Names the recipe file as the place of a wrong value.

use std::path::Path;

use anyhow::Error;

use super::hints;
use crate::training::TrainError;

/// Names the recipe file `path`, the phase and the key in an `error` about values of a recipe, and
/// returns any other error unchanged. `gives` says whether a field has its value from an option on
/// the command line instead of the file.
pub(super) fn file(error: Error, path: &Path, gives: &dyn Fn(&str) -> bool) -> Error {
    let path = path.display();
    let text = match error.downcast_ref::<TrainError>() {
        Some(TrainError::Value {
            phase,
            field,
            value,
            reason,
        }) if !gives(field) => {
            let phase = phase
                .as_ref()
                .map_or_else(String::new, |at| format!(", {at}"));
            format!("{path}{phase}: {} is {value}, but {reason}", key(field))
        }
        Some(TrainError::Recipe { reason }) if !reason.starts_with(&path.to_string()) => {
            format!("{path}: {reason}")
        }
        Some(TrainError::Pattern { .. }) if !gives("pattern") => {
            format!("{path}: {}", hints::message(&error))
        }
        Some(TrainError::Prune(inner))
            if inner.is_wrong_usage() && !(gives("pruner") || gives("compression")) =>
        {
            format!("{path}: {}", hints::message(&error))
        }
        _ => return error,
    };
    hints::verbatim(error, text)
}

/// Returns the key in a recipe file that sets `field`.
fn key(field: &'static str) -> &'static str {
    match field {
        "momentum" => "optimizer.momentum",
        "l2" => "decay.amount",
        field => field,
    }
}
