//! Dynamic sparse training: while the network trains, connections are dropped, and as many are
//! grown elsewhere in their layer.
//!
//! At regular intervals, the smallest weights of each layer are dropped. Either random connections
//! grow (SET, Mocanu et al. 2018), or those with the largest gradients in the dense network (RigL,
//! Evci et al. 2020). The fraction dropped falls to zero along a cosine, and the masks are fixed
//! after a fraction of the phase. New connections start at zero. A connection that is dropped and
//! grown again in the same update keeps its weight, as in RigL's code.

use super::train::Model;
use crate::network::{Network, State};
use crate::pruning::{Mask, Masks};
use crate::random::Random;
use crate::training::error::TrainError;
use crate::training::recipe::stages::Stage;
use crate::training::recipe::{Method, Regrow};
use crate::training::session::Session;

impl Session<'_> {
    /// Drops and grows connections of `model` before step `at` of `stage`.
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
                regrown(mask, &state.get(&mask.name).values, &scores, fraction)
            })
            .collect();
        let active = Masks::of(&self.graph.prunable(), layers);
        let moments = model.optimizer.state(&model.network)?;
        let hyperparameters = &stage.hyperparameters;
        *model = self.model(state, Some(active), hyperparameters, Some(moments))?;
        Ok(())
    }

    /// Returns the gradients of all parameters of the dense network with the weights `state`:
    /// those of the loss of the batch of step `at`, without augmentation.
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
        let loss = loss.mean(&scores, &self.train.targets(indices)?)?;
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

/// Drops the `fraction` of the connections of `mask` with the smallest magnitudes of `weights`,
/// grows as many with the largest magnitudes of `scores`, and returns the elements of the new mask
/// in ascending order. Ties go to the lower index.
fn regrown(mask: &Mask, weights: &[f32], scores: &[f32], fraction: f64) -> Vec<usize> {
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
        assert_eq!(regrown(&mask, &weights, &scores, 0.5), [1, 2, 5, 6]);
        // A dropped connection with a large gradient grows again.
        let scores = [7.0, 9.0, 9.0, 0.5, 0.1, -2.0, 1.0, 0.0];
        assert_eq!(regrown(&mask, &weights, &scores, 0.5), [0, 1, 2, 5]);
        assert_eq!(regrown(&mask, &weights, &scores, 0.2), [0, 1, 2, 3]);
    }
}
