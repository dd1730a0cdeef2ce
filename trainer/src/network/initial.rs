//! Initial parameters.
//!
//! Kernels: normal with standard deviation `sqrt(4 / (fan_in + fan_out))`, cut at two sigma of the
//! underlying normal (Keras' VarianceScaling, scale 2, fan_avg, as in the paper's code). Biases
//! zero; batch norms scale 1, shift 0.

use super::state::State;
use crate::graph::{Graph, Node, Operation, Prunable};
use crate::random::Random;

/// The standard deviation of a standard normal cut at two sigma.
const TRUNCATED_DEVIATION: f64 = 0.879_625_66;

/// Initial parameters of `graph` from `seed`; each tensor has a stream of its own.
pub fn state(graph: &Graph, seed: u64) -> State {
    let mut state = beside(graph);
    for Prunable { name, shape, .. } in graph.prunable() {
        let field: usize = shape[2..].iter().product();
        let fan_average = (field * (shape[0] + shape[1])) as f64 / 2.0;
        let sigma = (2.0 / fan_average).sqrt() / TRUNCATED_DEVIATION;
        let mut random = Random::stream(seed, &format!("initial {name}"));
        let values = (0..shape.iter().product())
            .map(|_| (sigma * random.truncated_normal()) as f32)
            .collect();
        state.insert(name, shape, values);
    }
    state
}

/// Those that stand beside the kernels, which need no seed.
pub fn beside(graph: &Graph) -> State {
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
