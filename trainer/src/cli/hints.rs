//! Messages of the library's errors, with the options that carry out their advice.

use std::fmt;

use anyhow::Error;

use crate::Remedy;
use crate::data::catalogue::CatalogueError;
use crate::data::fetch::FetchError;
use crate::deploy::DeployError;
use crate::device::{ChipError, DeviceError, RunError};
use crate::pruning::PruneError;
use crate::training::TrainError;

/// Context of an error whose message is printed unchanged, because the options that carry out its
/// advice do not exist in the current command.
#[derive(Debug)]
struct Verbatim(String);

impl fmt::Display for Verbatim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `error` with the message `text`, which is printed unchanged. The error keeps its type.
pub(super) fn verbatim(error: Error, text: String) -> Error {
    error.context(Verbatim(text))
}

/// Returns the message of `error`, in which the library's advice names the options that carry it
/// out.
pub(super) fn message(error: &Error) -> String {
    let mut text = error.to_string();
    if error.downcast_ref::<Verbatim>().is_some() {
        return text;
    }
    if let Some(TrainError::Value {
        field,
        value,
        reason,
        ..
    }) = train(error)
    {
        return match flag(field) {
            Some(option) => format!("{option} is {value}, but {reason}"),
            None => format!("{field} is {value}, but {reason} (a recipe file sets it, --recipe)"),
        };
    }
    if let Some(TrainError::AfterDense { error: inner, .. }) = train(error)
        && let Some(remedy) = inner.remedy()
        && let Some(option) = with_options(remedy)
    {
        text = text.replacen(&remedy.to_string(), option, 1);
    }
    let Some((remedy, option)) = remedy(error).and_then(|it| Some((it, with_options(it)?))) else {
        return text;
    };
    match text.strip_suffix(&remedy.to_string()) {
        Some(problem) => format!("{problem}{option}"),
        None => format!("{text} ({option})"),
    }
}

/// Returns `error` as an error of training, if it is one.
fn train(error: &Error) -> Option<&TrainError> {
    match error.downcast_ref() {
        Some(DeployError::Run(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// Returns the library's remedy for `error`, if it has one.
pub(super) fn remedy(error: &Error) -> Option<Remedy> {
    let of = error;
    None.or_else(|| of.downcast_ref().and_then(TrainError::remedy))
        .or_else(|| of.downcast_ref().and_then(DeployError::remedy))
        .or_else(|| of.downcast_ref().and_then(PruneError::remedy))
        .or_else(|| of.downcast_ref().and_then(FetchError::remedy))
        .or_else(|| of.downcast_ref().and_then(CatalogueError::remedy))
        .or_else(|| of.downcast_ref().and_then(DeviceError::remedy))
        .or_else(|| of.downcast_ref().and_then(RunError::remedy))
        .or_else(|| of.downcast_ref().and_then(ChipError::remedy))
}

/// Returns `remedy` in words that name the options that carry it out, if there are any.
fn with_options(remedy: Remedy) -> Option<&'static str> {
    Some(match remedy {
        Remedy::Wait => "wait until that process has ended, or choose another folder (-o)",
        Remedy::Elsewhere => "choose another folder (-o)",
        Remedy::ElsewhereOrReplace => {
            "choose another folder (-o), or replace the run (add --force to `rarefy train`)"
        }
        Remedy::StartFromDense => {
            "start another run from its dense network (`rarefy train` with its dense.safetensors \
             as --weights, and another -o)"
        }
        Remedy::SameSize => {
            "make all pictures the same size, or have them resized (--resize 32x32)"
        }
        Remedy::Repeat => "repeat the run from the start (add --force to its `rarefy train`)",
        Remedy::RestoreOrRepeat => {
            "restore the original, or repeat the run from the start (add --force to its `rarefy train`)"
        }
        Remedy::CopyOrElsewhere => {
            "copy it elsewhere and name the copy, or choose another folder (-o) for the new run"
        }
        Remedy::RemoveOrElsewhere => "remove it, or choose another folder (-o)",
        Remedy::LowerRate => "lower the learning rate (--learning-rate)",
        Remedy::LowerRateOrDecay => {
            "lower the learning rate (--learning-rate) or the weight decay (--l2, --decay)"
        }
        Remedy::LowerRateOrAugmentLess => {
            "lower the learning rate (--learning-rate), or augment images less (--augment)"
        }
        Remedy::LowerRateOrDecayOrAugmentLess => {
            "lower the learning rate (--learning-rate) or the weight decay (--l2, --decay), or \
             augment images less (--augment)"
        }
        Remedy::GiveWeights => "provide its weights (--weights)",
        Remedy::LeaveOutOrFinetune => {
            "leave them out (no --weights), or fine-tune from them (--after finetune)"
        }
        Remedy::CompleteOrRewind => {
            "add these tensors to the file, or rewind to the initial weights (--after rewind)"
        }
        Remedy::GiveData => "provide a dataset (--data)",
        Remedy::SameData => "use the dataset that the network was trained on (--data)",
        Remedy::SameNormalization => {
            "use the same mean and standard deviation in both (--mean, --std)"
        }
        Remedy::OtherMirror => "check the network connection, or name another mirror (--mirror)",
        Remedy::AnyEncoding => "let the encoding be chosen (--encoding auto)",
        Remedy::AnyEncodingOrFewerBits => {
            "let the encoding be chosen (--encoding auto), or use fewer bits (--weights)"
        }
        Remedy::NoEncodingOrIntegers => {
            "request no encoding (without --encoding), or use integer weights (--weights int8)"
        }
        Remedy::Integers => "use integer weights (--weights int8)",
        Remedy::LookOrAllowLoss => {
            "look there for weights or biases far larger than others, or allow the loss \
             (--allow-loss)"
        }
        Remedy::MoreBitsOrAllowLoss => {
            "use more bits per weight (such as --weights int8), or allow the loss (--allow-loss)"
        }
        Remedy::RepeatOrAllowLoss => {
            "repeat the run (add --force to its `rarefy train`), or allow the loss (--allow-loss)"
        }
        Remedy::MoveOrOtherFile => "move it, or choose another output file (-o)",
        Remedy::InstallProbeOrBuild => {
            "install it from https://probe.rs, or build the program without running it \
             (--build-only)"
        }
        Remedy::BuildOnly => {
            "build the program without running it (--build-only) to see whether the network fits"
        }
        Remedy::ConnectProbeOrBuild => {
            "connect it, or build the program without running it (--build-only)"
        }
        Remedy::MoreTimeOrFewerSamples => {
            "allow more time (--timeout), or run fewer samples (--samples)"
        }
        Remedy::WithoutDense => "measure without it (--no-dense)",
        Remedy::WithoutCycles => "measure without estimating cycles (--no-cycles)",
        Remedy::ReuseDense => {
            "give it as the weights of a run in another folder (--weights, -o), or replace the run \
             (add --force to `rarefy train`)"
        }
        Remedy::KeepFirstOrOtherPattern => {
            "keep the first layer dense (--keep-dense first), or choose another pattern (--pattern)"
        }
        Remedy::KeepLastOrOtherPattern => {
            "keep the last layer dense (--keep-dense last), or choose another pattern (--pattern)"
        }
        Remedy::OtherPattern => "choose another pattern (--pattern)",
        Remedy::SmallerBatches => "choose smaller batches (--batch)",
        Remedy::LowerCompression => "choose a lower compression (--compression)",
        Remedy::LowerCompressionOrOtherPruner => {
            "choose a lower compression (--compression), or another pruner (--pruner)"
        }
        Remedy::HigherCompressionOrOtherPruner => {
            "choose a higher compression (--compression), or another pruner (--pruner)"
        }
        Remedy::CompressionInRange => "choose a compression in that range (--compression)",
        Remedy::NameRun | Remedy::Finish => return None,
    })
}

/// Returns the option that sets a field of a recipe, if there is one.
fn flag(field: &'static str) -> Option<&'static str> {
    Some(match field {
        "batch" => "--batch",
        "epochs" => "--epochs",
        "learning_rate" => "--learning-rate",
        "momentum" => "--momentum",
        "l2" => "--l2",
        "decay.amount" => "--decay",
        "clip" => "--clip",
        "label_smoothing" => "--label-smoothing",
        "distillation.share" => "--distill share",
        "distillation.temperature" => "--distill temperature",
        "loss" => "--loss",
        "mixup" => "--mixup",
        "schedule.warmup" => "--warmup",
        "augmentation.rotation" => "--augment rotation",
        "augmentation.shift" => "--augment shift",
        "augmentation.scale" => "--augment scale",
        "augmentation.crop" => "--augment crop",
        "augmentation.elastic.alpha" => "--augment elastic",
        "rounds" => "--rounds",
        "to" => "--rewind-to",
        "pixel_mean" => "--mean",
        "pixel_std" => "--std",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::Target;

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
                "runs/a is broken: repeat the run from the start (add --force to its `rarefy train`)",
            ),
            (
                folder(Remedy::ElsewhereOrReplace).into(),
                "runs/a is broken: choose another folder (-o), or replace the run (add --force to `rarefy train`)",
            ),
            (
                folder(Remedy::NameRun).into(),
                "runs/a is broken: give a folder made by `rarefy train`",
            ),
            (
                DeployError::Run(folder(Remedy::Repeat)).into(),
                "runs/a is broken: repeat the run from the start (add --force to its `rarefy train`)",
            ),
            (
                TrainError::Value {
                    phase: None,
                    field: "learning_rate",
                    value: "0".into(),
                    reason: "must be a positive number".into(),
                }
                .into(),
                "--learning-rate is 0, but must be a positive number",
            ),
            (
                TrainError::Prune(PruneError::NeedsData { reader: "snip" }).into(),
                "snip computes gradients on training images: provide a dataset (--data)",
            ),
            (
                PruneError::NeedsTraining { pruner: "lamp" }.into(),
                "lamp ranks the weights of a trained dense network: provide its weights (--weights)",
            ),
        ] as [(Error, &str); 7]
        {
            assert_eq!(message(&error), expected);
        }
    }
    /// Returns one error of deployment per remedy.
    fn deploy_errors() -> [DeployError; 9] {
        let text = || String::from("x");
        let name = "x";
        [
            DeployError::Overflow {
                layer: text(),
                index: 0,
                encoding: rarefy_format::Encoding::Csr,
            },
            DeployError::Loss {
                measure: "accuracy",
                trained: text(),
                deployed: text(),
                reason: text(),
                remedy: Remedy::MoreBitsOrAllowLoss,
            },
            DeployError::Encoding {
                layer: text(),
                encoding: name,
                reason: text(),
            },
            DeployError::EncodingOfFloats,
            DeployError::Floats { layer: text() },
            DeployError::InTheWay { path: text() },
            DeployError::Mismatch(text()),
            DeployError::Weights(crate::network::state::StateError::Tensor {
                path: text(),
                reason: text(),
            }),
            TrainError::from(PruneError::NeedsData { reader: name }).into(),
        ]
    }

    /// Returns one error of training per remedy.
    fn train_errors() -> [TrainError; 13] {
        let text = || String::from("x");
        let name = "x";
        [
            TrainError::Diverged {
                loss: f32::NAN,
                phase: text(),
                epoch: 1,
                step: 1,
                learning_rate: 0.1,
                remedy: Remedy::LowerRateOrDecay,
            },
            TrainError::Prune(PruneError::Disconnected {
                pruner: text(),
                target: Target::Direct,
                compression: 9.0,
                reachable: 3.0,
            }),
            TrainError::Prune(PruneError::NoPath {
                pruner: name,
                target: Target::Effective,
                compression: 9.0,
                left: text(),
                shortest: 3,
                total: 9,
                most: 3.0,
            }),
            TrainError::Prune(PruneError::TooDense {
                pruner: text(),
                compression: 1.0,
                least: 2.0,
                tensor: text(),
            }),
            TrainError::Prune(PruneError::InvalidQuota {
                quota: name,
                compression: 1.0,
                tensor: text(),
                share: 120.0,
                least: 2.0,
                most: 3.0,
            }),
            TrainError::NothingToFinetune { pruner: name },
            TrainError::UnusedWeights { pruner: name },
            TrainError::Normalization {
                recipe: Box::new((0.0, 0.0).into()),
                dataset: text(),
                found: Box::new((1.0, 1.0).into()),
            },
            TrainError::IncompleteWeights {
                path: text(),
                missing: vec![text()],
            },
            TrainError::InputChanged {
                path: text(),
                what: name,
                found: text(),
            },
            TrainError::ReplacesInput { path: text() },
            TrainError::Pattern {
                pattern: text(),
                tensor: text(),
                inputs: 1,
                remedy: Remedy::OtherPattern,
            },
            TrainError::AfterDense {
                error: Box::new(TrainError::Mismatch(text())),
                dense: text(),
            },
        ]
    }

    /// Checks that every message ends with its remedy, so that one with options can replace it.
    #[test]
    fn messages_end_in_their_remedy() {
        let text = || String::from("x");
        let name = "x";
        let fetch = [
            FetchError::Busy { folder: text() },
            FetchError::InTheWay { path: text(), name },
            FetchError::Failed {
                file: text(),
                name,
                attempts: text(),
                folder: text(),
            },
        ];
        let run = [
            RunError::NoProbe { board: text() },
            RunError::NoConnection { board: text() },
            RunError::TimedOut {
                board: text(),
                seconds: 1,
            },
        ];
        let errors = (deploy_errors().into_iter().map(Error::from))
            .chain(train_errors().into_iter().map(Error::from))
            .chain(fetch.into_iter().map(Error::from))
            .chain(run.into_iter().map(|error| DeviceError::from(error).into()))
            .chain([Error::from(ChipError::NoStart { chip: name })]);
        for error in errors {
            let remedy = remedy(&error).unwrap();
            let (library, shown) = (error.to_string(), message(&error));
            let problem = library.strip_suffix(&remedy.to_string());
            let problem = problem.unwrap_or_else(|| panic!("{library} / {remedy}"));
            assert_eq!(shown, format!("{problem}{}", with_options(remedy).unwrap()));
            let verbatim = verbatim(error, library.clone());
            assert_eq!(message(&verbatim), library);
            assert_eq!(self::remedy(&verbatim), Some(remedy), "it keeps its type");
        }
    }
}
