//! Running a container on the host with the device's own kernels: the same bits as on a board.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};
use serde::Serialize;

use super::DeployError;
use crate::data::Split;

/// How many images were classified rightly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The share of images classified rightly.
    pub accuracy: f64,
    /// Images.
    pub samples: usize,
    /// Those classified rightly.
    pub correct: usize,
}

/// Runs `model` on every image of `split`; `progress` is told the images done. None when `stop`
/// was raised.
///
/// # Errors
/// When the images do not fit the model's inputs, or there are none.
pub fn evaluate(
    model: Model<'_>,
    split: &Split,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Score>, DeployError> {
    if split.features() != model.inputs() {
        return Err(DeployError::Mismatch(format!(
            "the images have {} pixels, but the model takes {} inputs: give the data it was trained on with --data",
            split.features(),
            model.inputs()
        )));
    }
    let highest = split.labels().iter().copied().max().map_or(0, usize::from);
    if split.is_empty() || highest >= model.outputs() {
        return Err(DeployError::Mismatch(format!(
            "the images have labels up to {highest}, but the model tells {} classes apart: give the data it was trained on with --data",
            model.outputs()
        )));
    }
    let engine = Engine::new(model).map_err(|e| DeployError::Mismatch(e.to_string()))?;
    let mut arena = vec![0_u32; model.arena_words()];
    let mut correct = 0;
    for index in 0..split.len() {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        let logits = engine
            .infer(split.image(index), &mut arena)
            .map_err(|e| DeployError::Mismatch(e.to_string()))?;
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
