//! The phases of a recipe as stages of a run: named, with their hyperparameters and files.

use std::collections::{BTreeMap, BTreeSet};

use super::Recipe;
use super::phase::{Phase, Rewind};
use crate::training::error::TrainError;
use crate::training::hyperparameters::Hyperparameters;
use crate::training::layout::{MASKS, MASKS_DIRECT};

/// A phase of a run, with all that its place in the run determines.
#[derive(Debug, Clone)]
pub(in crate::training) struct Stage {
    /// The name, such as "dense" or "pruned"; unique in the run.
    pub(in crate::training) name: String,
    pub(in crate::training) phase: Phase,
    /// The hyperparameters of the recipe, with the overrides of the phase applied.
    pub(in crate::training) hyperparameters: Hyperparameters,
    /// The number of epochs; 0 if the phase does not train.
    pub(in crate::training) epochs: usize,
    /// The files of the masks that the phase computes: the direct ones, and those that are trained.
    pub(in crate::training) masks: Option<[String; 2]>,
    /// Whether the phase ends with a dense network that is pruned next. That network is saved.
    pub(in crate::training) ends_dense: bool,
    /// The steps before which the weights are saved for rewinding.
    pub(in crate::training) keeps: BTreeSet<usize>,
}

impl Stage {
    /// Checks whether the phase trains and learns from a dense network, if there is one.
    pub(in crate::training) fn distils(&self) -> bool {
        self.phase.training().is_some() && self.hyperparameters.distillation.is_some()
    }
}

/// Returns the stages of `recipe`.
///
/// # Errors
/// Returns an error if an override of a phase has an unknown key or the wrong type.
pub(in crate::training) fn stages(recipe: &Recipe) -> Result<Vec<Stage>, TrainError> {
    let phases = &recipe.phases;
    let makers = phases.iter().filter(|phase| phase.makes_masks()).count();
    let steps = phases.iter().filter_map(|phase| match phase {
        Phase::Rewind(Rewind { to }) if *to > 0 => Some(*to),
        _ => None,
    });
    // Only the first phase that trains saves weights for rewinding.
    let mut keeps: Option<BTreeSet<usize>> = Some(steps.collect());
    let is_masked = recipe.masks.is_some();
    let names = names(phases, is_masked);
    let (mut made, mut stages) = (0, Vec::new());
    for (index, phase) in phases.iter().enumerate() {
        let ends_dense = made == 0
            && !is_masked
            && matches!(phase, Phase::Train(_))
            && phases[index + 1..]
                .iter()
                .find(|phase| !matches!(phase, Phase::Rewind(_)))
                .is_some_and(Phase::makes_masks);
        let masks = phase.makes_masks().then(|| {
            made += 1;
            match made == makers {
                true => [MASKS_DIRECT.into(), MASKS.into()],
                false => [
                    format!("masks-direct-{made}.safetensors"),
                    format!("masks-{made}.safetensors"),
                ],
            }
        });
        let training = phase.training();
        stages.push(Stage {
            name: names[index].clone(),
            phase: phase.clone(),
            hyperparameters: match training {
                Some(training) => training.hyperparameters(&recipe.hyperparameters)?,
                None => recipe.hyperparameters.clone(),
            },
            epochs: training.map_or(0, |training| training.epochs),
            masks,
            ends_dense,
            keeps: training.and_then(|_| keeps.take()).unwrap_or_default(),
        });
    }
    Ok(stages)
}

/// Returns the names of `phases`. A training phase is "dense" while nothing is pruned, and
/// "pruned" afterwards, or from the start of a run that `is_pruned` by given masks; other phases
/// have the name of their kind. Names that several phases share are numbered.
fn names(phases: &[Phase], mut is_pruned: bool) -> Vec<String> {
    let bases = phases.iter().map(|phase| {
        let base = match phase {
            Phase::Train(_) if is_pruned => "pruned",
            Phase::Train(_) => "dense",
            phase => phase.kind(),
        };
        is_pruned |= phase.makes_masks();
        base
    });
    let bases: Vec<&str> = bases.collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |base: &&'static str| {
        if bases.iter().filter(|other| *other == base).count() == 1 {
            return (*base).to_owned();
        }
        let number = seen.entry(base).or_default();
        *number += 1;
        format!("{base}-{number}")
    };
    bases.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_one_kind_are_numbered() {
        let list = |kinds: &[&str]| -> Vec<Phase> {
            let parse = |kind: &&str| toml::from_str(&format!("kind = \"{kind}\"")).unwrap();
            kinds.iter().map(parse).collect()
        };
        assert_eq!(
            names(&list(&["train", "prune", "rewind", "train"]), false),
            ["dense", "prune", "rewind", "pruned"]
        );
        assert_eq!(
            names(
                &list(&["train", "prune", "train", "prune", "train", "train"]),
                false
            ),
            [
                "dense", "prune-1", "pruned-1", "prune-2", "pruned-2", "pruned-3"
            ]
        );
        assert_eq!(
            names(&list(&["prune", "regrow"]), false),
            ["prune", "regrow"]
        );
        assert_eq!(names(&list(&["train"]), true), ["pruned"]);
    }
}
