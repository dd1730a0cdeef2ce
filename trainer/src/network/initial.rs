//! Draws initial parameters.
//!
//! Kernels are normal with standard deviation `sqrt(4 / (fan_in + fan_out))`, truncated at two
//! standard deviations of the underlying normal (Keras' VarianceScaling with scale 2 and fan_avg,
//! as in the paper's code). In a convolution in groups, these are the inputs and outputs that a
//! channel is connected with: those of its group. Biases are zero; batch norms have scale 1 and
//! shift 0.

use super::state::State;
use crate::graph::{Graph, Node, Operation, Prunable};
use crate::random::Random;

/// Standard deviation of a standard normal truncated at two standard deviations.
const TRUNCATED_DEVIATION: f64 = 0.879_625_66;

/// Returns the initial parameters of `graph` for `seed`. Each tensor is drawn from a stream of its
/// own.
pub fn state(graph: &Graph, seed: u64) -> State {
    let mut state = without_kernels(graph);
    for Prunable { name, shape, node } in graph.prunable() {
        let layout = graph.kernel_layout(node).expect("it has a kernel");
        let fan_average = (layout.taps * (layout.outputs + layout.inputs)) as f64 / 2.0;
        let sigma = (2.0 / fan_average).sqrt() / TRUNCATED_DEVIATION;
        let mut random = Random::stream(seed, &format!("initial {name}"));
        let values = (0..shape.iter().product())
            .map(|_| (sigma * random.truncated_normal()) as f32)
            .collect();
        state.insert(name, shape, values);
    }
    state
}

/// Returns the initial parameters except the kernels; they are the same for every seed.
pub fn without_kernels(graph: &Graph) -> State {
    let mut state = State::default();
    for Node {
        name,
        operation,
        shape,
        ..
    } in graph.nodes()
    {
        let mut insert = |kind: &str, value: f32| {
            let units = shape[0];
            state.insert(format!("{name}.{kind}"), vec![units], vec![value; units]);
        };
        match operation {
            Operation::Dense { bias: true, .. } | Operation::Conv { bias: true, .. } => {
                insert("bias", 0.0);
            }
            Operation::BatchNorm => {
                insert("weight", 1.0);
                insert("bias", 0.0);
            }
            _ => {}
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Padding, Window};

    /// Checks that a channel of a depthwise convolution by 3 x 3 has nine inputs and nine outputs.
    #[test]
    fn fans_are_those_of_a_group() {
        const CHANNELS: usize = 5000;
        for (groups, fan) in [(CHANNELS, 9.0), (CHANNELS / 4, 36.0)] {
            let mut graph = Graph::new("grouped", [CHANNELS, 3, 3]);
            let window = Window::new(3, 1, Padding::Same, [3, 3]).unwrap();
            let operation = Operation::Conv {
                channels: CHANNELS,
                window,
                groups,
                bias: false,
            };
            graph.push("conv", operation).unwrap();
            let state = state(&graph, 1);
            let weights = &state.get("conv.weight").values;
            let squares: f32 = weights.iter().map(|weight| weight * weight).sum();
            let variance = f64::from(squares) / weights.len() as f64;
            let expected = 2.0 / fan;
            assert!((variance / expected - 1.0).abs() < 0.03, "{variance}");
        }
    }
}
