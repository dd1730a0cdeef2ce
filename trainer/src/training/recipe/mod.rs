//! The recipe of a run: everything needed to repeat it. It is stored as `run.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, DeviceLocation};
use serde::{Deserialize, Serialize};

use crate::atomic::{self, FileError};
use crate::data::{Dataset, PerChannel, Reading, Scaling};
use crate::digest;
use crate::graph::{self, Graph};
use crate::network::EPSILON;
use crate::pruning::{Compression, Pattern, Target, source};
use crate::training::error::TrainError;
use crate::training::hyperparameters::Hyperparameters;

mod file;
mod keys;
mod omitted;
mod phase;
mod plan;
mod sense;
pub(super) mod stages;

pub use file::RecipeFile;
pub use omitted::Omitted;
pub use phase::{Gradual, Method, Phase, Prune, Regrow, Rewind, Training};
pub use plan::{After, Plan};

/// The value of [`Recipe::masks`] that prunes those of the given weights that are zero.
pub const ZEROS: &str = "zeros";

/// A kind of device that trains. Each kind rounds differently, so a run uses only one kind.
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
    /// The epsilon of batch norms, always [`EPSILON`]. PyTorch's default, 1e-5, differs: set this
    /// epsilon there when loading the weights.
    pub batch_norm_epsilon: f64,
    /// The dataset: its name, or the path of its folder or file.
    pub data: String,
    /// The absolute path of that folder or file, so that commands in other folders find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_folder: Option<PathBuf>,
    /// The SHA-256 of the dataset's images and labels.
    pub data_fingerprint: String,
    /// The mean with which pixels are normalised: an input is `(pixel / 255 - mean) / std`. By
    /// default the dataset's.
    pub pixel_mean: PerChannel,
    /// The standard deviation with which pixels are normalised.
    pub pixel_std: PerChannel,
    /// The kind of device that trains.
    pub device: DeviceKind,
    /// The seed of all random draws.
    pub seed: u64,
    /// A safetensors file with the weights of a trained dense network, which replaces dense
    /// training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The SHA-256 of that file, from [`fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_fingerprint: Option<String>,
    /// The masks under which training starts: a safetensors file, or [`ZEROS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<String>,
    /// The SHA-256 of that file; `None` for [`ZEROS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks_fingerprint: Option<String>,
    /// How the dataset is read where its files leave a choice, such as the range of features that
    /// is mapped to bytes.
    #[serde(default, skip_serializing_if = "Reading::is_plain")]
    pub reading: Reading,
    /// The hyperparameters of all phases, unless a phase overrides them.
    pub hyperparameters: Hyperparameters,
    /// The phases, in order.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
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
    pub(in crate::training) const ARCHITECTURE: &str = "an architecture of SHA-256";

    /// Returns the default recipe for `graph`, a predefined architecture, and `data`, a named
    /// dataset: an effective compression of 100 with the pruner `magnitude/igq`, trained on the
    /// CPU.
    ///
    /// Other options are set by struct update syntax:
    /// `Recipe { seed: 5, ..Recipe::new(&graph, &data) }`.
    pub fn new(graph: &Graph, data: &Dataset) -> Self {
        Self {
            arch: graph.name().into(),
            arch_file: None,
            arch_fingerprint: graph.fingerprint(),
            batch_norm_epsilon: EPSILON,
            data: data.name.clone(),
            data_folder: None,
            data_fingerprint: data.fingerprint(),
            pixel_mean: data.normalisation.mean.clone(),
            pixel_std: data.normalisation.std.clone(),
            device: DeviceKind::Cpu,
            seed: 0,
            weights: None,
            weights_fingerprint: None,
            masks: None,
            masks_fingerprint: None,
            reading: data.reading.clone(),
            hyperparameters: Hyperparameters::default(),
            phases: Plan::default().list(),
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
        if !data.reading.has_labels() {
            return Err(TrainError::Mismatch(format!(
                "dataset {} has no labels, but training needs them: give the labels of its samples",
                data.name
            )));
        }
        self.check_numbers()?;
        self.check_pixels(data)?;
        self.check_sense(graph, data)
    }

    /// Checks the numbers whose range depends on neither the architecture nor the data.
    ///
    /// # Errors
    /// Returns an error that names the first field out of range, and its range.
    pub fn check_numbers(&self) -> Result<(), TrainError> {
        self.check_phases()?;
        if !self.pixel_mean.is_finite() {
            let reason = "must be a number";
            return Err(TrainError::value("pixel_mean", &self.pixel_mean, reason));
        }
        if !self.pixel_std.is_positive() {
            let reason = "must be a positive number";
            return Err(TrainError::value("pixel_std", &self.pixel_std, reason));
        }
        if self.batch_norm_epsilon != EPSILON {
            let reason = format!("must be {EPSILON}, with which networks are deployed");
            let value = self.batch_norm_epsilon;
            return Err(TrainError::value("batch_norm_epsilon", value, reason));
        }
        Ok(())
    }

    /// Returns what determines the final masks: the name of the last pruner or of the method that
    /// regrows connections, whichever comes last, or "given" if the recipe names masks, or "dense".
    pub fn pruner(&self) -> &str {
        let mut phases = self.phases.iter().rev();
        let found = phases.find_map(|phase| match phase {
            Phase::Regrow(Regrow { method, .. }) => Some(method.name()),
            Phase::Prune(Prune { pruner, .. }) | Phase::Gradual(Gradual { pruner, .. }) => {
                Some(pruner.as_str())
            }
            _ => None,
        });
        found.unwrap_or(match self.masks {
            Some(_) => "given",
            None => "dense",
        })
    }

    /// Returns the compression of the last phase that prunes, and which weights it counts.
    pub fn compression(&self) -> (Compression, Target) {
        let mut phases = self.phases.iter().rev();
        let found = phases.find_map(|phase| match phase {
            Phase::Prune(prune) => Some((prune.compression(), prune.target)),
            Phase::Gradual(gradual) => Some((gradual.compression, gradual.target)),
            _ => None,
        });
        found.unwrap_or((Compression::NONE, Target::Effective))
    }

    /// Returns the pattern that the last phase that prunes makes, if it makes one.
    pub fn pattern(&self) -> Option<Pattern> {
        let mut phases = self.phases.iter().rev();
        let found = phases.find_map(|phase| match phase {
            Phase::Prune(prune) => Some(prune.pattern),
            Phase::Gradual(_) => Some(None),
            _ => None,
        });
        found.flatten()
    }

    /// Checks whether training starts from the weights that the recipe names.
    pub(in crate::training) fn trains_given(&self) -> bool {
        let mut phases = self.phases.iter();
        let first = phases.find(|phase| !matches!(phase, Phase::Prune(_)));
        self.weights.is_some() && first.is_some_and(|phase| phase.training().is_some())
    }

    /// Checks whether a phase learns from the network whose weights the recipe names, rather than
    /// from one that an earlier phase trains.
    ///
    /// # Errors
    /// Returns an error if an override of a phase has an unknown key or the wrong type.
    pub(in crate::training) fn learns_from_given(&self) -> Result<bool, TrainError> {
        let stages = stages::stages(self)?;
        let dense = stages.iter().position(|stage| stage.ends_dense);
        let mut without = stages
            .iter()
            .take(dense.map_or(stages.len(), |dense| dense + 1));
        Ok(self.weights.is_some() && without.any(stages::Stage::distils))
    }

    /// Returns the name or the path by which the dataset is found.
    pub fn data_source(&self) -> String {
        let folder = self.data_folder.as_ref().filter(|path| path.exists());
        folder.map_or_else(|| self.data.clone(), |path| path.display().to_string())
    }

    /// Returns the mean and standard deviation with which pixels are normalised.
    pub fn scaling(&self) -> Scaling {
        Scaling {
            mean: self.pixel_mean.clone(),
            std: self.pixel_std.clone(),
        }
    }

    /// Checks that the recipe normalises pixels as the dataset does, in every channel.
    fn check_pixels(&self, data: &Dataset) -> Result<(), TrainError> {
        let channels = data.train.shape()[0];
        for (field, values) in [
            ("pixel_mean", &self.pixel_mean),
            ("pixel_std", &self.pixel_std),
        ] {
            if !values.fits(channels) {
                let reason = format!(
                    "must be one number, or one for each of the channels of {}, which has {channels}",
                    data.name
                );
                return Err(TrainError::value(field, values, reason));
            }
        }
        let (recipe, found) = (self.scaling(), Scaling::from(&data.normalisation));
        if recipe == found {
            return Ok(());
        }
        Err(TrainError::Normalization {
            recipe: Box::new(recipe),
            dataset: data.name.clone(),
            found: Box::new(found),
        })
    }

    /// Returns the first field in which `self` and `other` differ.
    pub fn difference(&self, other: &Recipe) -> Option<Difference> {
        let fields = |recipe: &Recipe| {
            let mut fields = BTreeMap::new();
            let table = toml::Table::try_from(recipe).unwrap_or_default();
            flatten("", toml::Value::Table(table), &mut fields);
            let kinds: Vec<&str> = recipe.phases.iter().map(Phase::kind).collect();
            fields.insert("phases".into(), kinds.join(", ").into());
            fields.insert("pruner".into(), recipe.pruner().into());
            let (compression, _) = recipe.compression();
            fields.insert("compression".into(), compression.get().into());
            fields
        };
        let (ours, theirs) = (fields(self), fields(other));
        let text = |value: Option<&toml::Value>| {
            value.map_or_else(|| "none".into(), toml::Value::to_string)
        };
        let is_of_phase = |key: &&String| key.starts_with("phase ");
        let keys = || ours.keys().chain(theirs.keys());
        let is_list = |key: &&String| *key == "phases";
        let others = keys().filter(|key| !is_of_phase(key) && !is_list(key));
        let mut keys = others
            .chain(keys().filter(is_list))
            .chain(keys().filter(is_of_phase));
        keys.find_map(|key| {
            let (our, their) = (ours.get(key), theirs.get(key));
            let field = match key.as_str() {
                "arch_fingerprint" => Self::ARCHITECTURE.into(),
                "weights_fingerprint" => "weights of SHA-256".into(),
                "masks_fingerprint" => "masks of SHA-256".into(),
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

/// Adds the fields of `value`, which is called `name`, to `fields`. A field of the second phase is
/// called, for example, "phase 2 epochs".
fn flatten(name: &str, value: toml::Value, fields: &mut BTreeMap<String, toml::Value>) {
    let join = |key: &str| match name {
        "" | "hyperparameters" | "reading" => key.to_owned(),
        _ => format!("{name} {key}"),
    };
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                flatten(&join(&key), value, fields);
            }
        }
        toml::Value::Array(list) if list.iter().all(toml::Value::is_table) => {
            for (index, value) in list.into_iter().enumerate() {
                flatten(&join(&(index + 1).to_string()), value, fields);
            }
        }
        value => {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// A field in which two recipes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field's name.
    pub field: String,
    /// Its value in the first recipe.
    pub ours: String,
    /// Its value in the other recipe.
    pub theirs: String,
}
