//! The trained weights that a recipe names: what they must hold, and what they are worth.
//!
//! Ranking reads kernels alone. Fine-tuning goes on from the whole network, so biases and batch
//! norms must be in the file too. Running statistics need not: training reads none, and the accuracy
//! of a network that lacks any is told under statistics of the training images. Nothing may be so large that training, in f32, overflows: no
//! learning rate helps then.

use std::path::Path;

use candle_core::{Device, Result as TensorResult, Tensor};

use super::recipe::{After, Recipe};
use super::{TrainError, phase};
use crate::data::batches::Batches;
use crate::graph::{Graph, Operation};
use crate::network::{Network, State, Statistics};
use crate::pruning::Weights;

/// The largest weight that training goes on from: 2^60, about 1e18. Batch norms square sums of
/// weights, and f32 ends at 2^128.
const LARGEST: f32 = (1_u64 << 60) as f32;

/// Reads the weights that `recipe` names, if it does.
///
/// # Errors
/// When the file is not one of `graph`'s weights, or the recipe goes on from them and something is
/// missing or too large; the message names the file and the tensor.
pub(super) fn load(recipe: &Recipe, graph: &Graph) -> Result<Option<Weights>, TrainError> {
    let Some(path) = &recipe.weights else {
        return Ok(None);
    };
    let kernels = Weights::load(graph, Path::new(path))?;
    if recipe.after == After::Finetune {
        let missing = kernels.missing();
        if !missing.is_empty() {
            return Err(TrainError::Mismatch(format!(
                "{path} lacks {}: --after finetune goes on from the whole network; write them too, or leave out --after finetune to rank the kernels alone",
                missing.join(", ")
            )));
        }
        if let Some((name, element, value)) = largest(&kernels.state(graph))
            && value.abs() > LARGEST
        {
            return Err(TrainError::Mismatch(format!(
                "{path}: tensor {name} holds {value:e} at element {element}: training computes in f32, where weights above {LARGEST:.0e} overflow; scale it down, or train the network again"
            )));
        }
    }
    Ok(Some(kernels))
}

/// The largest number of `state` by magnitude: its tensor, its element and itself.
fn largest(state: &State) -> Option<(&str, usize, f32)> {
    let all = state.0.iter().flat_map(|(name, array)| {
        let values = array.values.iter().enumerate();
        values.map(move |(element, &value)| (name.as_str(), element, value))
    });
    // Running statistics are not trained on.
    let trained = all.filter(|(name, ..)| !name.contains(".running_"));
    trained.max_by(|a, b| a.2.abs().total_cmp(&b.2.abs()))
}

/// The share of images of `test` that the network of `kernels` classifies rightly, under the
/// statistics it came with, or else those of the images of `train`; none where only kernels came.
///
/// # Errors
/// When the device refuses.
pub(super) fn accuracy(
    kernels: &Weights,
    graph: &Graph,
    device: &Device,
    train: &Batches<'_>,
    test: &Batches<'_>,
) -> TensorResult<Option<f64>> {
    if !kernels.missing().is_empty() {
        return Ok(None);
    }
    let state = kernels.state(graph);
    let network = Network::new(graph, &state, device)?;
    let statistics = match Statistics::of_state(graph, &state) {
        Some(statistics) => statistics,
        None => Statistics::compute(&network, || train.in_order(usize::MAX))?,
    };
    phase::accuracy(&network, &statistics, test).map(Some)
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

/// Checks that training can go on from `kernels`, where `recipe` does: that loss and gradients of a
/// batch of the images of `train` are finite.
///
/// # Errors
/// When they are not, naming the largest weight, which no learning rate makes smaller.
pub(super) fn probe(
    recipe: &Recipe,
    kernels: &Weights,
    graph: &Graph,
    device: &Device,
    train: &Batches<'_>,
) -> Result<(), TrainError> {
    let (After::Finetune, Some(path)) = (recipe.after, &recipe.weights) else {
        return Ok(());
    };
    let batch = recipe.batch;
    let state = kernels.state(graph);
    let network = Network::new(graph, &state, device)?;
    let indices: Vec<u32> = (0..batch.min(train.split().len()) as u32).collect();
    let scores = network.train_forward(&train.inputs(&indices)?)?;
    let loss = candle_nn::loss::cross_entropy(&scores, &train.classes(&indices)?)?;
    let gradients = loss.backward()?;
    let mut finite = loss.to_scalar::<f32>()?.is_finite();
    for parameter in network.parameters() {
        let slot = parameter.gradient.take();
        if let Some(gradient) = slot.as_ref().or_else(|| gradients.get(&parameter.var)) {
            finite &= is_finite(gradient)?;
        }
    }
    match largest(&state) {
        Some((name, element, value)) if !finite => Err(TrainError::Mismatch(format!(
            "{path}: the loss of this network or its gradient is not a finite number, so nothing can be trained from it; its largest weight is {value:e}, of tensor {name} at element {element}: scale it down, or train the network again"
        ))),
        _ => Ok(()),
    }
}

/// Whether every number of `tensor` is finite.
fn is_finite(tensor: &Tensor) -> TensorResult<bool> {
    let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
    Ok(sum.is_finite())
}

/// The first batch norm of `graph` that sees one value of a unit in a batch of one image, and so
/// has no variance to normalise by.
pub(super) fn needs_two_images(graph: &Graph) -> Option<&str> {
    let mut norms = graph.nodes().iter();
    let norm = norms.find(|node| {
        node.operation == Operation::BatchNorm && node.shape[1..].iter().product::<usize>() == 1
    });
    norm.map(|node| node.name.as_str())
}
