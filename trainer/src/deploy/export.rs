//! A run folder through the whole of deployment.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::container::{self, EncodingChoice, ModelReport};
use super::quantize::{self, CALIBRATION};
use super::{DeployError, Network, evaluate, fold, strip};
use crate::artifact;
use crate::data::Dataset;
use crate::graph::{Graph, Operation};
use crate::network::state::StateError;
use crate::network::{State, initial};
use crate::pruning::Masks;
use crate::training::folder::{RunFolder, TrainReport};
use crate::training::{Recipe, TrainError};

/// What an export made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportReport {
    /// What the container holds.
    #[serde(flatten)]
    pub model: ModelReport,
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
        encoding: EncodingChoice,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        if data.fingerprint() != self.recipe.data_fingerprint {
            return Err(DeployError::Mismatch(format!(
                "dataset {} is not the one that {} was trained on: its images or labels differ",
                data.name, self.report.run
            )));
        }
        let folded = self.fold()?;
        let stripped = strip::strip(&folded);
        let calibration = data.train.limit(CALIBRATION);
        let images: Vec<&[u8]> = (0..calibration.len())
            .map(|i| calibration.image(i))
            .collect();
        let stripping_error = difference(&folded, &stripped, &images);
        let quantized = quantize::quantize_and_strip(&stripped, &images)?;
        let bytes =
            rarefy_format::AlignedBytes::copy_from(&container::write(&quantized, encoding)?);
        let model = container::parse(&bytes, path)?;
        let never = AtomicBool::new(false);
        let score = evaluate::evaluate(model, &data.test, &never, &mut |_| {})?;
        artifact::write(path, &bytes)?;
        Ok(ExportReport {
            model: container::report(&model, path),
            accuracy: ExportAccuracy {
                pruned: self.report.accuracy.pruned,
                deployed: score.map_or(0.0, |score| score.accuracy),
            },
            stripping_error,
        })
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
