//! The figures of a finished run.

use serde::{Deserialize, Serialize};

use crate::pruning::Target;

/// Numbers of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WeightCounts {
    /// All prunable weights, N.
    pub total: usize,
    /// Those the mask keeps.
    pub direct: usize,
    /// Those that are connected.
    pub effective: usize,
}

/// Compressions, N over weights left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compressions {
    /// What was asked for.
    pub target: f64,
    /// By the mask.
    pub direct: f64,
    /// By what is connected.
    pub effective: f64,
}

/// Shares of the test images classified rightly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// By the dense network; none where the pruner trains none.
    pub dense: Option<f64>,
    /// By the pruned network.
    pub pruned: f64,
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
    /// Which compression was asked for; none in reports of earlier versions.
    #[serde(rename = "type", default)]
    pub kind: Option<Target>,
    /// The seed.
    pub seed: u64,
    /// Weights left.
    pub weights: WeightCounts,
    /// Connections that the mask keeps by their place alone, among others of the same score; none where
    /// an earlier version pruned.
    #[serde(default)]
    pub kept_by_index: Option<usize>,
    /// Compressions reached.
    pub compression: Compressions,
    /// Accuracies on the test images, batch norms on population statistics.
    pub accuracy: Accuracy,
    /// Time spent training and pruning, over all the run's parts.
    pub seconds: f64,
}
