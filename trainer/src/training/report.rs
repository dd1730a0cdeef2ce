//! The figures of a finished run.

use serde::{Deserialize, Serialize};

/// Numbers of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// All prunable weights, N.
    pub total: usize,
    /// Those the mask keeps.
    pub direct: usize,
    /// Those that are connected.
    pub effective: usize,
}

/// Compressions, N over weights left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compression {
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
    /// The seed.
    pub seed: u64,
    /// Weights left.
    pub weights: Weights,
    /// Compressions reached.
    pub compression: Compression,
    /// Accuracies on the test images, batch norms on population statistics.
    pub accuracy: Accuracy,
    /// Time spent training and pruning, over all the run's parts.
    pub seconds: f64,
}
