//! The options of gradual pruning, and its schedule.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Prune, Training};
use crate::pruning::{Compression, Place, Target};

/// The options of gradual pruning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gradual {
    /// How the phase trains.
    #[serde(skip)]
    pub training: Training,
    /// The name of a pruner that ranks trained weights.
    pub pruner: String,
    /// The weights that the compression counts.
    #[serde(rename = "type")]
    pub target: Target,
    /// The compression ratio at the end.
    pub compression: Compression,
    /// The fraction of the phase after which pruning starts.
    pub start: f64,
    /// The fraction of the phase after which the compression is reached.
    pub end: f64,
    /// The number of training steps from one update of the masks to the next.
    pub every: usize,
    /// The layers that are not pruned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dense: Vec<Place>,
}

impl Default for Gradual {
    fn default() -> Self {
        let Prune { pruner, target, .. } = Prune::default();
        Self {
            training: Training::default(),
            pruner,
            target,
            compression: Compression::default(),
            start: 0.0,
            end: 0.75,
            every: 100,
            dense: Vec::new(),
        }
    }
}

impl Gradual {
    /// Returns the steps at which pruning starts and ends in a phase of `steps` steps.
    pub(in crate::training) fn span(&self, steps: usize) -> (usize, usize) {
        let at = |share: f64| (share * steps as f64).round() as usize;
        (at(self.start), at(self.end))
    }

    /// Returns the steps before which the network is pruned in a phase of `steps` steps. The last
    /// update reaches the compression.
    pub(in crate::training) fn updates(&self, steps: usize) -> BTreeSet<usize> {
        let (start, end) = self.span(steps);
        let mut updates: BTreeSet<usize> = (start..end).step_by(self.every.max(1)).collect();
        // At the start, the schedule still keeps all weights.
        updates.remove(&start);
        updates.insert(end);
        updates
    }

    /// Returns the number of weights left after the update before step `at`, if `first` are left at
    /// the start of pruning and `last` at its end.
    pub(in crate::training) fn left(&self, steps: usize, at: usize, first: f64, last: f64) -> f64 {
        let (start, end) = self.span(steps);
        let progress = (at - start) as f64 / (end - start).max(1) as f64;
        last + (first - last) * (1.0 - progress.min(1.0)).powi(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_cubic_of_zhu_and_gupta() {
        let options = Gradual {
            start: 0.1,
            end: 0.9,
            every: 30,
            ..Gradual::default()
        };
        let updates: Vec<usize> = options.updates(100).into_iter().collect();
        assert_eq!(updates, [40, 70, 90]);
        // s = sf + (si - sf) (1 - (t - t0) / (n dt))^3, with si = 0 and sf = 0.9.
        let sparsity = |at: usize| {
            let progress = (at as f64 - 10.0) / 80.0;
            0.9 + (0.0 - 0.9) * (1.0 - progress).powi(3)
        };
        for at in updates {
            let left = options.left(100, at, 1000.0, 100.0);
            assert!((1.0 - left / 1000.0 - sparsity(at)).abs() < 1e-12, "{at}");
        }
    }
}
