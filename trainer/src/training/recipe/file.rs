//! Recipe files: TOML with any part of a [`Recipe`]; what is left out has the paper's value.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys::better;
use super::phase::Phase;
use super::{DeviceKind, Plan, Recipe, fingerprint};
use crate::atomic;
use crate::data::{Dataset, PerChannel};
use crate::graph::Graph;
use crate::training::error::TrainError;
use crate::training::hyperparameters::Hyperparameters;
use crate::training::layout::{ARCHITECTURE, RECIPE};

/// A recipe as written in a file. If it has fingerprints, as `run.toml` does, they must be those of
/// the architecture, the dataset and the weights that it names.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecipeFile {
    /// The architecture: a name, or a TOML file.
    pub arch: Option<String>,
    /// The architecture's fingerprint.
    pub arch_fingerprint: Option<String>,
    /// The epsilon of batch norms.
    pub batch_norm_epsilon: Option<f64>,
    /// The dataset: a name, or a folder.
    pub data: Option<String>,
    /// The absolute path of that folder.
    pub data_folder: Option<PathBuf>,
    /// SHA-256 of its images and labels.
    pub data_fingerprint: Option<String>,
    /// The mean with which pixels are normalized: a number, or a list with one per channel.
    pub pixel_mean: Option<PerChannel>,
    /// The standard deviation with which pixels are normalized, likewise.
    pub pixel_std: Option<PerChannel>,
    /// The kind of device that trains.
    pub device: Option<DeviceKind>,
    /// The seed of all random draws.
    pub seed: Option<u64>,
    /// A safetensors file with the weights of a trained dense network.
    pub weights: Option<String>,
    /// The SHA-256 of that file.
    pub weights_fingerprint: Option<String>,
    /// The hyperparameters of all phases.
    pub hyperparameters: Hyperparameters,
    /// The phases; by default those of the paper.
    #[serde(rename = "phase")]
    pub phases: Option<Vec<Phase>>,
}

impl RecipeFile {
    /// Reads the file `path`. Files that it names are looked up in its folder first.
    ///
    /// # Errors
    /// Returns an error that names the file, the line and the key at fault.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let bytes = atomic::read(path)?;
        let mut file = Self::parse(&String::from_utf8_lossy(&bytes)).map_err(|reason| {
            let reason = format!("{}{reason}", path.display());
            TrainError::Recipe { reason }
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |name: &String| {
            let found = folder.join(name);
            found.exists().then(|| found.display().to_string())
        };
        let copy = folder.join(ARCHITECTURE);
        if path.file_name().is_some_and(|name| name == RECIPE) && copy.exists() {
            file.arch = Some(copy.display().to_string());
        }
        let is_file = |name: &&String| name.ends_with(".toml");
        if let Some(found) = file.arch.as_ref().filter(is_file).and_then(beside) {
            file.arch = Some(found);
        }
        if let Some(found) = file.weights.as_ref().and_then(beside) {
            file.weights = Some(found);
        }
        Ok(file)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// Returns a clause that names the line at fault and says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let reason = better(error.message(), []);
            match error.span() {
                Some(span) => {
                    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                    format!(", line {line}: {reason}")
                }
                None => format!(": {reason}"),
            }
        })
    }

    /// Returns the recipe for `graph` and `data`, which `arch` and `data` of the file name.
    ///
    /// # Errors
    /// Returns an error if a fingerprint does not match, or if the weights cannot be read.
    pub fn resolve(self, graph: &Graph, data: &Dataset) -> Result<Recipe, TrainError> {
        let recipe = Recipe::new(graph, data);
        let weights_fingerprint = match &self.weights {
            Some(path) => Some(fingerprint(Path::new(path))?),
            None => None,
        };
        let same = |kind: &str, name: &str, wanted: &Option<String>, found: &str| match wanted {
            Some(wanted) if wanted != found => Err(TrainError::Mismatch(format!(
                "{kind} {name} is not the one that the recipe was made with (its SHA-256 is {found}): restore that one, or remove the fingerprint from the recipe"
            ))),
            _ => Ok(()),
        };
        let (arch, set) = (&recipe.arch, &recipe.data);
        same(
            "architecture",
            arch,
            &self.arch_fingerprint,
            &recipe.arch_fingerprint,
        )?;
        same(
            "dataset",
            set,
            &self.data_fingerprint,
            &recipe.data_fingerprint,
        )?;
        if let (Some(path), Some(found)) = (&self.weights, &weights_fingerprint) {
            same("weights file", path, &self.weights_fingerprint, found)?;
        }
        let arch = self.arch.unwrap_or_else(|| graph.name().into());
        Ok(Recipe {
            arch_file: (graph.name() != arch).then(|| PathBuf::from(arch)),
            data: self.data.unwrap_or_else(|| data.name.clone()),
            data_folder: self.data_folder,
            batch_norm_epsilon: self.batch_norm_epsilon.unwrap_or(recipe.batch_norm_epsilon),
            device: self.device.unwrap_or(recipe.device),
            seed: self.seed.unwrap_or(recipe.seed),
            weights: self.weights,
            weights_fingerprint,
            hyperparameters: self.hyperparameters,
            phases: self.phases.unwrap_or_else(|| Plan::default().list()),
            ..recipe
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
        for (text, words) in [
            (
                "seed = 1\nsead = 2",
                ", line 2: unknown key sead: did you mean seed?",
            ),
            (
                "[hyperparameters]\nlerning_rate = 1",
                "unknown key lerning_rate: did you mean learning_rate?",
            ),
            (
                "[[phase]]\nkind = \"train\"\nepocs = 3",
                "did you mean epochs?",
            ),
            ("[[phases]]\nkind = \"train\"", "did you mean phase?"),
            ("seed = ", "line 1"),
        ] {
            let error = RecipeFile::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
