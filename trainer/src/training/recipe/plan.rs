//! The usual lists of phases, chosen by the options of the command line.

use serde::{Deserialize, Serialize};

use super::phase::{Gradual, Method, Phase, Prune, Regrow, Rewind, Training};
use crate::pruning::{Compression, Loss, Pattern, Place, Pruner, Target};
use crate::training::error::TrainError;

/// The weights from which the pruned network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// The initial weights, as in the paper
    #[default]
    Rewind,
    /// The weights of the trained dense network
    Finetune,
}

/// The largest number of rounds. In the pruning literature it is at most a few dozen.
const MOST_ROUNDS: usize = 1000;

/// The options of the usual lists of phases.
///
/// By default, the dense network is trained if the pruner ranks trained weights; then the network
/// is pruned, and its effective connections are trained from their initial values (Frankle & Carbin
/// 2019), as in the paper.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The pruner's name.
    pub pruner: String,
    /// The weights that the compression counts.
    pub target: Target,
    /// The compression ratio.
    pub compression: Compression,
    /// The N:M pattern, in place of a compression.
    pub pattern: Option<Pattern>,
    /// The layers that are not pruned.
    pub dense: Vec<Place>,
    /// The number of epochs of each training phase.
    pub epochs: usize,
    /// The weights from which pruned networks are trained.
    pub after: After,
    /// The loss whose gradient SNIP computes.
    pub loss: Loss,
    /// The number of rounds of pruning and training. Each round multiplies the compression by the
    /// same factor.
    pub rounds: usize,
    /// The step of the first training phase to which weights are rewound.
    pub rewind_to: usize,
    /// Whether the network is pruned while it trains.
    pub gradual: bool,
    /// Which connections grow while the pruned network trains; `None` if its masks are fixed.
    pub regrow: Option<Method>,
    /// Whether a file of trained weights replaces dense training.
    pub has_weights: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            pruner: "magnitude/igq".into(),
            target: Target::Effective,
            compression: Compression::default(),
            pattern: None,
            dense: Vec::new(),
            epochs: 20,
            after: After::default(),
            loss: Loss::default(),
            rounds: 1,
            rewind_to: 0,
            gradual: false,
            regrow: None,
            has_weights: false,
        }
    }
}

impl Plan {
    /// Returns the list of phases.
    ///
    /// # Errors
    /// Returns an error if the pruner is unknown, or if options contradict each other.
    pub fn phases(&self) -> Result<Vec<Phase>, TrainError> {
        let pruner = Pruner::by_name(&self.pruner)?;
        let refuse = |reason: &str| {
            let reason = reason.into();
            Err(TrainError::Recipe { reason })
        };
        let finetunes = self.after == After::Finetune;
        if finetunes && !(self.has_weights || pruner.needs_dense_training()) {
            return Err(TrainError::NothingToFinetune {
                pruner: pruner.name(),
            });
        }
        if self.has_weights && !(finetunes || pruner.needs_dense_training()) {
            return Err(TrainError::UnusedWeights {
                pruner: pruner.name(),
            });
        }
        if self.rounds == 0 || self.rounds > MOST_ROUNDS {
            let reason = format!("must be between 1 and {MOST_ROUNDS}");
            return Err(TrainError::value("rounds", self.rounds, reason));
        }
        if self.rounds > 1 && !pruner.needs_dense_training() {
            return refuse(&format!(
                "each round of pruning ranks the weights that the previous round trained, but {} does not rank trained weights: choose a pruner such as magnitude/igq, or one round",
                pruner.name()
            ));
        }
        if self.rounds > 1 && self.pattern.is_some() {
            return refuse("a pattern takes one round: leave out the rounds or the pattern");
        }
        if self.rewind_to > 0 && finetunes {
            return refuse(
                "fine-tuning does not rewind: leave out the step to rewind to, or rewind instead of fine-tuning",
            );
        }
        if self.rewind_to > 0 && !pruner.needs_dense_training() {
            return refuse(&format!(
                "{} prunes before training, so there is no step to rewind to: leave it out, or choose a pruner such as magnitude/igq",
                pruner.name()
            ));
        }
        if self.gradual && (self.rewind_to > 0 || finetunes) {
            return refuse(
                "gradual pruning prunes while it trains, so it neither rewinds nor fine-tunes: leave those options out, or do not prune gradually",
            );
        }
        if self.loss != Loss::default() && !pruner.name().starts_with("snip") {
            return refuse(&format!(
                "{} reads no loss: leave the loss out, or choose a pruner such as snip",
                pruner.name()
            ));
        }
        if self.gradual && (self.rounds > 1 || self.pattern.is_some() || self.regrow.is_some()) {
            return refuse(
                "gradual pruning cannot be combined with rounds, a pattern or regrowth: choose one of them, or write a recipe file with several phases",
            );
        }
        Ok(self.list())
    }

    /// Returns the list of phases, without checking the options for contradictions.
    pub(super) fn list(&self) -> Vec<Phase> {
        let train = || Phase::Train(Training::epochs(self.epochs));
        let Ok(pruner) = Pruner::by_name(&self.pruner) else {
            return vec![train()];
        };
        let last = || match self.regrow {
            None => train(),
            Some(method) => Phase::Regrow(Regrow {
                training: Training::epochs(self.epochs),
                method,
                ..Regrow::default()
            }),
        };
        if pruner.is_dense() {
            return vec![last()];
        }
        if self.gradual {
            return vec![Phase::Gradual(Gradual {
                training: Training::epochs(self.epochs),
                pruner: self.pruner.clone(),
                target: self.target,
                compression: self.compression,
                dense: self.dense.clone(),
                ..Gradual::default()
            })];
        }
        let mut phases = Vec::new();
        let trains = pruner.needs_dense_training() && !self.has_weights;
        phases.extend(trains.then(train));
        let rewinds = self.after == After::Rewind && (trains || self.has_weights);
        for round in 1..=self.rounds {
            phases.push(Phase::Prune(Prune {
                pruner: self.pruner.clone(),
                target: self.target,
                compression: self.pattern.is_none().then(|| self.after_round(round)),
                pattern: self.pattern,
                dense: self.dense.clone(),
                loss: self.loss,
            }));
            if rewinds {
                phases.push(Phase::Rewind(Rewind { to: self.rewind_to }));
            }
            phases.push(match round == self.rounds {
                true => last(),
                false => train(),
            });
        }
        phases
    }

    /// Returns the compression after `round`, counted from 1.
    fn after_round(&self, round: usize) -> Compression {
        if round == self.rounds {
            return self.compression;
        }
        let power = round as f64 / self.rounds as f64;
        Compression::new(self.compression.get().powf(power)).unwrap_or(Compression::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(plan: &Plan) -> Vec<&'static str> {
        let phases = plan.phases().unwrap();
        phases.iter().map(Phase::kind).collect()
    }

    #[test]
    fn options_become_the_usual_lists() {
        let plan = Plan::default();
        assert_eq!(kinds(&plan), ["train", "prune", "rewind", "train"]);
        let of = |pruner: &str| Plan {
            pruner: pruner.into(),
            ..plan.clone()
        };
        assert_eq!(kinds(&of("dense")), ["train"]);
        assert_eq!(kinds(&of("snip")), ["prune", "train"]);
        let tuned = Plan {
            after: After::Finetune,
            ..plan.clone()
        };
        assert_eq!(kinds(&tuned), ["train", "prune", "train"]);
        let given = Plan {
            has_weights: true,
            ..plan.clone()
        };
        assert_eq!(kinds(&given), ["prune", "rewind", "train"]);
        let gradual = Plan {
            gradual: true,
            ..plan.clone()
        };
        assert_eq!(kinds(&gradual), ["gradual"]);
        let rigl = Plan {
            regrow: Some(Method::Rigl),
            ..of("random/erk-rigl")
        };
        assert_eq!(kinds(&rigl), ["prune", "regrow"]);
    }

    #[test]
    fn rounds_multiply_the_compression_by_the_same_factor() {
        let plan = Plan {
            rounds: 2,
            rewind_to: 50,
            ..Plan::default()
        };
        let phases = plan.phases().unwrap();
        let ratios = phases.iter().filter_map(|phase| match phase {
            Phase::Prune(prune) => Some(prune.compression().get()),
            _ => None,
        });
        assert_eq!(ratios.collect::<Vec<_>>(), [10.0, 100.0]);
        assert_eq!(
            kinds(&plan),
            [
                "train", "prune", "rewind", "train", "prune", "rewind", "train"
            ]
        );
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let plan = Plan::default();
        let snip = Plan {
            pruner: "snip".into(),
            ..plan.clone()
        };
        for (plan, words) in [
            (
                Plan {
                    rounds: 0,
                    ..plan.clone()
                },
                "rounds is 0, but must be between 1 and 1000",
            ),
            (
                Plan {
                    rounds: 3,
                    ..snip.clone()
                },
                "snip does not rank trained weights",
            ),
            (
                Plan {
                    after: After::Finetune,
                    ..snip.clone()
                },
                "trains no dense network",
            ),
            (
                Plan {
                    has_weights: true,
                    ..snip
                },
                "does not read trained weights",
            ),
            (
                Plan {
                    gradual: true,
                    rounds: 2,
                    ..plan.clone()
                },
                "gradual pruning cannot be combined",
            ),
            (
                Plan {
                    rounds: 1001,
                    ..plan.clone()
                },
                "rounds is 1001, but must be between 1 and 1000",
            ),
            (
                Plan {
                    gradual: true,
                    rewind_to: 5,
                    ..plan.clone()
                },
                "neither rewinds nor fine-tunes",
            ),
            (
                Plan {
                    pruner: "synflow".into(),
                    rewind_to: 5,
                    ..plan.clone()
                },
                "no step to rewind to",
            ),
            (
                Plan {
                    loss: Loss::Reference,
                    ..plan.clone()
                },
                "magnitude/igq reads no loss",
            ),
            (
                Plan {
                    after: After::Finetune,
                    rewind_to: 5,
                    ..plan
                },
                "fine-tuning does not rewind",
            ),
        ] {
            let error = plan.phases().unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
