//! The pruners by name: a score with the way its layers share the budget.

use super::ordering::Rounding;
use super::quota::Quota;
use super::score::{self, Scores};
use super::{Ordering, PruneError};
use crate::graph::Graph;

/// How connections are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// At random.
    Random,
    /// By |w| of a trained dense network.
    Magnitude,
}

/// How layers share the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One order over the whole network.
    Global,
    /// Each layer by its quota.
    Quota(Quota),
}

/// A pruner, such as `magnitude/igq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruner {
    name: &'static str,
    scoring: Scoring,
    sharing: Sharing,
}

/// Every pruner Rarefy knows.
const PRUNERS: &[Pruner] = &[
    Pruner {
        name: "random/uniform",
        scoring: Scoring::Random,
        sharing: Sharing::Quota(Quota::Uniform),
    },
    Pruner {
        name: "random/uniform+",
        scoring: Scoring::Random,
        sharing: Sharing::Quota(Quota::UniformPlus),
    },
    Pruner {
        name: "random/erk",
        scoring: Scoring::Random,
        sharing: Sharing::Quota(Quota::Erk),
    },
    Pruner {
        name: "random/igq",
        scoring: Scoring::Random,
        sharing: Sharing::Quota(Quota::Igq),
    },
    Pruner {
        name: "magnitude/global",
        scoring: Scoring::Magnitude,
        sharing: Sharing::Global,
    },
    Pruner {
        name: "magnitude/uniform",
        scoring: Scoring::Magnitude,
        sharing: Sharing::Quota(Quota::Uniform),
    },
    Pruner {
        name: "magnitude/uniform+",
        scoring: Scoring::Magnitude,
        sharing: Sharing::Quota(Quota::UniformPlus),
    },
    Pruner {
        name: "magnitude/erk",
        scoring: Scoring::Magnitude,
        sharing: Sharing::Quota(Quota::Erk),
    },
    Pruner {
        name: "magnitude/igq",
        scoring: Scoring::Magnitude,
        sharing: Sharing::Quota(Quota::Igq),
    },
];

impl Pruner {
    /// The pruner called `name`.
    ///
    /// # Errors
    /// When there is none; the message lists those there are.
    pub fn by_name(name: &str) -> Result<Self, PruneError> {
        PRUNERS
            .iter()
            .find(|pruner| pruner.name == name)
            .copied()
            .ok_or_else(|| PruneError::UnknownPruner {
                name: name.into(),
                known: Self::names().join(", "),
            })
    }

    /// The names of all pruners.
    pub fn names() -> Vec<&'static str> {
        PRUNERS.iter().map(|pruner| pruner.name).collect()
    }

    /// The pruner's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it ranks the weights of a trained dense network, so that one must be trained first.
    pub fn needs_dense_training(&self) -> bool {
        self.scoring == Scoring::Magnitude
    }

    /// The order in which this pruner lets the connections of `graph` in. `weights` are those of
    /// the prunable tensors of the dense network (read by pruners that need its training);
    /// `seed` is for those that draw.
    ///
    /// # Errors
    /// When a weight is not finite.
    pub fn order(
        &self,
        graph: &Graph,
        weights: &[Vec<f64>],
        seed: u64,
    ) -> Result<Ordering, PruneError> {
        let tensors = graph.prunable();
        let (scores, rounding): (Scores, _) = match self.scoring {
            Scoring::Random => (score::random::scores(&tensors, seed), Rounding::Truncate),
            Scoring::Magnitude => (score::magnitude::scores(weights), Rounding::HalfToEven),
        };
        match self.sharing {
            Sharing::Global => Ordering::global(&tensors, scores),
            Sharing::Quota(quota) => Ordering::by_quota(&tensors, scores, quota, rounding),
        }
    }
}
