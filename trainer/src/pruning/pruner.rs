//! The named pruners: combinations of a score and a way to divide the budget among layers.

use super::error::PruneError;
use super::ordering::Rounding;
use super::quota::Quota;

/// The score that ranks connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    /// None: every connection is kept.
    Dense,
    /// A random number.
    Random,
    /// The magnitude |w| in a trained dense network.
    Magnitude,
    /// LAMP in a trained dense network.
    Lamp,
    /// SNIP at initialization.
    Snip,
    /// SNIP in rounds.
    SnipIterative,
    /// SynFlow at initialization.
    Synflow,
    /// GraSP at initialization.
    Grasp,
}

/// The way in which layers share the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// One ranking over the whole network.
    Global,
    /// A quota per layer.
    Quota(Quota),
    /// The layer sizes that a global ranking by this score leaves.
    As(Scoring),
}

/// A pruner, such as `magnitude/igq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruner {
    name: &'static str,
    scoring: Scoring,
    sharing: Sharing,
}

/// Creates one line of the table.
const fn pruner(name: &'static str, scoring: Scoring, sharing: Sharing) -> Pruner {
    Pruner {
        name,
        scoring,
        sharing,
    }
}

/// All pruners. A new one is a line here.
pub(super) const PRUNERS: &[Pruner] = {
    use Scoring::{Dense, Grasp, Lamp, Magnitude, Random, Snip, SnipIterative, Synflow};
    use Sharing::{As, Global, Quota as By};
    &[
        pruner("dense", Dense, Global),
        pruner("random/uniform", Random, By(Quota::Uniform)),
        pruner("random/uniform+", Random, By(Quota::UniformPlus)),
        pruner("random/erk", Random, By(Quota::Erk)),
        pruner("random/erk-rigl", Random, By(Quota::ErkRigl)),
        pruner("random/igq", Random, By(Quota::Igq)),
        pruner("random/snip", Random, As(Snip)),
        pruner("random/synflow", Random, As(Synflow)),
        pruner("magnitude/global", Magnitude, Global),
        pruner("magnitude/uniform", Magnitude, By(Quota::Uniform)),
        pruner("magnitude/uniform+", Magnitude, By(Quota::UniformPlus)),
        pruner("magnitude/erk", Magnitude, By(Quota::Erk)),
        pruner("magnitude/erk-rigl", Magnitude, By(Quota::ErkRigl)),
        pruner("magnitude/igq", Magnitude, By(Quota::Igq)),
        pruner("lamp", Lamp, Global),
        pruner("snip", Snip, Global),
        pruner("snip/iterative", SnipIterative, Global),
        pruner("synflow", Synflow, Global),
        pruner("grasp", Grasp, Global),
    ]
};

impl Pruner {
    /// Returns the pruner called `name`.
    ///
    /// # Errors
    /// Returns an error that lists all pruners if there is none of that name.
    pub fn by_name(name: &str) -> Result<Self, PruneError> {
        PRUNERS
            .iter()
            .find(|pruner| pruner.name == name)
            .copied()
            .ok_or_else(|| PruneError::UnknownPruner {
                name: name.into(),
                known: Self::names(),
            })
    }

    /// Returns the names of all pruners.
    pub fn names() -> Vec<&'static str> {
        PRUNERS.iter().map(|pruner| pruner.name).collect()
    }

    /// Returns the pruner's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks whether the pruner keeps everything, whatever the compression.
    pub fn is_dense(&self) -> bool {
        self.scoring == Scoring::Dense
    }

    /// Checks whether the pruner ranks the weights of a trained dense network.
    pub fn needs_dense_training(&self) -> bool {
        matches!(self.scoring, Scoring::Magnitude | Scoring::Lamp)
    }

    /// Checks whether the pruner reads weights, trained or not.
    pub fn reads_weights(&self) -> bool {
        !matches!(self.sizing(), Scoring::Dense | Scoring::Random)
    }

    /// Checks whether the pruner reads training images.
    pub fn needs_data(&self) -> bool {
        use Scoring::{Grasp, Snip, SnipIterative};
        matches!(self.sizing(), Snip | SnipIterative | Grasp)
    }

    /// Checks whether the pruner reads a number of training images that can be chosen
    /// ([`SnipOptions::samples`](super::SnipOptions)).
    pub fn reads_samples(&self) -> bool {
        matches!(self.sizing(), Scoring::Snip | Scoring::SnipIterative)
    }

    /// Checks whether equal scores are a warning sign. They are not for `dense`, nor if scores are
    /// random, nor in SynFlow, where all connections of an isolated path have the same flow.
    pub(super) fn ranks_by_score(&self) -> bool {
        use Scoring::{Dense, Random, Synflow};
        !matches!(self.sizing(), Dense | Random | Synflow)
    }

    /// Returns the score that ranks connections.
    pub(super) fn scoring(&self) -> Scoring {
        self.scoring
    }

    /// Returns the way in which layers share the budget.
    pub(super) fn sharing(&self) -> Sharing {
        self.sharing
    }

    /// Returns the score that determines how many connections each layer keeps.
    fn sizing(&self) -> Scoring {
        match self.sharing {
            Sharing::As(scoring) => scoring,
            _ => self.scoring,
        }
    }

    /// Returns how direct pruning rounds the number of weights of a layer.
    pub(super) fn rounding(&self) -> Rounding {
        match self.scoring {
            Scoring::Random => Rounding::Truncate,
            _ => Rounding::HalfToEven,
        }
    }
}
