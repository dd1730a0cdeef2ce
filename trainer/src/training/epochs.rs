//! The epochs of one phase of a run, each followed by a checkpoint.

use super::checkpoint::Checkpoint;
use super::error::TrainError;
use super::event::Event;
use super::metrics::Metrics;
use super::optimizer::Optimizer;
use super::phase::{self, Epoch};
use super::session::Session;
use crate::network::{Network, State, Statistics};
use crate::pruning::Masks;

/// The number of training images over which the statistics for each epoch's accuracy are computed.
/// The final statistics are computed over all.
pub(super) const SAMPLE: usize = 5000;

/// A phase of a run.
pub(super) struct Phase<'a> {
    /// "dense" or "pruned".
    pub(super) name: &'a str,
    /// The weights at its start.
    pub(super) start: &'a State,
    /// The masks of the pruned weights.
    pub(super) masks: Option<&'a Masks>,
}

impl Session<'_> {
    /// Trains the network of `phase`, from `checkpoint` if that is one of this phase.
    ///
    /// # Errors
    /// Returns an error if training diverges, the run is interrupted, a file cannot be written or
    /// the device fails.
    pub(super) fn train_phase(
        &mut self,
        phase: &Phase<'_>,
        checkpoint: Option<Checkpoint>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Network, TrainError> {
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.phase == phase.name);
        if let (Some(checkpoint), Some(masks)) = (&checkpoint, phase.masks) {
            let checked = checkpoint.check_masks(masks);
            checked.map_err(|reason| self.folder.unusable(&reason))?;
        }
        let files = self.folder.before(phase.name)?;
        let weights = checkpoint
            .as_ref()
            .map_or(phase.start, |checkpoint| &checkpoint.weights);
        let network = Network::new(&self.graph, weights, &self.device)?;
        let hyperparameters = self.recipe.hyperparameters();
        let mut optimizer = Optimizer::new(&network, phase.masks, &hyperparameters)?;
        let mut first = 0;
        if let Some(checkpoint) = &checkpoint {
            optimizer.restore(&network, &checkpoint.optimizer)?;
            first = checkpoint.epochs;
        }
        self.progress.done += first;
        for index in first..self.recipe.epochs {
            let epoch = Epoch {
                phase: phase.name,
                index,
                of: self.recipe.epochs,
                seed: self.recipe.seed,
                hyperparameters: &hyperparameters,
            };
            let row = self.train_epoch(&network, &mut optimizer, epoch, tell)?;
            self.folder.add_metrics(&row)?;
            self.folder.save_checkpoint(&Checkpoint {
                phase: phase.name.into(),
                epochs: row.epoch,
                seconds: row.seconds,
                files: files.clone(),
                kept_by_index: self.kept_by_index,
                weights: network.state()?,
                optimizer: optimizer.state(&network)?,
            })?;
            tell(Event::Done(&row));
        }
        Ok(network)
    }

    /// Trains one epoch and measures the accuracy after it.
    fn train_epoch(
        &mut self,
        network: &Network,
        optimizer: &mut Optimizer,
        epoch: Epoch<'_>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Metrics, TrainError> {
        tell(Event::Epoch {
            phase: epoch.phase,
            epoch: epoch.index + 1,
            of: epoch.of,
            images: self.train.split().len(),
        });
        let loss = phase::train_epoch(
            network,
            optimizer,
            &self.train,
            epoch,
            self.stop,
            &mut |done| tell(Event::Images(done)),
        )?;
        let Some(loss) = loss else {
            return Err(self.interrupted());
        };
        self.progress.done += 1;
        let statistics = Statistics::compute(network, || self.sample.in_order(SAMPLE))?;
        let accuracy = phase::accuracy(network, &statistics, &self.test)?;
        Ok(Metrics {
            phase: epoch.phase.into(),
            epoch: epoch.index + 1,
            loss,
            accuracy,
            seconds: self.clock.seconds(),
        })
    }

    /// Returns the trained state with population statistics over all training images.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn conclude(&self, network: &Network) -> Result<Trained, TrainError> {
        let statistics = Statistics::compute(network, || self.train.in_order(usize::MAX))?;
        let mut state = network.state()?;
        statistics.add_to(network, &mut state);
        let accuracy = phase::accuracy(network, &statistics, &self.test)?;
        Ok(Trained { state, accuracy })
    }
}

/// A trained network.
pub(super) struct Trained {
    /// Its weights and population statistics.
    pub(super) state: State,
    /// Its accuracy on the test images.
    pub(super) accuracy: f64,
}
