//! The trained weights and the masks that a recipe names.
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
use super::floats;
use super::phases::point::RunMasks;
use super::recipe::{self, Phase, Recipe, ZEROS};
use super::units::TrainingUnits;
use crate::data::batches::Batches;
use crate::graph::Graph;
use crate::network::{Network, State};
use crate::pruning::effective::{self, Mode};
use crate::pruning::hundredths::shown;
use crate::pruning::{Masks, Weights};

/// The largest magnitude of a weight from which to fine-tune: 2^60, about 1e18. Batch norms square
/// sums of weights, and f32 overflows at 2^128.
const LARGEST: f32 = (1_u64 << 60) as f32;

/// What a recipe names.
pub(super) struct Given {
    /// The trained weights, if it names any.
    pub(super) weights: Option<Weights>,
    /// The masks under which training starts, if it names any.
    pub(super) masks: Option<RunMasks>,
}

impl Given {
    /// Reads what `recipe` names; the outputs of the weights are then in `units`.
    ///
    /// # Errors
    /// Returns an error that names the file at fault if it does not fit `graph` or the recipe.
    pub(super) fn load(
        recipe: &Recipe,
        graph: &Graph,
        units: &TrainingUnits,
    ) -> Result<Self, TrainError> {
        let weights = weights(recipe, graph)?.map(|weights| units.inwards(weights, graph));
        let masks = masks(recipe, graph, weights.as_ref())?;
        Ok(Self { weights, masks })
    }
}

/// Reads the masks that `recipe` names, or makes them from the zeros of `weights`; returns `None`
/// if it names none.
///
/// # Errors
/// Returns an error that names the file if it cannot be read or does not fit `graph`, if no path
/// leads from input to output, or if the recipe prunes to no more than the masks do.
fn masks(
    recipe: &Recipe,
    graph: &Graph,
    weights: Option<&Weights>,
) -> Result<Option<RunMasks>, TrainError> {
    let Some(name) = &recipe.masks else {
        return Ok(None);
    };
    let direct = match weights.filter(|_| name == ZEROS) {
        Some(weights) => weights.nonzero(graph),
        None => Masks::load(graph, Path::new(name))?,
    };
    let effective = effective::masks(graph, &direct, Mode::Exact);
    let reason = |reason: String| Err(TrainError::Recipe { reason });
    if effective.nonzeros() == 0 {
        return reason(format!(
            "the masks ({name}) leave no path from input to output: give masks that keep more"
        ));
    }
    let masks = RunMasks {
        direct,
        effective,
        kept_by_index: Some(0),
    };
    let prunes = recipe.phases.iter().find_map(|phase| match phase {
        Phase::Prune(options) => Some((options.compression().get(), options.target)),
        Phase::Gradual(options) => Some((options.compression.get(), options.target)),
        _ => None,
    });
    if let Some((wanted, target)) = prunes
        && let Some(found) = masks.of(target).compression()
        && wanted <= found
    {
        return reason(format!(
            "the recipe prunes to {}x, but the masks ({name}) already prune to {}x: raise the compression, or prune no further",
            shown(wanted),
            shown((100.0 * found).floor() / 100.0)
        ));
    }
    Ok(Some(masks))
}

/// Reads the weights that `recipe` names; returns `None` if it names none.
///
/// # Errors
/// Returns an error that names the file and the tensor if the file does not fit `graph`, or if the
/// recipe fine-tunes and a tensor is missing or has a value that is too large.
fn weights(recipe: &Recipe, graph: &Graph) -> Result<Option<Weights>, TrainError> {
    let Some(path) = &recipe.weights else {
        return Ok(None);
    };
    let weights = Weights::load(graph, Path::new(path))?;
    if recipe.trains_given() || recipe.learns_from_given()? {
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

/// Checks that the files of weights and masks that `recipe` names, if any, have not changed since
/// the run started.
///
/// # Errors
/// Returns an error if a file has changed or cannot be read.
pub(super) fn check_unchanged(recipe: &Recipe) -> Result<(), TrainError> {
    let masks = recipe.masks.as_ref().filter(|name| *name != ZEROS);
    for (path, recorded, what) in [
        (
            recipe.weights.as_ref(),
            &recipe.weights_fingerprint,
            "weights",
        ),
        (masks, &recipe.masks_fingerprint, "masks"),
    ] {
        let Some(path) = path.cloned() else {
            continue;
        };
        let found = recipe::fingerprint(Path::new(&path))?;
        if recorded.as_ref() != Some(&found) {
            return Err(TrainError::InputChanged { path, what, found });
        }
    }
    Ok(())
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
    batches: [&Batches<'_>; 2],
    stop: &AtomicBool,
) -> TensorResult<Option<f64>> {
    if !weights.missing().is_empty() {
        return Ok(None);
    }
    let state = weights.state(graph);
    let network = Network::new(graph, &state, device)?;
    let evaluated = floats::evaluate_on(&network, &state, batches, stop)?;
    Ok(Some(evaluated.accuracy))
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
    let loss = loss.mean(&scores, &train.targets(&indices)?)?;
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
