//! Exports a trained network to a container or to Rust code, through every step of deployment.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rarefy_format::{AlignedBytes, Encoding};
use serde::Serialize;

use super::bits::{self, Wider};
use super::choose::{self, Candidates, EncodingChoice, Goal};
use super::companion::{self, Companion};
use super::container::{self, Written};
use super::costs::Core;
use super::quantize::fidelity::{self, Fidelity};
use super::quantize::{self, CALIBRATION, WeightType};
use super::report::{self, ModelReport};
use super::{
    DeployError, Network, Trained, absorb, decouple, emit, evaluate, limits, order, pairs, strip,
};
use crate::atomic;
use crate::data::{Dataset, Split};
use crate::remedy::Remedy;

/// Options of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The type of the stored weights.
    pub weights: WeightType,
    /// The objective that encodings are chosen by.
    pub goal: Goal,
    /// The core that instructions are predicted for.
    pub core: Core,
    /// The encodings that may be used.
    pub encoding: EncodingChoice,
    /// Whether to write a container that loses more accuracy than [`MOST_LOSS`].
    pub allow_loss: bool,
}

/// The maximum loss of accuracy against the trained network, as a fraction of the test images.
pub const MOST_LOSS: f64 = 0.05;

impl Default for Options {
    /// Returns the defaults of `rarefy export`.
    fn default() -> Self {
        Self {
            weights: WeightType::Int(6),
            goal: Goal::Balanced,
            core: Core::M4,
            encoding: EncodingChoice::Auto,
            allow_loss: false,
        }
    }
}

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
    /// The largest relative difference between the class scores of the trained and the stripped
    /// network, in f32, over the calibration images.
    pub stripping_error: f64,
    /// Per layer, the signal-to-noise ratio of its integers against the floats; empty for a
    /// container of floats.
    pub fidelity: Vec<Fidelity>,
    /// The layers that store more bits per weight than requested.
    pub wider: Vec<Wider>,
}

/// Accuracy before and after export, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExportAccuracy {
    /// The accuracy of the trained f32 network.
    pub pruned: f64,
    /// The accuracy of the container, with the device's arithmetic.
    pub deployed: f64,
}

/// An export to Rust code.
#[derive(Debug)]
pub struct Code {
    /// The source of the module.
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
}

impl<'a> Export<'a> {
    /// Creates an export for no board in particular.
    #[must_use]
    pub fn new(trained: &'a Trained, data: &'a Dataset, options: Options) -> Self {
        Self {
            trained,
            data,
            options,
            board: None,
            accuracy: None,
            fingerprint: None,
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
        let bytes = &written.bytes;
        accept(bytes).map_err(DeployError::NotAccepted)?;
        let fingerprint = match &self.fingerprint {
            Some(fingerprint) => Cow::Borrowed(fingerprint),
            None => Cow::Owned(self.data.fingerprint()),
        };
        let companion = Companion::new(
            bytes,
            (self.data, &fingerprint, self.trained.pixels()),
            (self.board, self.options.core),
            &written.quantized.activity,
            &report,
        );
        atomic::write(path, bytes)?;
        companion.write(path)?;
        Ok(report)
    }

    /// Writes the network as Rust code to the file `path`; the module's documentation calls it
    /// `name`.
    ///
    /// # Errors
    /// Returns the errors of [`Export::container`], and an error if the network cannot be written
    /// as code.
    pub fn code(&self, name: &str, path: &Path) -> Result<Code, DeployError> {
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
        let source =
            emit::rust(&written.quantized.spec, name, checksum).map_err(DeployError::Emit)?;
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
        let folded = self.trained.fold()?;
        let stripped = order::sorted(&strip::strip(&folded));
        let calibration = self.data.train.limit(CALIBRATION);
        let images: Vec<&[u8]> = (0..calibration.len())
            .map(|i| calibration.image(i))
            .collect();
        let stripping_error = difference(&folded, &stripped, &images);
        let network = adapted(&stripped, &images, options.weights);
        let written = integers_of_adapted(&network, &images, options)?;
        let quantized = &written.quantized;
        let model = container::parse(&written.bytes, path)?;
        let never = AtomicBool::new(false);
        let score = evaluate::evaluate(model, &self.data.test, &never, &mut |_| {})?;
        let accuracy = ExportAccuracy {
            pruned: self
                .accuracy
                .unwrap_or_else(|| accuracy(&folded, &self.data.test)),
            deployed: score.map_or(0.0, |score| score.accuracy),
        };
        if accuracy.pruned - accuracy.deployed > MOST_LOSS && !options.allow_loss {
            let remedy = match options.weights.bits() {
                8.. => Remedy::LookOrAllowLoss,
                _ => Remedy::MoreBitsOrAllowLoss,
            };
            return Err(loss(
                accuracy,
                &network,
                &quantized.fidelity,
                &self.data.test,
                remedy,
            ));
        }
        let encodings = quantized.spec.layers.iter().map(|layer| layer.encoding);
        let wider = bits::wider(&network, encodings, options.weights);
        let mut contents = report::report(&model, path, options.core, Some(&quantized.activity));
        contents.named(&report::origins(
            self.trained.graph(),
            &network,
            &quantized.spec,
        ));
        let report = ExportReport {
            model: contents,
            weights: options.weights.name(),
            accuracy,
            stripping_error,
            fidelity: quantized.fidelity.clone(),
            wider,
        };
        Ok(Prepared { written, report })
    }
}

/// A container that is not yet written to a file, and its report.
struct Prepared {
    written: Written,
    report: ExportReport,
}

/// The number of test images used to find out whether quantization is to blame for a loss.
const JUDGED: usize = 2000;

/// Returns the accuracy of `network` on the images of `split`, in f32.
fn accuracy(network: &Network, split: &Split) -> f64 {
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
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
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
                percent(floats)
            );
            (reason, Remedy::RepeatOrAllowLoss)
        }
    };
    DeployError::Loss {
        trained: percent(pruned),
        deployed: percent(deployed),
        reason,
        remedy,
    }
}

/// Prepares `network` for quantization without changing its function: [`absorb`] and [`decouple`]
/// let constant activations and skips have quantization steps that suit them. Adapting the result
/// again changes nothing.
#[must_use]
pub fn adapted(network: &Network, images: &[&[u8]], weights: WeightType) -> Network {
    if weights == WeightType::F32 {
        return network.clone();
    }
    let images = quantize::enough(network, images);
    let absorbed = absorb::absorb(network, images);
    decouple::decouple(&absorbed, images, weights)
}

/// Returns the integers of `network`, [adapted] and calibrated on `images`, and their container.
/// Hidden units may be reordered.
///
/// # Errors
/// Returns an error if a step fails, or if the options conflict.
pub fn integers(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Written, DeployError> {
    integers_of_adapted(&adapted(network, images, options.weights), images, options)
}

/// Returns the [`integers`] of a network that is already [adapted].
///
/// # Errors
/// Returns the errors of [`integers`].
fn integers_of_adapted(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Written, DeployError> {
    let Options {
        weights,
        goal,
        core,
        encoding,
        ..
    } = *options;
    limits::check(network)?;
    if weights == WeightType::F32 {
        if encoding != EncodingChoice::Auto {
            return Err(DeployError::EncodingOfFloats);
        }
        return Written::new(quantize::floats(network, images)?, network);
    }
    let with = |encodings: &[Encoding]| {
        let network = pairs::paired(network, images, encodings);
        let quantized = quantize::quantize(&network, images, weights, encodings)?;
        Written::new(quantized, &network)
    };
    if encoding != EncodingChoice::Auto {
        let encodings = choose::choose(network, images, weights, (goal, core), encoding)?;
        return with(&encodings);
    }
    let candidates = Candidates::new(network, images, weights, core);
    candidates
        .and_then(|candidates| choose::best(candidates, goal, with))
        .map_err(too_large)
}

/// Returns `error`, reworded if it is an overflow: no encoding was requested, and the sums overflow
/// in every one.
fn too_large(error: DeployError) -> DeployError {
    match error {
        DeployError::Overflow { layer, .. } => DeployError::Quantize {
            layer,
            reason: "its sums would not fit 32 bits in any encoding: some of its weights or biases are far larger than the others".into(),
        },
        other => other,
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
