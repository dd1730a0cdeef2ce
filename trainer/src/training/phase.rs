//! One phase of training: some epochs over the training images.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use candle_core::Result as TensorResult;

use super::momentum::Momentum;
use super::schedule::Schedule;
use super::{Recipe, TrainError};
use crate::data::batches::Batches;
use crate::network::{Network, Statistics};
use crate::random::Random;

/// Trains epoch `epoch` (from 0) of the phase called `phase`; gives the mean loss. `progress` is
/// told the images done; none is returned when `stop` was raised.
///
/// Images are shuffled anew every epoch by a stream of the recipe's seed, the phase and the
/// epoch, so that an epoch is the same whether or not the run was interrupted before it. The last
/// incomplete batch is left out.
///
/// # Errors
/// When the loss is no longer finite or the device refuses.
pub fn train_epoch(
    network: &Network,
    optimizer: &mut Momentum,
    batches: &Batches<'_>,
    recipe: &Recipe,
    (phase, epoch): (&str, usize),
    stop: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<f64>, TrainError> {
    let mut order: Vec<u32> = (0..batches.split().len() as u32).collect();
    Random::stream(recipe.seed, &format!("shuffle {phase} {epoch}")).shuffle(&mut order);
    let steps = order.len() / recipe.batch;
    let schedule = Schedule::new(recipe.learning_rate, steps * recipe.epochs);
    let mut sum = 0.0;
    for (step, indices) in order.chunks_exact(recipe.batch).enumerate() {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        let scores = network.train_forward(&batches.inputs(indices)?)?;
        let loss = candle_nn::loss::cross_entropy(&scores, &batches.classes(indices)?)?;
        let value = loss.to_scalar::<f32>()?;
        if !value.is_finite() {
            return Err(TrainError::Diverged {
                loss: value,
                phase: phase.into(),
                epoch: epoch + 1,
                step: step + 1,
                learning_rate: recipe.learning_rate,
            });
        }
        sum += f64::from(value);
        let gradients = loss.backward()?;
        optimizer.step(network, &gradients, schedule.rate(epoch * steps + step))?;
        progress((step + 1) * recipe.batch);
    }
    Ok(Some(sum / steps as f64))
}

/// The share of images of `test` that `network` classifies rightly under `statistics`.
///
/// # Errors
/// When the device refuses.
pub fn accuracy(
    network: &Network,
    statistics: &Statistics,
    test: &Batches<'_>,
) -> TensorResult<f64> {
    let mut labels = test.split().labels().iter();
    let mut correct = 0;
    for batch in test.in_order(usize::MAX) {
        let classes = network.classify(&batch?, statistics)?;
        correct += classes
            .iter()
            .zip(labels.by_ref())
            .filter(|&(&c, &l)| c == u32::from(l))
            .count();
    }
    Ok(correct as f64 / test.split().len() as f64)
}
