//! Training: the epochs of a phase, with a checkpoint after each one, and within an epoch when one
//! is due.
//!
//! A checkpoint at a step contains the state before anything that is due at that step: saving
//! weights for rewinding and changing masks come afterwards, so a run that resumes there does them
//! too.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::Result as TensorResult;

use super::point::{Point, RunMasks, apply};
use crate::network::{Network, State, Statistics};
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Masks, Weights};
use crate::training::checkpoint::Checkpoint;
use crate::training::error::TrainError;
use crate::training::event::Event;
use crate::training::floats;
use crate::training::folder::DENSE;
use crate::training::hyperparameters::Hyperparameters;
use crate::training::layout;
use crate::training::metrics::Metrics;
use crate::training::objective::Teacher;
use crate::training::optimizer::{Optimizer, OptimizerState};
use crate::training::phase::{self, Epoch, Part};
use crate::training::recipe::Phase;
use crate::training::recipe::stages::Stage;
use crate::training::session::{Session, Trained};
use crate::training::sums::Sums;

/// The number of training images over which batch-norm statistics are computed for an epoch's
/// accuracy. Statistics that are saved are computed over all training images.
pub(in crate::training) const SAMPLE: usize = 2000;

/// The density above which dense products are faster in a network of fully connected layers. For
/// LeNet-300-100, the break-even density lies between 1/3 and 1/2, as `cargo xtask bench training`
/// shows.
const NEARLY_FULL: f64 = 0.4;

/// Checks whether a network is faster if it computes only with the weights that `masks` keep; one
/// with convolutions always is. The answer depends on the masks alone, so that a resumed run
/// computes the same bits as an uninterrupted one.
fn is_sparse(masks: &Masks) -> bool {
    let convolves = masks.iter().any(|mask| mask.shape.len() > 2);
    convolves || (masks.nonzeros() as f64) < NEARLY_FULL * masks.total() as f64
}

/// A network in training.
pub(super) struct Model {
    pub(super) network: Network,
    pub(super) optimizer: Optimizer,
    /// The weights that are trained; `None` if all are.
    pub(super) active: Option<Masks>,
}

/// A position in a phase: a step of an epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    /// The number of finished epochs of the phase.
    epochs: usize,
    /// The part of the next epoch that is done.
    part: Part,
}

impl Session<'_> {
    /// Creates the network and the optimizer that train the weights of `state` that `active` keeps;
    /// all others are set to zero. Moments start from `moments`, or else from zero.
    pub(super) fn model(
        &self,
        mut state: State,
        active: Option<Masks>,
        hyperparameters: &Hyperparameters,
        moments: Option<OptimizerState>,
    ) -> Result<Model, TrainError> {
        if let Some(masks) = &active {
            apply(masks, &mut state);
        }
        let network = self.network(&state, active.as_ref())?;
        let mut optimizer = Optimizer::new(&network, active.as_ref(), hyperparameters)?;
        if let Some(mut moments) = moments {
            if let Some(masks) = &active {
                let arrays = moments.moments.values_mut();
                arrays.for_each(|array| apply(masks, array));
            }
            optimizer.restore(&network, &moments)?;
        }
        Ok(Model {
            network,
            optimizer,
            active,
        })
    }

    /// Creates the network of `state`, whose weights outside of `active` are zero. On the CPU, it
    /// computes only with the active weights, unless they are so many that dense products are
    /// faster.
    fn network(&self, state: &State, active: Option<&Masks>) -> TensorResult<Network> {
        match active {
            Some(masks) if self.device.is_cpu() && is_sparse(masks) => {
                Network::sparse(&self.graph, state, masks)
            }
            _ => Network::new(&self.graph, state, &self.device),
        }
    }

    /// Trains phase `index` from `point`, or from `checkpoint` if there is one, and stores the
    /// result in `point`.
    ///
    /// # Errors
    /// Returns an error if training diverges, the run is interrupted, a file cannot be read or
    /// written, or the device fails.
    pub(in crate::training) fn train(
        &mut self,
        index: usize,
        point: &mut Point,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let stage = self.stages[index].clone();
        self.teacher = self.load_teacher(index)?;
        let mut files = self.files_before(index)?;
        let masks = point.masks.as_ref();
        self.left_at_start = masks.map_or(self.graph.total(), |masks| masks.effective.nonzeros());
        let (mut model, mut position) = self.start(&stage, point, checkpoint, &mut files)?;
        self.progress.done += position.epochs;
        while position.epochs < stage.epochs {
            let saved = position.epochs + 1 == stage.epochs && self.is_saved_after(index);
            let row = self.train_epoch(&stage, position, &mut model, &mut files, tell, saved)?;
            position = Position {
                epochs: row.epoch,
                part: Part::default(),
            };
            self.folder.add_metrics(&row)?;
            self.save(&stage, position, &model, &files)?;
            tell(Event::Done(&row));
        }
        let steps = self.steps(&stage) * stage.epochs;
        if self.cuts(&stage).contains(&steps) {
            self.at_step(&stage, steps, &mut model, &mut files, tell)?;
        }
        point.state = model.network.state()?;
        point.given = None;
        point.is_trained = true;
        if stage.moves_masks() {
            self.conclude_masks(&stage, point, model.active, tell)?;
        }
        if stage.ends_dense {
            let Trained { state, accuracy } = self.conclude(&point.state, None)?;
            let state = self.units.outwards(state);
            let notes = [("accuracy", accuracy.to_string())];
            state.save(&self.folder.file(DENSE), &notes)?;
        }
        Ok(())
    }

    /// Returns the network that phase `index` learns from: the dense network of an earlier phase,
    /// or that of the given weights; `None` if the phase learns from the classes alone.
    fn load_teacher(&self, index: usize) -> Result<Option<Teacher>, TrainError> {
        if self.stages[index].hyperparameters.distillation.is_none() {
            return Ok(None);
        }
        let weights = if self.stages[..index].iter().any(|stage| stage.ends_dense) {
            Weights::of(&self.graph, State::load(&self.folder.file(DENSE))?.0)
        } else if let Some(path) = &self.recipe.weights {
            Weights::load(&self.graph, Path::new(path))?
        } else {
            return Ok(None);
        };
        let weights = self.units.inwards(weights, &self.graph);
        let state = weights.state(&self.graph);
        let network = Network::new(&self.graph, &state, &self.device)?;
        let statistics = floats::statistics(&network, &state, &self.train, self.stop);
        let statistics = self.unless_interrupted(statistics)?;
        Ok(Some(Teacher::new(network, statistics)))
    }

    /// Returns the network with which the phase starts or resumes, and the position in the phase.
    /// Adds the checksums that `checkpoint` lists to `files`.
    fn start(
        &self,
        stage: &Stage,
        point: &Point,
        checkpoint: Option<Checkpoint>,
        files: &mut Sums,
    ) -> Result<(Model, Position), TrainError> {
        let masks = point.masks.as_ref();
        let active = match &stage.phase {
            Phase::Regrow(_) => masks.map(|masks| masks.direct.clone()),
            _ => masks.map(|masks| masks.effective.clone()),
        };
        let hyperparameters = &stage.hyperparameters;
        let Some(checkpoint) = checkpoint else {
            let model = self.model(point.state.clone(), active, hyperparameters, None)?;
            return Ok((model, Position::default()));
        };
        let active = checkpoint.masks.clone().or(active);
        if let Some(masks) = &active {
            let checked = checkpoint.check_masks(masks);
            checked.map_err(|reason| self.folder.unusable(&reason))?;
        }
        files.extend(&checkpoint.files);
        let position = Position {
            epochs: checkpoint.epochs,
            part: checkpoint.part,
        };
        let model = self.model(
            checkpoint.weights,
            active,
            hyperparameters,
            Some(checkpoint.optimizer),
        )?;
        Ok((model, position))
    }

    /// Saves a checkpoint at `position` of `stage`.
    fn save(
        &mut self,
        stage: &Stage,
        position: Position,
        model: &Model,
        files: &Sums,
    ) -> Result<(), TrainError> {
        self.folder.save_checkpoint(&Checkpoint {
            phase: stage.name.clone(),
            epochs: position.epochs,
            part: position.part,
            seconds: self.clock.seconds(),
            files: files.clone(),
            kept_by_index: self.kept_by_index,
            weights: model.network.state()?,
            optimizer: model.optimizer.state(&model.network)?,
            masks: stage.moves_masks().then(|| model.active.clone()).flatten(),
        })?;
        self.pace.written();
        Ok(())
    }

    /// Saves a checkpoint at `position` of `stage` if one is due or the run was asked to stop.
    ///
    /// # Errors
    /// Returns an error if the run was asked to stop, or if the file cannot be written.
    fn pause(
        &mut self,
        stage: &Stage,
        position: Position,
        model: &Model,
        files: &Sums,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let is_stopped = self.is_stopped();
        if !is_stopped && !self.pace.is_due() {
            return Ok(());
        }
        self.save(stage, position, model, files)?;
        let (Part { steps, loss }, of) = (position.part, self.steps(stage));
        if is_stopped {
            (self.progress.step, self.progress.steps) = (steps, of);
            return Err(self.interrupted());
        }
        if steps > 0 {
            tell(Event::Checkpoint {
                steps,
                of,
                loss: loss / steps as f64,
                seconds: self.clock.seconds(),
            });
        }
        Ok(())
    }

    /// Returns the steps of `stage`, counted from its start, before which [`Self::at_step`] acts.
    fn cuts(&self, stage: &Stage) -> BTreeSet<usize> {
        let steps = self.steps(stage) * stage.epochs;
        let mut cuts = match &stage.phase {
            Phase::Gradual(options) => options.updates(steps),
            Phase::Regrow(options) => options.updates(steps),
            _ => BTreeSet::new(),
        };
        cuts.extend(&stage.keeps);
        cuts
    }

    /// Does what is due before step `at` of `stage`: saves the weights for rewinding, or changes
    /// the masks, or both.
    fn at_step(
        &mut self,
        stage: &Stage,
        at: usize,
        model: &mut Model,
        files: &mut Sums,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        if stage.keeps.contains(&at) {
            let name = layout::rewind(at);
            let path = self.folder.file(&name);
            model.network.state()?.save(&path, &[])?;
            files.add(&path, &name)?;
        }
        let steps = self.steps(stage) * stage.epochs;
        match &stage.phase {
            Phase::Gradual(options) if options.updates(steps).contains(&at) => {
                self.shrink(stage, options, at, model, tell)
            }
            Phase::Regrow(options) if options.updates(steps).contains(&at) => {
                self.regrow(stage, options, at, model)
            }
            _ => Ok(()),
        }
    }

    /// Trains the epoch of `stage` from `position` to its end and measures the accuracy after it.
    /// If the network is then `saved`, it is measured with the statistics that are saved.
    fn train_epoch(
        &mut self,
        stage: &Stage,
        mut position: Position,
        model: &mut Model,
        files: &mut Sums,
        tell: &mut dyn FnMut(Event<'_>),
        saved: bool,
    ) -> Result<Metrics, TrainError> {
        tell(Event::Epoch {
            phase: &stage.name,
            epoch: position.epochs + 1,
            of: stage.epochs,
            done: self.progress.done,
            all: self.progress.all,
        });
        let steps = self.steps(stage);
        let cuts = self.cuts(stage);
        let begin = position.epochs * steps;
        let before = self.progress.done * self.train.split().len();
        loop {
            self.pause(stage, position, model, files, tell)?;
            let at = begin + position.part.steps;
            if position.part.steps == steps {
                break;
            }
            if cuts.contains(&at) {
                self.at_step(stage, at, model, files, tell)?;
            }
            let next = cuts.range(at + 1..).next().copied();
            let next = next.unwrap_or(usize::MAX).min(begin + steps);
            position.part = phase::train_steps(
                &model.network,
                &mut model.optimizer,
                &self.train,
                self.epoch(stage, position.epochs),
                position.part,
                next - begin,
                &mut |images| {
                    tell(Event::Images(before + images));
                    self.flow()
                },
            )?;
        }
        let accuracy = match saved {
            true => self.evaluate(&model.network).map(|trained| {
                let accuracy = trained.accuracy;
                self.evaluated = Some(trained);
                accuracy
            }),
            false => self.accuracy(&model.network),
        };
        if accuracy.is_err() {
            // If the run was asked to stop, the steps of the epoch are not lost.
            self.pause(stage, position, model, files, tell)?;
        }
        self.progress.done += 1;
        let accuracy = accuracy?;
        Ok(Metrics {
            phase: stage.name.clone(),
            epoch: position.epochs + 1,
            loss: position.part.loss / steps as f64,
            accuracy,
            mse: self.variance.map(|variance| (1.0 - accuracy) * variance),
            seconds: self.clock.seconds(),
        })
    }

    /// Returns the accuracy of `network` on the test images, with statistics of a sample of the
    /// training images.
    ///
    /// # Errors
    /// Returns an error if the run is asked to stop, or if the device fails.
    fn accuracy(&self, network: &Network) -> TensorResult<f64> {
        let sample = self.sample.select(network.inputs());
        let statistics = Statistics::compute(network, || {
            phase::unless_stopped(sample.in_order(SAMPLE), self.stop)
        })?;
        phase::accuracy(network, &statistics, &self.test, self.stop)
    }

    /// Checks whether the network at the end of phase `index` is saved unchanged, with its
    /// statistics.
    fn is_saved_after(&self, index: usize) -> bool {
        let stage = &self.stages[index];
        stage.ends_dense || (index + 1 == self.stages.len() && !stage.moves_masks())
    }

    /// Returns the epoch `index` of `stage`.
    pub(super) fn epoch<'s>(&'s self, stage: &'s Stage, index: usize) -> Epoch<'s> {
        Epoch {
            phase: &stage.name,
            index,
            of: stage.epochs,
            seed: self.recipe.seed,
            hyperparameters: &stage.hyperparameters,
            teacher: self.teacher.as_ref(),
        }
    }

    /// Saves the masks at the end of a phase that changes masks: the `active` connections, and the
    /// effective ones among them.
    fn conclude_masks(
        &mut self,
        stage: &Stage,
        point: &mut Point,
        active: Option<Masks>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let direct = active.unwrap_or_else(|| Masks::dense(&self.graph));
        let effective = effective::masks(&self.graph, &direct, Mode::Exact);
        if effective.nonzeros() == 0 {
            return Err(TrainError::Recipe {
                reason: format!(
                    "the {} phase left no path from input to output: lower its compression or fraction",
                    stage.name
                ),
            });
        }
        let masks = RunMasks {
            direct,
            effective,
            kept_by_index: self.kept_by_index,
        };
        self.save_masks(stage, &masks)?;
        self.tell_masks(&stage.name, &masks, tell);
        apply(&masks.effective, &mut point.state);
        point.masks = Some(masks);
        Ok(())
    }

    /// Returns the trained network of `state`, whose weights outside of `active` must be zero, with
    /// population statistics over all training images. If it was evaluated in the last epoch, it is
    /// not evaluated again.
    ///
    /// # Errors
    /// Returns an error if the run is asked to stop, or if the device fails.
    pub(in crate::training) fn conclude(
        &mut self,
        state: &State,
        active: Option<&Masks>,
    ) -> Result<Trained, TrainError> {
        if let Some(trained) = self.evaluated.take() {
            return Ok(trained);
        }
        let network = self.network(state, active)?;
        self.unless_interrupted(self.evaluate(&network))
    }

    /// Returns the trained `network`, with population statistics over all training images, and its
    /// accuracy.
    ///
    /// # Errors
    /// Returns an error if the run is asked to stop, or if the device fails.
    fn evaluate(&self, network: &Network) -> TensorResult<Trained> {
        let train = self.train.select(network.inputs());
        let statistics = Statistics::compute(network, || {
            phase::unless_stopped(train.in_order(usize::MAX), self.stop)
        })?;
        let mut state = network.state()?;
        statistics.add_to(&self.graph, &mut state);
        let accuracy = phase::accuracy(network, &statistics, &self.test, self.stop)?;
        Ok(Trained { state, accuracy })
    }
}

impl Stage {
    /// Checks whether the masks change while the phase trains.
    pub(in crate::training) fn moves_masks(&self) -> bool {
        matches!(self.phase, Phase::Gradual(_) | Phase::Regrow(_))
    }
}
