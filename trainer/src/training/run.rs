//! The phases of a run.
//!
//! 1. The dense network is trained, if the pruner ranks trained weights; a file of trained weights
//!    takes the place of this phase.
//! 2. The network is pruned.
//! 3. The effective connections are trained: from their initial values (rewinding, Frankle &
//!    Carbin, as in the paper) or from those of the dense network.
//! 4. Population statistics are computed and everything is saved.
//!
//! The pruner `dense`, which keeps everything, has the dense phase only.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::Device;

use super::checkpoint::{Checkpoint, Expected};
use super::epochs::{Phase, SAMPLE, Trained};
use super::error::TrainError;
use super::folder::{DENSE, Existing, RunFolder, WEIGHTS};
use super::masking::{Networks, RunMasks};
use super::recipe::{After, Recipe};
use super::report::{Accuracy, Compressions, TrainReport, WeightCounts};
use super::session::{Clock, Progress, Session};
use super::{given, preflight};
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::Graph;
use crate::network::{State, initial};
use crate::pruning::{Masks, PruneError, Pruner, Weights};

pub use super::event::Event;

/// Runs `recipe` on `data` in the folder `path`, and reports to `tell`. An interrupted run of the
/// same recipe resumes, and a finished one is not repeated, unless `existing` says to replace it.
///
/// # Errors
/// Returns an error if the recipe does not fit the data, if training diverges, if pruning fails,
/// if a file cannot be read or written, or if `stop` is set.
pub fn run(
    recipe: &Recipe,
    data: &Dataset,
    path: &Path,
    existing: Existing,
    device: &Device,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<TrainReport, TrainError> {
    let graph = recipe.graph()?;
    let pruner = Pruner::by_name(&recipe.pruner)?;
    preflight::check(recipe, &graph, &pruner, data, device)?;
    let train = Batches::new(&data.train, &data.normalisation, device);
    let given = given::load(recipe, &graph)?;
    if let Some(given) = &given {
        given::probe(recipe, given, &graph, device, &train)?;
    }
    let folder = open(path, recipe, &graph, existing)?;
    if let Some(report) = folder.result(recipe)? {
        folder.remove_checkpoint()?;
        tell(Event::Note(format!(
            "{} is finished already: nothing to do",
            path.display()
        )));
        return Ok(report);
    }
    if recipe.trains_dense(&pruner)
        && let Some(doubt) = preflight::doubt(&pruner, recipe, &graph, device, stop)?
    {
        tell(Event::Note(doubt));
    }
    let sample = data.train.limit(SAMPLE);
    let phases = 1 + usize::from(recipe.trains_dense(&pruner));
    let mut session = Session {
        recipe,
        data,
        device: device.clone(),
        train,
        test: Batches::new(&data.test, &data.normalisation, device),
        sample: Batches::new(&sample, &data.normalisation, device),
        stop,
        progress: Progress::new(phases * recipe.epochs),
        clock: Clock::start(),
        graph,
        folder,
        kept_by_index: None,
    };
    let report = session.run_phases(&pruner, given, tell);
    if let Err(TrainError::Prune(error)) = &report
        && !matches!(error, PruneError::File(_) | PruneError::Tensor(_))
    {
        session.folder.discard_untrained()?;
    }
    report
}

/// Opens the run folder and keeps a copy of the architecture's file in it.
fn open(
    path: &Path,
    recipe: &Recipe,
    graph: &Graph,
    existing: Existing,
) -> Result<RunFolder, TrainError> {
    if existing == Existing::Replace {
        preflight::check_inputs_survive(recipe, path)?;
    }
    let folder = RunFolder::open(path, recipe, existing)?;
    if let Some(file) = &recipe.arch_file {
        folder.keep_architecture(file, graph)?;
    }
    Ok(folder)
}

/// The dense network of a run.
struct Dense {
    /// Its accuracy on the test images, if known.
    accuracy: Option<f64>,
    /// Its weights, unless the pruned phase has started from a file of weights.
    weights: Option<Weights>,
}

impl Session<'_> {
    /// Runs all phases. `given` are the trained weights that the recipe names.
    fn run_phases(
        &mut self,
        pruner: &Pruner,
        given: Option<Weights>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<TrainReport, TrainError> {
        let initial = initial::state(&self.graph, self.recipe.seed);
        let mut checkpoint = self.resume(pruner, &initial, tell)?;
        let is_pruned = checkpoint.as_ref().is_some_and(|c| c.phase == "pruned");
        let dense = match self.recipe.trains_dense(pruner) {
            true => {
                if is_pruned {
                    self.progress.done = self.recipe.epochs;
                } else {
                    self.train_dense(&initial, checkpoint.take(), tell)?;
                }
                self.load_dense()?
            }
            false => self.take_given(given, is_pruned, tell)?,
        };
        let masks = if is_pruned {
            self.load_masks(checkpoint.as_ref().and_then(|c| c.kept_by_index))?
        } else {
            let networks = Networks {
                initial: &initial,
                trained: dense.weights.as_ref(),
            };
            self.prune(pruner, &networks, tell)?
        };
        self.kept_by_index = masks.kept_by_index;
        let (weights, compression) = self.counts(&masks);
        tell(Event::Note(format!(
            "{} keeps {} of {} weights ({:.1}x), {} of them connected ({:.1}x)",
            pruner.name(),
            weights.direct,
            weights.total,
            compression.direct,
            weights.effective,
            compression.effective
        )));
        let start = match (self.recipe.after, dense.weights) {
            (After::Finetune, Some(trained)) => trained.state(&self.graph),
            _ => initial,
        };
        let trained = self.train_kept(pruner, start, &masks.effective, checkpoint, tell)?;
        trained.state.save(&self.folder.file(WEIGHTS), &[])?;
        let accuracy = Accuracy {
            dense: match pruner.is_dense() {
                true => Some(trained.accuracy),
                false => dense.accuracy,
            },
            pruned: trained.accuracy,
        };
        let report = self.report(pruner, weights, compression, accuracy);
        self.folder.finish(&report)?;
        Ok(report)
    }

    /// Returns the checkpoint of an interrupted run, which started from `initial`.
    fn resume(
        &mut self,
        pruner: &Pruner,
        initial: &State,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Checkpoint>, TrainError> {
        let checkpoint = self.folder.checkpoint(&Expected {
            phases: match (pruner.is_dense(), self.recipe.trains_dense(pruner)) {
                (true, _) => &["dense"],
                (_, true) => &["dense", "pruned"],
                _ => &["pruned"],
            },
            epochs: self.recipe.epochs,
            arrays: initial,
            moments: self.recipe.hyperparameters().optimizer.moments(),
        })?;
        if let Some(Checkpoint {
            phase,
            epochs,
            seconds,
            ..
        }) = &checkpoint
        {
            self.clock.before = *seconds;
            tell(Event::Note(format!(
                "resuming after epoch {epochs} of the {phase} phase"
            )));
        }
        Ok(checkpoint)
    }

    /// Trains the dense network from `initial`, or from `checkpoint`, and saves it in the folder.
    fn train_dense(
        &mut self,
        initial: &State,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let phase = Phase {
            name: "dense",
            start: initial,
            masks: None,
        };
        let network = self.train_phase(&phase, checkpoint, tell)?;
        let Trained { state, accuracy } = self.conclude(&network)?;
        let notes = [("accuracy", accuracy.to_string())];
        Ok(state.save(&self.folder.file(DENSE), &notes)?)
    }

    /// Loads the dense network from the folder.
    fn load_dense(&self) -> Result<Dense, TrainError> {
        let (state, notes) = State::load(&self.folder.file(DENSE))?;
        Ok(Dense {
            accuracy: notes.get("accuracy").and_then(|text| text.parse().ok()),
            weights: Some(Weights::of(&self.graph, state)),
        })
    }

    /// Returns the dense network of the `given` weights, if the recipe names any, and reports its
    /// accuracy. Its weights are left out once the network `is_pruned`.
    fn take_given(
        &self,
        given: Option<Weights>,
        is_pruned: bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Dense, TrainError> {
        given::check_unchanged(self.recipe)?;
        let accuracy = match &given {
            Some(given) => self.judge(given, tell)?,
            None => None,
        };
        Ok(Dense {
            accuracy,
            weights: given.filter(|_| !is_pruned),
        })
    }

    /// Returns and reports the accuracy of the network of the `given` weights; `None` if the file
    /// holds only the weights of layers.
    fn judge(
        &self,
        given: &Weights,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<f64>, TrainError> {
        let path = self.recipe.weights.as_deref().unwrap_or("");
        let (graph, device) = (&self.graph, &self.device);
        let accuracy = given::accuracy(given, graph, device, &self.train, &self.test)?;
        let absent = given::missing_statistics(graph, &given.state(graph));
        tell(Event::Note(match accuracy {
            Some(accuracy) if absent.is_empty() => format!(
                "{path}: {:.2} % of test images right before pruning",
                100.0 * accuracy
            ),
            Some(accuracy) => format!(
                "{path}: {:.2} % of test images right before pruning, with statistics of the training images: it lacks {}",
                100.0 * accuracy,
                absent.join(", ")
            ),
            None => format!(
                "{path} lacks {}: its weights are ranked, but its accuracy is unknown",
                given.missing().join(", ")
            ),
        }));
        Ok(accuracy)
    }

    /// Trains the last phase: the `effective` connections from `start`, or all for the pruner
    /// `dense`.
    fn train_kept(
        &mut self,
        pruner: &Pruner,
        mut start: State,
        effective: &Masks,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Trained, TrainError> {
        let is_dense = pruner.is_dense();
        if !is_dense {
            apply(effective, &mut start);
        }
        let phase = Phase {
            name: if is_dense { "dense" } else { "pruned" },
            start: &start,
            masks: (!is_dense).then_some(effective),
        };
        let network = self.train_phase(&phase, checkpoint, tell)?;
        self.conclude(&network)
    }

    /// Returns the numbers of weights that the masks keep, and their compression ratios.
    fn counts(&self, masks: &RunMasks) -> (WeightCounts, Compressions) {
        let weights = WeightCounts {
            total: masks.effective.total(),
            direct: masks.direct.nonzeros(),
            effective: masks.effective.nonzeros(),
        };
        let compression = Compressions {
            target: self.recipe.compression.get(),
            direct: weights.total as f64 / weights.direct as f64,
            effective: weights.total as f64 / weights.effective as f64,
        };
        (weights, compression)
    }

    /// Returns the figures of the finished run.
    fn report(
        &self,
        pruner: &Pruner,
        weights: WeightCounts,
        compression: Compressions,
        accuracy: Accuracy,
    ) -> TrainReport {
        TrainReport {
            run: self.folder.path().display().to_string(),
            dataset: self.recipe.data.clone(),
            arch: self.recipe.arch.clone(),
            pruner: pruner.name().into(),
            kind: Some(self.recipe.target),
            seed: self.recipe.seed,
            weights,
            kept_by_index: self.kept_by_index,
            compression,
            accuracy,
            seconds: (self.clock.seconds() * 1000.0).round() / 1000.0,
        }
    }
}

/// Sets the weights of `state` that `masks` prune to zero.
fn apply(masks: &Masks, state: &mut State) {
    for mask in masks.iter() {
        if let Some(array) = state.0.get_mut(&mask.name) {
            for (value, &keep) in array.values.iter_mut().zip(&mask.keep) {
                if !keep {
                    *value = 0.0;
                }
            }
        }
    }
}
