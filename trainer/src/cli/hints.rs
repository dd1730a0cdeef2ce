//! The options that help with an error of the library, which knows no command line.

use anyhow::Error;

use crate::deploy::DeployError;
use crate::pruning::PruneError;
use crate::training::TrainError;

/// Advice of the library, and the options by which it is followed.
const ADVICE: &[(&str, &str)] = &[
    ("choose another folder", "-o"),
    ("as the weights of a run", "--weights"),
    ("replace the run", "`train --force`"),
    ("repeat the run from the start", "`train --force`"),
    ("repeat the run", "`train --force`"),
    ("lower the learning rate", "--learning-rate"),
    ("provide the weights of one", "--weights"),
    ("provide them", "--weights"),
    ("provide a dataset", "--data"),
    ("leave them out", "--weights"),
    ("fine-tune from them", "--after finetune"),
    ("rewind to the initial weights", "--after rewind"),
    ("keep the first layer dense", "--keep-dense first"),
    ("keep the last layer dense", "--keep-dense last"),
    ("choose another pattern", "--pattern"),
    ("use the same for both", "--mean, --std"),
    ("choose no encoding", "without --encoding"),
    ("use integer weights", "--weights int8"),
];

/// Returns the message of `error`, in which every advice is followed by its option:
/// `... repeat the run (`train --force`)`.
pub(super) fn message(error: &Error) -> String {
    let text = error.to_string();
    let train = match error.downcast_ref() {
        Some(DeployError::Run(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    if let Some(TrainError::Value { field, .. }) = train {
        return text.replacen(field, flag(field), 1);
    }
    let is_deploy = matches!(
        error.downcast_ref(),
        Some(DeployError::Weights(_) | DeployError::Run(_) | DeployError::Options(_))
    );
    if train.is_none() && !is_deploy && error.downcast_ref::<PruneError>().is_none() {
        return text;
    }
    with_options(&text)
}

/// Returns `text` with the options of the advice in it. Of two pieces of advice at one place, the
/// longer one counts.
fn with_options(text: &str) -> String {
    let mut found: Vec<(usize, &str)> = Vec::new();
    for (advice, option) in ADVICE {
        let Some(at) = text.find(advice) else {
            continue;
        };
        let end = at + advice.len();
        let is_part = ADVICE.iter().any(|(longer, _)| {
            longer.len() > advice.len()
                && longer.starts_with(advice)
                && text[at..].starts_with(longer)
        });
        if !is_part {
            found.push((end, option));
        }
    }
    found.sort_unstable();
    let mut text = text.to_owned();
    for (end, option) in found.into_iter().rev() {
        text.insert_str(end, &format!(" ({option})"));
    }
    text
}

/// Returns the option of a field of a recipe.
fn flag(field: &'static str) -> &'static str {
    match field {
        "batch" => "--batch",
        "epochs" => "--epochs",
        "learning_rate" => "--learning-rate",
        "momentum" => "--momentum",
        "l2" => "--l2",
        "clip" => "--clip",
        "label_smoothing" => "--label-smoothing",
        "schedule.warmup" => "--warmup",
        "rounds" => "--rounds",
        "rewind_to" => "--rewind-to",
        "pixel_mean" => "--mean",
        "pixel_std" => "--std",
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Remedy;

    #[test]
    fn advice_of_the_library_is_followed_by_its_options() {
        let folder = |remedy| TrainError::Folder {
            folder: "runs/a".into(),
            reason: "is broken".into(),
            remedy,
        };
        for (error, expected) in [
            (
                folder(Remedy::Repeat).into(),
                "runs/a is broken: repeat the run from the start (`train --force`)",
            ),
            (
                folder(Remedy::ElsewhereOrReplace).into(),
                "runs/a is broken: choose another folder (-o), or replace the run (`train --force`)",
            ),
            (
                folder(Remedy::NameRun).into(),
                "runs/a is broken: give a folder made by `rarefy train`",
            ),
            (
                DeployError::Run(folder(Remedy::Repeat)).into(),
                "runs/a is broken: repeat the run from the start (`train --force`)",
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
        ] as [(Error, &str); 7]
        {
            assert_eq!(message(&error), expected);
        }
    }
}
