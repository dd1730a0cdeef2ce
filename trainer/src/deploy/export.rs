//! A run folder through the whole of deployment.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use rarefy_format::{AlignedBytes, Encoding, NetworkSpec};
use serde::Serialize;

use super::activity::Activity;
use super::bits::{self, Wider};
use super::choose::{self, Candidates, EncodingChoice, Goal};
use super::companion::{self, Companion};
use super::costs::Core;
use super::quantize::fidelity::{self, Fidelity};
use super::quantize::{self, CALIBRATION, Quantized, WeightType};
use super::report::{self, ModelReport};
use super::{
    DeployError, Network, absorb, container, decouple, emit, evaluate, fold, limits, order, pairs,
    strip,
};
use crate::atomic;
use crate::data::{Dataset, Split};
use crate::graph::{Graph, Operation};
use crate::network::state::StateError;
use crate::network::{State, initial};
use crate::pruning::Masks;
use crate::training::folder::{RunFolder, TrainReport};
use crate::training::{Recipe, Remedy, TrainError};

/// How to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The type of the stored weights.
    pub weights: WeightType,
    /// What to have least of.
    pub goal: Goal,
    /// The core that instructions are counted for.
    pub core: Core,
    /// How weights are stored.
    pub encoding: EncodingChoice,
    /// Whether to write a container that loses more accuracy than [`MOST_LOSS`].
    pub allow_loss: bool,
}

/// The share of test images that a container may lose against the network it came from.
pub const MOST_LOSS: f64 = 0.05;

impl Default for Options {
    /// What `rarefy export` does unasked.
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

/// What an export made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    /// What the container holds.
    #[serde(flatten)]
    pub model: ModelReport,
    /// The type of the stored weights.
    pub weights: String,
    /// Shares of test images right.
    pub accuracy: ExportAccuracy,
    /// The largest relative difference, for a class score of the calibration images, between the
    /// trained weights and the stripped network, in f32.
    pub stripping_error: f64,
    /// For each layer how near its integers are to the floats; empty for a container of floats.
    pub fidelity: Vec<Fidelity>,
    /// The layers that store more bits a weight than asked for.
    pub wider: Vec<Wider>,
}

/// Accuracy before and after export.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExportAccuracy {
    /// Of the trained f32 network.
    pub pruned: f64,
    /// Of the container, by the device's kernels.
    pub deployed: f64,
}

/// A finished run, ready to be exported.
#[derive(Debug)]
pub struct FinishedRun {
    /// What it was made with.
    pub recipe: Recipe,
    /// Its figures.
    pub report: TrainReport,
    graph: Graph,
    state: State,
    masks: Masks,
}

impl FinishedRun {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// When there is none, it is not finished, or its files do not belong together.
    pub fn open(folder: &Path) -> Result<Self, DeployError> {
        let (folder, recipe) = RunFolder::existing(folder)?;
        let Some(report) = folder.result(&recipe)? else {
            return Err(DeployError::Run(TrainError::Folder {
                folder: folder.path().display().to_string(),
                reason: "holds a run that is not finished".into(),
                remedy: Remedy::Finish,
            }));
        };
        let graph = folder.architecture(&recipe)?;
        let path = folder.file("weights.safetensors");
        let (state, _) = State::load(&path).map_err(DeployError::Weights)?;
        state
            .check(&expected(&graph), &path)
            .map_err(DeployError::Weights)?;
        for (name, array) in &state.0 {
            if name.ends_with(".running_var") && array.values.iter().any(|&variance| variance < 0.0)
            {
                return Err(DeployError::Weights(StateError::Tensor {
                    path: path.display().to_string(),
                    reason: format!("tensor {name} holds a negative variance"),
                }));
            }
        }
        let masks = Masks::load(&graph, &folder.file("masks.safetensors"))?;
        if let Some((name, element)) = outside(&state, &masks) {
            return Err(DeployError::Weights(StateError::Tensor {
                path: path.display().to_string(),
                reason: format!(
                    "element {element} of tensor {name} is not 0, but masks.safetensors leaves it out"
                ),
            }));
        }
        Ok(Self {
            recipe,
            report,
            graph,
            state,
            masks,
        })
    }

    /// The folded network under the run's mask, before stripping.
    ///
    /// # Errors
    /// When the architecture cannot be folded.
    pub fn fold(&self) -> Result<Network, DeployError> {
        self.fold_under(&self.masks)
    }

    /// The folded network of all weights that were trained, whatever the mask says: what deployment must
    /// compute. Weights of 0 add nothing.
    ///
    /// # Errors
    /// When the architecture cannot be folded.
    pub fn fold_trained(&self) -> Result<Network, DeployError> {
        let tensors = self.graph.prunable();
        let values: Vec<&[f32]> = tensors
            .iter()
            .map(|tensor| &self.state.get(&tensor.name).values[..])
            .collect();
        let nonzero = |tensor: usize, element: usize| values[tensor][element] != 0.0;
        self.fold_under(&Masks::from_fn(&tensors, nonzero))
    }

    fn fold_under(&self, masks: &Masks) -> Result<Network, DeployError> {
        let pixels = (self.recipe.pixel_mean, self.recipe.pixel_std);
        fold::fold(&self.graph, &self.state, masks, pixels)
    }

    /// Exports to the file `path`, calibrating and testing on `data`, and writes its [`Companion`]
    /// beside it.
    ///
    /// # Errors
    /// When `data` is not what the run was trained on, a step refuses, the container loses more than
    /// [`MOST_LOSS`] (unless the options allow it), or a file cannot be written.
    pub fn export(
        &self,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        self.export_for(None, data, options, path)
    }

    /// Exports as [`FinishedRun::export`] does, for the board of this name.
    ///
    /// # Errors
    /// As [`FinishedRun::export`].
    pub fn export_for(
        &self,
        board: Option<&str>,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        companion::check_free(path)?;
        let Prepared {
            bytes,
            activity,
            report,
            ..
        } = self.prepare(data, options, path)?;
        let model = container::parse(&bytes, path)?;
        let (run, target) = ((&self.recipe, data), (board, options.core));
        let companion = Companion::new(&model, run, target, &activity, &report);
        atomic::write(path, &bytes)?;
        companion.write(path)?;
        Ok(report)
    }

    /// Writes the network as Rust code to the file `path`; otherwise as [`FinishedRun::export`].
    ///
    /// # Errors
    /// As [`FinishedRun::export`], and when the network is none that can be written as code.
    pub fn export_code(
        &self,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<Code, DeployError> {
        // Packed words have a weight of their own for each place: code would share nothing.
        let encoding = match options.encoding {
            EncodingChoice::Auto => EncodingChoice::Only(Encoding::Csr),
            chosen => chosen,
        };
        let options = Options {
            encoding,
            ..*options
        };
        let Prepared {
            spec,
            bytes,
            report,
            ..
        } = self.prepare(data, &options, path)?;
        let checksum = rarefy_format::container_checksum(&bytes);
        let source = emit::rust(&spec, &self.report.run, checksum).map_err(DeployError::Emit)?;
        atomic::write(path, source.as_bytes())?;
        Ok(Code {
            source,
            container: bytes,
            report,
        })
    }

    /// Everything but the writing: the integers, their container and its report.
    fn prepare(
        &self,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<Prepared, DeployError> {
        if data.fingerprint() != self.recipe.data_fingerprint {
            return Err(DeployError::Mismatch(format!(
                "dataset {} is not the one that {} was trained on: its images or labels differ; give that with --data",
                data.name, self.report.run
            )));
        }
        let folded = self.fold()?;
        let stripped = order::sorted(&strip::strip(&folded));
        let calibration = data.train.limit(CALIBRATION);
        let images: Vec<&[u8]> = (0..calibration.len())
            .map(|i| calibration.image(i))
            .collect();
        let stripping_error = difference(&self.fold_trained()?, &stripped, &images);
        let network = adapted(&stripped, &images, options.weights);
        let Quantized {
            spec,
            activity,
            fidelity,
        } = integers_of_adapted(&network, &images, options)?;
        let bytes = container::write(&spec, &network)?;
        let model = container::parse(&bytes, path)?;
        let never = AtomicBool::new(false);
        let score = evaluate::evaluate(model, &data.test, &never, &mut |_| {})?;
        let accuracy = ExportAccuracy {
            pruned: self.report.accuracy.pruned,
            deployed: score.map_or(0.0, |score| score.accuracy),
        };
        if accuracy.pruned - accuracy.deployed > MOST_LOSS && !options.allow_loss {
            let advice = match options.weights.bits() {
                8.. => "look there for weights or biases far larger than the others",
                _ => "export it with more bits, such as --weights int8",
            };
            return Err(refuse_loss(
                accuracy, &network, &fidelity, &data.test, advice,
            ));
        }
        let encodings = spec.layers.iter().map(|layer| layer.encoding);
        let mut contents = report::report(&model, path, options.core, Some(&activity));
        contents.named(&report::origins(&self.graph, &network, &spec));
        let report = ExportReport {
            model: contents,
            weights: options.weights.name(),
            accuracy,
            stripping_error,
            fidelity,
            wider: bits::wider(&network, encodings, options.weights),
        };
        Ok(Prepared {
            spec,
            bytes,
            activity,
            report,
        })
    }
}

/// Test images that tell whether a loss is that of the integers.
const JUDGED: usize = 2000;

/// The refusal of a container that loses too much: at which layer its integers part from the floats of
/// `network`, or that those lose as much.
fn refuse_loss(
    accuracy: ExportAccuracy,
    network: &Network,
    fidelity: &[Fidelity],
    test: &Split,
    advice: &str,
) -> DeployError {
    let test = test.limit(JUDGED);
    let right = |&image: &usize| {
        let scores = network.scores(test.image(image));
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(class, _)| class == usize::from(test.label(image)))
    };
    let right = (0..test.len()).filter(right).count();
    let floats = right as f64 / test.len().max(1) as f64;
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let ExportAccuracy { pruned, deployed } = accuracy;
    let reason = match fidelity::first_apart(fidelity) {
        Some(layer) if floats - deployed > (pruned - deployed) / 2.0 => format!(
            "its integers part from the floats at layer {}{}: {advice}",
            layer.layer,
            match layer.snr_db {
                Some(ratio) => format!(" (signal to noise {ratio:.1} dB)"),
                None => String::new(),
            }
        ),
        _ => format!(
            "its weights in floats have {} as well, so they are not what this run trained: give its command again with --force",
            percent(floats)
        ),
    };
    DeployError::Loss {
        trained: percent(pruned),
        deployed: percent(deployed),
        reason,
    }
}

/// The first weight of `state` that is not 0 where `masks` leave it out: its tensor and element.
fn outside<'a>(state: &State, masks: &'a Masks) -> Option<(&'a str, usize)> {
    masks.iter().find_map(|mask| {
        let weights = state.get(&mask.name).values.iter().zip(&mask.keep);
        let mut weights = weights.enumerate();
        let found = weights.find(|(_, (weight, keep))| !**keep && **weight != 0.0);
        found.map(|(element, _)| (mask.name.as_str(), element))
    })
}

/// A network in integers, not yet written.
struct Prepared {
    spec: NetworkSpec,
    bytes: AlignedBytes,
    activity: Vec<Activity>,
    report: ExportReport,
}

/// What an export as code made.
#[derive(Debug)]
pub struct Code {
    /// The module that was written.
    pub source: String,
    /// A container that holds the same integers and computes the same.
    pub container: AlignedBytes,
    /// The report of that container.
    pub report: ExportReport,
}

/// `network` as it is quantized: it computes the same, but what never changes and what is added do not take
/// the steps of the rest. Done once, it changes nothing more.
#[must_use]
pub fn adapted(network: &Network, images: &[&[u8]], weights: WeightType) -> Network {
    if weights == WeightType::F32 {
        return network.clone();
    }
    let images = quantize::enough(network, images);
    let absorbed = absorb::absorb(network, images);
    decouple::decouple(&absorbed, images, weights)
}

/// What a container is to hold of `network`, [adapted] and calibrated on `images`; hidden units may have
/// moved.
///
/// # Errors
/// When a step refuses or the options do not go together.
pub fn integers(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Quantized, DeployError> {
    integers_of_adapted(&adapted(network, images, options.weights), images, options)
}

/// [`integers`] of a network that is [adapted] already.
fn integers_of_adapted(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Quantized, DeployError> {
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
            let reason = "floats are stored in an encoding of their own: leave out --encoding, or give --weights int8";
            return Err(DeployError::Options(reason.into()));
        }
        return quantize::floats(network, images);
    }
    let with = |encodings: &[Encoding]| {
        let network = pairs::paired(network, images, encodings);
        quantize::quantize(&network, images, weights, encodings)
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

/// The refusal of a layer whose sums leave 32 bits in every encoding, where none was asked for.
fn too_large(error: DeployError) -> DeployError {
    match error {
        DeployError::Overflow { layer, .. } => DeployError::Quantize {
            layer,
            reason: "its sums would not fit 32 bits in any encoding: some of its weights or biases are far larger than the others".into(),
        },
        other => other,
    }
}

/// The arrays that a trained state of `graph` holds, in their shapes.
fn expected(graph: &Graph) -> State {
    let mut expected = initial::state(graph, 0);
    for node in graph.nodes() {
        if node.operation == Operation::BatchNorm {
            let units = node.shape[0];
            for suffix in ["running_mean", "running_var"] {
                expected.insert(
                    format!("{}.{suffix}", node.name),
                    vec![units],
                    vec![0.0; units],
                );
            }
        }
    }
    expected
}

/// The largest difference between the class scores of two networks over `images`, relative to
/// the largest score of the image.
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
