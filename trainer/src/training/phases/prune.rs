//! The phase `prune`, which prunes to a compression or to an N:M pattern, without training.

use std::cell::RefCell;

use super::point::{Point, RunMasks};
use crate::numbers::thousands;
use crate::pruning::effective::{self, Mode};
use crate::pruning::hundredths::shown;
use crate::pruning::{
    Compression, Limits, Masks, Outcome, Place, PruneError, Pruned, Pruner, SnipOptions, Source,
    Target, search,
};
use crate::training::error::TrainError;
use crate::training::event::Event;
use crate::training::recipe::Prune;
use crate::training::recipe::stages::Stage;
use crate::training::session::Session;

/// The ratio of kept to requested weights above which a warning is reported.
const JUMP: f64 = 1.05;

impl Session<'_> {
    /// Prunes `point` by the `options` of phase `index` and saves the masks in the run folder. Only
    /// weights that earlier phases kept can be kept.
    ///
    /// # Errors
    /// Returns an error if pruning fails, disconnects the network or is interrupted, or if a file
    /// cannot be written.
    pub(in crate::training) fn prune(
        &mut self,
        index: usize,
        options: &Prune,
        point: &mut Point,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let stage = self.stages[index].clone();
        let pruner = Pruner::by_name(&options.pruner)?;
        let dense = Place::indices(&options.dense, &self.graph);
        let within = point.masks.as_ref().map(|masks| match options.target {
            Target::Direct => &masks.direct,
            Target::Effective => &masks.effective,
        });
        let limits = Limits {
            within,
            dense: &dense,
        };
        let compression = options.compression();
        let options = &Prune {
            loss: stage.hyperparameters.loss.of_snip(options.loss),
            ..options.clone()
        };
        let masks = self.masks(&pruner, options, compression, limits, point, tell)?;
        self.kept_by_index = masks.kept_by_index;
        self.save_masks(&stage, &masks)?;
        self.tell_masks(pruner.name(), &masks, tell);
        let wanted = compression.share_of(self.graph.total()).ceil();
        let kept = masks.of(options.target).nonzeros();
        if options.pattern.is_none() && kept as f64 > JUMP * wanted + 1.0 {
            tell(Event::Note(format!(
                "warning: {} keeps {}{} weights, not {}, because its next smaller mask keeps fewer than that: the {} compression is {}, not {}",
                pruner.name(),
                thousands(kept),
                match options.target {
                    Target::Direct => "",
                    Target::Effective => " connected",
                },
                thousands(wanted as usize),
                options.target.name(),
                shown((100.0 * self.graph.total() as f64 / kept as f64).floor() / 100.0),
                shown(compression.get()),
            )));
        }
        point.masks = Some(masks);
        Ok(())
    }

    /// Computes the masks of `pruner` for the pattern in `options`, if there is one, or else for
    /// `compression`.
    pub(super) fn masks(
        &self,
        pruner: &Pruner,
        options: &Prune,
        compression: Compression,
        limits: Limits<'_>,
        point: &Point,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<RunMasks, TrainError> {
        let tell = RefCell::new(tell);
        let weights = (pruner.reads_weights()).then(|| point.weights(&self.graph));
        let source = Source {
            initial: weights.as_ref(),
            trained: weights.as_ref().filter(|_| point.is_trained),
            data: Some(self.data),
            device: &self.device,
            seed: self.recipe.seed,
            snip: SnipOptions {
                loss: options.loss,
                samples: None,
            },
            limits,
            progress: &|done, of| tell.borrow_mut()(Event::Scoring { done, of }),
            stop: self.stop,
            ..Source::new(&self.graph)
        };
        let interrupted = |error| match error {
            PruneError::Interrupted => self.interrupted(),
            error => error.into(),
        };
        if let Some(pattern) = options.pattern {
            let ordering = pruner.order(&source, compression).map_err(interrupted)?;
            let direct = pattern.masks(&ordering, limits.dense);
            return Ok(RunMasks {
                effective: effective::masks(&self.graph, &direct, Mode::Exact),
                direct,
                kept_by_index: Some(0),
            });
        }
        let pruned = pruner.prune(&source, options.target, compression);
        let pruned = pruned.map_err(interrupted)?;
        if let Some(doubt) = pruned.doubt(pruner.name()) {
            tell.borrow_mut()(Event::Note(format!("warning: {doubt}")));
        }
        self.check_connected(pruner, options.target, compression, &pruned)?;
        let Pruned {
            outcome: Outcome {
                direct, effective, ..
            },
            kept_by_index,
            ..
        } = pruned;
        Ok(RunMasks {
            direct,
            effective,
            kept_by_index: Some(kept_by_index),
        })
    }

    /// Saves the masks of `stage` in the run folder.
    pub(super) fn save_masks(&self, stage: &Stage, masks: &RunMasks) -> Result<(), TrainError> {
        let [direct, trained] = stage.masks.as_ref().expect("the phase computes masks");
        masks.direct.save(&self.folder.file(direct))?;
        masks.effective.save(&self.folder.file(trained))?;
        Ok(())
    }

    /// Loads the masks that are in force before phase `index`; returns `None` if no phase before it
    /// computes masks.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or does not fit the architecture.
    pub(in crate::training) fn masks_before(
        &self,
        index: usize,
        kept_by_index: Option<usize>,
    ) -> Result<Option<RunMasks>, TrainError> {
        let mut before = self.stages[..index].iter().rev();
        let Some([direct, trained]) = before.find_map(|stage| stage.masks.as_ref()) else {
            return Ok(None);
        };
        Ok(Some(RunMasks {
            direct: Masks::load(&self.graph, &self.folder.file(direct))?,
            effective: Masks::load(&self.graph, &self.folder.file(trained))?,
            kept_by_index,
        }))
    }

    /// Reports how many weights `masks` keep; `maker` is the pruner or method that computed them,
    /// or the file that they come from.
    pub(in crate::training) fn tell_masks(
        &self,
        maker: &str,
        masks: &RunMasks,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let (weights, compression) = masks.counts(1.0);
        tell(Event::Note(format!(
            "{maker} keeps {} of {} weights ({:.1}x), {} of them connected ({:.1}x)",
            weights.direct,
            weights.total,
            compression.direct,
            weights.effective,
            compression.effective
        )));
    }

    /// Checks that the network is connected at the requested compression; otherwise, the error
    /// states the highest compression that can be reached.
    fn check_connected(
        &self,
        pruner: &Pruner,
        target: Target,
        compression: Compression,
        pruned: &Pruned,
    ) -> Result<(), TrainError> {
        if !pruned.outcome.collapsed {
            return Ok(());
        }
        let compression = compression.get();
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
