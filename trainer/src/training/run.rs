//! A whole run: dense training where the pruner ranks trained weights, pruning, training of what
//! is left from its initial values (Frankle & Carbin's rewinding, as in the paper) or from the
//! dense network's, statistics. A file of trained weights takes the place of dense training, and
//! the pruner that keeps everything leaves only the dense phase.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::Device;

use super::checkpoint::{Checkpoint, Expected};
use super::folder::{
    Accuracy, Compressions, DENSE, MASKS, MASKS_DIRECT, Metrics, RunFolder, TrainReport, WEIGHTS,
    WeightCounts,
};
use super::momentum::{Coefficients, Momentum};
use super::recipe::{self, After, DeviceKind, Recipe};
use super::{TrainError, given, phase};
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::graph::{self, Graph};
use crate::memory;
use crate::network::{Network, State, Statistics, initial};
use crate::pruning::score::snip;
use crate::pruning::{self, Masks, Outcome, PruneError, Pruner, Source, Target, Weights, error};

/// Training images that the statistics behind each epoch's accuracy are taken over; the final
/// statistics are taken over all.
const SAMPLE: usize = 5000;

/// Compressions below this are not in doubt.
const EASY: f64 = 4.0;

/// What a run tells while it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Something a person may want to know.
    Note(String),
    /// Connections are being scored: so many steps of all are done.
    Scoring {
        /// Steps done.
        done: usize,
        /// All steps.
        of: usize,
    },
    /// An epoch begins.
    Epoch {
        /// "dense" or "pruned".
        phase: &'a str,
        /// From 1.
        epoch: usize,
        /// Epochs of the phase.
        of: usize,
        /// Images in an epoch.
        images: usize,
    },
    /// So many images of the epoch are done.
    Images(usize),
    /// An epoch is done.
    Done(&'a Metrics),
}

/// What a run works with.
struct Run<'a> {
    recipe: &'a Recipe,
    data: &'a Dataset,
    graph: Graph,
    device: Device,
    folder: RunFolder,
    train: Batches<'a>,
    test: Batches<'a>,
    /// The images that each epoch's statistics are taken over.
    sample: Batches<'a>,
    stop: &'a AtomicBool,
    /// Epochs of all phases, and those done.
    epochs: (usize, usize),
    /// Time spent before this process, and when it began.
    clock: (f64, Instant),
    /// The trained weights that the recipe names.
    given: Option<Weights>,
    /// Connections kept by their index alone; none before pruning, and where an earlier version
    /// pruned.
    kept_by_index: Option<usize>,
}

/// Runs `recipe` on `data` in the folder `path`, going on where an interrupted run stopped.
/// A run that is whole already is not repeated, unless `fresh`.
///
/// # Errors
/// When the recipe does not fit the data, training diverges, pruning is refused, a file cannot be
/// written, or `stop` was raised.
pub fn run(
    recipe: &Recipe,
    data: &Dataset,
    path: &Path,
    fresh: bool,
    device: &Device,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<TrainReport, TrainError> {
    let graph = match &recipe.arch_file {
        Some(file) => graph::load(&file.to_string_lossy())?,
        None => graph::load(&recipe.arch)?,
    };
    let pruner = Pruner::by_name(&recipe.pruner)?;
    pruning::search::check_compression(recipe.compression)?;
    recipe.check(&graph, data)?;
    memory::require(
        needed(&graph, recipe.batch),
        &format!("training {}", graph.name()),
    )?;
    pruner.check(&graph, recipe.target, recipe.compression)?;
    if recipe.trains_dense(&pruner) {
        // What cannot come out well is refused before hours of dense training.
        pruner.check_path(&graph, recipe.target, recipe.compression)?;
    }
    if recipe.device != DeviceKind::of(device) {
        return Err(TrainError::Mismatch(format!(
            "the recipe is for {:?}, not {:?}",
            recipe.device,
            DeviceKind::of(device)
        )));
    }
    let train = Batches::new(&data.train, &data.normalisation, device);
    let given = given::load(recipe, &graph)?;
    if let Some(given) = &given {
        given::probe(recipe, given, &graph, device, &train)?;
    }
    if fresh {
        spare_inputs(recipe, path)?;
    }
    let folder = RunFolder::open(path, recipe, fresh)?;
    if let Some(file) = &recipe.arch_file {
        folder.keep_architecture(file, &graph)?;
    }
    if let Some(report) = folder.result(recipe)? {
        folder.remove_checkpoint()?;
        tell(Event::Note(format!(
            "{} is finished already: nothing to do",
            path.display()
        )));
        return Ok(report);
    }
    if recipe.trains_dense(&pruner)
        && let Some(doubt) = doubt(&pruner, recipe, &graph, device, stop)?
    {
        tell(Event::Note(doubt));
    }
    let sample = data.train.limit(SAMPLE);
    let phases = 1 + usize::from(recipe.trains_dense(&pruner));
    let mut run = Run {
        recipe,
        data,
        device: device.clone(),
        train,
        test: Batches::new(&data.test, &data.normalisation, device),
        sample: Batches::new(&sample, &data.normalisation, device),
        stop,
        epochs: (phases * recipe.epochs, 0),
        clock: (0.0, Instant::now()),
        graph,
        folder,
        given,
        kept_by_index: None,
    };
    let outcome = run.whole(&pruner, tell);
    if let Err(TrainError::Prune(error)) = &outcome
        && !matches!(error, PruneError::File(_) | PruneError::Tensor(_))
    {
        run.folder.discard_untrained()?;
    }
    outcome
}

/// How near to the reach of untrained weights a compression is said to be in doubt, as a share.
const NEAR: f64 = 0.25;

/// Returns, for a pruner that ranks weights which are yet to be trained, that it may not reach the
/// compression, where it hardly reaches it with the weights that training starts from.
fn doubt(
    pruner: &Pruner,
    recipe: &Recipe,
    graph: &Graph,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<String>, TrainError> {
    let Recipe {
        seed,
        target,
        compression,
        ..
    } = *recipe;
    // No search is needed to see that a network of many weights keeps one in some.
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
            "how far {} goes is known after dense training alone (with untrained weights to {} compression {}): if {} is beyond that, this run ends then",
            pruner.name(),
            target.name(),
            error::shown((100.0 * reach).floor() / 100.0),
            error::shown(compression)
        )
    }))
}

/// Checks that replacing the run in `folder` removes no file that the new one begins with.
fn spare_inputs(recipe: &Recipe, folder: &Path) -> Result<(), TrainError> {
    let weights = recipe.weights.as_ref().map(Path::new);
    let files = [
        (weights, "--weights"),
        (recipe.arch_file.as_deref(), "--arch"),
    ];
    for (file, option) in files {
        let real = file.and_then(|file| file.canonicalize().ok());
        let Some(real) = real.filter(|file| RunFolder::owns(file)) else {
            continue;
        };
        if real.parent() == folder.canonicalize().ok().as_deref() {
            return Err(TrainError::Mismatch(format!(
                "{option} {} is a file of the run that --force replaces: copy it elsewhere first, or choose another -o",
                file.unwrap_or(&real).display()
            )));
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Time spent on the run, by this process and by those before.
    fn seconds(&self) -> f64 {
        self.clock.0 + self.clock.1.elapsed().as_secs_f64()
    }

    /// All phases.
    fn whole(
        &mut self,
        pruner: &Pruner,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<TrainReport, TrainError> {
        let initial = initial::state(&self.graph, self.recipe.seed);
        let mut checkpoint = self.resume(pruner, &initial, tell)?;
        let pruned_already = checkpoint.as_ref().is_some_and(|c| c.phase == "pruned");

        let (mut dense_accuracy, mut trained) = (None, None);
        if self.recipe.trains_dense(pruner) {
            if pruned_already {
                self.epochs.1 = self.recipe.epochs;
            } else {
                self.train_dense(&initial, checkpoint.take(), tell)?;
            }
            let (state, notes) = State::load(&self.folder.file(DENSE))?;
            dense_accuracy = notes.get("accuracy").and_then(|text| text.parse().ok());
            trained = Some(Weights::of(&self.graph, state));
        } else if let Some(given) = self.given()? {
            dense_accuracy = self.judge(&given, tell)?;
            trained = Some(given).filter(|_| !pruned_already);
        }

        let known = checkpoint.as_ref().and_then(|it| it.kept_by_index);
        let (outcome, kept_by_index) = match pruned_already {
            true => (self.masks()?, known),
            false => {
                let (outcome, kept) = self.prune(pruner, (&initial, trained.as_ref()), tell)?;
                (outcome, Some(kept))
            }
        };
        self.kept_by_index = kept_by_index;
        let Outcome {
            direct, effective, ..
        } = outcome;
        let (weights, compression) = self.counts(&direct, &effective);
        tell(Event::Note(format!(
            "{} keeps {} of {} weights ({:.1}x), {} of them connected ({:.1}x)",
            pruner.name(),
            weights.direct,
            weights.total,
            compression.direct,
            weights.effective,
            compression.effective
        )));

        let start = match (self.recipe.after, trained) {
            (After::Finetune, Some(trained)) => trained.state(&self.graph),
            _ => initial,
        };
        let network = if pruner.is_dense() {
            self.phase("dense", &start, None, checkpoint, tell)
        } else {
            let start = masked(&start, &effective);
            self.phase("pruned", &start, Some(&effective), checkpoint, tell)
        }?;
        let (state, pruned) = self.conclude(&network)?;
        if pruner.is_dense() {
            dense_accuracy = Some(pruned);
        }
        state.save(&self.folder.file(WEIGHTS), &[])?;
        let report = TrainReport {
            run: self.folder.path().display().to_string(),
            dataset: self.recipe.data.clone(),
            arch: self.recipe.arch.clone(),
            pruner: pruner.name().into(),
            kind: Some(self.recipe.target),
            seed: self.recipe.seed,
            weights,
            kept_by_index: self.kept_by_index,
            compression,
            accuracy: Accuracy {
                dense: dense_accuracy,
                pruned,
            },
            seconds: (self.seconds() * 1000.0).round() / 1000.0,
        };
        self.folder.finish(&report)?;
        Ok(report)
    }

    /// Returns where the run stands, if it was interrupted; `initial` is what it began with.
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
        })?;
        if let Some(Checkpoint {
            phase,
            epochs,
            seconds,
            ..
        }) = &checkpoint
        {
            self.clock.0 = *seconds;
            tell(Event::Note(format!(
                "going on after epoch {epochs} of the {phase} phase"
            )));
        }
        Ok(checkpoint)
    }

    /// Trains the dense network from `initial`, or from `checkpoint`, and keeps it in the folder.
    fn train_dense(
        &mut self,
        initial: &State,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let network = self.phase("dense", initial, None, checkpoint, tell)?;
        let (state, accuracy) = self.conclude(&network)?;
        let notes = [("accuracy", accuracy.to_string())];
        Ok(state.save(&self.folder.file(DENSE), &notes)?)
    }

    /// The numbers of weights that masks keep, and what they mean.
    fn counts(&self, direct: &Masks, effective: &Masks) -> (WeightCounts, Compressions) {
        let weights = WeightCounts {
            total: effective.total(),
            direct: direct.nonzeros(),
            effective: effective.nonzeros(),
        };
        let compression = Compressions {
            target: self.recipe.compression,
            direct: weights.total as f64 / weights.direct as f64,
            effective: weights.total as f64 / weights.effective as f64,
        };
        (weights, compression)
    }

    /// The weights that the recipe names, if it does.
    fn given(&mut self) -> Result<Option<Weights>, TrainError> {
        let Some(path) = &self.recipe.weights else {
            return Ok(None);
        };
        let found = recipe::fingerprint(Path::new(path))?;
        if self.recipe.weights_fingerprint.as_ref() != Some(&found) {
            return Err(TrainError::Mismatch(format!(
                "--weights {path} is not the file that the run began with (its SHA-256 is {found} now): bring that back, or start over with --force"
            )));
        }
        Ok(self.given.take())
    }

    /// The accuracy of the network of the `given` weights, which is told; none where they are
    /// kernels alone.
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
                "{path}: {:.2} % of test images right before pruning, under statistics of the training images: it lacks {}",
                100.0 * accuracy,
                absent.join(", ")
            ),
            None => format!(
                "{path} lacks {}: its kernels are ranked, its own accuracy is not known",
                given.missing().join(", ")
            ),
        }));
        Ok(accuracy)
    }

    /// The masks in the folder, of a run whose pruned phase had begun.
    fn masks(&self) -> Result<Outcome, TrainError> {
        Ok(Outcome {
            direct: Masks::load(&self.graph, &self.folder.file(MASKS_DIRECT))?,
            effective: Masks::load(&self.graph, &self.folder.file(MASKS))?,
            collapsed: false,
        })
    }

    /// The masks of `pruner`, which may rank the `trained` weights or the `initial` ones, kept in the
    /// folder, and how many connections they keep by their place alone. Scores of untrained weights
    /// are taken of those that the pruned phase begins with.
    fn prune(
        &self,
        pruner: &Pruner,
        (initial, trained): (&State, Option<&Weights>),
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(Outcome, usize), TrainError> {
        let Recipe {
            target,
            compression,
            after,
            loss,
            seed,
            ..
        } = *self.recipe;
        let tell = RefCell::new(tell);
        // Not drawn again by the pruners that rank them, some in every round.
        let untrained = pruner.reads_weights() && !pruner.needs_dense_training();
        let drawn = untrained.then(|| Weights::of(&self.graph, initial.clone()));
        let source = Source {
            initial: match after {
                After::Finetune => trained,
                After::Rewind => drawn.as_ref(),
            },
            trained,
            data: Some(self.data),
            device: &self.device,
            seed,
            snip: snip::Options {
                loss,
                samples: None,
            },
            progress: &|done, of| tell.borrow_mut()(Event::Scoring { done, of }),
            stop: self.stop,
            ..Source::new(&self.graph)
        };
        let pruned = match pruner.prune(&source, target, compression) {
            Err(PruneError::Interrupted) => return Err(self.interrupted()),
            pruned => pruned?,
        };
        if let Some(doubt) = pruned.doubt(pruner.name()) {
            tell.borrow_mut()(Event::Note(format!("warning: {doubt}")));
        }
        let (outcome, kept_by_index) = (pruned.outcome, pruned.kept_by_index);
        if outcome.collapsed {
            let reachable = match target {
                Target::Direct => {
                    pruning::search::direct_reach(&self.graph, &pruned.ordering, compression)
                }
                Target::Effective => outcome.effective.compression().unwrap_or(1.0),
            };
            return Err(TrainError::Prune(PruneError::Disconnected {
                pruner: pruner.name().into(),
                kind: target.name(),
                compression,
                reachable,
            }));
        }
        outcome.direct.save(&self.folder.file(MASKS_DIRECT))?;
        // What is trained: all of a network that nothing is pruned of, what is effective of others.
        let trained = if pruner.is_dense() {
            &outcome.direct
        } else {
            &outcome.effective
        };
        trained.save(&self.folder.file(MASKS))?;
        Ok((outcome, kept_by_index))
    }

    /// One phase of training from `start`, or from `checkpoint` where it is of this phase.
    fn phase(
        &mut self,
        name: &str,
        start: &State,
        masks: Option<&Masks>,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Network, TrainError> {
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.phase == name);
        if let (Some(checkpoint), Some(masks)) = (&checkpoint, masks) {
            (checkpoint.check_masks(masks)).map_err(|e| self.folder.unusable(&e))?;
        }
        let files = self.folder.before(name)?;
        let weights = checkpoint
            .as_ref()
            .map_or(start, |checkpoint| &checkpoint.weights);
        let network = Network::new(&self.graph, weights, &self.device)?;
        let coefficients = Coefficients {
            momentum: self.recipe.momentum,
            l2: self.recipe.l2,
        };
        let mut optimizer = Momentum::new(&network, masks, coefficients)?;
        let mut first = 0;
        if let Some(checkpoint) = &checkpoint {
            optimizer.restore(&network, &checkpoint.velocities)?;
            first = checkpoint.epochs;
        }
        self.epochs.1 += first;
        for epoch in first..self.recipe.epochs {
            let images = self.train.split().len();
            tell(Event::Epoch {
                phase: name,
                epoch: epoch + 1,
                of: self.recipe.epochs,
                images,
            });
            let loss = phase::train_epoch(
                &network,
                &mut optimizer,
                &self.train,
                self.recipe,
                (name, epoch),
                self.stop,
                &mut |done| tell(Event::Images(done)),
            )?;
            let Some(loss) = loss else {
                return Err(self.interrupted());
            };
            self.epochs.1 += 1;
            let statistics = Statistics::compute(&network, || self.sample.in_order(SAMPLE))?;
            let accuracy = phase::accuracy(&network, &statistics, &self.test)?;
            let (epoch, seconds) = (epoch + 1, self.seconds());
            let row = Metrics {
                phase: name.into(),
                epoch,
                loss,
                accuracy,
                seconds,
            };
            self.folder.add_metrics(&row)?;
            self.folder.save_checkpoint(&Checkpoint {
                phase: name.into(),
                epochs: epoch,
                seconds,
                files: files.clone(),
                kept_by_index: self.kept_by_index,
                weights: network.state()?,
                velocities: optimizer.state(&network)?,
            })?;
            tell(Event::Done(&row));
        }
        Ok(network)
    }

    /// The refusal that an interruption is reported as.
    fn interrupted(&self) -> TrainError {
        TrainError::Interrupted {
            done: self.epochs.1,
            all: self.epochs.0,
            folder: self.folder.path().display().to_string(),
        }
    }

    /// The trained state with its population statistics over all training images, and the
    /// accuracy on the test images under them.
    fn conclude(&self, network: &Network) -> Result<(State, f64), TrainError> {
        let statistics = Statistics::compute(network, || self.train.in_order(usize::MAX))?;
        let mut state = network.state()?;
        statistics.add_to(network, &mut state);
        Ok((state, phase::accuracy(network, &statistics, &self.test)?))
    }
}

/// Estimates from below the bytes that training `graph` in steps of `batch` images allocates: of each
/// weight the value, gradient, velocity, initial value, trained value and rank (4 bytes each), of
/// each unit and image the value and its gradient.
fn needed(graph: &Graph, batch: usize) -> usize {
    let units = graph
        .nodes()
        .iter()
        .map(|node| node.shape.iter().product::<usize>());
    let units: usize = units.sum();
    24 * graph.total() + units.saturating_mul(8 * batch)
}

/// `state` with the kernels' pruned weights at zero.
fn masked(state: &State, masks: &Masks) -> State {
    let mut state = state.clone();
    for mask in masks.iter() {
        if let Some(array) = state.0.get_mut(&mask.name) {
            for (value, &keep) in array.values.iter_mut().zip(&mask.keep) {
                if !keep {
                    *value = 0.0;
                }
            }
        }
    }
    state
}
