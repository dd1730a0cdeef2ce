//! Dynamic sparse training: connections are dropped and as many grown elsewhere in their layer
//! while the network trains.
//!
//! At regular intervals, the smallest weights of each layer are dropped. Either random connections
//! grow (SET, Mocanu et al. 2018), or those with the largest gradients of the dense network (RigL,
//! Evci et al. 2020). The fraction dropped falls to zero along a cosine, and the masks are fixed
//! after a share of the phase. New connections start at zero. A connection that is dropped and
//! grown at once keeps its weight, as in RigL's code.

use std::collections::BTreeSet;
use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::train::Model;
use super::{Stage, Training};
use crate::network::{Network, State};
use crate::pruning::{Mask, Masks};
use crate::random::Random;
use crate::training::error::TrainError;
use crate::training::session::Session;

/// How connections are grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The connections with the largest gradients of the dense network
    #[default]
    Rigl,
    /// Random connections
    Set,
}

impl Method {
    /// Returns "rigl" or "set".
    pub fn name(self) -> &'static str {
        match self {
            Self::Rigl => "rigl",
            Self::Set => "set",
        }
    }
}

/// The options of dynamic sparse training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regrow {
    /// How the phase trains.
    #[serde(skip)]
    pub training: Training,
    /// How connections are grown.
    pub method: Method,
    /// The fraction of each layer's connections that is moved at first.
    pub fraction: f64,
    /// The number of steps between two updates.
    pub every: usize,
    /// The share of the phase after which the masks are fixed.
    pub until: f64,
}

impl Default for Regrow {
    fn default() -> Self {
        Self {
            training: Training::default(),
            method: Method::default(),
            fraction: 0.3,
            every: 100,
            until: 0.75,
        }
    }
}

impl Regrow {
    /// Returns the steps before which a phase of `steps` steps moves connections.
    pub(super) fn updates(&self, steps: usize) -> BTreeSet<usize> {
        let every = self.every.max(1);
        (every..self.end(steps)).step_by(every).collect()
    }

    /// Returns the step from which the masks are fixed.
    fn end(&self, steps: usize) -> usize {
        (self.until * steps as f64).round() as usize
    }

    /// Returns the fraction of connections that is moved before the step `at`.
    fn fraction(&self, steps: usize, at: usize) -> f64 {
        let progress = at as f64 / self.end(steps).max(1) as f64;
        self.fraction / 2.0 * (1.0 + (PI * progress).cos())
    }
}

impl Session<'_> {
    /// Moves connections of `model` before the step `at` of `stage`.
    pub(super) fn regrow(
        &mut self,
        stage: &Stage,
        options: &Regrow,
        at: usize,
        model: &mut Model,
    ) -> Result<(), TrainError> {
        let steps = self.steps(stage);
        let state = model.network.state()?;
        let active = match model.active.take() {
            Some(active) => active,
            None => Masks::dense(&self.graph),
        };
        let gradients = match options.method {
            Method::Rigl => Some(self.dense_gradients(stage, at, &state)?),
            Method::Set => None,
        };
        let fraction = options.fraction(steps * stage.epochs, at);
        let layers: Vec<Vec<usize>> = active
            .iter()
            .map(|mask| {
                let stream = format!("regrow {} {at} {}", stage.name, mask.name);
                let scores = match &gradients {
                    Some(gradients) => gradients.get(&mask.name).values.clone(),
                    None => {
                        let mut random = Random::stream(self.recipe.seed, &stream);
                        mask.keep.iter().map(|_| random.unit() as f32).collect()
                    }
                };
                moved(mask, &state.get(&mask.name).values, &scores, fraction)
            })
            .collect();
        let active = Masks::of(&self.graph.prunable(), layers);
        let moments = model.optimizer.state(&model.network)?;
        let hyperparameters = &stage.hyperparameters;
        *model = self.model(state, Some(active), hyperparameters, Some(moments))?;
        Ok(())
    }

    /// Returns the gradients of all kernels in a dense network of `state`, by the loss of the batch
    /// of the step `at`, without augmentation.
    fn dense_gradients(
        &self,
        stage: &Stage,
        at: usize,
        state: &State,
    ) -> Result<State, TrainError> {
        let steps = self.steps(stage);
        let batch = stage.hyperparameters.batch;
        let order = self
            .epoch(stage, at / steps)
            .order(self.train.split().len());
        let indices = &order[at % steps * batch..][..batch];
        let network = Network::new(&self.graph, state, &self.device)?;
        let scores = network.train_forward(&self.train.inputs(indices)?)?;
        let loss = stage.hyperparameters.loss();
        let loss = loss.mean(&scores, &self.train.classes(indices)?)?;
        let gradients = loss.backward()?;
        let mut found = State::default();
        for parameter in network.parameters() {
            let slot = parameter.gradient.take();
            let gradient = slot.as_ref().or_else(|| gradients.get(&parameter.var));
            let shape = parameter.var.dims().to_vec();
            let values = match gradient {
                Some(gradient) => gradient.flatten_all()?.to_vec1()?,
                None => vec![0.0; parameter.var.elem_count()],
            };
            found.insert(parameter.name.clone(), shape, values);
        }
        Ok(found)
    }
}

/// Returns the elements kept after the `fraction` of the connections of `mask` with the smallest
/// `weights` is dropped, and as many with the largest magnitudes of `scores` are grown. Ties go to
/// the lower index.
fn moved(mask: &Mask, weights: &[f32], scores: &[f32], fraction: f64) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..mask.keep.len()).filter(|&e| mask.keep[e]).collect();
    let count = kept.len();
    let dropped = (fraction * count as f64) as usize;
    let by = |values: &[f32], a: usize, b: usize| values[b].abs().total_cmp(&values[a].abs());
    kept.sort_by(|&a, &b| by(weights, a, b));
    kept.truncate(count - dropped);
    let mut stays = vec![false; mask.keep.len()];
    kept.iter().for_each(|&element| stays[element] = true);
    let mut others: Vec<usize> = (0..stays.len()).filter(|&e| !stays[e]).collect();
    others.sort_by(|&a, &b| by(scores, a, b));
    kept.extend(others.into_iter().take(dropped));
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_weights_give_way_to_the_largest_gradients() {
        let mask = Mask {
            name: "fc".into(),
            shape: vec![2, 4],
            keep: [1, 1, 1, 1, 0, 0, 0, 0].map(|keep| keep == 1).to_vec(),
        };
        let weights = [0.1, -4.0, 3.0, -0.2, 0.0, 0.0, 0.0, 0.0];
        let scores = [0.0, 9.0, 9.0, 0.5, 0.1, -2.0, 1.0, 0.0];
        assert_eq!(moved(&mask, &weights, &scores, 0.5), [1, 2, 5, 6]);
        // A dropped connection of large gradient comes back.
        let scores = [7.0, 9.0, 9.0, 0.5, 0.1, -2.0, 1.0, 0.0];
        assert_eq!(moved(&mask, &weights, &scores, 0.5), [0, 1, 2, 5]);
        assert_eq!(moved(&mask, &weights, &scores, 0.2), [0, 1, 2, 3]);
    }

    #[test]
    fn the_fraction_falls_along_a_cosine_until_the_masks_are_fixed() {
        let options = Regrow {
            fraction: 0.4,
            every: 10,
            until: 0.6,
            ..Regrow::default()
        };
        let updates: Vec<usize> = options.updates(100).into_iter().collect();
        assert_eq!(updates, [10, 20, 30, 40, 50]);
        // cos(pi / 6) = sqrt(3) / 2, cos(pi / 2) = 0.
        assert!((options.fraction(100, 10) - 0.2 * (1.0 + 3.0_f64.sqrt() / 2.0)).abs() < 1e-12);
        assert!((options.fraction(100, 30) - 0.2).abs() < 1e-12);
    }
}
