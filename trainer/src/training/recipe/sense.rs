//! Checks that the phases of a recipe make sense, before anything is trained.

use super::phase::{Gradual, Phase, Prune, Regrow};
use super::stages::{Stage, stages};
use super::{Recipe, ZEROS};
use crate::data::Dataset;
use crate::graph::{Graph, Operation};
use crate::pruning::hundredths::shown;
use crate::pruning::{Compression, Pattern, Place, Pruner, Target};
use crate::remedy::Remedy;
use crate::training::error::TrainError;

/// The largest number of epochs of a phase, far below an overflow of the number of steps.
const MOST_EPOCHS: usize = 1_000_000;

impl Recipe {
    /// Checks the numbers of the phases whose range depends on neither the architecture nor the
    /// data.
    pub(super) fn check_phases(&self) -> Result<(), TrainError> {
        self.hyperparameters.check()?;
        for (index, stage) in stages(self)?.iter().enumerate() {
            let checked = check_stage(stage);
            checked.map_err(|error| error.in_phase(index, stage.phase.kind()))?;
        }
        Ok(())
    }

    /// Checks that the phases make sense one after another, on `graph` and `data`.
    pub(super) fn check_sense(&self, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        self.check_order()?;
        self.check_weights()?;
        self.check_masks()?;
        self.check_teacher()?;
        for (index, stage) in stages(self)?.iter().enumerate() {
            let checked = self.check_on(stage, graph, data);
            checked.map_err(|error| error.in_phase(index, stage.phase.kind()))?;
        }
        Ok(())
    }

    /// Checks that `stage` makes sense on `graph` and `data`.
    fn check_on(&self, stage: &Stage, graph: &Graph, data: &Dataset) -> Result<(), TrainError> {
        let batch = stage.hyperparameters.batch;
        let refuse = |reason| Err(TrainError::value("batch", batch, reason));
        if batch > data.train.len() {
            return refuse(format!(
                "must be between 1 and {}, the number of training {} of {}",
                data.train.len(),
                data.noun(),
                data.name
            ));
        }
        if let (1, Some(norm)) = (batch, needs_two_images(graph)) {
            return refuse(format!(
                "must be at least 2: batch norm {norm} of {} computes a variance over the batch",
                graph.name()
            ));
        }
        if stage.phase.training().is_some() {
            let steps = data.train.len() / batch * stage.epochs;
            stage
                .hyperparameters
                .check_phase(&data.train, stage.epochs)?;
            check_steps(&stage.phase, steps)?;
            if let Some(&to) = stage.keeps.last().filter(|&&to| to > steps) {
                let rewinds = |phase: &Phase| matches!(phase, Phase::Rewind(it) if it.to == to);
                let index = self.phases.iter().position(rewinds).unwrap_or(0);
                let reason = format!(
                    "must be at most {steps}, the number of steps of the {} phase",
                    stage.name
                );
                return Err(TrainError::value("to", to, reason).in_phase(index, "rewind"));
            }
        }
        match &stage.phase {
            Phase::Prune(options) => check_layers(options, graph),
            Phase::Gradual(options) => check_dense(&options.dense, options.compression, graph),
            _ => Ok(()),
        }
    }

    /// Checks that a phase trains, and that every phase that ranks, rewinds or regrows comes after
    /// what it needs.
    fn check_order(&self) -> Result<(), TrainError> {
        if self.masks.as_deref() == Some(ZEROS) && self.weights.is_none() {
            return refuse(
                "the masks are the zeros of the weights, but there are no weights: provide them, or a file of masks",
            );
        }
        let trains = self.phases.iter().any(|phase| phase.training().is_some());
        if !trains {
            return refuse(
                "the recipe trains nothing: add a phase of kind train, gradual or regrow",
            );
        }
        let mut is_trained = self.weights.is_some();
        let mut has_run = false;
        let mut is_pruned = self.masks.is_some();
        for (index, phase) in self.phases.iter().enumerate() {
            let number = index + 1;
            match phase {
                Phase::Prune(Prune { pruner, .. })
                    if !is_trained && Pruner::by_name(pruner)?.needs_dense_training() =>
                {
                    return refuse(format!(
                        "phase {number} prunes by {pruner}, but there are no trained weights to rank yet: train before it, or provide them"
                    ));
                }
                Phase::Rewind(rewind) => {
                    if !has_run && self.weights.is_none() {
                        return refuse(format!(
                            "phase {number} rewinds, but nothing is trained before it: leave it out, or train before it"
                        ));
                    }
                    if rewind.to > 0 && !has_run {
                        return refuse(format!(
                            "phase {number} rewinds to step {}, but a file of weights takes the place of the training before it: rewind to 0",
                            rewind.to
                        ));
                    }
                    is_trained = rewind.to > 0;
                }
                Phase::Regrow(_) if !is_pruned => {
                    return refuse(format!(
                        "phase {number} regrows connections, but nothing is pruned before it: add a phase of kind prune, such as by random/erk-rigl"
                    ));
                }
                _ => {}
            }
            if phase.training().is_some() {
                (is_trained, has_run) = (true, true);
            }
            is_pruned |= phase.makes_masks();
        }
        Ok(())
    }

    /// Checks that a phase reads the given trained weights, if there are any, or that their zeros
    /// are the masks.
    fn check_weights(&self) -> Result<(), TrainError> {
        if self.weights.is_none() || self.masks.as_deref() == Some(ZEROS) {
            return Ok(());
        }
        let mut unread = None;
        for phase in &self.phases {
            match phase {
                Phase::Prune(Prune { pruner, .. }) => {
                    let pruner = Pruner::by_name(pruner)?;
                    if pruner.needs_dense_training() {
                        return Ok(());
                    }
                    unread = Some(pruner.name());
                }
                Phase::Rewind(_) => break,
                _ => return Ok(()),
            }
        }
        Err(TrainError::UnusedWeights {
            pruner: unread.unwrap_or("the recipe"),
        })
    }

    /// Checks that if a phase learns from a dense network, there is one that it can learn from.
    fn check_teacher(&self) -> Result<(), TrainError> {
        let stages = stages(self)?;
        let first = match self.weights {
            Some(_) => 0,
            None => {
                let dense = stages.iter().position(|stage| stage.ends_dense);
                dense.map_or(stages.len(), |dense| dense + 1)
            }
        };
        if stages.iter().any(Stage::distils) && !stages[first..].iter().any(Stage::distils) {
            return refuse(
                "there is no dense network to learn from (distillation): train one in a phase before pruning, or provide weights",
            );
        }
        Ok(())
    }

    /// Checks that no phase requests masks that contradict those of an earlier one.
    fn check_masks(&self) -> Result<(), TrainError> {
        let mut before: Option<(usize, Compression)> = None;
        let mut pattern: Option<(usize, Pattern)> = None;
        for (index, phase) in self.phases.iter().enumerate() {
            let number = index + 1;
            let compression = match phase {
                Phase::Prune(Prune {
                    pattern: Some(_),
                    compression: Some(_),
                    ..
                }) => {
                    return refuse(format!(
                        "phase {number} prunes to both a compression and a pattern: leave one of them out"
                    ));
                }
                Phase::Prune(options) => {
                    let is_dealt = options.pruner == "random/synflow";
                    let is_limited =
                        before.is_some() || self.masks.is_some() || !options.dense.is_empty();
                    if is_dealt && is_limited && options.target == Target::Effective {
                        return refuse(format!(
                            "phase {number} prunes by random/synflow to an effective compression, which neither keeps layers dense nor prunes further: choose another pruner, or count direct weights"
                        ));
                    }
                    options.compression()
                }
                Phase::Gradual(options) => options.compression,
                Phase::Regrow(_) => {
                    if let Some((first, found)) = pattern {
                        return refuse(format!(
                            "phase {number} regrows connections, which would break the pattern {found} of phase {first}: leave out one of them"
                        ));
                    }
                    continue;
                }
                _ => continue,
            };
            if let Phase::Prune(Prune {
                pattern: Some(of), ..
            }) = phase
            {
                if let Some((first, _)) = before {
                    return refuse(format!(
                        "phase {number} makes the pattern {of}, but phase {first} already prunes: make the pattern first"
                    ));
                }
                if let Some(masks) = &self.masks {
                    return refuse(format!(
                        "phase {number} makes the pattern {of}, but the masks ({masks}) already prune: leave out one of them"
                    ));
                }
                pattern = Some((number, *of));
            }
            if let Some((first, less)) = before
                && compression <= less
            {
                return refuse(format!(
                    "phase {number} prunes to {compression}x, but phase {first} already prunes to {less}x: raise the compression of phase {number}, or leave that phase out"
                ));
            }
            before = Some((number, compression));
        }
        Ok(())
    }
}

/// Returns the error that phases make no sense for this `reason`.
fn refuse<T>(reason: impl Into<String>) -> Result<T, TrainError> {
    let reason = reason.into();
    Err(TrainError::Recipe { reason })
}

/// Checks the numbers of `stage` whose range depends on neither the architecture nor the data.
fn check_stage(stage: &Stage) -> Result<(), TrainError> {
    stage.hyperparameters.check()?;
    let trains = stage.phase.training().is_some();
    if trains && (stage.epochs == 0 || stage.epochs > MOST_EPOCHS) {
        let reason = format!("must be at least 1 and at most {MOST_EPOCHS}");
        return Err(TrainError::value("epochs", stage.epochs, reason));
    }
    match &stage.phase {
        Phase::Gradual(options) => check_gradual(options),
        Phase::Regrow(options) => check_regrow(options),
        Phase::Prune(options) => Ok(Pruner::by_name(&options.pruner).map(drop)?),
        _ => Ok(()),
    }
}

/// Checks the numbers of gradual pruning.
fn check_gradual(options: &Gradual) -> Result<(), TrainError> {
    let pruner = Pruner::by_name(&options.pruner)?;
    if !pruner.needs_dense_training() {
        return refuse(format!(
            "gradual pruning ranks weights while they train, which {} does not read: choose a pruner such as magnitude/igq",
            pruner.name()
        ));
    }
    let Gradual {
        start, end, every, ..
    } = *options;
    if !(0.0..1.0).contains(&start) {
        return Err(TrainError::value(
            "start",
            start,
            "must be at least 0 and below 1",
        ));
    }
    if !(end > start && end <= 1.0) {
        let reason = format!("must be above the start, {start}, and at most 1");
        return Err(TrainError::value("end", end, reason));
    }
    check_every(every)
}

/// Checks the numbers of dynamic sparse training.
fn check_regrow(options: &Regrow) -> Result<(), TrainError> {
    let Regrow {
        fraction,
        every,
        until,
        ..
    } = *options;
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(TrainError::value(
            "fraction",
            fraction,
            "must be above 0 and at most 1",
        ));
    }
    if !(until > 0.0 && until <= 1.0) {
        return Err(TrainError::value(
            "until",
            until,
            "must be above 0 and at most 1",
        ));
    }
    check_every(every)
}

/// Checks the number of steps from one change of the masks to the next.
fn check_every(every: usize) -> Result<(), TrainError> {
    match every {
        0 => Err(TrainError::value("every", every, "must be at least 1")),
        _ => Ok(()),
    }
}

/// Checks that the masks of `phase` change at least once in its `steps` steps, if they change.
fn check_steps(phase: &Phase, steps: usize) -> Result<(), TrainError> {
    let (Phase::Gradual(Gradual { every, .. }) | Phase::Regrow(Regrow { every, .. })) = phase
    else {
        return Ok(());
    };
    if *every >= steps {
        let reason = format!("must be below {steps}, the number of steps of the phase");
        return Err(TrainError::value("every", every, reason));
    }
    Ok(())
}

/// Checks that the pattern of `options` divides the layers of `graph` or, without a pattern, that
/// the compression can be reached although some layers are not pruned.
fn check_layers(options: &Prune, graph: &Graph) -> Result<(), TrainError> {
    let Some(pattern) = options.pattern else {
        return check_dense(&options.dense, options.compression(), graph);
    };
    let dense = Place::indices(&options.dense, graph);
    let tensors = graph.prunable();
    let Some(misfit) = pattern.misfit(&tensors, &dense) else {
        return Ok(());
    };
    let index = tensors.iter().position(|tensor| tensor.name == misfit.name);
    let remedy = match index {
        Some(0) => Remedy::KeepFirstOrOtherPattern,
        Some(index) if index + 1 == tensors.len() => Remedy::KeepLastOrOtherPattern,
        _ => Remedy::OtherPattern,
    };
    Err(TrainError::Pattern {
        pattern: pattern.to_string(),
        tensor: misfit.name.clone(),
        inputs: misfit.shape[1],
        remedy,
    })
}

/// Checks that `compression` can be reached although the layers of `graph` at `places` are not
/// pruned.
fn check_dense(
    places: &[Place],
    compression: Compression,
    graph: &Graph,
) -> Result<(), TrainError> {
    let tensors = graph.prunable();
    let dense = Place::indices(places, graph);
    let kept: usize = dense.iter().map(|&index| tensors[index].len()).sum();
    let total = graph.total();
    if dense.is_empty() || compression.share_of(total) > kept as f64 {
        return Ok(());
    }
    refuse(format!(
        "the layers kept dense have {kept} of {total} weights, so a compression of {compression} is out of reach: choose a compression of at most {}, or prune those layers too",
        shown((100.0 * (total as f64 / kept as f64)).floor() / 100.0)
    ))
}

/// Returns the name of the first batch norm of `graph` whose units have a single value per image,
/// so that a batch of one image has no variance.
fn needs_two_images(graph: &Graph) -> Option<&str> {
    let mut norms = graph.nodes().iter();
    let norm = norms.find(|node| {
        node.operation == Operation::BatchNorm && node.shape[1..].iter().product::<usize>() == 1
    });
    norm.map(|node| node.name.as_str())
}
