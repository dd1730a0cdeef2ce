//! One epoch of training, and the accuracy of a network.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use candle_core::Result as TensorResult;

use super::error::TrainError;
use super::momentum::Momentum;
use super::recipe::Recipe;
use super::schedule::{Rates, Schedule};
use crate::data::batches::Batches;
use crate::network::{Network, Statistics};
use crate::random::Random;

/// An epoch of a phase.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// The phase, "dense" or "pruned".
    pub phase: &'a str,
    /// The epoch, from 0.
    pub index: usize,
}

/// Trains one epoch and returns the mean loss; `None` if `stop` was set. Calls `progress` with the
/// number of images done.
///
/// Images are shuffled by a random stream of the recipe's seed, the phase and the epoch, so an
/// epoch is the same whether or not the run was interrupted before it. The last incomplete batch
/// is left out.
///
/// # Errors
/// Returns an error if the loss is not finite, or if the device fails.
pub fn train_epoch(
    network: &Network,
    optimizer: &mut Momentum,
    batches: &Batches<'_>,
    recipe: &Recipe,
    epoch: Epoch<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<f64>, TrainError> {
    let Epoch { phase, index } = epoch;
    let mut order: Vec<u32> = (0..batches.split().len() as u32).collect();
    Random::stream(recipe.seed, &format!("shuffle {phase} {index}")).shuffle(&mut order);
    let steps = order.len() / recipe.batch;
    let rates = Rates::new(
        &Schedule::default(),
        recipe.learning_rate,
        steps * recipe.epochs,
    );
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
                epoch: index + 1,
                step: step + 1,
                learning_rate: recipe.learning_rate,
            });
        }
        sum += f64::from(value);
        let gradients = loss.backward()?;
        optimizer.step(network, &gradients, rates.at(index * steps + step))?;
        progress((step + 1) * recipe.batch);
    }
    Ok(Some(sum / steps as f64))
}

/// Returns the share of images of `test` that `network` classifies correctly with `statistics`.
///
/// # Errors
/// Returns an error if the device fails.
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
