//! One epoch of training, and the accuracy of a network; for targets that are numbers, R².

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use candle_core::{DType, Result as TensorResult, Tensor};

use super::error::TrainError;
use super::feed::{Changes, Feed};
use super::hyperparameters::Hyperparameters;
use super::objective::{Objective, Teacher};
use super::optimizer::Optimizer;
use super::schedule::Rates;
use crate::data::augment::Augmenter;
use crate::data::batches::Batches;
use crate::network::{Network, Statistics};
use crate::random::Random;
use crate::transfer::read;

/// The number of losses that are read back together where plain tensor operations compute them, as
/// on a GPU: reading waits for the device.
const STEPS_PER_LOOK: usize = 100;

/// An epoch of a phase.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// The name of the phase, such as "dense".
    pub phase: &'a str,
    /// The epoch, from 0.
    pub index: usize,
    /// The number of epochs of the phase.
    pub of: usize,
    /// The seed of all random draws.
    pub seed: u64,
    /// The hyperparameters of the phase.
    pub hyperparameters: &'a Hyperparameters,
    /// The network whose scores are learnt, if the hyperparameters demand it and there is one.
    pub teacher: Option<&'a Teacher>,
}

/// The part of an epoch that is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Part {
    /// The number of steps taken.
    pub steps: usize,
    /// The sum of their losses.
    pub loss: f64,
}

/// Trains one epoch and returns the mean loss; `None` if `stop` was set before its end. Calls
/// `progress` with the number of images done.
///
/// Images are shuffled by a random stream of the seed, the phase and the epoch, and augmented by a
/// stream per image, so an epoch is the same whether or not the run was interrupted before it. The
/// last incomplete batch is left out.
///
/// # Errors
/// Returns an error if the loss is not finite, or if the device fails.
pub fn train_epoch(
    network: &Network,
    optimizer: &mut Optimizer,
    batches: &Batches<'_>,
    epoch: Epoch<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<f64>, TrainError> {
    let steps = batches.split().len() / epoch.hyperparameters.batch;
    let mut after = |images| {
        progress(images);
        match stop.load(Relaxed) {
            true => Break(()),
            false => Continue(()),
        }
    };
    let none = Part::default();
    let part = train_steps(network, optimizer, batches, epoch, none, steps, &mut after)?;
    Ok((part.steps == steps).then(|| part.loss / steps as f64))
}

/// Continues an epoch after the part `done`, up to step `end`, as [`train_epoch`] does. After each
/// step, calls `after` with the number of images of the epoch done so far, and stops if it returns
/// [`Break`]. Returns the part done by then. An epoch trained in parts takes the same steps as a
/// whole one and adds their losses in the same order.
///
/// # Errors
/// Returns an error if the loss is not finite, or if the device fails.
pub fn train_steps(
    network: &Network,
    optimizer: &mut Optimizer,
    batches: &Batches<'_>,
    epoch: Epoch<'_>,
    done: Part,
    end: usize,
    after: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Part, TrainError> {
    let objective = Objective::new(epoch.hyperparameters, epoch.teacher);
    let batches = &match objective.takes_all_inputs() {
        true => batches.clone(),
        false => batches.select(network.inputs()),
    };
    let batch = epoch.hyperparameters.batch;
    let order = epoch.order(batches.split().len());
    let rates = epoch.rates(order.len() / batch);
    let order = &order[done.steps * batch..end * batch];
    let together = match network.fused() {
        true => 1,
        false => STEPS_PER_LOOK,
    };
    let mut losses = Losses::new(together, done);
    thread::scope(|scope| {
        let mut feed = Feed::new(scope, batches, order, batch, epoch.changes(batches))?;
        for (step, indices) in (done.steps..end).zip(order.chunks_exact(batch)) {
            let (inputs, targets) = feed.next(indices)?;
            let random = || epoch.stream(&format!("mix {step}"));
            let loss = objective.mean(network, &inputs, &targets, random)?;
            losses.add(&loss, epoch)?;
            optimizer.step(network, &loss.backward()?, rates(step))?;
            if after((step + 1) * batch).is_break() {
                break;
            }
        }
        losses.end(epoch)
    })
}

impl<'a> Epoch<'a> {
    /// Returns the random stream of this epoch for `purpose`.
    fn stream(&self, purpose: &str) -> Random {
        let Self { phase, index, .. } = self;
        Random::stream(self.seed, &format!("{purpose} {phase} {index}"))
    }

    /// Returns the order in which the epoch visits the `images`.
    pub fn order(&self, images: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..images as u32).collect();
        self.stream("shuffle").shuffle(&mut order);
        order
    }

    /// Returns the learning rate of each of the epoch's `steps`.
    fn rates(&self, steps: usize) -> impl Fn(usize) -> f64 {
        let Hyperparameters {
            learning_rate,
            ref schedule,
            ..
        } = *self.hyperparameters;
        let rates = Rates::new(schedule, learning_rate, steps * self.of);
        let first = self.index * steps;
        move |step| rates.at(first + step)
    }

    /// Returns the random changes to the images of `batches`; `None` without augmentation.
    fn changes(self, batches: &Batches<'_>) -> Option<Changes<'a>> {
        let augmentation = self.hyperparameters.augmentation;
        (!augmentation.is_identity()).then(|| Changes {
            augmenter: Augmenter::new(augmentation, batches.split().shape()),
            stream: Box::new(move |image| self.stream(&format!("augment {image}"))),
        })
    }
}

/// The losses of an epoch, which remain on the device until several are read back together.
struct Losses {
    unseen: Vec<Tensor>,
    /// The number of losses to read back together.
    together: usize,
    /// The steps whose losses have been read back, those of earlier parts included.
    seen: Part,
}

impl Losses {
    /// Creates the list of the losses that follow the part `done` of an epoch. `together` losses
    /// are read back at a time.
    fn new(together: usize, done: Part) -> Self {
        Self {
            unseen: Vec::new(),
            together,
            seen: done,
        }
    }

    /// Adds the loss of the next step.
    ///
    /// # Errors
    /// Returns an error if a loss that is read back is not finite.
    fn add(&mut self, loss: &Tensor, epoch: Epoch<'_>) -> Result<(), TrainError> {
        self.unseen.push(loss.detach());
        if self.unseen.len() >= self.together {
            self.look(epoch)?;
        }
        Ok(())
    }

    /// Reads back all remaining losses.
    fn look(&mut self, epoch: Epoch<'_>) -> Result<(), TrainError> {
        if self.unseen.is_empty() {
            return Ok(());
        }
        let values = Tensor::stack(&self.unseen, 0)?.to_dtype(DType::F32)?;
        self.unseen.clear();
        for loss in read::<f32>(&values)? {
            self.seen.steps += 1;
            if !loss.is_finite() {
                return Err(TrainError::Diverged {
                    loss,
                    phase: epoch.phase.into(),
                    epoch: epoch.index + 1,
                    step: self.seen.steps,
                    learning_rate: epoch.hyperparameters.learning_rate,
                    remedy: epoch.hyperparameters.remedy_of_divergence(),
                });
            }
            self.seen.loss += f64::from(loss);
        }
        Ok(())
    }

    /// Reads back all remaining losses and returns the part of the epoch up to the last one.
    ///
    /// # Errors
    /// Returns an error if a loss is not finite.
    fn end(mut self, epoch: Epoch<'_>) -> Result<Part, TrainError> {
        self.look(epoch)?;
        Ok(self.seen)
    }
}

/// Returns `batches`, with an error in place of every batch once `stop` is set.
pub(super) fn unless_stopped(
    batches: impl Iterator<Item = TensorResult<Tensor>>,
    stop: &AtomicBool,
) -> impl Iterator<Item = TensorResult<Tensor>> {
    batches.map(|batch| match stop.load(Relaxed) {
        true => Err(interrupted()),
        false => batch,
    })
}

/// Returns the error of an evaluation that is asked to stop.
fn interrupted() -> candle_core::Error {
    candle_core::Error::msg("interrupted")
}

/// Returns the accuracy of `network` on the images of `test`, with the given `statistics`. If the
/// targets are numbers, returns R², the share of their variance that the outputs explain.
///
/// # Errors
/// Returns an error if `stop` is set, or if the device fails.
pub fn accuracy(
    network: &Network,
    statistics: &Statistics,
    test: &Batches<'_>,
    stop: &AtomicBool,
) -> TensorResult<f64> {
    let test = &test.select(network.inputs());
    if let Some(variance) = test.split().variance() {
        let error = squared_error(network, statistics, test, stop)?;
        return Ok(1.0 - error / variance.max(f64::MIN_POSITIVE));
    }
    if !network.fused() {
        return accuracy_on_device(network, statistics, test, stop);
    }
    let correct = |range: Range<usize>| -> TensorResult<usize> {
        if stop.load(Relaxed) {
            return Err(interrupted());
        }
        let classes = network.classify(&test.inputs_in(range.clone())?, statistics)?;
        let pairs = classes.iter().zip(&test.split().labels()[range]);
        Ok(pairs.filter(|&(&c, &l)| c == u32::from(l)).count())
    };
    let correct = network.map_batches(test.ranges(usize::MAX), correct);
    let correct = correct.into_iter().sum::<TensorResult<usize>>()?;
    Ok(correct as f64 / test.split().len() as f64)
}

/// Returns the mean squared error of the outputs of `network` for the images of `test`.
fn squared_error(
    network: &Network,
    statistics: &Statistics,
    test: &Batches<'_>,
    stop: &AtomicBool,
) -> TensorResult<f64> {
    let last = network.graph().nodes().len() - 1;
    let sum = |range: Range<usize>| -> TensorResult<(f64, usize)> {
        if stop.load(Relaxed) {
            return Err(interrupted());
        }
        let outputs = network.forward_to(last, &test.inputs_in(range.clone())?, statistics)?;
        let outputs = read::<f32>(&outputs.flatten_all()?)?;
        let targets = test.split().targets_of(range);
        let squares = outputs.iter().zip(&targets).map(|(&output, &target)| {
            let apart = f64::from(output) - f64::from(target);
            apart * apart
        });
        Ok((squares.sum(), targets.len()))
    };
    let mut all = (0.0, 0);
    for part in network.map_batches(test.ranges(usize::MAX), sum) {
        let (squares, count) = part?;
        all = (all.0 + squares, all.1 + count);
    }
    Ok(all.0 / all.1.max(1) as f64)
}

/// Computes [`accuracy`] on the network's device, and waits for that device only once.
fn accuracy_on_device(
    network: &Network,
    statistics: &Statistics,
    test: &Batches<'_>,
    stop: &AtomicBool,
) -> TensorResult<f64> {
    let last = network.graph().nodes().len() - 1;
    let (mut correct, mut seen) = (Vec::new(), 0);
    for batch in unless_stopped(test.in_order(usize::MAX), stop) {
        let scores = network.forward_to(last, &batch?, statistics)?;
        let count = scores.dim(0)?;
        let classes = test.targets_in_order(seen, count)?;
        let hits = scores.argmax(1)?.to_dtype(DType::U32)?.eq(&classes)?;
        correct.push(hits.to_dtype(DType::F32)?.sum_all()?);
        seen += count;
    }
    let correct: f64 = match correct.is_empty() {
        true => 0.0,
        false => read::<f32>(&Tensor::stack(&correct, 0)?)?
            .into_iter()
            .map(f64::from)
            .sum(),
    };
    Ok(correct / seen as f64)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::data::digits;
    use crate::graph::architecture::multilayer;
    use crate::network::initial;
    use crate::pruning::Masks;

    #[test]
    fn an_epoch_with_every_option_is_the_same_after_an_interruption() {
        let options = r#"
            batch = 25
            learning_rate = 3e-3
            optimizer = { kind = "adam" }
            decay = { kind = "decoupled", amount = 1e-3 }
            schedule = { kind = "cosine", to = 0.1, warmup = 5, restarts = 1 }
            clip = 2
            label_smoothing = 0.1
            mixup = 0.1
            augmentation = { rotation = 10, shift = 1, scale = 0.1, crop = 1, elastic = {} }
        "#;
        let hyperparameters: Hyperparameters = toml::from_str(options).unwrap();
        let data = digits::load();
        let images = data.train.limit(500);
        hyperparameters.check().unwrap();
        hyperparameters.check_phase(&images, 4).unwrap();
        let batches = Batches::new(&images, &data.normalisation, &Device::Cpu);
        let graph = multilayer("toy", images.shape(), &[20, 10]).unwrap();
        let network = |state| Network::new(&graph, &state, &Device::Cpu).unwrap();
        let create = |network: &Network| Optimizer::new(network, None, &hyperparameters).unwrap();
        let train = |network: &Network, optimizer: &mut Optimizer, index: usize| {
            let epoch = Epoch {
                phase: "dense",
                index,
                of: 4,
                seed: 7,
                hyperparameters: &hyperparameters,
                teacher: None,
            };
            let stop = AtomicBool::new(false);
            let loss = train_epoch(network, optimizer, &batches, epoch, &stop, &mut |_| ());
            loss.unwrap().unwrap()
        };
        let whole = network(initial::state(&graph, 1));
        let mut optimizer = create(&whole);
        let losses = [0, 1].map(|index| train(&whole, &mut optimizer, index));
        let states = (whole.state().unwrap(), optimizer.state(&whole).unwrap());
        let last = [2, 3].map(|index| train(&whole, &mut optimizer, index));
        assert!(last[1] < 0.8 * losses[0], "{losses:?} {last:?}");

        let resumed = network(states.0);
        let mut optimizer = create(&resumed);
        optimizer.restore(&resumed, &states.1).unwrap();
        let again = [2, 3].map(|index| train(&resumed, &mut optimizer, index));
        assert_eq!(again, last);
        assert_eq!(resumed.state().unwrap(), whole.state().unwrap());
    }

    #[test]
    fn losses_looked_at_together_name_the_first_that_is_not_finite() {
        let hyperparameters = Hyperparameters::default();
        let epoch = Epoch {
            phase: "dense",
            index: 2,
            of: 5,
            seed: 0,
            hyperparameters: &hyperparameters,
            teacher: None,
        };
        let loss = |value: f32| Tensor::new(value, &Device::Cpu).unwrap();
        let mut losses = Losses::new(3, Part::default());
        for value in [3.0, 2.0, 1.0, f32::NAN, f32::INFINITY] {
            losses.add(&loss(value), epoch).unwrap();
        }
        let part = |steps, loss| Part { steps, loss };
        assert_eq!(losses.seen, part(3, 6.0));
        let error = losses.end(epoch).unwrap_err().to_string();
        let words = "the loss became NaN in epoch 3 of the dense phase, step 4:";
        assert!(error.starts_with(words), "{error}");

        let mut losses = Losses::new(1, Part::default());
        losses.add(&loss(4.0), epoch).unwrap();
        losses.add(&loss(2.0), epoch).unwrap();
        assert!(losses.add(&loss(f32::NAN), epoch).is_err());

        let mut losses = Losses::new(100, part(7, 10.0));
        losses.add(&loss(4.0), epoch).unwrap();
        losses.add(&loss(2.0), epoch).unwrap();
        assert_eq!(losses.end(epoch).unwrap(), part(9, 16.0));
    }

    #[test]
    fn evaluation_gives_the_same_bits_on_any_number_of_threads() {
        let data = digits::load();
        let images = data.train.limit(730);
        let batches = Batches::new(&images, &data.normalisation, &Device::Cpu);
        let graph = multilayer("toy", images.shape(), &[20, 10]).unwrap();
        let state = initial::state(&graph, 1);
        let masks = Masks::from_fn(&graph.prunable(), |_, at| at % 3 == 0);
        for network in [
            Network::new(&graph, &state, &Device::Cpu).unwrap(),
            Network::sparse(&graph, &state, &masks).unwrap(),
        ] {
            let evaluate = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().unwrap().install(|| {
                    assert_eq!(network.batches_at_once(), threads);
                    let read = batches.select(network.inputs());
                    let statistics =
                        Statistics::compute(&network, || read.in_order(usize::MAX)).unwrap();
                    let stop = AtomicBool::new(false);
                    let share = accuracy(&network, &statistics, &batches, &stop).unwrap();
                    stop.store(true, Relaxed);
                    assert!(accuracy(&network, &statistics, &batches, &stop).is_err());
                    (statistics, share)
                })
            };
            let (statistics, share) = evaluate(1);
            assert_eq!(evaluate(3), (statistics.clone(), share));
            let read = batches.select(network.inputs());
            let is_right = |&image: &u32| {
                let x = read.inputs(&[image]).unwrap();
                let class = network.classify(&x, &statistics).unwrap()[0];
                class == u32::from(images.label(image as usize))
            };
            let right = (0..730).filter(is_right).count();
            assert_eq!(share, right as f64 / 730.0);
        }
    }
}
