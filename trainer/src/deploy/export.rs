//! A run folder through the whole of deployment.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use rarefy_format::{AlignedBytes, Encoding, NetworkSpec};
use serde::Serialize;

use super::choose::{self, Candidates, EncodingChoice, Goal};
use super::costs::Core;
use super::quantize::{self, CALIBRATION, Quantized, WeightType};
use super::report::{self, ModelReport};
use super::{DeployError, Network, container, emit, evaluate, fold, limits, order, pairs, strip};
use crate::artifact;
use crate::data::Dataset;
use crate::graph::{Graph, Operation};
use crate::network::state::StateError;
use crate::network::{State, initial};
use crate::pruning::Masks;
use crate::training::folder::{RunFolder, TrainReport};
use crate::training::{Recipe, TrainError};

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
}

impl Default for Options {
    /// What `rarefy export` does unasked.
    fn default() -> Self {
        Self {
            weights: WeightType::Int(6),
            goal: Goal::Balanced,
            core: Core::M4,
            encoding: EncodingChoice::Auto,
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
    /// The largest relative difference that stripping made to a class score of the calibration
    /// images, in f32.
    pub stripping_error: f64,
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
        let Some(report) = folder.result()? else {
            return Err(DeployError::Run(TrainError::Folder {
                folder: folder.path().display().to_string(),
                reason: "holds a run that is not finished: run the same `rarefy train` again"
                    .into(),
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
        let pixels = (self.recipe.pixel_mean, self.recipe.pixel_std);
        fold::fold(&self.graph, &self.state, &self.masks, pixels)
    }

    /// Exports to the file `path`, calibrating and testing on `data`.
    ///
    /// # Errors
    /// When `data` is not what the run was trained on, a step refuses, or the file cannot be
    /// written.
    pub fn export(
        &self,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        let prepared = self.prepare(data, options, path)?;
        artifact::write(path, &prepared.bytes)?;
        Ok(prepared.report)
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
        } = self.prepare(data, &options, path)?;
        let checksum = rarefy_format::container_checksum(&bytes);
        let source = emit::rust(&spec, &self.report.run, checksum).map_err(DeployError::Emit)?;
        artifact::write(path, source.as_bytes())?;
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
                "dataset {} is not the one that {} was trained on: its images or labels differ",
                data.name, self.report.run
            )));
        }
        let folded = self.fold()?;
        let stripped = order::sorted(&strip::strip(&folded));
        let calibration = data.train.limit(CALIBRATION);
        let images: Vec<&[u8]> = (0..calibration.len())
            .map(|i| calibration.image(i))
            .collect();
        let stripping_error = difference(&folded, &stripped, &images);
        let Quantized { spec, activity } = integers(&stripped, &images, options)?;
        let bytes = container::write(&spec, &stripped)?;
        let model = container::parse(&bytes, path)?;
        let never = AtomicBool::new(false);
        let score = evaluate::evaluate(model, &data.test, &never, &mut |_| {})?;
        let report = ExportReport {
            model: report::report(&model, path, options.core, Some(&activity)),
            weights: options.weights.name(),
            accuracy: ExportAccuracy {
                pruned: self.report.accuracy.pruned,
                deployed: score.map_or(0.0, |score| score.accuracy),
            },
            stripping_error,
        };
        Ok(Prepared {
            spec,
            bytes,
            report,
        })
    }
}

/// A network in integers, not yet written.
struct Prepared {
    spec: NetworkSpec,
    bytes: AlignedBytes,
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

/// What a container is to hold of `network`, calibrated on `images`; hidden units may have moved.
///
/// # Errors
/// When a step refuses or the options do not go together.
pub fn integers(
    network: &Network,
    images: &[&[u8]],
    options: &Options,
) -> Result<Quantized, DeployError> {
    let Options {
        weights,
        goal,
        core,
        encoding,
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
    let mut candidates = Candidates::new(network, images, weights, core)?;
    loop {
        let encodings = candidates.encodings(goal)?;
        let error = match with(&encodings) {
            Err(DeployError::Quantize { layer, reason }) => (layer, reason),
            other => return other,
        };
        // Another encoding may hold what this one does not.
        let (layer, reason) = error;
        let place = network.layers.iter().position(|own| own.name == layer);
        let tried = place.map(|place| encodings[place]);
        if !tried.is_some_and(|encoding| candidates.exclude(&layer, encoding, &reason)) {
            return Err(DeployError::Quantize { layer, reason });
        }
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
