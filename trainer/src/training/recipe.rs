//! Everything needed to repeat a run: `run.toml`.

use std::path::{Path, PathBuf};

use candle_core::{Device, DeviceLocation};
use serde::{Deserialize, Serialize};

use super::{TrainError, given};
use crate::atomic::{self, FileError};
use crate::data::Dataset;
use crate::digest;
use crate::graph::Graph;
use crate::network::EPSILON;
use crate::pruning::score::snip::Loss;
use crate::pruning::{Pruner, Target, search, source};

/// The most epochs of a phase: no count of steps overflows, and nobody waits longer.
const MOST_EPOCHS: usize = 1_000_000;

/// What the pruned network is trained from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// From its initial weights, as in the paper
    #[default]
    Rewind,
    /// From the weights of the trained dense network
    Finetune,
}

/// The kinds of devices that train. They round differently, so a run stays on one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An Apple GPU.
    Metal,
}

impl DeviceKind {
    /// Returns the kind of `device`.
    pub fn of(device: &Device) -> Self {
        match device.location() {
            DeviceLocation::Cpu => Self::Cpu,
            DeviceLocation::Cuda { .. } => Self::Cuda,
            DeviceLocation::Metal { .. } => Self::Metal,
        }
    }
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
    /// The architecture's fingerprint, from [`Graph::fingerprint`].
    pub arch_fingerprint: String,
    /// What batch norms add to a variance before its root: [`EPSILON`]. PyTorch's own default is
    /// 1e-5, so whoever reads the weights there has to give this one.
    pub batch_norm_epsilon: f64,
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
    /// Where it trains.
    pub device: DeviceKind,
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
    pub after: After,
    /// The loss whose gradients SNIP reads.
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
    Ok(digest::sha256(atomic::read(path)?))
}

impl Recipe {
    /// What [`Recipe::difference`] calls the architecture's fingerprint.
    pub(super) const ARCHITECTURE: &str = "an architecture of SHA-256";

    /// Returns the recipe of `rarefy train` without options: `graph`, a named architecture, on
    /// `data`, a named dataset, on the processor.
    pub fn new(graph: &Graph, data: &Dataset) -> Self {
        Self {
            arch: graph.name().into(),
            arch_file: None,
            arch_fingerprint: graph.fingerprint(),
            batch_norm_epsilon: EPSILON,
            pruner: "magnitude/igq".into(),
            target: Target::Effective,
            compression: 100.0,
            data: data.name.clone(),
            data_fingerprint: data.fingerprint(),
            pixel_mean: data.normalisation.mean,
            pixel_std: data.normalisation.std,
            device: DeviceKind::Cpu,
            seed: 0,
            epochs: 20,
            batch: 100,
            learning_rate: 0.1,
            momentum: 0.9,
            l2: 5e-4,
            after: After::default(),
            loss: Loss::default(),
            weights: None,
            weights_fingerprint: None,
        }
    }

    /// Checks what the options and the data must satisfy together.
    ///
    /// # Errors
    /// Naming the option or the data at fault.
    pub fn check(&self, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        let refuse = |message: String| Err(TrainError::Options(message));
        source::fits(graph, data).map_err(TrainError::Mismatch)?;
        self.check_numbers().or_else(refuse)?;
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
        if self.batch == 0 || self.batch > data.train.len() {
            return refuse(format!(
                "--batch {} does not fit: give at least 1 and at most the {} training images of dataset {}",
                self.batch,
                data.train.len(),
                data.name
            ));
        }
        if let (1, Some(norm)) = (self.batch, given::needs_two_images(graph)) {
            return refuse(format!(
                "--batch 1 does not fit: batch norm {norm} of {} needs at least 2 images to take a variance over",
                graph.name()
            ));
        }
        Ok(())
    }

    /// Checks the numbers that make sense or not whatever the architecture and the data.
    ///
    /// # Errors
    /// Saying which is wrong and what it may be.
    pub fn check_numbers(&self) -> Result<(), String> {
        let positive = |number: f64| number > 0.0 && number.is_finite();
        let (rate, std) = (self.learning_rate, self.pixel_std);
        if self.epochs == 0 {
            return Err("--epochs 0 trains nothing: give at least 1".into());
        }
        if self.epochs > MOST_EPOCHS {
            return Err(format!(
                "--epochs {} never ends: give at most {MOST_EPOCHS}",
                self.epochs
            ));
        }
        if !positive(rate) {
            return Err(format!("--learning-rate {rate} must be a positive number"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(format!(
                "--momentum {} must be at least 0 and below 1",
                self.momentum
            ));
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return Err(format!("--l2 {} must be a number of at least 0", self.l2));
        }
        search::check_compression(self.compression).map_err(|e| e.to_string())?;
        if !self.pixel_mean.is_finite() {
            return Err(format!(
                "--mean (pixel_mean) {} must be a number",
                self.pixel_mean
            ));
        }
        if !positive(f64::from(std)) {
            return Err(format!("--std (pixel_std) {std} must be a positive number"));
        }
        if self.batch_norm_epsilon != EPSILON {
            return Err(format!(
                "batch_norm_epsilon {} is not what this rarefy trains and deploys with, {EPSILON}",
                self.batch_norm_epsilon
            ));
        }
        Ok(())
    }

    /// Checks that the recipe normalises pixels as the data does.
    fn check_pixels(&self, data: &Dataset) -> Result<(), TrainError> {
        let normalisation = [data.normalisation.mean, data.normalisation.std];
        if normalisation == [self.pixel_mean, self.pixel_std] {
            return Ok(());
        }
        Err(TrainError::Options(format!(
            "the recipe normalises pixels by {} and {}, but dataset {} by {} and {}: state the recipe's with --mean and --std",
            self.pixel_mean, self.pixel_std, data.name, normalisation[0], normalisation[1]
        )))
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
                "arch_fingerprint" => Self::ARCHITECTURE.into(),
                "weights_fingerprint" => "weights of SHA-256".into(),
                key => key.replace('_', "-"),
            };
            (our != their).then(|| (name, text(our), text(their)))
        })
    }
}
