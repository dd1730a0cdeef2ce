//! Recipe files: TOML with any of the fields of a [`Recipe`]; those left out have their defaults.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::keys::better;
use super::omitted::{self, Omitted};
use super::phase::Phase;
use super::{DeviceKind, Plan, Recipe, ZEROS, fingerprint};
use crate::atomic;
use crate::data::{Dataset, PerChannel, Reading};
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
    /// The dataset: a name, a folder, or a file.
    pub data: Option<String>,
    /// The absolute path of that folder or file.
    pub data_folder: Option<PathBuf>,
    /// The SHA-256 of the dataset's images and labels.
    pub data_fingerprint: Option<String>,
    /// The mean with which pixels are normalised: a number, or a list with one per channel.
    pub pixel_mean: Option<PerChannel>,
    /// The standard deviation with which pixels are normalised, likewise.
    pub pixel_std: Option<PerChannel>,
    /// The kind of device that trains.
    pub device: Option<DeviceKind>,
    /// The seed of all random draws.
    pub seed: Option<u64>,
    /// A safetensors file with the weights of a trained dense network.
    pub weights: Option<String>,
    /// The SHA-256 of that file.
    pub weights_fingerprint: Option<String>,
    /// The masks under which training starts: a safetensors file, or [`ZEROS`].
    pub masks: Option<String>,
    /// The SHA-256 of that file.
    pub masks_fingerprint: Option<String>,
    /// How the dataset is read where its files leave a choice.
    pub reading: Reading,
    /// The hyperparameters of all phases.
    pub hyperparameters: Hyperparameters,
    /// The phases; by default those of the paper.
    #[serde(rename = "phase")]
    pub phases: Option<Vec<Phase>>,
    /// The main keys that the file leaves out.
    #[serde(skip)]
    pub omitted: Vec<Omitted>,
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
        let is_file = |name: &&String| *name != ZEROS;
        if let Some(found) = file.masks.as_ref().filter(is_file).and_then(beside) {
            file.masks = Some(found);
        }
        Ok(file)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// Returns a clause that names the line at fault and says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = toml::from_str(text).map_err(|error: toml::de::Error| {
            let reason = better(text, &error, []);
            match line(text, &error) {
                Some(line) => format!(", line {line}: {reason}"),
                None => format!(": {reason}"),
            }
        });
        parsed.map(|file| Self {
            omitted: omitted::find(text),
            ..file
        })
    }

    /// Returns the recipe for `graph` and `data`, which must be the architecture and the dataset
    /// that the file names.
    ///
    /// # Errors
    /// Returns an error if a fingerprint does not match, or if the weights cannot be read.
    pub fn resolve(self, graph: &Graph, data: &Dataset) -> Result<Recipe, TrainError> {
        let recipe = Recipe::new(graph, data);
        let of_file = |path: &String| fingerprint(Path::new(path));
        let weights_fingerprint = self.weights.as_ref().map(of_file).transpose()?;
        let masks_file = self.masks.as_ref().filter(|name| *name != ZEROS);
        let masks_fingerprint = masks_file.map(of_file).transpose()?;
        let same = |kind: &str, name: &str, wanted: &Option<String>, found: &str| match wanted {
            Some(wanted) if wanted != found => Err(TrainError::Mismatch(format!(
                "{kind} {name} is not the one that the recipe was made with (the SHA-256 of {name} is {found}): restore that one, or remove the fingerprint from the recipe"
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
        if let (Some(path), Some(found)) = (masks_file, &masks_fingerprint) {
            same("masks file", path, &self.masks_fingerprint, found)?;
        }
        let arch = self.arch.unwrap_or_else(|| graph.name().into());
        Ok(Recipe {
            arch_file: (graph.name() != arch).then(|| PathBuf::from(arch)),
            data: self.data.unwrap_or_else(|| data.name.clone()),
            data_folder: self.data_folder,
            batch_norm_epsilon: self.batch_norm_epsilon.unwrap_or(recipe.batch_norm_epsilon),
            device: self.device.unwrap_or(recipe.device),
            seed: self.seed.unwrap_or(recipe.seed),
            pixel_mean: self.pixel_mean.unwrap_or(recipe.pixel_mean),
            pixel_std: self.pixel_std.unwrap_or(recipe.pixel_std),
            weights: self.weights,
            weights_fingerprint,
            masks: self.masks,
            masks_fingerprint,
            hyperparameters: self.hyperparameters,
            phases: self.phases.unwrap_or_else(|| Plan::default().list()),
            ..recipe
        })
    }
}

/// Returns the number of the line of `text` at fault, from 1.
///
/// The kind of a phase decides which keys it may have, so the parser checks them only after it has
/// read the whole phase, and reports every error at the first phase. Each phase is therefore
/// parsed alone here, and the error is placed at the key that the message names, or at the head of
/// the phase.
fn line(text: &str, error: &toml::de::Error) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let heads = (0..lines.len()).filter(|&at| lines[at].trim_start().starts_with("[[phase]]"));
    for head in heads {
        let is_other = |line: &&str| {
            let line = line.trim_start();
            line.starts_with('[') && !line.starts_with("[phase.")
        };
        let rest = &lines[head + 1..];
        let end = rest.iter().position(is_other).unwrap_or(rest.len());
        let phase = lines[head..=head + end].join("\n");
        let alone = toml::from_str::<RecipeFile>(&phase);
        if alone.is_err_and(|alone| alone.message() == error.message()) {
            let key = blamed(error.message());
            let at = rest[..end].iter().position(|line| sets(line, key));
            return Some(head + 1 + at.map_or(0, |at| at + 1));
        }
    }
    let start = error.span()?.start.min(text.len());
    Some(text[..start].matches('\n').count() + 1)
}

/// Returns the key that the `message` about a phase names.
fn blamed(message: &str) -> &str {
    let clause = match message.strip_prefix("phase ") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, clause)| clause),
        None => message,
    };
    let clause = clause.strip_prefix("unknown key ").unwrap_or(clause);
    match clause.starts_with("there is no kind of phase") {
        true => "kind",
        false => clause.split([' ', ':']).next().unwrap_or_default(),
    }
}

/// Checks whether `line` gives a value to `key`, or is the head of its table.
fn sets(line: &str, key: &str) -> bool {
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut places = line.match_indices(key);
    let is_set = places.any(|(at, _)| {
        let (before, after) = (&line[..at], line[at + key.len()..].trim_start());
        !before.ends_with(is_key) && after.starts_with('=')
    });
    !key.is_empty() && (is_set || line.trim() == format!("[phase.{key}]"))
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
            (
                "[[phase]]\nkind = \"train\"\n\n[[phase]]\nkind = \"prune\"\nprunner = \"dense\"",
                ", line 6: phase prune: unknown key prunner: did you mean pruner?",
            ),
            (
                "[[phase]]\nkind = \"train\"\n\n[[phase]]\nkind = \"train\"\nepochs = -3",
                ", line 6: phase train: epochs is -3, but must be a whole number of at least 1",
            ),
            (
                "seed = \"x\"",
                ", line 1: seed is \"x\", but must be a whole number of at least 0",
            ),
            (
                "[hyperparameters]\n\nbatch = 1.5",
                ", line 3: batch is 1.5, but must be a whole number of at least 0",
            ),
            (
                "[hyperparameters]\nschedule = { fractions = 0.5 }",
                ", line 2: fractions is 0.5, but must be a list",
            ),
            (
                "[hyperparameters.schedule]\nfractions = [0.5, \"x\"]",
                ", line 2: fractions is \"x\", but must be a number",
            ),
            (
                "[hyperparameters]\naugmentation = { elastic = 34 }",
                ", line 2: elastic is 34, but must be a table with the keys alpha and sigma",
            ),
            (
                "[hyperparameters]\naugmentation = { flip = 1 }",
                ", line 2: flip is 1, but must be true or false",
            ),
            (
                "[hyperparameters]\ndecay = { kind = \"l1\" }",
                ", line 2: kind is \"l1\", but must be \"l2\" or \"decoupled\"",
            ),
            (
                "[hyperparameters]\noptimizer = \"adam\"",
                ", line 2: optimizer is \"adam\", but must be a table with the key kind (\"sgd\" or \"adam\") and those of that kind",
            ),
            (
                "[hyperparameters]\noptimizer = { beta1 = 0.5 }",
                ", line 2: optimizer lacks the key kind",
            ),
            (
                "pixel_mean = \"x\"",
                ", line 1: pixel_mean is \"x\", but must be a number",
            ),
            (
                "[[phase]]\nkind = \"prune\"\n\ndense = \"last\"",
                ", line 4: phase prune: dense is \"last\", but must be a list",
            ),
            (
                "[[phase]]\nkind = \"prune\"\n\ncompression = \"ten\"",
                ", line 4: phase prune: compression is \"ten\", but must be a number",
            ),
            // Overrides of a phase, in every notation.
            (
                "[[phase]]\nkind = \"train\"\n\n[[phase]]\nkind = \"train\"\nbatch = \"x\"",
                ", line 6: phase train: batch is \"x\", but must be a whole number of at least 0",
            ),
            (
                "[[phase]]\nkind = \"train\"\n\noptimizer = { kind = \"adam\", beta1 = \"x\" }",
                ", line 4: phase train: beta1 is \"x\", but must be a number",
            ),
            (
                "[[phase]]\nkind = \"train\"\n[phase.schedule]\nwarmup = -1",
                ", line 4: phase train: warmup is -1, but must be a whole number of at least 0",
            ),
            (
                "[[phase]]\nkind = \"train\"\n[phase.decay]\nkind = \"l2\"\nrate = 3",
                ", line 5: phase train: unknown key rate",
            ),
            ("seed = 1\n[[phase]]\nkind = \"trian\"", ", line 3: "),
            ("[[phases]]\nkind = \"train\"", "did you mean phase?"),
            ("seed = ", "line 1"),
        ] {
            let error = RecipeFile::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_recipe_with_every_key_is_one() {
        let page = include_str!("../../../recipes/README.md");
        let text = page
            .split("```")
            .nth(1)
            .unwrap()
            .strip_prefix("toml")
            .unwrap();
        let file = RecipeFile::parse(text).unwrap();
        let data = crate::data::digits::load();
        let graph = crate::graph::load(file.arch.as_deref().unwrap()).unwrap();
        let recipe = file.clone().resolve(&graph, &data).unwrap();
        recipe.check_numbers().unwrap();
        // Every key that a complete recipe is written with is on the page.
        let all = toml::to_string(&recipe).unwrap();
        let key = |line: &str| line.split(" = ").next().unwrap().trim().to_owned();
        let derived = [
            "arch_fingerprint",
            "data_fingerprint",
            "arch_file",
            "data_folder",
        ];
        for line in all.lines().filter(|line| line.contains(" = ")) {
            let key = key(line);
            assert!(
                derived.contains(&key.as_str()) || text.contains(&key),
                "{key}"
            );
        }
    }
}
