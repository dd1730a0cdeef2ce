//! Everything needed to repeat a run: `run.toml`.

use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::Target;

/// The most epochs of a phase: no count of steps overflows, and nobody waits longer.
const MOST_EPOCHS: usize = 1_000_000;

/// The options of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The architecture's name.
    pub arch: String,
    /// The pruner's name.
    pub pruner: String,
    /// Which compression is to be reached.
    #[serde(rename = "type")]
    pub target: Target,
    /// How far to compress.
    pub compression: f64,
    /// The dataset as given after `--data`.
    pub data: String,
    /// SHA-256 over its images and labels.
    pub data_fingerprint: String,
    /// The mean of pixel / 255 that inputs are normalised by.
    pub pixel_mean: f32,
    /// The standard deviation of pixel / 255 that inputs are normalised by.
    pub pixel_std: f32,
    /// The seed of everything random.
    pub seed: u64,
    /// Epochs of each phase.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// The learning rate of the first steps.
    pub learning_rate: f64,
    /// The share of the velocity kept from step to step.
    pub momentum: f64,
    /// The factor of the sum of squared kernel weights in the loss.
    pub l2: f64,
}

impl Recipe {
    /// Checks what the options and the data must satisfy together.
    ///
    /// # Errors
    /// Naming the option or the data at fault.
    pub fn check(&self, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        let refuse = |message: String| Err(TrainError::Mismatch(message));
        if data.train.shape().as_slice() != graph.input_shape() {
            return refuse(format!(
                "dataset {} has images of {:?} (channels, height, width), but {} takes {:?}",
                data.name,
                data.train.shape(),
                graph.name(),
                graph.input_shape()
            ));
        }
        if data.classes > graph.classes() {
            return refuse(format!(
                "dataset {} has {} classes, but {} tells only {} apart",
                data.name,
                data.classes,
                graph.name(),
                graph.classes()
            ));
        }
        if self.epochs == 0 {
            return refuse("--epochs 0 trains nothing: give at least 1".into());
        }
        if self.epochs > MOST_EPOCHS {
            return refuse(format!(
                "--epochs {} never ends: give at most {MOST_EPOCHS}",
                self.epochs
            ));
        }
        if self.batch < 2 || self.batch > data.train.len() {
            return refuse(format!(
                "--batch {} does not fit: batch normalisation needs at least 2 images and dataset {} has {}",
                self.batch,
                data.name,
                data.train.len()
            ));
        }
        let positive = self.learning_rate > 0.0 && self.learning_rate.is_finite();
        if !positive {
            return refuse(format!(
                "--learning-rate {} must be a positive number",
                self.learning_rate
            ));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return refuse(format!(
                "--momentum {} must be at least 0 and below 1",
                self.momentum
            ));
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return refuse(format!("--l2 {} must be a number of at least 0", self.l2));
        }
        Ok(())
    }

    /// The name of the first option in which `self` and `other` differ, with both values.
    pub fn difference(&self, other: &Recipe) -> Option<(String, String, String)> {
        let table = |recipe: &Recipe| toml::Table::try_from(recipe).unwrap_or_default();
        let (ours, theirs) = (table(self), table(other));
        ours.iter().find_map(|(key, value)| {
            let other = theirs.get(key)?;
            (value != other).then(|| (key.replace('_', "-"), value.to_string(), other.to_string()))
        })
    }
}
