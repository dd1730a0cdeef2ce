//! The options that help with an error of the library, which knows no command line.

use anyhow::Error;

use crate::deploy::DeployError;
use crate::pruning::PruneError;
use crate::training::{Remedy, TrainError};

/// Returns the message of `error` with the options that help: `… repeat the run (--force)`.
pub(super) fn message(error: &Error) -> String {
    let text = error.to_string();
    if let Some(DeployError::Weights(_)) = error.downcast_ref() {
        return format!("{text} (--force)");
    }
    let train = match error.downcast_ref() {
        Some(DeployError::Run(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    let options = match (train, error.downcast_ref()) {
        (Some(TrainError::Value { field, .. }), _) => {
            return text.replacen(field, flag(field), 1);
        }
        (Some(TrainError::Prune(error)), _) | (_, Some(error)) => for_pruning(error),
        (Some(error), _) => for_training(error),
        (None, None) => None,
    };
    match options {
        Some(options) => format!("{text} ({options})"),
        None => text,
    }
}

/// Returns the option of a field of a recipe.
fn flag(field: &'static str) -> &'static str {
    match field {
        "batch" => "--batch",
        "epochs" => "--epochs",
        "learning_rate" => "--learning-rate",
        "momentum" => "--momentum",
        "l2" => "--l2",
        "pixel_mean" => "--mean",
        "pixel_std" => "--std",
        _ => field,
    }
}

/// Returns the options that can resolve a [`TrainError`].
fn for_training(error: &TrainError) -> Option<&'static str> {
    Some(match error {
        TrainError::Diverged { .. } => "--learning-rate",
        TrainError::NothingToFinetune { .. } => "--weights",
        TrainError::UnusedWeights { .. } => "--weights, --after finetune",
        TrainError::IncompleteWeights { .. } => "--after rewind",
        TrainError::Normalization { .. } => "--mean, --std",
        TrainError::WeightsChanged { .. } => "--force",
        TrainError::ReplacesInput { .. } => "-o; --force replaces the run",
        TrainError::Folder { remedy, .. } => match remedy {
            Remedy::Wait | Remedy::Elsewhere => "-o",
            Remedy::ElsewhereOrReplace => "-o, --force",
            Remedy::Repeat | Remedy::RestoreOrRepeat => "--force",
            _ => return None,
        },
        _ => return None,
    })
}

/// Returns the options that can resolve a [`PruneError`].
fn for_pruning(error: &PruneError) -> Option<&'static str> {
    match error {
        PruneError::NeedsTraining { .. } => Some("--weights"),
        PruneError::NeedsData { .. } => Some("--data"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_library_end_with_the_options_that_help() {
        let folder = |remedy| TrainError::Folder {
            folder: "runs/a".into(),
            reason: "is broken".into(),
            remedy,
        };
        for (error, expected) in [
            (
                folder(Remedy::Repeat).into(),
                "runs/a is broken: repeat the run from the start (--force)",
            ),
            (
                folder(Remedy::NameRun).into(),
                "runs/a is broken: give a folder made by `rarefy train`",
            ),
            (
                DeployError::Run(folder(Remedy::Repeat)).into(),
                "runs/a is broken: repeat the run from the start (--force)",
            ),
            (
                TrainError::Value {
                    field: "learning_rate",
                    value: "0".into(),
                    reason: "must be a positive number".into(),
                }
                .into(),
                "--learning-rate 0 must be a positive number",
            ),
            (
                TrainError::Prune(PruneError::NeedsData { reader: "snip" }).into(),
                "snip computes gradients on training images: provide a dataset (--data)",
            ),
            (
                PruneError::NeedsTraining { pruner: "lamp" }.into(),
                "lamp ranks the weights of a trained dense network: provide them (--weights)",
            ),
        ] as [(Error, &str); 6]
        {
            assert_eq!(message(&error), expected);
        }
    }
}
