//! The companion `model.rfy.json` of a container `model.rfy`: metadata that takes no space in the
//! container.
//!
//! `export` writes the dataset that the network was trained or calibrated on, the activity of each
//! layer's source, and the export report. `eval`, `measure` and `inspect` read it. A companion
//! belongs to the one container whose SHA-256 it holds; beside any other it is ignored, as is a
//! file that cannot be read or whose values are impossible for the container.

use std::fs;
use std::ops::Not;
use std::path::{Path, PathBuf};

use rarefy_format::{AlignedBytes, Model};
use serde::{Deserialize, Serialize};

use super::DeployError;
use super::activity::Activity;
use super::costs::Core;
use super::report::LayerOrigin;
use super::units;
use crate::atomic;
use crate::data::{Dataset, PerChannel, Reading, Scaling, catalogue};
use crate::digest::sha256;

/// The maximum size of a companion that is read; those of the largest networks are a few megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// The metadata of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Companion {
    /// SHA-256 of the container, in hexadecimal.
    pub container_sha256: String,
    /// The dataset that the container was made for.
    pub data: Origin,
    /// The board that the container was exported for, if one was named.
    pub board: Option<String>,
    /// The core that instructions were predicted for.
    pub core: Core,
    /// Per layer, the mean fraction of its input values that are nonzero, over the calibration
    /// images.
    pub activity: Vec<f64>,
    /// The export report, as printed by `--json`.
    pub export: serde_json::Value,
}

/// A dataset, and the properties of it that a network depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The name in the catalogue, or the absolute path of a folder; accepted by `--data`.
    pub name: String,
    /// [`Dataset::fingerprint`].
    pub fingerprint: String,
    /// The shape of an image, (channels, height, width).
    pub shape: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// The mean of pixel / 255 that the network was trained with.
    pub pixel_mean: PerChannel,
    /// The standard deviation of pixel / 255 that the network was trained with.
    pub pixel_std: PerChannel,
    /// The names of the classes, unless they are those in `reading`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How the files of the dataset were read.
    #[serde(default, skip_serializing_if = "Reading::is_plain")]
    pub reading: Reading,
    /// Whether the container was only calibrated on the dataset, because the network was trained
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub only_calibrated: bool,
}

impl Origin {
    /// Describes `data`, whose [`Dataset::fingerprint`] is given, for a network that expects
    /// `pixels`, and that was trained on it or only calibrated.
    #[must_use]
    pub fn new(data: &Dataset, fingerprint: &str, pixels: &Scaling, only_calibrated: bool) -> Self {
        Self {
            name: whereabouts(&data.name),
            fingerprint: fingerprint.to_owned(),
            shape: data.train.shape(),
            classes: data.classes,
            pixel_mean: pixels.mean.clone(),
            pixel_std: pixels.std.clone(),
            labels: match data.class_names == data.reading.class_names {
                true => Vec::new(),
                false => data.class_names.clone(),
            },
            reading: data.reading.clone(),
            only_calibrated,
        }
    }

    /// Returns the names of the classes; empty if they have none.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        match self.labels.is_empty() {
            true => &self.reading.class_names,
            false => &self.labels,
        }
    }

    /// Checks that pixels can be normalised with the recorded mean and standard deviation.
    ///
    /// # Errors
    /// Returns an error that names the field at fault.
    fn check_scaling(&self) -> Result<(), String> {
        let (mean, std, shape) = (&self.pixel_mean, &self.pixel_std, self.shape);
        if !mean.is_finite() {
            return Err(format!("data.pixel_mean is {mean}, not a finite number"));
        }
        if !std.is_positive() {
            return Err(format!("data.pixel_std is {std}, not a positive number"));
        }
        for (field, values) in [("pixel_mean", mean), ("pixel_std", std)] {
            if !values.fits(shape[0]) {
                return Err(format!(
                    "data.{field} is {values}, not one number per channel of {shape:?}"
                ));
            }
        }
        Ok(())
    }
}

/// The result of looking for a companion.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The container's companion.
    Companion(Box<Companion>),
    /// A file of that name that is not the container's companion, and why.
    Ignored(String),
    /// No file of that name.
    Nothing,
}

impl Companion {
    /// Returns the companion of `container`, made for the dataset `data` and exported for the given
    /// board and core; `activity` is that of each layer's source.
    #[must_use]
    pub fn new(
        container: &[u8],
        data: Origin,
        (board, core): (Option<&str>, Core),
        activity: &[Activity],
        report: &impl Serialize,
    ) -> Self {
        Self {
            container_sha256: sha256(container),
            data,
            board: board.map(str::to_owned),
            core,
            activity: activity.iter().map(Activity::mean).collect(),
            export: serde_json::to_value(report).expect("a report serializes"),
        }
    }

    /// Returns what an output of 1 stands for, as `export` recorded it; `None` if an earlier
    /// version exported.
    #[must_use]
    pub fn output_step(&self) -> Option<f64> {
        let step = self.export.get("output_step")?.as_f64();
        step.filter(|step| step.is_finite() && *step > 0.0)
    }

    /// Returns the instructions that `export` predicted with measured activity, per layer and for a
    /// whole inference; `None` if the report does not contain them.
    #[must_use]
    pub fn instructions(&self) -> Option<(Vec<u64>, u64)> {
        let layers = self.export.get("layers")?.as_array()?;
        let of = |report: &serde_json::Value| report.get("instructions")?.as_u64();
        Some((
            layers.iter().map(of).collect::<Option<_>>()?,
            of(&self.export)?,
        ))
    }

    /// Returns the origin of each layer as `export` recorded it; `None` if the report does not
    /// contain all of them.
    #[must_use]
    pub fn origins(&self) -> Option<Vec<LayerOrigin>> {
        serde_json::from_value(self.export.get("layers")?.clone()).ok()
    }

    /// Looks for the companion of the file `model`, a container with the content `bytes`.
    #[must_use]
    pub fn find(model: &Path, bytes: &[u8]) -> Found {
        let path = path(model);
        let shown = path.display();
        let size = match fs::metadata(&path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Found::Ignored(format!("{shown} is not a regular file")),
            Err(_) => return Found::Nothing,
        };
        if size > MOST_BYTES {
            return Found::Ignored(format!(
                "{shown} is too large for a companion: {size} bytes"
            ));
        }
        let text = match atomic::read(&path) {
            Ok(text) => text,
            Err(error) => return Found::Ignored(error.to_string()),
        };
        match serde_json::from_slice::<Self>(&text) {
            Err(error) => Found::Ignored(format!(
                "{shown} is not a companion written by `export` ({error})"
            )),
            Ok(found) if found.container_sha256 != sha256(bytes) => {
                Found::Ignored(format!("{shown} belongs to another container"))
            }
            Ok(found) => match found.check(bytes) {
                Ok(()) => Found::Companion(Box::new(found)),
                Err(reason) => Found::Ignored(format!("{shown}: {reason}")),
            },
        }
    }

    /// Checks that every field is possible for the container `bytes`.
    ///
    /// # Errors
    /// Returns an error that names the first field that is not.
    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let bytes = AlignedBytes::copy_from(bytes);
        let model = Model::parse(&bytes).map_err(|e| format!("its container is damaged ({e})"))?;
        let Origin {
            fingerprint,
            shape,
            classes,
            ..
        } = &self.data;
        if fingerprint.len() != 64 || !fingerprint.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err("data.fingerprint is not a SHA-256".into());
        }
        let pixels = shape
            .iter()
            .try_fold(1_usize, |all, &axis| all.checked_mul(axis));
        if pixels != Some(model.inputs()) {
            return Err(format!(
                "data.shape is {shape:?}, but the container has {} inputs",
                model.inputs()
            ));
        }
        if !(1..=model.outputs()).contains(classes) {
            return Err(format!(
                "data.classes is {classes}, but the container has {} outputs",
                model.outputs()
            ));
        }
        self.data.check_scaling()?;
        if let (Some(units), Some(map)) = (model.units(), &self.data.reading.map)
            && !units::states(&units, map)
        {
            return Err("data.reading.map is not the map that the container states".into());
        }
        let layers = model.layers().count();
        let share = |share: &f64| (0.0..=1.0).contains(share);
        if self.activity.len() != layers || !self.activity.iter().all(share) {
            return Err(format!(
                "activity is not a list of {layers} numbers from 0 to 1, one per layer"
            ));
        }
        match self.instructions() {
            Some((instructions, _)) if instructions.len() != layers => Err(format!(
                "export.layers has {} layers, but the container has {layers}",
                instructions.len()
            )),
            _ => Ok(()),
        }
    }

    /// Writes the companion beside `model`.
    ///
    /// # Errors
    /// Returns an error if a file that is not a companion has its name, or if writing fails.
    pub fn write(&self, model: &Path) -> Result<(), DeployError> {
        check_free(model)?;
        let mut text = serde_json::to_vec(self).expect("a companion serializes");
        text.push(b'\n');
        Ok(atomic::write(&path(model), &text)?)
    }
}

/// Returns the path of the companion of the container `model`: `.json` added to its name.
#[must_use]
pub fn path(model: &Path) -> PathBuf {
    let mut path = model.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

/// Checks that writing the companion of the container `model` would overwrite nothing but a
/// companion.
///
/// # Errors
/// Returns an error if it would.
pub fn check_free(model: &Path) -> Result<(), DeployError> {
    let path = path(model);
    let is_ours = |text: Vec<u8>| {
        serde_json::from_slice::<serde_json::Value>(&text)
            .is_ok_and(|value| value.get("container_sha256").is_some())
    };
    match fs::metadata(&path) {
        Err(_) => Ok(()),
        Ok(found) if found.is_file() && atomic::read(&path).is_ok_and(is_ours) => Ok(()),
        Ok(_) => Err(DeployError::InTheWay {
            path: path.display().to_string(),
        }),
    }
}

/// Returns the name of a dataset in a form that is valid in any working directory.
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
        assert!(error.contains("result.json is not a report"), "{error}");
        let Found::Ignored(reason) = Companion::find(&model, b"") else {
            panic!("not a companion")
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
