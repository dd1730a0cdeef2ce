//! The trained weights that a recipe names.
//!
//! Ranking reads only the weights of layers. Fine-tuning starts from the whole network, so it also
//! needs biases and batch norms. It does not need running statistics: training reads none, and if
//! they are missing, the accuracy is reported with statistics of the training images. Values must
//! be small enough that training in f32 does not overflow: no learning rate, however low, would
//! prevent that.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{Device, Result as TensorResult, Tensor};

use super::error::TrainError;
use super::phase;
use super::recipe::{self, Recipe};
use crate::data::batches::Batches;
use crate::graph::{Graph, Operation};
use crate::network::{Network, State, Statistics};
use crate::pruning::Weights;

/// The largest magnitude of a weight from which to fine-tune: 2^60, about 1e18. Batch norms square
/// sums of weights, and f32 overflows at 2^128.
const LARGEST: f32 = (1_u64 << 60) as f32;

/// Reads the weights that `recipe` names; returns `None` if it names none.
///
/// # Errors
/// Returns an error that names the file and the tensor if the file does not fit `graph`, or if the
/// recipe fine-tunes and a tensor is missing or has a value that is too large.
pub(super) fn load(recipe: &Recipe, graph: &Graph) -> Result<Option<Weights>, TrainError> {
    let Some(path) = &recipe.weights else {
        return Ok(None);
    };
    let weights = Weights::load(graph, Path::new(path))?;
    if recipe.trains_given() {
        let missing = weights.missing();
        if !missing.is_empty() {
            return Err(TrainError::IncompleteWeights {
                path: path.clone(),
                missing: missing.to_vec(),
            });
        }
        if let Some(Largest {
            tensor,
            element,
            value,
        }) = largest(&weights.state(graph))
            && value.abs() > LARGEST
        {
            return Err(TrainError::Mismatch(format!(
                "{path}: tensor {tensor} has the value {value:e} at element {element}, but training in f32 can overflow with weights above {LARGEST:.0e}: scale the weights down, or train the network again"
            )));
        }
    }
    Ok(Some(weights))
}

/// Checks that the weights file that `recipe` names, if any, has not changed since the run started.
///
/// # Errors
/// Returns an error if the file has changed or cannot be read.
pub(super) fn check_unchanged(recipe: &Recipe) -> Result<(), TrainError> {
    let Some(path) = &recipe.weights else {
        return Ok(());
    };
    let found = recipe::fingerprint(Path::new(path))?;
    if recipe.weights_fingerprint.as_ref() == Some(&found) {
        return Ok(());
    }
    let path = path.clone();
    Err(TrainError::WeightsChanged { path, found })
}

/// The value of the largest magnitude in a network.
struct Largest<'a> {
    tensor: &'a str,
    element: usize,
    value: f32,
}

/// Finds the trained value of the largest magnitude in `state`.
fn largest(state: &State) -> Option<Largest<'_>> {
    let all = state.0.iter().flat_map(|(tensor, array)| {
        let values = array.values.iter().enumerate();
        values.map(move |(element, &value)| Largest {
            tensor,
            element,
            value,
        })
    });
    // Running statistics are not trained.
    let trained = all.filter(|largest| !largest.tensor.contains(".running_"));
    trained.max_by(|a, b| a.value.abs().total_cmp(&b.value.abs()))
}

/// Returns the accuracy of the network of `weights` on the images of `test`; `None` if the file
/// lacks biases or batch norms. Batch norms use the running statistics of the file, or else
/// statistics of the images of `train`.
///
/// # Errors
/// Returns an error if `stop` is set, or if the device fails.
pub(super) fn accuracy(
    weights: &Weights,
    graph: &Graph,
    device: &Device,
    train: &Batches<'_>,
    test: &Batches<'_>,
    stop: &AtomicBool,
) -> TensorResult<Option<f64>> {
    if !weights.missing().is_empty() {
        return Ok(None);
    }
    let state = weights.state(graph);
    let network = Network::new(graph, &state, device)?;
    let statistics = match Statistics::of_state(graph, &state) {
        Some(statistics) => statistics,
        None => Statistics::compute(&network, || {
            phase::unless_stopped(train.in_order(usize::MAX), stop)
        })?,
    };
    phase::accuracy(&network, &statistics, test, stop).map(Some)
}

/// Returns the names of the running statistics of `graph` that `state` lacks.
pub(super) fn missing_statistics(graph: &Graph, state: &State) -> Vec<String> {
    let norms = graph.nodes().iter();
    let norms = norms.filter(|node| node.operation == Operation::BatchNorm);
    let names = norms.flat_map(|node| {
        ["running_mean", "running_var"].map(|kind| format!("{}.{kind}", node.name))
    });
    names.filter(|name| !state.0.contains_key(name)).collect()
}

/// Checks, if `recipe` fine-tunes from `weights`, that the loss and the gradients of one batch of
/// `train` are finite.
///
/// # Errors
/// Returns an error that names the largest weight if one of them is not finite.
pub(super) fn probe(
    recipe: &Recipe,
    weights: &Weights,
    graph: &Graph,
    device: &Device,
    train: &Batches<'_>,
) -> Result<(), TrainError> {
    let Some(path) = recipe.weights.as_ref().filter(|_| recipe.trains_given()) else {
        return Ok(());
    };
    let batch = recipe.hyperparameters.batch;
    let state = weights.state(graph);
    let network = Network::new(graph, &state, device)?;
    let indices: Vec<u32> = (0..batch.min(train.split().len()) as u32).collect();
    let scores = network.train_forward(&train.inputs(&indices)?)?;
    let loss = recipe.hyperparameters.loss();
    let loss = loss.mean(&scores, &train.classes(&indices)?)?;
    let gradients = loss.backward()?;
    let mut finite = loss.to_scalar::<f32>()?.is_finite();
    for parameter in network.parameters() {
        let slot = parameter.gradient.take();
        if let Some(gradient) = slot.as_ref().or_else(|| gradients.get(&parameter.var)) {
            finite &= is_finite(gradient)?;
        }
    }
    match largest(&state) {
        Some(Largest {
            tensor,
            element,
            value,
        }) if !finite => Err(TrainError::Mismatch(format!(
            "{path}: the loss of this network or its gradient is not finite, so it cannot be trained; its largest weight is {value:e}, in tensor {tensor} at element {element}: scale the weights down, or train the network again"
        ))),
        _ => Ok(()),
    }
}

/// Checks whether every value of `tensor` is finite.
fn is_finite(tensor: &Tensor) -> TensorResult<bool> {
    let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
    Ok(sum.is_finite())
}
