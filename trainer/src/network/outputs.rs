//! The units of a network's outputs: which parameters scale and shift them.

use super::state::State;
use crate::graph::{Graph, Operation};

/// The parameters that act last on the outputs of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputParameters {
    /// The parameters by a multiple of which all outputs are multiplied.
    scaled: Vec<String>,
    /// The bias to which a number per output can be added.
    shifted: Option<String>,
}

impl OutputParameters {
    /// Finds the parameters of `graph`; `None` if no layer scales all outputs, as in a network that
    /// ends with an addition.
    #[must_use]
    pub fn of(graph: &Graph) -> Option<Self> {
        let nodes = graph.nodes();
        let mut index = nodes.len() - 1;
        let is_last = |at: usize| at + 1 == nodes.len();
        loop {
            let node = &nodes[index];
            let readers = nodes.iter().flat_map(|node| &node.sources);
            if readers.filter(|&&source| source == index).count() > usize::from(!is_last(index)) {
                return None;
            }
            let name = |kind: &str| format!("{}.{kind}", node.name);
            let (kinds, bias): (&[&str], bool) = match node.operation {
                Operation::Dense { bias, .. } | Operation::Conv { bias, .. } => match bias {
                    true => (&["weight", "bias"], true),
                    false => (&["weight"], false),
                },
                Operation::BatchNorm => (&["weight", "bias"], true),
                // These pass a positive factor on.
                Operation::Flatten | Operation::Pool { .. } | Operation::Relu => {
                    index = node.source();
                    continue;
                }
                Operation::Input | Operation::Relu6 | Operation::Add => return None,
            };
            return Some(Self {
                scaled: kinds.iter().map(|kind| name(kind)).collect(),
                // A channel of a map has one bias for several outputs.
                shifted: (bias && is_last(index) && node.shape.len() == 1).then(|| name("bias")),
            });
        }
    }

    /// Checks whether a number can be added to each output.
    #[must_use]
    pub fn can_shift(&self) -> bool {
        self.shifted.is_some()
    }

    /// Checks whether the outputs are proportional to the parameter called `name`.
    #[must_use]
    pub fn scales(&self, name: &str) -> bool {
        self.scaled.iter().any(|scaled| scaled == name)
    }

    /// Changes `state` so that every output is multiplied by `scale`, which is positive, and then
    /// increased by its `shift`, if [that is possible](Self::can_shift).
    ///
    /// # Panics
    /// Panics if `state` lacks a parameter.
    pub fn apply(&self, state: &mut State, scale: f64, shift: &[f64]) {
        for name in &self.scaled {
            let array = state.0.get_mut(name).expect("the state is of the graph");
            for value in &mut array.values {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
        if let Some(name) = &self.shifted {
            let array = state.0.get_mut(name).expect("the state is of the graph");
            for (value, shift) in array.values.iter_mut().zip(shift) {
                *value = (f64::from(*value) + shift) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::graph::Padding;
    use crate::graph::architecture::multilayer;
    use crate::graph::{Pooling, Window};
    use crate::network::{Network, initial};

    /// Returns the outputs of the network of `state` for one sample.
    fn outputs(graph: &Graph, state: &State) -> Vec<f32> {
        let network = Network::new(graph, state, &Device::Cpu).unwrap();
        let pixels: Vec<f32> = (0..16).map(|at| (at as f32).sin()).collect();
        let x = Tensor::from_vec(pixels, (1, 16), &Device::Cpu).unwrap();
        let y = network.train_forward(&x).unwrap();
        y.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn outputs_are_scaled_and_shifted_as_asked() {
        let dense = multilayer("dense", [1, 4, 4], &[5, 3]).unwrap();
        let mut pooled = Graph::new("pooled", [1, 4, 4]);
        let conv = Operation::Conv {
            channels: 3,
            window: Window::new(3, 1, Padding::Same, [4, 4]).unwrap(),
            groups: 1,
            bias: true,
        };
        pooled.push("conv", conv).unwrap();
        pooled.push("relu", Operation::Relu).unwrap();
        let window = Window::new(4, 4, Padding::Valid, [4, 4]).unwrap();
        let kind = Pooling::Average;
        pooled
            .push("pool", Operation::Pool { kind, window })
            .unwrap();
        pooled.push("flatten", Operation::Flatten).unwrap();
        for (graph, can_shift) in [(dense, true), (pooled, false)] {
            let parameters = OutputParameters::of(&graph).unwrap();
            assert_eq!(parameters.can_shift(), can_shift);
            let mut state = initial::state(&graph, 3);
            let before = outputs(&graph, &state);
            let shift = [1.0, -2.0, 0.5];
            parameters.apply(&mut state, 4.0, &shift);
            let after = outputs(&graph, &state);
            for ((before, after), shift) in before.iter().zip(after).zip(shift) {
                let expected = 4.0 * before + if can_shift { shift as f32 } else { 0.0 };
                assert!((after - expected).abs() < 1e-5, "{after} {expected}");
            }
        }
    }

    #[test]
    fn no_layer_scales_a_sum() {
        let mut graph = Graph::new("sum", [1, 1, 16]);
        graph.push("flatten", Operation::Flatten).unwrap();
        let dense = Operation::Dense {
            units: 16,
            bias: true,
        };
        graph.push("fc1", dense).unwrap();
        graph.push("relu6", Operation::Relu6).unwrap();
        assert_eq!(OutputParameters::of(&graph), None);
    }
}
