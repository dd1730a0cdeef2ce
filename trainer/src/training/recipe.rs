//! The recipe of a run: everything needed to repeat it. It is stored as `run.toml`.

use std::path::{Path, PathBuf};

use candle_core::{Device, DeviceLocation};
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::hyperparameters::{Decay, DecayKind, Hyperparameters, OptimizerKind, Sgd};
use crate::atomic::{self, FileError};
use crate::data::Dataset;
use crate::digest;
use crate::graph::{self, Graph, Operation};
use crate::network::EPSILON;
use crate::pruning::{Compression, Loss, Pruner, Target, source};

/// The largest number of epochs of a phase, far below an overflow of the number of steps.
const MOST_EPOCHS: usize = 1_000_000;

/// The weights from which the pruned network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// The initial weights, as in the paper
    #[default]
    Rewind,
    /// The weights of the trained dense network
    Finetune,
}

/// A kind of device that trains. Kinds round differently, so a run stays on one kind.
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

/// The recipe of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The architecture's name.
    pub arch: String,
    /// The TOML file of the architecture, unless it is a predefined one. The run folder keeps a
    /// copy, which later commands read.
    #[serde(skip)]
    pub arch_file: Option<PathBuf>,
    /// The architecture's fingerprint, from [`Graph::fingerprint`].
    pub arch_fingerprint: String,
    /// The epsilon of batch norms, always [`EPSILON`]. PyTorch's default is 1e-5: set this one
    /// when loading the weights there.
    pub batch_norm_epsilon: f64,
    /// The pruner's name.
    pub pruner: String,
    /// The weights that the compression counts.
    #[serde(rename = "type")]
    pub target: Target,
    /// The compression ratio.
    pub compression: Compression,
    /// The dataset: its name, or the path of its folder.
    pub data: String,
    /// SHA-256 of its images and labels.
    pub data_fingerprint: String,
    /// The mean with which pixels are normalized: an input is `(pixel / 255 - mean) / std`. By
    /// default the dataset's.
    pub pixel_mean: f32,
    /// The standard deviation with which pixels are normalized.
    pub pixel_std: f32,
    /// The kind of device that trains.
    pub device: DeviceKind,
    /// The seed of all random draws.
    pub seed: u64,
    /// The number of epochs of each phase.
    pub epochs: usize,
    /// The number of images per step.
    pub batch: usize,
    /// The initial learning rate.
    pub learning_rate: f64,
    /// The momentum coefficient.
    pub momentum: f64,
    /// The factor of the sum of squared weights in the loss.
    pub l2: f64,
    /// The weights from which the pruned network is trained.
    pub after: After,
    /// The loss whose gradients SNIP reads.
    pub loss: Loss,
    /// A safetensors file with the weights of a trained dense network, which replaces dense
    /// training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The SHA-256 of that file, from [`fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_fingerprint: Option<String>,
}

/// Returns the SHA-256 of the file `path`, in hexadecimal.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub fn fingerprint(path: &Path) -> Result<String, FileError> {
    Ok(digest::sha256(atomic::read(path)?))
}

impl Recipe {
    /// The name of the architecture's fingerprint in a [`Difference`].
    pub(super) const ARCHITECTURE: &str = "an architecture of SHA-256";

    /// Returns the default recipe for `graph`, a predefined architecture, and `data`, a named
    /// dataset: an effective compression of 100 by `magnitude/igq`, trained on the CPU.
    ///
    /// Other options are set by struct update syntax:
    /// `Recipe { epochs: 5, ..Recipe::new(&graph, &data) }`.
    pub fn new(graph: &Graph, data: &Dataset) -> Self {
        Self {
            arch: graph.name().into(),
            arch_file: None,
            arch_fingerprint: graph.fingerprint(),
            batch_norm_epsilon: EPSILON,
            pruner: "magnitude/igq".into(),
            target: Target::Effective,
            compression: Compression::default(),
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

    /// Loads the architecture.
    ///
    /// # Errors
    /// Returns an error if the architecture is unknown, or if its file is invalid.
    pub fn graph(&self) -> Result<Graph, TrainError> {
        Ok(match &self.arch_file {
            Some(file) => graph::load(&file.to_string_lossy())?,
            None => graph::load(&self.arch)?,
        })
    }

    /// Checks the recipe against the architecture `graph` and the dataset `data`.
    ///
    /// # Errors
    /// Returns an error that names the field or the input at fault.
    pub fn check(&self, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        source::fits(graph, data)?;
        self.check_numbers()?;
        self.check_pixels(data)?;
        self.check_weights()?;
        let refuse = |reason| Err(value("batch", self.batch, reason));
        if self.batch == 0 || self.batch > data.train.len() {
            return refuse(format!(
                "must be at least 1 and at most {}, the number of training images of {}",
                data.train.len(),
                data.name
            ));
        }
        if let (1, Some(norm)) = (self.batch, needs_two_images(graph)) {
            return refuse(format!(
                "must be at least 2: batch norm {norm} of {} computes a variance over the images",
                graph.name()
            ));
        }
        let hyperparameters = self.hyperparameters();
        hyperparameters.check()?;
        hyperparameters.check_phase(&data.train, self.epochs)
    }

    /// Checks the numbers whose range depends neither on the architecture nor on the data.
    ///
    /// # Errors
    /// Returns an error that names the first field out of range, and its range.
    pub fn check_numbers(&self) -> Result<(), TrainError> {
        let is_positive = |number: f64| number > 0.0 && number.is_finite();
        let (rate, std) = (self.learning_rate, self.pixel_std);
        if self.epochs == 0 || self.epochs > MOST_EPOCHS {
            let reason = format!("must be at least 1 and at most {MOST_EPOCHS}");
            return Err(value("epochs", self.epochs, reason));
        }
        if !is_positive(rate) {
            return Err(value("learning_rate", rate, "must be a positive number"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            let reason = "must be at least 0 and below 1";
            return Err(value("momentum", self.momentum, reason));
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return Err(value("l2", self.l2, "must be a number of at least 0"));
        }
        if !self.pixel_mean.is_finite() {
            return Err(value("pixel_mean", self.pixel_mean, "must be a number"));
        }
        if !is_positive(f64::from(std)) {
            return Err(value("pixel_std", std, "must be a positive number"));
        }
        if self.batch_norm_epsilon != EPSILON {
            let reason = format!("must be {EPSILON}, with which networks are deployed");
            return Err(value("batch_norm_epsilon", self.batch_norm_epsilon, reason));
        }
        Ok(())
    }

    /// Checks that the recipe normalizes pixels as the dataset does.
    fn check_pixels(&self, data: &Dataset) -> Result<(), TrainError> {
        let found = [data.normalisation.mean, data.normalisation.std];
        let recipe = [self.pixel_mean, self.pixel_std];
        if recipe == found {
            return Ok(());
        }
        Err(TrainError::Normalization {
            recipe,
            dataset: data.name.clone(),
            found,
        })
    }

    /// Checks that trained weights are there if, and only if, they are read.
    fn check_weights(&self) -> Result<(), TrainError> {
        let pruner = Pruner::by_name(&self.pruner)?;
        let finetunes = self.after == After::Finetune;
        let has_trained = self.weights.is_some() || pruner.needs_dense_training();
        if finetunes && !has_trained {
            return Err(TrainError::NothingToFinetune {
                pruner: pruner.name(),
            });
        }
        if self.weights.is_some() && !(pruner.needs_dense_training() || finetunes) {
            return Err(TrainError::UnusedWeights {
                pruner: pruner.name(),
            });
        }
        Ok(())
    }

    /// Returns the hyperparameters of every phase.
    pub fn hyperparameters(&self) -> Hyperparameters {
        Hyperparameters {
            batch: self.batch,
            learning_rate: self.learning_rate,
            optimizer: OptimizerKind::Sgd(Sgd {
                momentum: self.momentum,
                ..Sgd::default()
            }),
            decay: Decay {
                kind: DecayKind::L2,
                amount: self.l2,
            },
            ..Hyperparameters::default()
        }
    }

    /// Checks whether a dense network is trained before pruning.
    pub fn trains_dense(&self, pruner: &Pruner) -> bool {
        pruner.needs_dense_training() && self.weights.is_none()
    }

    /// Returns the first field in which `self` and `other` differ.
    pub fn difference(&self, other: &Recipe) -> Option<Difference> {
        let table = |recipe: &Recipe| toml::Table::try_from(recipe).unwrap_or_default();
        let (ours, theirs) = (table(self), table(other));
        let text = |value: Option<&toml::Value>| {
            value.map_or_else(|| "none".into(), toml::Value::to_string)
        };
        let mut fields = ours.keys().chain(theirs.keys());
        fields.find_map(|key| {
            let (our, their) = (ours.get(key), theirs.get(key));
            let field = match key.as_str() {
                "arch_fingerprint" => Self::ARCHITECTURE.into(),
                "weights_fingerprint" => "weights of SHA-256".into(),
                key => key.replace('_', "-"),
            };
            (our != their).then(|| Difference {
                field,
                ours: text(our),
                theirs: text(their),
            })
        })
    }
}

/// A field in which two recipes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name.
    pub field: String,
    /// Its value in the one recipe.
    pub ours: String,
    /// Its value in the other.
    pub theirs: String,
}

/// Returns the error for a `field` whose value is out of range.
fn value(
    field: &'static str,
    value: impl ToString + Copy,
    reason: impl Into<String>,
) -> TrainError {
    TrainError::Value {
        field,
        value: value.to_string(),
        reason: reason.into(),
    }
}

/// Returns the name of the first batch norm of `graph` whose units have a single value per image:
/// over a batch of one image, it has no variance.
fn needs_two_images(graph: &Graph) -> Option<&str> {
    let mut norms = graph.nodes().iter();
    let norm = norms.find(|node| {
        node.operation == Operation::BatchNorm && node.shape[1..].iter().product::<usize>() == 1
    });
    norm.map(|node| node.name.as_str())
}
