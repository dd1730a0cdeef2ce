//! Exports a network in several ways at once: every combination of goal and type of weights.
//!
//! Different options often give the same container, since most encodings use all the bits that
//! they have room for. Each distinct container is one [`Variant`], evaluated once. What the goals
//! share, such as the quantized finalists, is computed once per type of weights.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rarefy_format::AlignedBytes;
use serde::{Serialize, Serializer};

use super::choose::Goal;
use super::companion::{self, Companion};
use super::export::{Export, ExportReport, Prepared, Stripped, adapted};
use super::integers::Integers;
use super::quantize::WeightType;
use super::{DeployError, Options};
use crate::atomic;

/// All goals.
pub const GOALS: [Goal; 3] = [Goal::Size, Goal::Balanced, Goal::Speed];

/// All types of weights, the widest first.
pub const WEIGHTS: [WeightType; 7] = [
    WeightType::F32,
    WeightType::Int(8),
    WeightType::Int(6),
    WeightType::Int(4),
    WeightType::Int(3),
    WeightType::Int(2),
    WeightType::Ternary,
];

/// What distinguishes one export of a network from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The objective that encodings are chosen by.
    #[serde(serialize_with = "goal_name")]
    pub goal: Goal,
    /// The type of the stored weights.
    #[serde(serialize_with = "weights_name")]
    pub weights: WeightType,
}

/// Serializes the name of a goal.
fn goal_name<S: Serializer>(goal: &Goal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(goal.name())
}

/// Serializes the name of a type of weights.
fn weights_name<S: Serializer>(weights: &WeightType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&weights.name())
}

impl Setting {
    /// Returns every combination of [`GOALS`] and [`WEIGHTS`], grouped by the latter.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let of_weights = |weights| GOALS.map(|goal| Self { goal, weights });
        WEIGHTS.into_iter().flat_map(of_weights).collect()
    }

    /// Returns the name of a container file, such as `size-int6.rfy`.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}-{}.rfy", self.goal.name(), self.weights.name())
    }
}

/// A container that at least one setting gives.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The settings that give it, in the order in which they were tried; at least one.
    pub settings: Vec<Setting>,
    /// The container.
    pub bytes: AlignedBytes,
    /// Its report, for the first setting. Its accuracy may be below what an export accepts:
    /// [`ExportAccuracy::is_lossy`](super::export::ExportAccuracy::is_lossy).
    pub report: ExportReport,
    companion: Companion,
}

/// Settings that give no container.
#[derive(Debug)]
pub struct Failure {
    /// The settings.
    pub settings: Vec<Setting>,
    /// Why they give none.
    pub error: DeployError,
}

/// The distinct containers of a network.
#[derive(Debug)]
pub struct Variants {
    /// The containers, in the order in which settings gave them first; at least one.
    pub variants: Vec<Variant>,
    /// The settings that give none.
    pub failures: Vec<Failure>,
}

impl Variant {
    /// Returns the first setting that gives the container.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.settings[0]
    }

    /// Returns the encoding of each layer.
    #[must_use]
    pub fn encodings(&self) -> Vec<&'static str> {
        let layers = self.report.model.layers.iter();
        layers.map(|layer| layer.encoding).collect()
    }

    /// Writes the container to the file `path`, and its companion beside it.
    ///
    /// # Errors
    /// Returns an error if a file cannot be written, or if a file that is not a companion has the
    /// companion's name.
    pub fn write(&self, path: &Path) -> Result<(), DeployError> {
        companion::check_free(path)?;
        let mut companion = self.companion.clone();
        companion.export["path"] = path.display().to_string().into();
        atomic::write(path, &self.bytes)?;
        companion.write(path)
    }
}

impl Variants {
    /// Adds `settings`, which fail with `error`, to those that failed with the same words.
    fn fail(&mut self, settings: &[Setting], error: DeployError) {
        let words = error.to_string();
        let mut known = self.failures.iter_mut();
        match known.find(|failure| failure.error.to_string() == words) {
            Some(same) => same.settings.extend(settings),
            None => self.failures.push(Failure {
                settings: settings.to_vec(),
                error,
            }),
        }
    }
}

impl Export<'_> {
    /// Exports with each of `settings` and otherwise the options of this export, and returns every
    /// distinct container. Nothing is written. A loss of accuracy is reported, but is not an
    /// error. `progress` receives each setting before it is tried. Returns `None` if `stop` was
    /// raised.
    ///
    /// # Errors
    /// Returns an error if the network cannot be folded, if a container cannot be evaluated, or if
    /// every setting fails (the first failure).
    pub fn variants(
        &self,
        settings: &[Setting],
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Setting),
    ) -> Result<Option<Variants>, DeployError> {
        let stripped = self.stripped()?;
        let export = Export {
            accuracy: Some(self.trained_accuracy(&stripped)),
            ..self.clone()
        };
        let mut found = Variants {
            variants: Vec::new(),
            failures: Vec::new(),
        };
        for same_weights in settings.chunk_by(|a, b| a.weights == b.weights) {
            if !export.of_weights(same_weights, &stripped, &mut found, stop, progress)? {
                return Ok(None);
            }
        }
        match found.variants.is_empty() && !found.failures.is_empty() {
            true => Err(found.failures.swap_remove(0).error),
            false => Ok(Some(found)),
        }
    }

    /// Adds the containers of `settings`, which have the same type of weights, to `found`. Returns
    /// `false` if `stop` was raised.
    fn of_weights(
        &self,
        settings: &[Setting],
        stripped: &Stripped,
        found: &mut Variants,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Setting),
    ) -> Result<bool, DeployError> {
        let Some(weights) = settings.first().map(|setting| setting.weights) else {
            return Ok(true);
        };
        let options = Options {
            weights,
            allow_loss: true,
            ..self.options
        };
        let images = stripped.images();
        let network = adapted(&stripped.network, &images, weights);
        let mut integers = match Integers::new(&network, &images, &options) {
            Ok(integers) => integers.kept(),
            Err(error) => {
                found.fail(settings, error);
                return Ok(true);
            }
        };
        for &setting in settings {
            if stop.load(Relaxed) {
                return Ok(false);
            }
            progress(setting);
            let written = integers.written(setting.goal);
            let written = match written.and_then(|written| self.with_units(written)) {
                Ok(written) => written,
                Err(error) => {
                    found.fail(&[setting], error);
                    continue;
                }
            };
            let mut known = found.variants.iter_mut();
            if let Some(same) = known.find(|variant| variant.bytes == written.bytes) {
                same.settings.push(setting);
                continue;
            }
            let name = setting.file_name();
            let network = (&network, written);
            let Prepared { written, report } =
                self.reported(&options, stripped, network, Path::new(&name))?;
            found.variants.push(Variant {
                settings: vec![setting],
                companion: self.companion(&written, &report),
                bytes: written.bytes,
                report,
            });
        }
        Ok(true)
    }
}
