//! The network between two phases: its weights and its masks.

use crate::graph::Graph;
use crate::network::State;
use crate::pruning::{Masks, Target, Weights};
use crate::training::report::{Compressions, WeightCounts};

/// The masks of a run.
#[derive(Debug, Clone)]
pub(in crate::training) struct RunMasks {
    /// The connections that the pruner keeps.
    pub(in crate::training) direct: Masks,
    /// The effective ones among them.
    pub(in crate::training) effective: Masks,
    /// The number of connections kept only by a tie-break on their index, because pruned
    /// connections have the same score; `None` if unknown.
    pub(in crate::training) kept_by_index: Option<usize>,
}

/// The network between two phases.
pub(in crate::training) struct Point {
    /// All weights. Those that `masks` prune may be nonzero until training starts.
    pub(in crate::training) state: State,
    /// The weights from the file that the recipe names, to be ranked in f64; `None` once training
    /// has changed them.
    pub(in crate::training) given: Option<Weights>,
    /// Whether the weights come from training, or from a file of trained weights.
    pub(in crate::training) is_trained: bool,
    /// The masks; `None` if nothing is pruned.
    pub(in crate::training) masks: Option<RunMasks>,
}

impl Point {
    /// Returns the weights to rank.
    pub(super) fn weights(&self, graph: &Graph) -> Weights {
        match &self.given {
            Some(given) => given.clone(),
            None => Weights::of(graph, self.state.clone()),
        }
    }
}

/// Sets the weights of `state` that `masks` prune to zero.
pub(in crate::training) fn apply(masks: &Masks, state: &mut State) {
    for mask in masks.iter() {
        if let Some(array) = state.0.get_mut(&mask.name) {
            for (value, &keep) in array.values.iter_mut().zip(&mask.keep) {
                if !keep {
                    *value = 0.0;
                }
            }
        }
    }
}

impl RunMasks {
    /// Returns the masks whose weights a compression with this `target` counts.
    pub(in crate::training) fn of(&self, target: Target) -> &Masks {
        match target {
            Target::Direct => &self.direct,
            Target::Effective => &self.effective,
        }
    }

    /// Returns the numbers of all weights and of those that each mask keeps, and the compression
    /// ratios: the requested one, `target`, and those of the masks.
    pub(in crate::training) fn counts(&self, target: f64) -> (WeightCounts, Compressions) {
        let weights = WeightCounts {
            total: self.effective.total(),
            direct: self.direct.nonzeros(),
            effective: self.effective.nonzeros(),
        };
        let compression = Compressions {
            target,
            direct: weights.total as f64 / weights.direct as f64,
            effective: weights.total as f64 / weights.effective as f64,
        };
        (weights, compression)
    }
}
