//! The units of a network's outputs while it trains on targets that are numbers.
//!
//! Training is fastest if targets have a mean of 0 and a variance of about 1, so a network trains
//! in such units. Files of weights have the targets' own units: the last layer is converted when
//! weights are read, and again when they are saved.

use std::borrow::Cow;

use crate::data::{Dataset, Standard};
use crate::graph::Graph;
use crate::network::State;
use crate::network::outputs::OutputParameters;
use crate::pruning::Weights;

/// The units in which a network is trained; those of the targets themselves if these are classes,
/// or if no layer scales all outputs.
#[derive(Debug, Clone)]
pub(super) struct TrainingUnits(Option<(OutputParameters, Standard)>);

impl TrainingUnits {
    /// Chooses the units for `graph` on `data`. The mean of the targets is kept if no bias can
    /// undo its removal.
    pub(super) fn new(graph: &Graph, data: &Dataset) -> Self {
        let units = data.standard().zip(OutputParameters::of(graph));
        Self(units.map(|(mut standard, parameters)| {
            if !parameters.can_shift() {
                standard.mean.fill(0.0);
            }
            (parameters, standard)
        }))
    }

    /// Returns `data` with targets in these units.
    pub(super) fn data<'a>(&self, data: &'a Dataset) -> Cow<'a, Dataset> {
        match &self.0 {
            Some((_, standard)) => Cow::Owned(data.standardised(standard)),
            None => Cow::Borrowed(data),
        }
    }

    /// Returns a network in the targets' own units from `state`, a network in these.
    pub(super) fn outwards(&self, mut state: State) -> State {
        if let Some((parameters, Standard { mean, scale })) = &self.0 {
            parameters.apply(&mut state, *scale, mean);
        }
        state
    }

    /// Returns a network in these units from `weights`, a network in the targets' own.
    pub(super) fn inwards(&self, mut weights: Weights, graph: &Graph) -> Weights {
        if let Some((parameters, Standard { mean, scale })) = &self.0 {
            let shift: Vec<f64> = mean.iter().map(|mean| -mean / scale).collect();
            weights.change_outputs(graph, parameters, 1.0 / scale, &shift);
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalisation, Reading, Split};
    use crate::graph::Operation;
    use crate::network::initial;

    #[test]
    fn weights_come_back_from_training_as_they_went_in() {
        let mut graph = Graph::new("toy", [1, 1, 4]);
        graph.push("flatten", Operation::Flatten).unwrap();
        let dense = |units| Operation::Dense { units, bias: true };
        graph.push("fc1", dense(3)).unwrap();
        graph.push("relu1", Operation::Relu).unwrap();
        graph.push("fc2", dense(2)).unwrap();
        let values = vec![100.0, -3.0, 140.0, 5.0, 180.0, 1.0];
        let split = Split::of_targets(vec![9; 12], values, 2, [1, 1, 4]);
        let data = Dataset {
            name: "x".into(),
            train: split.clone(),
            test: split,
            normalisation: Normalisation::published(0.5, 0.5),
            classes: 2,
            class_names: Vec::new(),
            notes: Vec::new(),
            reading: Reading::default(),
        };
        let units = TrainingUnits::new(&graph, &data);
        // numpy: y.mean(0) = [140, 1]; sqrt(y.var(0).mean()) = 23.2, nearest to 2^5 by ratio.
        let targets = units.data(&data).train.targets_of([0, 1]);
        assert_eq!(targets, [-1.25, -0.125, 0.0, 0.125]);
        let mut state = initial::state(&graph, 1);
        state.0.get_mut("fc2.bias").unwrap().values = vec![64.0, 8.0];
        let inside = units.inwards(Weights::of(&graph, state.clone()), &graph);
        let inside = inside.state(&graph);
        assert_eq!(inside.get("fc1.weight"), state.get("fc1.weight"));
        let weight = |state: &State| state.get("fc2.weight").values[3];
        assert_eq!(weight(&inside), weight(&state) / 32.0);
        assert_eq!(inside.get("fc2.bias").values, [-2.375, 0.21875]);
        assert_eq!(units.outwards(inside), state);
    }
}
