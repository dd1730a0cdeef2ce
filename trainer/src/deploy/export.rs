//! Exports a trained network to a container or to code, through every step of deployment.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rarefy_format::{AlignedBytes, Encoding, Model, UnitsSpec};
use serde::Serialize;

use super::bits::{self, Wider};
use super::choose::EncodingChoice;
use super::companion::{self, Companion, Origin};
use super::container::{self, Written};
use super::emit::{self, Language};
use super::integers::Integers;
use super::quantize::CALIBRATION;
use super::quantize::fidelity::{self, Fidelity};
use super::report::{self, ModelReport};
use super::{DeployError, Network, Trained, evaluate, order, strip};
use crate::atomic;
use crate::data::{Dataset, Split};
use crate::remedy::Remedy;

pub use super::integers::{adapted, integers};
pub use super::options::Options;

/// The maximum loss of accuracy against the trained network, as a fraction of the test images. If
/// targets are numbers, the maximum rise of the mean squared error as a fraction of their variance.
pub const MOST_LOSS: f64 = 0.05;

/// What the difference of two accuracies can exceed its exact value by; far less than one sample.
const ROUNDING: f64 = 1e-12;

/// The report of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    /// The contents of the container.
    #[serde(flatten)]
    pub model: ModelReport,
    /// The type of the stored weights.
    pub weights: String,
    /// Accuracy on the test images.
    pub accuracy: ExportAccuracy,
    /// What an output of 1 stands for: an output of the trained network is the container's times
    /// this step.
    pub output_step: f64,
    /// Mean squared errors on the test images; `None` if targets are classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mse: Option<ExportErrors>,
    /// The largest relative difference between the class scores of the trained and the stripped
    /// network, in f32, over the calibration images.
    pub stripping_error: f64,
    /// Per layer, the signal-to-noise ratio of its integers against the floats; empty for a
    /// container of floats.
    pub fidelity: Vec<Fidelity>,
    /// The layers that store more bits per weight than requested.
    pub wider: Vec<Wider>,
}

/// Mean squared errors before and after export, in the squared units of the targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExportErrors {
    /// The error of the trained f32 network.
    pub pruned: f64,
    /// The error of the container, with the device's arithmetic.
    pub deployed: f64,
    /// The variance of the targets.
    pub variance: f64,
}

/// Accuracy before and after export, 0 to 1; R² if targets are numbers; NaN (in JSON null) if the
/// data has no labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExportAccuracy {
    /// The accuracy of the trained f32 network.
    pub pruned: f64,
    /// The accuracy of the container, with the device's arithmetic.
    pub deployed: f64,
}

impl ExportAccuracy {
    /// Returns whether the container loses more accuracy than [`MOST_LOSS`].
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.pruned - self.deployed > MOST_LOSS + ROUNDING
    }
}

/// An export to code.
#[derive(Debug)]
pub struct Code {
    /// The source: a module of Rust, or a header of C.
    pub source: String,
    /// A container with the same integer weights, which computes the same logits as `source`.
    pub container: AlignedBytes,
    /// The report of that container.
    pub report: ExportReport,
    /// The container that [`Export::container`] would write with the same options, for comparison;
    /// `None` if it would fail.
    pub instead: Option<AlignedBytes>,
}

/// An export of a trained network, ready to run.
#[derive(Debug, Clone)]
pub struct Export<'a> {
    /// The network.
    pub trained: &'a Trained,
    /// The dataset: calibration uses its training images, evaluation its test images.
    pub data: &'a Dataset,
    /// How to export.
    pub options: Options,
    /// The board that the companion names, if any.
    pub board: Option<&'a str>,
    /// The accuracy of the trained network on the test images, 0 to 1; measured if `None`.
    pub accuracy: Option<f64>,
    /// [`Dataset::fingerprint`] of `data`; computed if `None`.
    pub fingerprint: Option<String>,
    /// Whether the network is known to have been trained on `data`.
    pub is_trained_on: bool,
}

impl<'a> Export<'a> {
    /// Creates an export for no board in particular, of a network that was trained elsewhere.
    #[must_use]
    pub fn new(trained: &'a Trained, data: &'a Dataset, options: Options) -> Self {
        Self {
            trained,
            data,
            options,
            board: None,
            accuracy: None,
            fingerprint: None,
            is_trained_on: false,
        }
    }

    /// Writes the container file `path`, and its [`Companion`] beside it.
    ///
    /// # Errors
    /// Returns an error if a step fails, if the container loses more accuracy than [`MOST_LOSS`]
    /// (unless the options allow it), or if a file cannot be written.
    pub fn container(&self, path: &Path) -> Result<ExportReport, DeployError> {
        self.container_if(path, &mut |_| Ok(()))
    }

    /// Writes as [`Export::container`] does, if `accept` accepts the container's bytes.
    ///
    /// # Errors
    /// Returns the errors of [`Export::container`], and the reason that `accept` returns as
    /// [`DeployError::NotAccepted`].
    pub fn container_if(
        &self,
        path: &Path,
        accept: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<ExportReport, DeployError> {
        companion::check_free(path)?;
        let Prepared { written, report } = self.prepare(&self.options, path)?;
        accept(&written.bytes).map_err(DeployError::NotAccepted)?;
        let companion = self.companion(&written, &report);
        atomic::write(path, &written.bytes)?;
        companion.write(path)?;
        Ok(report)
    }

    /// Returns the companion of the container `written`.
    pub(super) fn companion(&self, written: &Written, report: &ExportReport) -> Companion {
        let fingerprint = match &self.fingerprint {
            Some(fingerprint) => Cow::Borrowed(fingerprint),
            None => Cow::Owned(self.data.fingerprint()),
        };
        let pixels = self.trained.pixels();
        Companion::new(
            &written.bytes,
            Origin::new(self.data, &fingerprint, pixels, !self.is_trained_on),
            (self.board, self.options.core),
            &written.quantized.activity,
            report,
        )
    }

    /// Writes the network as code to the file `path`; the code's documentation calls it `name`. The
    /// functions of C are named after the file ([`emit::prefix`]).
    ///
    /// # Errors
    /// Returns the errors of [`Export::container`], and an error if the network cannot be written
    /// as code.
    pub fn code(&self, language: Language, name: &str, path: &Path) -> Result<Code, DeployError> {
        // A packed word includes its index, so hardly any two weights of a row would be equal and
        // could share a multiplication.
        let encoding = match self.options.encoding {
            EncodingChoice::Auto => EncodingChoice::Only(Encoding::Csr),
            chosen => chosen,
        };
        let options = Options {
            encoding,
            ..self.options
        };
        let prepared = self.prepare(&options, path);
        let Prepared { written, report } = prepared.map_err(|error| self.too_many(error))?;
        let checksum = rarefy_format::container_checksum(&written.bytes);
        let spec = &written.quantized.spec;
        let source = match language {
            Language::Rust => emit::rust(spec, name, checksum),
            Language::C => emit::c(spec, &emit::prefix(path), name, checksum),
        };
        let meaning = self.meaning(&written, language, path);
        let source = source.map_err(DeployError::Emit)? + &meaning;
        atomic::write(path, source.as_bytes())?;
        let instead = match options == self.options {
            true => Some(written.bytes.clone()),
            false => {
                let prepared = self.prepare(&self.options, path).ok();
                prepared.map(|prepared| prepared.written.bytes)
            }
        };
        Ok(Code {
            source,
            container: written.bytes,
            report,
            instead,
        })
    }

    /// Returns the part of the code in the file `path` that says what the numbers of the network
    /// `written` stand for: the names of the classes and the units, as far as they are known.
    fn meaning(&self, written: &Written, language: Language, path: &Path) -> String {
        let (units, prefix) = (self.units(written), emit::prefix(path));
        let names = &self.data.class_names;
        // Data with fewer classes than the network has outputs names only some of them.
        let names = (names.len() == self.trained.graph().classes()).then_some(names);
        let [names, units] = match language {
            Language::Rust => [
                names.map(|names| emit::names(names)),
                units.as_ref().map(emit::units),
            ],
            Language::C => [
                names.map(|names| emit::names_in_c(&prefix, names)),
                units.map(|units| emit::units_in_c(&prefix, &units)),
            ],
        };
        names.unwrap_or_default() + &units.unwrap_or_default()
    }

    /// Returns the error to report when writing code: that the network has too many weights for
    /// code, if it does, otherwise `error`, which may concern the limits of a container.
    fn too_many(&self, error: DeployError) -> DeployError {
        let network = self.trained.fold().map(|folded| strip::strip(&folded));
        let weights = network.map_or(0, |network| {
            let layers = network.layers.iter();
            layers.map(|layer| layer.weights.nnz()).sum()
        });
        match weights > emit::MOST_WEIGHTS {
            true => DeployError::Emit(emit::EmitError::Weights(weights)),
            false => error,
        }
    }

    /// Runs every step except writing files; `path` is the file that the report and errors name.
    fn prepare(&self, options: &Options, path: &Path) -> Result<Prepared, DeployError> {
        let stripped = self.stripped()?;
        let images = stripped.images();
        let network = adapted(&stripped.network, &images, options.weights);
        let written = Integers::new(&network, &images, options)?.written(options.goal)?;
        let written = self.with_units(written)?;
        self.reported(options, &stripped, (&network, written), path)
    }

    /// Adds the units of the data to a container, if it is to state them.
    ///
    /// # Errors
    /// Returns an error if the format cannot state them.
    pub(super) fn with_units(&self, written: Written) -> Result<Written, DeployError> {
        let units = self.units(&written);
        written.with_units(units.as_ref())
    }

    /// Returns the units of the network `written`, if its container is to state them.
    fn units(&self, written: &Written) -> Option<UnitsSpec> {
        let step = written.quantized.output_step;
        self.options.units.of(self.data, step)
    }

    /// Folds and strips the network, and sorts its units.
    ///
    /// # Errors
    /// Returns an error if the architecture cannot be folded.
    pub(super) fn stripped(&self) -> Result<Stripped, DeployError> {
        let folded = self.trained.fold()?;
        let network = order::sorted(&strip::strip(&folded));
        let calibration = self.data.train.limit(CALIBRATION);
        let error = difference(&folded, &network, &images(&calibration));
        Ok(Stripped {
            folded,
            network,
            calibration,
            error,
        })
    }

    /// Returns the accuracy of the trained network, 0 to 1, or its R²; NaN if the data has no
    /// labels.
    pub(super) fn trained_accuracy(&self, stripped: &Stripped) -> f64 {
        if !self.data.reading.has_labels() {
            return f64::NAN;
        }
        self.accuracy
            .unwrap_or_else(|| accuracy(&stripped.folded, &self.data.test))
    }

    /// Returns the accuracy of the container `model`, an output of which stands for `output_step`;
    /// NaN if the data has no labels.
    ///
    /// # Errors
    /// Returns an error if the container cannot be evaluated.
    fn deployed_accuracy(&self, model: Model<'_>, output_step: f64) -> Result<f64, DeployError> {
        let (test, never) = (&self.data.test, AtomicBool::new(false));
        if self.data.has_targets() {
            let fit = evaluate::fit(model, test, output_step, &never)?;
            return Ok(fit.map_or(f64::NAN, |fit| fit.r2));
        }
        let score = evaluate::evaluate(model, test, &never, &mut |_| {})?;
        Ok(match self.data.reading.has_labels() {
            true => score.map_or(0.0, |score| score.accuracy),
            false => f64::NAN,
        })
    }

    /// Evaluates and describes the container `written`, which holds the adapted `network`; `path`
    /// is the file that the report and errors name.
    ///
    /// # Errors
    /// Returns an error if the container cannot be evaluated, or if it loses more accuracy than
    /// [`MOST_LOSS`] and `options` do not allow it.
    pub(super) fn reported(
        &self,
        options: &Options,
        stripped: &Stripped,
        (network, written): (&Network, Written),
        path: &Path,
    ) -> Result<Prepared, DeployError> {
        let quantized = &written.quantized;
        let model = container::parse(&written.bytes, path)?;
        let accuracy = ExportAccuracy {
            pruned: self.trained_accuracy(stripped),
            deployed: self.deployed_accuracy(model, quantized.output_step)?,
        };
        if accuracy.is_lossy() && !options.allow_loss {
            let remedy = match options.weights.bits() {
                8.. => Remedy::LookOrAllowLoss,
                _ => Remedy::MoreBitsOrAllowLoss,
            };
            return Err(loss(
                accuracy,
                network,
                &quantized.fidelity,
                &self.data.test,
                remedy,
            ));
        }
        let encodings = quantized.spec.layers.iter().map(|layer| layer.encoding);
        let wider = bits::wider(network, encodings, options.weights);
        let mut contents = report::report(&model, path, options.core, Some(&quantized.activity));
        contents.named(&report::origins(
            self.trained.graph(),
            network,
            &quantized.spec,
        ));
        let report = ExportReport {
            model: contents,
            weights: options.weights.name(),
            accuracy,
            output_step: quantized.output_step,
            mse: self.data.test.variance().map(|variance| ExportErrors {
                pruned: (1.0 - accuracy.pruned) * variance,
                deployed: (1.0 - accuracy.deployed) * variance,
                variance,
            }),
            stripping_error: stripped.error,
            fidelity: quantized.fidelity.clone(),
            wider,
        };
        Ok(Prepared { written, report })
    }
}

/// A trained network without detached units, and what it is calibrated on.
pub(super) struct Stripped {
    /// The network before stripping.
    folded: Network,
    /// The network, its units sorted.
    pub(super) network: Network,
    /// The calibration images.
    calibration: Split,
    /// [`ExportReport::stripping_error`].
    error: f64,
}

impl Stripped {
    /// Returns the calibration images.
    pub(super) fn images(&self) -> Vec<&[u8]> {
        images(&self.calibration)
    }
}

/// A container that is not yet written to a file, and its report.
pub(super) struct Prepared {
    pub(super) written: Written,
    pub(super) report: ExportReport,
}

/// Returns the images of `split`.
fn images(split: &Split) -> Vec<&[u8]> {
    (0..split.len()).map(|index| split.image(index)).collect()
}

/// The number of test images used to find out whether quantization is to blame for a loss.
const JUDGED: usize = 2000;

/// Returns the accuracy of `network` on the images of `split`, in f32; R² if targets are numbers.
fn accuracy(network: &Network, split: &Split) -> f64 {
    if split.targets().is_some() {
        let outputs = (0..split.len()).map(|image| {
            let outputs = network.scores(split.image(image));
            outputs.into_iter().map(f64::from).collect()
        });
        return evaluate::Fit::of(outputs, split).r2;
    }
    let is_right = |&image: &usize| {
        let scores = network.scores(split.image(image));
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(class, _)| class == usize::from(split.label(image)))
    };
    let right = (0..split.len()).filter(is_right).count();
    right as f64 / split.len().max(1) as f64
}

/// Returns the error for a container that loses too much accuracy: it names the layer where the
/// integers first deviate from the floats of `network` and ends with `remedy`, or it says that the
/// floats are as inaccurate.
fn loss(
    accuracies: ExportAccuracy,
    network: &Network,
    fidelity: &[Fidelity],
    test: &Split,
    remedy: Remedy,
) -> DeployError {
    let floats = accuracy(network, &test.limit(JUDGED));
    let (measure, shown): (_, fn(f64) -> String) = match test.targets() {
        Some(_) => ("R²", |quality| format!("{quality:.4}")),
        None => ("accuracy", |quality| format!("{:.2} %", 100.0 * quality)),
    };
    let ExportAccuracy { pruned, deployed } = accuracies;
    let (reason, remedy) = match fidelity::first_apart(fidelity) {
        Some(layer) if floats - deployed > (pruned - deployed) / 2.0 => {
            let ratio = layer.snr_db.map_or(String::new(), |ratio| {
                format!(" (signal-to-noise ratio {ratio:.1} dB)")
            });
            let layer = &layer.layer;
            let reason =
                format!("the integers first deviate from the floats at layer {layer}{ratio}");
            (reason, remedy)
        }
        _ => {
            let reason = format!(
                "in floats, the weights reach only {} too, so they are not those that the run trained",
                shown(floats)
            );
            (reason, Remedy::RepeatOrAllowLoss)
        }
    };
    DeployError::Loss {
        measure,
        trained: shown(pruned),
        deployed: shown(deployed),
        reason,
        remedy,
    }
}

/// Returns the largest difference between the class scores of two networks over `images`, relative
/// to the largest magnitude of the scores of `a` for the same image.
#[must_use]
pub fn difference(a: &Network, b: &Network, images: &[&[u8]]) -> f64 {
    let of_image = |image: &&[u8]| {
        let (a, b) = (a.scores(image), b.scores(image));
        let scale = a
            .iter()
            .fold(f32::MIN_POSITIVE, |scale, score| scale.max(score.abs()));
        let apart = a
            .iter()
            .zip(&b)
            .fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        f64::from(apart / scale)
    };
    images.iter().map(of_image).fold(0.0, f64::max)
}
