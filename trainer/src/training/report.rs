//! The figures of a finished run.

use serde::{Deserialize, Serialize};

use crate::pruning::Target;

/// The numbers of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WeightCounts {
    /// All prunable weights, N.
    pub total: usize,
    /// The weights that the mask keeps.
    pub direct: usize,
    /// The effective ones among them.
    pub effective: usize,
}

/// The compression ratios.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compressions {
    /// The requested ratio.
    pub target: f64,
    /// N over the weights that the mask keeps.
    pub direct: f64,
    /// N over the effective weights.
    pub effective: f64,
}

/// The accuracies on the test images, from 0 to 1; if targets are numbers, R².
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The accuracy of the dense network; `None` if there is none, or if it is unknown.
    pub dense: Option<f64>,
    /// The accuracy of the pruned network; of the dense one if the run prunes nothing.
    pub pruned: f64,
}

/// The mean squared errors on the test images, in the squared units of the targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SquaredErrors {
    /// That of the dense network; `None` if there is none, or if it is unknown.
    pub dense: Option<f64>,
    /// That of the pruned network; of the dense one if the run prunes nothing.
    pub pruned: f64,
    /// The variance of the targets: the error of a network that knows only their means.
    pub variance: f64,
}

impl SquaredErrors {
    /// Returns the errors of networks with these R², for targets of this `variance`.
    #[must_use]
    pub fn of(r2: Accuracy, variance: f64) -> Self {
        let error = |r2: f64| (1.0 - r2) * variance;
        Self {
            dense: r2.dense.map(error),
            pruned: error(r2.pruned),
            variance,
        }
    }
}

/// The figures of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// The run folder.
    pub run: String,
    /// The dataset.
    pub dataset: String,
    /// The architecture.
    pub arch: String,
    /// The pruner.
    pub pruner: String,
    /// The weights that the requested compression counts; `None` in reports of earlier versions.
    #[serde(rename = "type", default)]
    pub kind: Option<Target>,
    /// The seed.
    pub seed: u64,
    /// The numbers of all weights and of those that remain.
    pub weights: WeightCounts,
    /// The number of connections kept only by a tie-break on their index, because pruned
    /// connections have the same score; `None` if an earlier version pruned.
    #[serde(default)]
    pub kept_by_index: Option<usize>,
    /// The compression ratios reached.
    pub compression: Compressions,
    /// The accuracies on the test images, with population statistics in batch norms.
    pub accuracy: Accuracy,
    /// The mean squared errors; `None` if targets are classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mse: Option<SquaredErrors>,
    /// The seconds spent training and pruning, by all processes of the run.
    pub seconds: f64,
}
