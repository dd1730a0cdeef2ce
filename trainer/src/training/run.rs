//! A run: executes the phases of a recipe one after another.
//!
//! Each phase starts from the weights and masks with which the previous one ended. If the recipe
//! names a file of trained weights, these replace the initial ones, and masks that it names are in
//! force from the start. At the end, population statistics are computed, and everything is saved.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use candle_core::Device;

use super::checkpoint::{Checkpoint, Expected, ExpectedPhase};
use super::error::TrainError;
use super::folder::{DENSE, Existing, MASKS, MASKS_DIRECT, RunFolder, WEIGHTS};
use super::given::Given;
use super::layout::{CHECKPOINT, REPLACED};
use super::phases::point::{self, Point, RunMasks};
use super::phases::train::SAMPLE;
use super::preflight::largest_batch;
use super::recipe::stages::stages;
use super::recipe::{Phase, Recipe};
use super::report::{Accuracy, Compressions, SquaredErrors, TrainReport, WeightCounts};
use super::session::{Clock, Pace, Progress, Session, Trained};
use super::units::TrainingUnits;
use super::{capacity, floats, given, preflight};
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::Graph;
use crate::network::{State, initial};
use crate::numbers::significant;
use crate::pruning::effective::{self, Mode};
use crate::pruning::{Masks, PruneError, Weights};

pub use super::event::Event;

/// How a run is carried out, besides its recipe. None of these options changes a single bit of the
/// results, except the kind of device, which the recipe names.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// What to do with a run that is in the folder already.
    pub existing: Existing,
    /// The device that trains.
    pub device: &'a Device,
    /// The time from one checkpoint to the next within an epoch.
    pub checkpoint_every: Duration,
}

impl<'a> Options<'a> {
    /// The default of [`Options::checkpoint_every`]: ten minutes.
    pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(600);

    /// Returns the default options on `device`: a run that is in the folder already is resumed.
    pub fn new(device: &'a Device) -> Self {
        Self {
            existing: Existing::Resume,
            device,
            checkpoint_every: Self::CHECKPOINT_EVERY,
        }
    }
}

/// Runs `recipe` on `data` in the folder `path`, and reports to `tell`. An interrupted run of the
/// same recipe resumes, and a finished one is not repeated, unless `options` say to replace it.
///
/// When `stop` is set, the run writes a checkpoint before its next step and ends.
///
/// # Errors
/// Returns an error if the recipe does not fit the data, if training diverges, if pruning fails,
/// if a file cannot be read or written, or if `stop` is set.
pub fn run(
    recipe: &Recipe,
    data: &Dataset,
    path: &Path,
    options: &Options<'_>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<TrainReport, TrainError> {
    let Options {
        existing,
        device,
        checkpoint_every,
    } = *options;
    let graph = recipe.graph()?;
    preflight::check(recipe, &graph, data, device)?;
    let stages = stages(recipe)?;
    let units = TrainingUnits::new(&graph, data);
    let variance = data.test.variance();
    let data: &Dataset = &units.data(data);
    let batches = |split| {
        let batches = Batches::new(split, &data.normalisation, device);
        match device.is_cpu() {
            true => batches,
            false => batches.kept_on_device(),
        }
    };
    let train = batches(&data.train);
    let given = Given::load(recipe, &graph, &units)?;
    if let Some(weights) = &given.weights {
        given::probe(recipe, weights, &graph, device, &train)?;
    }
    preflight::check_first(recipe, &graph, data, &given, device, stop)?;
    let folder = match open(path, recipe, &graph, existing)? {
        Opened::Finished(report) => {
            let done = "is finished already: nothing to do";
            tell(Event::Note(format!("{} {done}", path.display())));
            return Ok(*report);
        }
        Opened::Begun(folder) => folder,
    };
    let sample = data.train.limit(SAMPLE);
    let mut session = Session {
        recipe,
        progress: Progress::new(stages.iter().map(|stage| stage.epochs).sum()),
        stages,
        data,
        device: device.clone(),
        train,
        test: batches(&data.test),
        sample: batches(&sample),
        units,
        variance,
        stop,
        clock: Clock::start(),
        pace: Pace::new(checkpoint_every),
        graph,
        folder,
        kept_by_index: None,
        left_at_start: 0,
        teacher: None,
        evaluated: None,
    };
    let report = session.run_phases(given, tell);
    report.map_err(|error| session.given_up(error, tell))
}

/// A run folder that was opened.
enum Opened {
    /// It holds the finished run, with these figures.
    Finished(Box<TrainReport>),
    /// It holds the run, begun or new.
    Begun(RunFolder),
}

/// Opens the run folder. A finished run is only read.
fn open(
    path: &Path,
    recipe: &Recipe,
    graph: &Graph,
    existing: Existing,
) -> Result<Opened, TrainError> {
    if existing == Existing::Resume
        && let Some(report) = RunFolder::finished(path, recipe, graph)?
    {
        return Ok(Opened::Finished(Box::new(report)));
    }
    preflight::check_inputs_survive(recipe, path, existing)?;
    let folder = RunFolder::open(path, recipe, existing)?;
    // Opening can put back a finished run.
    let report = folder.result(recipe)?;
    Ok(report.map_or(Opened::Begun(folder), |report| {
        Opened::Finished(Box::new(report))
    }))
}

/// Checks whether a run of the same recipe always fails with `error`.
fn always_fails(error: &TrainError) -> bool {
    match error {
        TrainError::Prune(error) => !matches!(
            error,
            PruneError::File(_) | PruneError::Tensor(_) | PruneError::Interrupted
        ),
        TrainError::Diverged { .. } | TrainError::Recipe { .. } => true,
        _ => false,
    }
}

impl Session<'_> {
    /// Returns the error to report for a run that failed with `error`. Removes the run if the same
    /// recipe would always fail like this, unless a dense network has been trained, which can be
    /// reused. Also removes a run that replaces another, was not interrupted, and has nothing to
    /// resume from.
    fn given_up(&self, error: TrainError, tell: &mut dyn FnMut(Event<'_>)) -> TrainError {
        let error = capacity::explained(error, &self.device, largest_batch(&self.stages));
        let [dense, checkpoint] = [DENSE, CHECKPOINT].map(|name| self.folder.file(name));
        let is_interrupted = matches!(error, TrainError::Interrupted { .. });
        let is_begun = is_interrupted || dense.exists() || checkpoint.exists();
        if always_fails(&error) && dense.exists() {
            // The error says the same.
            let _ = self.folder.refuse(&error.to_string());
            if self.folder.replaces() {
                let kept = self.folder.file(REPLACED);
                tell(Event::Note(format!(
                    "the run that was to be replaced is kept in {}",
                    kept.display()
                )));
            }
            return TrainError::AfterDense {
                error: Box::new(error),
                dense: dense.display().to_string(),
            };
        }
        if !always_fails(&error) && (is_begun || !self.folder.replaces()) {
            return error;
        }
        match self.folder.discard() {
            Ok(true) => tell(Event::Note(format!(
                "the run that was to be replaced is back in {}",
                self.folder.path().display()
            ))),
            Ok(false) => {}
            Err(failed) => return failed,
        }
        error
    }

    /// Keeps a copy of the architecture's file in the folder, and of the masks that are `given` if
    /// no phase makes others, and reports a compression that the last pruner may not reach.
    fn begin(&self, given: &Given, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        if let Some(file) = &self.recipe.arch_file {
            self.folder.keep_architecture(file, &self.graph)?;
        }
        if let Some(masks) = given.masks.as_ref().filter(|_| self.keeps_given_masks()) {
            for (name, masks) in [(MASKS_DIRECT, &masks.direct), (MASKS, &masks.effective)] {
                let path = self.folder.file(name);
                if !path.exists() {
                    masks.save(&path)?;
                }
            }
        }
        match preflight::doubt(self.recipe, &self.graph, &self.device, self.stop) {
            Ok(doubt) => doubt.into_iter().for_each(|doubt| tell(Event::Note(doubt))),
            Err(TrainError::Prune(PruneError::Interrupted)) => return Err(self.interrupted()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Runs all phases. `given` are the trained weights and the masks that the recipe names.
    fn run_phases(
        &mut self,
        given: Given,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<TrainReport, TrainError> {
        self.begin(&given, tell)?;
        let initial = initial::state(&self.graph, self.recipe.seed);
        let mut checkpoint = self.resume(&initial, tell)?;
        let first = checkpoint.as_ref().map_or(0, |c| self.index(&c.phase));
        self.kept_by_index = checkpoint.as_ref().and_then(|c| c.kept_by_index);
        given::check_unchanged(self.recipe)?;
        let Given { weights, masks } = given;
        let given_accuracy = match &weights {
            Some(weights) => self.judge(weights, tell)?,
            None => None,
        };
        if let Some(masks) = &masks {
            self.tell_masks(
                self.recipe.masks.as_deref().unwrap_or_default(),
                masks,
                tell,
            );
        }
        let mut point = Point {
            state: match &weights {
                Some(weights) => weights.state(&self.graph),
                None => initial.clone(),
            },
            is_trained: weights.is_some(),
            given: weights,
            masks: self.masks_before(first, self.kept_by_index)?.or(masks),
        };
        self.progress.done = self.stages[..first].iter().map(|stage| stage.epochs).sum();
        tell(self.start_event(checkpoint.as_ref()));
        for index in first..self.stages.len() {
            match self.stages[index].phase.clone() {
                Phase::Train(_) | Phase::Gradual(_) | Phase::Regrow(_) => {
                    self.train(index, &mut point, checkpoint.take(), tell)?;
                }
                Phase::Prune(options) => self.prune(index, &options, &mut point, tell)?,
                Phase::Rewind(options) => self.rewind(options, &initial, &mut point)?,
            }
        }
        let dense = match self.stages.iter().any(|stage| stage.ends_dense) {
            true => self.dense_accuracy()?,
            false => given_accuracy,
        };
        self.finish(point, dense)
    }

    /// Returns the checkpoint of an interrupted run, if there is one, and reports where it resumes.
    /// `initial` has the names and shapes of the network's arrays.
    fn resume(
        &mut self,
        initial: &State,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Checkpoint>, TrainError> {
        let trains = self.stages.iter().filter(|stage| stage.epochs > 0);
        let phases = trains.map(|stage| ExpectedPhase {
            name: &stage.name,
            epochs: stage.epochs,
            steps: self.steps(stage),
            moments: stage.hyperparameters.optimizer.moments(),
        });
        let expected = Expected {
            phases: &phases.collect::<Vec<_>>(),
            prunable: &self.graph.prunable(),
            arrays: initial,
        };
        let made = |checkpoint: &Checkpoint| {
            let index = self.index(&checkpoint.phase);
            let before = checkpoint.epochs * self.steps(&self.stages[index]);
            self.made_before(index, before + checkpoint.part.steps)
        };
        let checkpoint = self.folder.checkpoint(&expected, made)?;
        if let Some(Checkpoint {
            phase,
            epochs,
            part,
            seconds,
            ..
        }) = &checkpoint
        {
            self.clock.before = *seconds;
            let index = self.index(phase);
            let place = match (*epochs, part.steps) {
                (0, 0) => format!("at the start of the {phase} phase"),
                (epochs, 0) => format!("after epoch {epochs} of the {phase} phase"),
                (epochs, steps) => format!(
                    "after step {steps} of {} in epoch {} of the {phase} phase",
                    self.steps(&self.stages[index]),
                    epochs + 1
                ),
            };
            tell(Event::Note(format!(
                "resuming {place} (phase {} of {})",
                index + 1,
                self.stages.len()
            )));
        }
        Ok(checkpoint)
    }

    /// Returns the event of the start of the phases, from `checkpoint` if there is one.
    fn start_event(&self, checkpoint: Option<&Checkpoint>) -> Event<'static> {
        let images = self.train.split().len();
        let part = checkpoint.map_or(0, |checkpoint| {
            let stage = &self.stages[self.index(&checkpoint.phase)];
            checkpoint.epochs * images + checkpoint.part.steps * stage.hyperparameters.batch
        });
        Event::Start {
            done: self.progress.done * images + part,
            of: self.progress.all * images,
        }
    }

    /// Reads the accuracy of the dense network in the folder.
    fn dense_accuracy(&self) -> Result<Option<f64>, TrainError> {
        let (_, notes) = State::load(&self.folder.file(DENSE))?;
        Ok(notes.get("accuracy").and_then(|text| text.parse().ok()))
    }

    /// Saves the network at the end of the last phase, and returns the figures of the run. `dense`
    /// is the accuracy before pruning, if known.
    fn finish(&mut self, mut point: Point, dense: Option<f64>) -> Result<TrainReport, TrainError> {
        let is_pruned = point.masks.is_some();
        let masks = match point.masks.take() {
            Some(masks) => masks,
            None => self.keep_all()?,
        };
        if is_pruned {
            point::apply(&masks.effective, &mut point.state);
        }
        let (weights, compression) = masks.counts(self.recipe.compression().0.get());
        let active = is_pruned.then_some(&masks.effective);
        let Trained { state, accuracy } = self.conclude(&point.state, active)?;
        let state = self.units.outwards(state);
        state.save(&self.folder.file(WEIGHTS), &[])?;
        let accuracy = Accuracy {
            dense: match is_pruned {
                true => dense,
                false => Some(accuracy),
            },
            pruned: accuracy,
        };
        let report = self.report(masks.kept_by_index, weights, compression, accuracy);
        self.folder.finish(&report)?;
        Ok(report)
    }

    /// Saves and returns the masks of a run that prunes nothing.
    fn keep_all(&self) -> Result<RunMasks, TrainError> {
        let direct = Masks::dense(&self.graph);
        // All weights are trained and deployed, including those that only ever read padding.
        for name in [MASKS_DIRECT, MASKS] {
            direct.save(&self.folder.file(name))?;
        }
        Ok(RunMasks {
            effective: effective::masks(&self.graph, &direct, Mode::Exact),
            direct,
            kept_by_index: Some(0),
        })
    }

    /// Returns and reports the accuracy of the network of the `given` weights; `None` if the file
    /// lacks biases or batch norms.
    fn judge(
        &self,
        given: &Weights,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<f64>, TrainError> {
        let path = self.recipe.weights.as_deref().unwrap_or("");
        let (graph, device) = (&self.graph, &self.device);
        let (train, test) = (&self.train, &self.test);
        let accuracy = given::accuracy(given, graph, device, [train, test], self.stop);
        let accuracy = self.unless_interrupted(accuracy)?;
        let absent = floats::missing_statistics(graph, &given.state(graph));
        let makes_masks = self.stages.iter().any(|stage| stage.masks.is_some());
        let next = if makes_masks { "pruning" } else { "training" };
        let quality = accuracy.map(|accuracy| match self.variance {
            Some(variance) => {
                let error = significant((1.0 - accuracy) * variance);
                format!("mean squared error {error} on the test images")
            }
            None => format!("{:.2} % of test images right", 100.0 * accuracy),
        });
        tell(Event::Note(match quality {
            Some(quality) if absent.is_empty() => format!("{path}: {quality} (before {next})"),
            Some(quality) => format!(
                "{path}: {quality} (before {next}), with statistics of the training images: it lacks {}",
                absent.join(", ")
            ),
            None => format!(
                "{path} lacks {}: its weights are ranked, but its accuracy is unknown",
                given.missing().join(", ")
            ),
        }));
        Ok(accuracy)
    }

    /// Returns the figures of the finished run.
    fn report(
        &self,
        kept_by_index: Option<usize>,
        weights: WeightCounts,
        compression: Compressions,
        accuracy: Accuracy,
    ) -> TrainReport {
        TrainReport {
            run: self.folder.path().display().to_string(),
            dataset: self.recipe.data.clone(),
            arch: self.recipe.arch.clone(),
            pruner: self.recipe.pruner().into(),
            kind: Some(self.recipe.compression().1),
            seed: self.recipe.seed,
            weights,
            kept_by_index,
            compression,
            accuracy,
            mse: (self.variance).map(|variance| SquaredErrors::of(accuracy, variance)),
            seconds: (self.clock.seconds() * 1000.0).round() / 1000.0,
        }
    }
}
