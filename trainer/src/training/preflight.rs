//! Checks before a run, so that impossible requests fail before hours of training.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;

use super::capacity;
use super::error::TrainError;
use super::folder::{Existing, RunFolder};
use super::given::Given;
use super::layout::REPLACED;
use super::recipe::stages::{Stage, stages};
use super::recipe::{DeviceKind, Phase, Recipe};
use crate::data::Dataset;
use crate::graph::Graph;
use crate::memory;
use crate::pruning::hundredths::shown;
use crate::pruning::{Limits, Place, PruneError, Pruner, SnipOptions, Source, Weights};

/// The compression below which no estimate is needed, because every pruner reaches it.
const EASY: f64 = 4.0;

/// The fraction of the estimated highest compression above which a compression is in doubt.
const NEAR: f64 = 0.25;

/// Checks that `recipe` fits the architecture `graph`, the data, the machine and the device, and
/// that its compressions are not known to be impossible.
///
/// # Errors
/// Returns an error that names what does not fit.
pub(super) fn check(
    recipe: &Recipe,
    graph: &Graph,
    data: &Dataset,
    device: &Device,
) -> Result<(), TrainError> {
    recipe.check(graph, data)?;
    let stages = stages(recipe)?;
    memory::require(
        least_memory(graph, largest_batch(&stages)),
        &format!("training {}", graph.name()),
    )?;
    capacity::check(&stages, graph, data, device)?;
    let mut has_trained = false;
    for phase in &recipe.phases {
        has_trained |= phase.training().is_some();
        let (name, target, compression) = match phase {
            Phase::Prune(prune) if prune.pattern.is_none() => {
                (&prune.pruner, prune.target, prune.compression())
            }
            Phase::Gradual(gradual) => (&gradual.pruner, gradual.target, gradual.compression),
            _ => continue,
        };
        let pruner = Pruner::by_name(name)?;
        pruner.check(graph, target, compression)?;
        if has_trained {
            pruner.check_path(graph, target, compression)?;
        }
    }
    if recipe.device != DeviceKind::of(device) {
        return Err(TrainError::Mismatch(format!(
            "the recipe is for {:?}, not {:?}",
            recipe.device,
            DeviceKind::of(device)
        )));
    }
    Ok(())
}

/// Checks that the first phase, if it prunes, can leave a path from input to output. If no pruner
/// can at its compression, connections are ranked right away, so that the error states the highest
/// compression that this pruner reaches.
///
/// # Errors
/// Returns an error that states the highest compression possible.
pub(super) fn check_first(
    recipe: &Recipe,
    graph: &Graph,
    data: &Dataset,
    given: &Given,
    device: &Device,
    stop: &AtomicBool,
) -> Result<(), TrainError> {
    let Some(Phase::Prune(prune)) = recipe.phases.first() else {
        return Ok(());
    };
    let pruner = Pruner::by_name(&prune.pruner)?;
    let (target, compression) = (prune.target, prune.compression());
    if prune.pattern.is_some() {
        return Ok(());
    }
    let Err(beyond) = pruner.check_path(graph, target, compression) else {
        return Ok(());
    };
    let source = Source {
        initial: given.weights.as_ref(),
        trained: given.weights.as_ref(),
        data: Some(data),
        device,
        seed: recipe.seed,
        snip: SnipOptions {
            loss: recipe.hyperparameters.loss.of_snip(prune.loss),
            samples: None,
        },
        limits: Limits {
            within: given.masks.as_ref().map(|masks| masks.of(target)),
            dense: &Place::indices(&prune.dense, graph),
        },
        stop,
        ..Source::new(graph)
    };
    Err(match pruner.reach(&source, target) {
        Ok(Some(reachable)) => PruneError::Disconnected {
            pruner: pruner.name().into(),
            target,
            compression: compression.get(),
            reachable,
        },
        _ => beyond,
    }
    .into())
}

/// Returns a warning if the last pruner ranks weights that are yet to be trained and may not reach
/// the compression, judged by the highest compression that it reaches with untrained weights.
///
/// # Errors
/// Returns an error if pruning fails or `stop` is set.
pub(super) fn doubt(
    recipe: &Recipe,
    graph: &Graph,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<String>, TrainError> {
    let seed = recipe.seed;
    let pruner = Pruner::by_name(recipe.pruner());
    let trains = recipe
        .phases
        .first()
        .is_some_and(|phase| phase.training().is_some());
    let Some(pruner) = pruner.ok().filter(|p| trains && p.needs_dense_training()) else {
        return Ok(None);
    };
    let (compression, target) = recipe.compression();
    let compression = compression.get();
    if compression < EASY {
        return Ok(None);
    }
    let untrained = Weights::initial(graph, seed);
    let source = Source {
        trained: Some(&untrained),
        device,
        seed,
        stop,
        ..Source::new(graph)
    };
    let reach = pruner.reach(&source, target)?.unwrap_or(1.0);
    Ok((compression > NEAR * reach).then(|| {
        format!(
            "the highest {} compression that {} can reach is known only after dense training (with untrained weights: {}); if it is below {}, the run stops after dense training",
            target.name(),
            pruner.name(),
            shown((100.0 * reach).floor() / 100.0),
            shown(compression)
        )
    }))
}

/// Checks that no file that the new run reads will be deleted: neither with the run in `folder`,
/// if `existing` says to replace it, nor with an earlier run that is set aside there.
///
/// # Errors
/// Returns an error that names the file.
pub(super) fn check_inputs_survive(
    recipe: &Recipe,
    folder: &Path,
    existing: Existing,
) -> Result<(), TrainError> {
    let named = [&recipe.weights, &recipe.masks];
    let named = named.into_iter().flatten().map(Path::new);
    let replaced = (existing == Existing::Replace).then(|| folder.to_path_buf());
    let places = replaced.into_iter().chain([folder.join(REPLACED)]);
    let places: Vec<PathBuf> = places
        .filter_map(|place| place.canonicalize().ok())
        .collect();
    for file in named.chain(recipe.arch_file.as_deref()) {
        let Ok(real) = file.canonicalize() else {
            continue;
        };
        let is_there = |place: &PathBuf| real.parent() == Some(place.as_path());
        if RunFolder::owns(&real) && places.iter().any(is_there) {
            return Err(TrainError::ReplacesInput {
                path: file.display().to_string(),
            });
        }
    }
    Ok(())
}

/// Returns the largest batch size of `stages`.
pub(super) fn largest_batch(stages: &[Stage]) -> usize {
    let batches = stages.iter().map(|stage| stage.hyperparameters.batch);
    batches.max().unwrap_or(1)
}

/// Returns a lower bound on the memory, in bytes, that training `graph` in batches of `batch`
/// images needs.
///
/// Each weight has a value, gradient, velocity, initial value, trained value and rank of 4 bytes
/// each; each unit has a value and a gradient per image.
fn least_memory(graph: &Graph, batch: usize) -> usize {
    let units = graph
        .nodes()
        .iter()
        .map(|node| node.shape.iter().product::<usize>());
    let units: usize = units.sum();
    24 * graph.total() + units.saturating_mul(8 * batch)
}
