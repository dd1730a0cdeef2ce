//! Everything needed to repeat a run: `run.toml`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::TrainError;
use crate::artifact::{self, FileError};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::pruning::score::snip::Loss;
use crate::pruning::{Pruner, Target, source};

/// The most epochs of a phase: no count of steps overflows, and nobody waits longer.
const MOST_EPOCHS: usize = 1_000_000;

/// What the pruned network is trained from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// From its initial weights, as in the paper
    #[default]
    Rewind,
    /// From the weights of the trained dense network
    Finetune,
}

/// The options of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The architecture's name.
    pub arch: String,
    /// The TOML file it is read from, where it is not one of the named; the run folder keeps a
    /// copy, which later commands read.
    #[serde(skip)]
    pub arch_file: Option<PathBuf>,
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
    /// The mean that inputs are normalised by: (pixel / 255 - mean) / std. The dataset's, or what the
    /// network is stated to expect.
    pub pixel_mean: f32,
    /// The standard deviation that goes with it.
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
    /// What the pruned network is trained from.
    #[serde(default)]
    pub after: After,
    /// The loss whose gradients SNIP reads.
    #[serde(default)]
    pub loss: Loss,
    /// A safetensors file with the weights of a trained dense network; none is trained then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Its SHA-256, from [`fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_fingerprint: Option<String>,
}

/// SHA-256, in hexadecimal, of the file `path`.
///
/// # Errors
/// When it cannot be read.
pub fn fingerprint(path: &Path) -> Result<String, FileError> {
    let digest = Sha256::digest(artifact::read(path)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Recipe {
    /// Checks what the options and the data must satisfy together.
    ///
    /// # Errors
    /// Naming the option or the data at fault.
    pub fn check(&self, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        let refuse = |message: String| Err(TrainError::Mismatch(message));
        if let Err(reason) = source::fits(graph, data) {
            return refuse(reason);
        }
        self.check_pixels(data)?;
        let pruner = Pruner::by_name(&self.pruner)?;
        let trained = self.weights.is_some() || pruner.needs_dense_training();
        if self.after == After::Finetune && !trained {
            return refuse(format!(
                "--after finetune goes on from a trained dense network, which {} needs none of: give its weights with --weights",
                pruner.name()
            ));
        }
        let reads = pruner.needs_dense_training() || self.after == After::Finetune;
        if self.weights.is_some() && !reads {
            return refuse(format!(
                "{} does not look at trained weights: leave out --weights, or add --after finetune",
                pruner.name()
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

    /// Checks that the recipe's normalisation is one, and the data's.
    fn check_pixels(&self, data: &Dataset) -> Result<(), TrainError> {
        let refuse = |message: String| Err(TrainError::Mismatch(message));
        if !(self.pixel_mean.is_finite() && self.pixel_std.is_finite() && self.pixel_std > 0.0) {
            return refuse(format!(
                "--mean {} and --std {} normalise nothing: give a mean, and a deviation above 0",
                self.pixel_mean, self.pixel_std
            ));
        }
        let normalisation = [data.normalisation.mean, data.normalisation.std];
        if normalisation != [self.pixel_mean, self.pixel_std] {
            return refuse(format!(
                "the recipe normalises pixels by {} and {}, but dataset {} by {} and {}: state the recipe's with --mean and --std",
                self.pixel_mean, self.pixel_std, data.name, normalisation[0], normalisation[1]
            ));
        }
        Ok(())
    }

    /// Whether a dense network is trained first.
    pub fn trains_dense(&self, pruner: &Pruner) -> bool {
        pruner.needs_dense_training() && self.weights.is_none()
    }

    /// The name of the first option in which `self` and `other` differ, with both values.
    pub fn difference(&self, other: &Recipe) -> Option<(String, String, String)> {
        let table = |recipe: &Recipe| toml::Table::try_from(recipe).unwrap_or_default();
        let (ours, theirs) = (table(self), table(other));
        let text = |value: Option<&toml::Value>| {
            value.map_or_else(|| "none".into(), toml::Value::to_string)
        };
        let mut options = ours.keys().chain(theirs.keys());
        options.find_map(|key| {
            let (our, their) = (ours.get(key), theirs.get(key));
            let name = match key.as_str() {
                "weights_fingerprint" => "weights of SHA-256".into(),
                key => key.replace('_', "-"),
            };
            (our != their).then(|| (name, text(our), text(their)))
        })
    }
}
