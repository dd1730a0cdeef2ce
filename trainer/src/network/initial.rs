//! Initial parameters.
//!
//! Kernels: normal with standard deviation `sqrt(4 / (fan_in + fan_out))`, cut at two sigma of the
//! underlying normal (Keras' VarianceScaling, scale 2, fan_avg, as in the paper's code). Biases
//! zero; batch norms scale 1, shift 0.

use super::State;
use crate::graph::{Graph, Operation};
use crate::random::Random;

/// The standard deviation of a standard normal cut at two sigma.
const TRUNCATED_DEVIATION: f64 = 0.879_625_66;

/// Initial parameters of `graph` from `seed`; each tensor has a stream of its own.
pub fn state(graph: &Graph, seed: u64) -> State {
    let mut state = State::default();
    for (index, node) in graph.nodes().iter().enumerate() {
        let name = &node.name;
        if let Some(shape) = graph.kernel_shape(index) {
            let field: usize = shape[2..].iter().product();
            let fan_average = (field * (shape[0] + shape[1])) as f64 / 2.0;
            let sigma = (2.0 / fan_average).sqrt() / TRUNCATED_DEVIATION;
            let weight = format!("{name}.weight");
            let mut random = Random::stream(seed, &format!("initial {weight}"));
            let values = (0..shape.iter().product())
                .map(|_| (sigma * random.truncated_normal()) as f32)
                .collect();
            state.insert(weight, shape, values);
        }
        let units = node.shape[0];
        match node.operation {
            Operation::Dense { bias: true, .. } | Operation::Conv { bias: true, .. } => {
                state.insert(format!("{name}.bias"), vec![units], vec![0.0; units]);
            }
            Operation::BatchNorm => {
                state.insert(format!("{name}.weight"), vec![units], vec![1.0; units]);
                state.insert(format!("{name}.bias"), vec![units], vec![0.0; units]);
            }
            _ => {}
        }
    }
    state
}
