//! Evaluates a container on the host. The runtime's portable kernels compute the same logits, bit
//! for bit, as the device's kernels.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};
use serde::Serialize;

use super::DeployError;
use crate::data::Split;

/// The accuracy of a container.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The accuracy, 0 to 1.
    pub accuracy: f64,
    /// The number of images.
    pub samples: usize,
    /// The number of images classified correctly.
    pub correct: usize,
}

/// Runs `model` on every image of `split`; `progress` receives the number of images done. Returns
/// `None` if `stop` was raised.
///
/// # Errors
/// Returns an error if there are no images, or if their size or labels do not match the model.
pub fn evaluate(
    model: Model<'_>,
    split: &Split,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Score>, DeployError> {
    if split.features() != model.inputs() {
        return Err(DeployError::Mismatch(format!(
            "the images have {} values (channels x height x width), but the model takes {} inputs",
            split.features(),
            model.inputs()
        )));
    }
    let highest = split.labels().iter().copied().max().map_or(0, usize::from);
    if split.is_empty() {
        let reason = "the dataset has no images to evaluate on";
        return Err(DeployError::Mismatch(reason.into()));
    }
    if highest >= model.outputs() {
        return Err(DeployError::Mismatch(format!(
            "the images have labels up to {highest}, but the model distinguishes {} classes",
            model.outputs()
        )));
    }
    let engine = Engine::new(model).map_err(|e| DeployError::Engine(e.to_string()))?;
    let mut arena = vec![0_u32; model.arena_words()];
    let mut correct = 0;
    for index in 0..split.len() {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        let logits = engine
            .infer(split.image(index), &mut arena)
            .map_err(|e| DeployError::Engine(e.to_string()))?;
        correct += usize::from(argmax(logits) == usize::from(split.label(index)));
        progress(index + 1);
    }
    let samples = split.len();
    Ok(Some(Score {
        accuracy: correct as f64 / samples as f64,
        samples,
        correct,
    }))
}
