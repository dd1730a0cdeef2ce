//! Evaluates a container on the host. The runtime's portable kernels compute the same logits, bit
//! for bit, as the device's kernels.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};
use serde::Serialize;

use super::DeployError;
use crate::data::{Split, Targets};

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

/// How far the outputs of a container are from targets that are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fit {
    /// The number of samples.
    pub samples: usize,
    /// The mean squared error, over samples and outputs, in the squared units of the targets.
    pub mse: f64,
    /// The share of the targets' variance that the outputs explain: 1 less the error over the
    /// variance.
    pub r2: f64,
}

impl Fit {
    /// Compares the `outputs` of each sample of `split` with its targets.
    ///
    /// # Panics
    /// Panics if the targets are classes, or unless there are as many outputs as targets.
    pub fn of(outputs: impl IntoIterator<Item = Vec<f64>>, split: &Split) -> Self {
        let variance = split.variance().expect("the targets are numbers");
        let (mut sum, mut count) = (0.0, 0);
        for (index, outputs) in outputs.into_iter().enumerate() {
            let targets = split.targets_of([index]);
            assert_eq!(outputs.len(), targets.len(), "as many outputs as targets");
            let pairs = outputs.iter().zip(&targets);
            sum += pairs
                .map(|(output, &target)| (output - f64::from(target)).powi(2))
                .sum::<f64>();
            count += targets.len();
        }
        let mse = sum / count.max(1) as f64;
        Self {
            samples: split.len(),
            mse,
            r2: 1.0 - mse / variance.max(f64::MIN_POSITIVE),
        }
    }
}

/// Compares the outputs of `model` for every sample of `split` with their targets. A unit of an
/// output stands for `output_step`. Returns `None` if `stop` was raised.
///
/// # Errors
/// Returns an error if there are no samples, if their size does not match the model, or if it has
/// not as many outputs as a sample has targets.
pub fn fit(
    model: Model<'_>,
    split: &Split,
    output_step: f64,
    stop: &AtomicBool,
) -> Result<Option<Fit>, DeployError> {
    let targets = split.targets().map_or(0, Targets::width);
    if targets != model.outputs() {
        return Err(DeployError::Mismatch(format!(
            "the samples have {targets} targets, but the model has {} outputs",
            model.outputs()
        )));
    }
    if split.is_empty() {
        let reason = "the dataset has no samples to evaluate on";
        return Err(DeployError::Mismatch(reason.into()));
    }
    let real = |row: Vec<i32>| -> Vec<f64> {
        let outputs = row.into_iter().map(f64::from);
        outputs.map(|output| output_step * output).collect()
    };
    let found = outputs(model, split, stop)?;
    Ok(found.map(|rows| Fit::of(rows.into_iter().map(real), split)))
}

/// How far the outputs of a container are from those of a network in floats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// The number of samples.
    pub samples: usize,
    /// The real value of one unit of the container's outputs: the one with the least error.
    pub output_step: f64,
    /// The sum of the squared errors over that of the squared floats.
    pub relative_mse: f64,
}

impl Agreement {
    /// Compares the outputs of a container, per sample, with those of a network in floats.
    ///
    /// # Panics
    /// Panics unless there are as many of both.
    #[must_use]
    pub fn of(found: &[Vec<i32>], expected: &[Vec<f32>]) -> Self {
        let is_alike = |(found, value): (&Vec<i32>, &Vec<f32>)| found.len() == value.len();
        let mut rows = found.iter().zip(expected);
        assert!(
            found.len() == expected.len() && rows.all(is_alike),
            "as many outputs"
        );
        let pairs = || {
            let found = found.iter().flatten().map(|&found| f64::from(found));
            found.zip(expected.iter().flatten().map(|&value| f64::from(value)))
        };
        let sum = |of: fn(f64, f64) -> f64| pairs().map(|(found, value)| of(found, value)).sum();
        let (squares, products): (f64, f64) = (sum(|found, _| found * found), sum(|a, b| a * b));
        let signal: f64 = sum(|_, value| value * value);
        let output_step = if squares > 0.0 {
            products / squares
        } else {
            0.0
        };
        let error = |(found, value): (f64, f64)| (output_step * found - value).powi(2);
        Self {
            samples: found.len(),
            output_step,
            relative_mse: pairs().map(error).sum::<f64>() / signal.max(f64::MIN_POSITIVE),
        }
    }
}

/// Returns the outputs of `model` for every sample of `split`; `None` if `stop` was raised.
///
/// # Errors
/// Returns an error if the size of the samples does not match the model.
pub fn outputs(
    model: Model<'_>,
    split: &Split,
    stop: &AtomicBool,
) -> Result<Option<Vec<Vec<i32>>>, DeployError> {
    if split.features() != model.inputs() {
        return Err(DeployError::Mismatch(format!(
            "the samples have {} values, but the model takes {} inputs",
            split.features(),
            model.inputs()
        )));
    }
    let engine = Engine::new(model).map_err(|e| DeployError::Engine(e.to_string()))?;
    let mut arena = vec![0_u32; model.arena_words()];
    let mut all = Vec::new();
    for index in 0..split.len() {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        let outputs = engine.infer(split.image(index), &mut arena);
        let outputs = outputs.map_err(|e| DeployError::Engine(e.to_string()))?;
        all.push(outputs.to_vec());
    }
    Ok(Some(all))
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
            "the samples have {} values (channels x height x width), but the model takes {} inputs",
            split.features(),
            model.inputs()
        )));
    }
    let highest = split.labels().iter().copied().max().map_or(0, usize::from);
    if split.is_empty() {
        let reason = "the dataset has no samples to evaluate on";
        return Err(DeployError::Mismatch(reason.into()));
    }
    if highest >= model.outputs() {
        return Err(DeployError::Mismatch(format!(
            "the samples have labels up to {highest}, but the model distinguishes {} classes",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_is_the_mean_squared_error_and_its_share_of_the_variance() {
        // sklearn: y = [[1, 10], [3, 30], [8, 20]], p = [[2, 10], [3, 28], [6, 21]];
        // mean_squared_error(y, p) = 10 / 6; y.var(0).mean() = 113 / 3.
        let targets = vec![1.0, 10.0, 3.0, 30.0, 8.0, 20.0];
        let split = Split::of_targets(vec![0; 3], targets, 2, [1, 1, 1]);
        let outputs = [[2.0, 10.0], [3.0, 28.0], [6.0, 21.0]].map(|row| row.to_vec());
        let fit = Fit::of(outputs, &split);
        assert_eq!(fit.samples, 3);
        assert!((fit.mse - 10.0 / 6.0).abs() < 1e-12);
        assert!((fit.r2 - (1.0 - 5.0 / 113.0)).abs() < 1e-12);
    }

    #[test]
    fn the_error_is_that_of_the_best_step() {
        // numpy: f = [1, 2, -3], i = [2, 4, -5]; step = f @ i / (i @ i) = 25 / 45, and the error is
        // ((step * i - f) ** 2).sum() / (f @ f) = 1 - 25 ** 2 / (45 * 14).
        let found = Agreement::of(&[vec![2, 4], vec![-5]], &[vec![1.0, 2.0], vec![-3.0]]);
        assert_eq!(found.samples, 2);
        assert!((found.output_step - 25.0 / 45.0).abs() < 1e-12);
        assert!((found.relative_mse - (1.0 - 625.0 / 630.0)).abs() < 1e-12);
        let same = Agreement::of(&[vec![1, -2]], &[vec![0.5, -1.0]]);
        assert_eq!((same.output_step, same.relative_mse), (0.5, 0.0));
        assert_eq!(Agreement::of(&[vec![0]], &[vec![2.0]]).relative_mse, 1.0);
    }
}
