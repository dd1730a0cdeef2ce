//! Gradual pruning: the network is pruned a little at regular intervals while it trains, so that
//! the number of weights left follows a cubic polynomial (Zhu & Gupta 2017). The schedule counts
//! *effective* weights, or direct ones if the compression of the phase counts those.

use super::point::Point;
use super::train::Model;
use crate::pruning::{Compression, Limits, Place, Pruner, Target};
use crate::training::error::TrainError;
use crate::training::event::Event;
use crate::training::recipe::stages::Stage;
use crate::training::recipe::{Gradual, Prune};
use crate::training::session::Session;

impl Session<'_> {
    /// Prunes `model` before step `at` of `stage`.
    pub(super) fn shrink(
        &mut self,
        stage: &Stage,
        options: &Gradual,
        at: usize,
        model: &mut Model,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let total = self.graph.total();
        let steps = self.steps(stage) * stage.epochs;
        let last = options.compression.share_of(total);
        let compression = match options.span(steps).1 == at {
            true => options.compression,
            false => {
                let left = options.left(steps, at, self.left_at_start as f64, last);
                Compression::of(total, left.ceil() as usize)
            }
        };
        let pruner = Pruner::by_name(&options.pruner)?;
        let point = Point {
            state: model.network.state()?,
            given: None,
            is_trained: true,
            masks: None,
        };
        let prune = Prune {
            pruner: options.pruner.clone(),
            target: options.target,
            ..Prune::default()
        };
        let limits = Limits {
            within: model.active.as_ref(),
            dense: &Place::indices(&options.dense, &self.graph),
        };
        let masks = self.masks(&pruner, &prune, compression, limits, &point, tell)?;
        self.kept_by_index = masks.kept_by_index;
        let active = match options.target {
            Target::Direct => masks.direct,
            Target::Effective => masks.effective,
        };
        let moments = model.optimizer.state(&model.network)?;
        let hyperparameters = &stage.hyperparameters;
        *model = self.model(point.state, Some(active), hyperparameters, Some(moments))?;
        Ok(())
    }
}
