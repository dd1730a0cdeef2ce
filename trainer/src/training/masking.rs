//! The pruning step of a run.

use std::cell::RefCell;

use super::error::TrainError;
use super::event::Event;
use super::folder::{MASKS, MASKS_DIRECT};
use super::recipe::{After, Recipe};
use super::session::Session;
use crate::network::State;
use crate::pruning::{
    Masks, Outcome, PruneError, Pruned, Pruner, SnipOptions, Source, Target, Weights, search,
};

/// The networks that a pruner can rank.
pub(super) struct Networks<'a> {
    /// The network before training.
    pub(super) initial: &'a State,
    /// The weights of the trained dense network, if there is one.
    pub(super) trained: Option<&'a Weights>,
}

/// The masks of a run.
pub(super) struct RunMasks {
    /// The connections that the pruner keeps.
    pub(super) direct: Masks,
    /// The effective ones among them.
    pub(super) effective: Masks,
    /// The number of connections kept only by their index, if known.
    pub(super) kept_by_index: Option<usize>,
}

impl Session<'_> {
    /// Loads the masks from the folder of a run whose pruned phase has started.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or does not fit the architecture.
    pub(super) fn load_masks(&self, kept_by_index: Option<usize>) -> Result<RunMasks, TrainError> {
        Ok(RunMasks {
            direct: Masks::load(&self.graph, &self.folder.file(MASKS_DIRECT))?,
            effective: Masks::load(&self.graph, &self.folder.file(MASKS))?,
            kept_by_index,
        })
    }

    /// Prunes with `pruner` and saves the masks in the folder. Scores of untrained weights rank
    /// those from which the pruned phase starts.
    ///
    /// # Errors
    /// Returns an error if pruning fails, disconnects the network or is interrupted, or if a file
    /// cannot be written.
    pub(super) fn prune(
        &self,
        pruner: &Pruner,
        networks: &Networks<'_>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<RunMasks, TrainError> {
        let Recipe {
            target,
            compression,
            after,
            loss,
            seed,
            ..
        } = *self.recipe;
        let tell = RefCell::new(tell);
        // Passed on, so that pruners do not draw them again, some in every round.
        let ranks_untrained = pruner.reads_weights() && !pruner.needs_dense_training();
        let drawn = ranks_untrained.then(|| Weights::of(&self.graph, networks.initial.clone()));
        let source = Source {
            initial: match after {
                After::Finetune => networks.trained,
                After::Rewind => drawn.as_ref(),
            },
            trained: networks.trained,
            data: Some(self.data),
            device: &self.device,
            seed,
            snip: SnipOptions {
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
        self.check_connected(pruner, &pruned)?;
        self.save_masks(pruner, pruned)
    }

    /// Saves the masks in the folder.
    fn save_masks(&self, pruner: &Pruner, pruned: Pruned) -> Result<RunMasks, TrainError> {
        let Pruned {
            outcome: Outcome {
                direct, effective, ..
            },
            kept_by_index,
            ..
        } = pruned;
        direct.save(&self.folder.file(MASKS_DIRECT))?;
        // The effective connections are trained, or all if nothing is pruned.
        let trained = if pruner.is_dense() {
            &direct
        } else {
            &effective
        };
        trained.save(&self.folder.file(MASKS))?;
        Ok(RunMasks {
            direct,
            effective,
            kept_by_index: Some(kept_by_index),
        })
    }

    /// Checks that the network is connected at the requested compression.
    fn check_connected(&self, pruner: &Pruner, pruned: &Pruned) -> Result<(), TrainError> {
        if !pruned.outcome.collapsed {
            return Ok(());
        }
        let target = self.recipe.target;
        let compression = self.recipe.compression.get();
        let reachable = match target {
            Target::Direct => search::direct_reach(&self.graph, &pruned.ordering, compression),
            Target::Effective => pruned.outcome.effective.compression().unwrap_or(1.0),
        };
        Err(TrainError::Prune(PruneError::Disconnected {
            pruner: pruner.name().into(),
            target,
            compression,
            reachable,
        }))
    }
}
