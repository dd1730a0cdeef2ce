//! What is known of a container and costs no byte of it: the file `model.rfy.json` beside `model.rfy`.
//!
//! `export` writes it: the data that the network was trained on, how often what each layer reads is
//! not 0, the report. `eval`, `measure` and `inspect` read it. It belongs to one container, by that
//! one's SHA-256: beside any other it is ignored, as is one that cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_format::Model;
use serde::{Deserialize, Serialize};

use super::DeployError;
use super::activity::Activity;
use super::costs::Core;
use super::export::ExportReport;
use super::report::LayerOrigin;
use crate::artifact;
use crate::data::{Dataset, catalogue};
use crate::digest::sha256;
use crate::training::Recipe;

/// Most bytes of a companion that are read; the largest networks have some megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Companion {
    /// SHA-256 of the container, in hexadecimal.
    pub container_sha256: String,
    /// The data that the network was trained on.
    pub data: Origin,
    /// The board that it was exported for, where one was named.
    pub board: Option<String>,
    /// The core that instructions were counted for.
    pub core: Core,
    /// For each layer the mean share of what it reads that is not 0, over the calibration images.
    pub activity: Vec<f64>,
    /// What the export printed with `--json`.
    pub export: serde_json::Value,
}

/// A dataset and what of it a network depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// A name of the catalogue, or the absolute path of a folder: what `--data` takes.
    pub name: String,
    /// [`Dataset::fingerprint`].
    pub fingerprint: String,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Classes that the labels tell apart.
    pub classes: usize,
    /// The mean of pixel / 255 that the network was trained with.
    pub pixel_mean: f32,
    /// The standard deviation of pixel / 255 that the network was trained with.
    pub pixel_std: f32,
}

/// What lies beside a container.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Its companion.
    Companion(Box<Companion>),
    /// A file of that name that says nothing about this container, and why.
    Ignored(String),
    /// Nothing.
    Nothing,
}

impl Companion {
    /// Returns the companion of the container `model`, exported from the run of `recipe` with its
    /// `data`; `activity` is that of the model's layers.
    #[must_use]
    pub fn new(
        model: &Model<'_>,
        (recipe, data): (&Recipe, &Dataset),
        (board, core): (Option<&str>, Core),
        activity: &[Activity],
        report: &ExportReport,
    ) -> Self {
        Self {
            container_sha256: sha256(model.bytes()),
            data: Origin {
                name: whereabouts(&data.name),
                fingerprint: recipe.data_fingerprint.clone(),
                shape: data.train.shape(),
                classes: data.classes,
                pixel_mean: recipe.pixel_mean,
                pixel_std: recipe.pixel_std,
            },
            board: board.map(str::to_owned),
            core,
            activity: activity.iter().map(Activity::mean).collect(),
            export: serde_json::to_value(report).expect("a report is plain values"),
        }
    }

    /// Returns the instructions that `export` predicted from what layers read: for each layer, and for
    /// a whole inference.
    #[must_use]
    pub fn instructions(&self) -> Option<(Vec<u64>, u64)> {
        let layers = self.export.get("layers")?.as_array()?;
        let of = |report: &serde_json::Value| report.get("instructions")?.as_u64();
        Some((
            layers.iter().map(of).collect::<Option<_>>()?,
            of(&self.export)?,
        ))
    }

    /// Returns where `export` found each layer to come from.
    #[must_use]
    pub fn origins(&self) -> Option<Vec<LayerOrigin>> {
        serde_json::from_value(self.export.get("layers")?.clone()).ok()
    }

    /// Reads what lies beside `model`, a container of these `bytes`.
    #[must_use]
    pub fn find(model: &Path, bytes: &[u8]) -> Found {
        let path = path(model);
        let shown = path.display();
        let size = match fs::metadata(&path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Found::Ignored(format!("{shown} is not an ordinary file")),
            Err(_) => return Found::Nothing,
        };
        if size > MOST_BYTES {
            return Found::Ignored(format!("{shown} is too large: {size} bytes"));
        }
        let text = match artifact::read(&path) {
            Ok(text) => text,
            Err(error) => return Found::Ignored(error.to_string()),
        };
        match serde_json::from_slice::<Self>(&text) {
            Err(error) => Found::Ignored(format!("{shown} is not what `export` writes ({error})")),
            Ok(found) if found.container_sha256 != sha256(bytes) => {
                Found::Ignored(format!("{shown} belongs to another container"))
            }
            Ok(found) => Found::Companion(Box::new(found)),
        }
    }

    /// Writes it beside `model`.
    ///
    /// # Errors
    /// When another file is in the way, or the system refuses.
    pub fn write(&self, model: &Path) -> Result<(), DeployError> {
        check_free(model)?;
        let mut text = serde_json::to_vec(self).expect("a companion is plain values");
        text.push(b'\n');
        Ok(artifact::write(&path(model), &text)?)
    }
}

/// Returns the path of the companion of the container `model`: `.json` added to its name.
#[must_use]
pub fn path(model: &Path) -> PathBuf {
    let mut path = model.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

/// Checks that the companion of the container `model` would replace nothing but a companion.
///
/// # Errors
/// When it would.
pub fn check_free(model: &Path) -> Result<(), DeployError> {
    let path = path(model);
    let is_ours = |text: Vec<u8>| {
        serde_json::from_slice::<serde_json::Value>(&text)
            .is_ok_and(|value| value.get("container_sha256").is_some())
    };
    match fs::metadata(&path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_file() && artifact::read(&path).is_ok_and(is_ours) => Ok(()),
        Ok(_) => Err(DeployError::InTheWay {
            path: path.display().to_string(),
        }),
    }
}

/// Returns what `--data` takes from any folder to mean the dataset called `name` from this one.
fn whereabouts(name: &str) -> String {
    if catalogue::names().contains(&name) {
        return name.to_owned();
    }
    let absolute = std::path::absolute(name).ok();
    let absolute = absolute.and_then(|path| path.into_os_string().into_string().ok());
    absolute.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_companion_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("result");
        check_free(&model).unwrap();
        fs::write(path(&model), "{\"accuracy\": 0.97}").unwrap();
        let error = check_free(&model).unwrap_err().to_string();
        assert!(error.contains("result.json is in the way"), "{error}");
        let Found::Ignored(reason) = Companion::find(&model, b"") else {
            panic!("it is no companion")
        };
        assert!(reason.contains("result.json"), "{reason}");
        fs::write(path(&model), "{\"container_sha256\": \"\"}").unwrap();
        check_free(&model).unwrap();
        assert_eq!(
            path(Path::new("a b/model.rfy")),
            Path::new("a b/model.rfy.json")
        );
    }
}
