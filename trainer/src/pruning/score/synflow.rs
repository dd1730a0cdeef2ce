//! SynFlow: what of the flow through the whole network passes each connection (Tanaka et al. 2020).
//!
//! The network is taken as linear: |w| on every connection, average pooling, no batch norm, bias or
//! ReLU, an input of ones. A connection's score is the sum over all paths through it of the
//! product of their |w|, which is `|w| dR/d|w|` for `R` the sum of the outputs: one sweep with
//! (+, x). A hundred rounds, each over what the last left, so that they become ever cheaper. It
//! needs no data. In f64, where no product of the deepest network here over- or underflows.

use super::Scores;
use super::rounds::Rounds;
use crate::graph::Graph;
use crate::pruning::sweep::{Mode, Semiring, sweep};
use crate::pruning::{PruneError, Source};

/// Rounds, as in the paper.
const ROUNDS: usize = 100;

/// Flows: paths side by side add up, along a path flows multiply.
#[derive(Debug)]
enum Flows {}

impl Semiring for Flows {
    type Value = f64;
    const NONE: f64 = 0.0;
    const EMPTY: f64 = 1.0;

    #[inline]
    fn either(a: f64, b: f64) -> f64 {
        a + b
    }

    #[inline]
    fn both(a: f64, b: f64) -> f64 {
        a * b
    }

    #[inline]
    fn pooled(value: f64, area: usize) -> f64 {
        value / area as f64
    }
}

/// Keys that lead to `compression` and on the way there through the masks of all rounds, from the
/// `kernels` of the source's graph.
///
/// # Errors
/// When no flow passes the network at all, or interrupted.
pub fn scores(
    source: &Source<'_>,
    kernels: &[Vec<f64>],
    compression: f64,
) -> Result<Scores, PruneError> {
    let tensors = source.graph.prunable();
    let mut rounds = Rounds::new(&tensors, ROUNDS, compression);
    for round in 0..ROUNDS {
        source.step(round, ROUNDS)?;
        if !rounds.is_idle() {
            flow(source.graph, kernels, &mut rounds);
            let flows = || rounds.alive.iter().flatten().any(|c| c.value > 0.0);
            if round == 0 && !flows() {
                return Err(PruneError::NoFlow);
            }
        }
        rounds.remove();
    }
    Ok(rounds.keys())
}

/// Scores what is alive.
fn flow(graph: &Graph, kernels: &[Vec<f64>], rounds: &mut Rounds) {
    for (alive, kernel) in rounds.alive.iter_mut().zip(kernels) {
        for connection in alive {
            connection.value = kernel[connection.element as usize].abs();
        }
    }
    sweep::<Flows>(graph, &mut rounds.alive, Mode::Exact);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Operation, Padding, Pooling, Window};
    use crate::pruning::Connection;
    use crate::random::Random;

    /// A residual block with a strided shortcut, pooling that does not cover the map evenly, and a
    /// dense layer.
    fn network() -> Graph {
        let mut graph = Graph::new("toy", [2, 6, 5]);
        let conv = |graph: &mut Graph, name: &str, source: usize, size, stride, padding| {
            let shape = &graph.nodes()[source].shape;
            let window = Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap();
            let operation = Operation::Conv {
                channels: 3,
                window,
                bias: true,
            };
            graph.push_from(name, operation, &[source]).unwrap()
        };
        let main = conv(&mut graph, "conv1", 0, 3, 2, Padding::Same);
        let main = conv(&mut graph, "conv2", main, 3, 1, Padding::Same);
        let short = conv(&mut graph, "shortcut1", 0, 1, 2, Padding::Valid);
        graph
            .push_from("add1", Operation::Add, &[main, short])
            .unwrap();
        let window = Window::new(2, 1, Padding::Valid, [3, 3]).unwrap();
        let kind = Pooling::Max;
        graph
            .push("pool1", Operation::Pool { kind, window })
            .unwrap();
        graph.push("flatten", Operation::Flatten).unwrap();
        let (units, bias) = (4, true);
        graph.push("fc1", Operation::Dense { units, bias }).unwrap();
        graph
    }

    /// All outputs' sum; what is left in `connections` are the scores.
    fn outputs(graph: &Graph, connections: &mut [Vec<Connection<f64>>]) -> f64 {
        let flow = sweep::<Flows>(graph, connections, Mode::Exact);
        flow.reached(graph.nodes().len() - 1).iter().sum()
    }

    /// The outputs are linear in each weight, so that its score is what they lose without it.
    #[test]
    fn a_score_is_what_the_outputs_lose_without_the_connection() {
        let graph = network();
        let mut random = Random::new(1);
        let all: Vec<Vec<Connection<f64>>> = (graph.prunable().iter())
            .map(|tensor| {
                let elements = 0..tensor.len() as u32;
                let draw = |element| Connection {
                    element,
                    value: random.unit(),
                };
                elements.map(draw).collect()
            })
            .collect();
        let mut scored = all.clone();
        let whole = outputs(&graph, &mut scored);
        for (layer, connections) in scored.iter().enumerate() {
            for (place, connection) in connections.iter().enumerate() {
                let mut rest = all.clone();
                rest[layer].remove(place);
                let lost = whole - outputs(&graph, &mut rest);
                assert!((lost - connection.value).abs() < 1e-10 * whole, "{lost}");
            }
        }
    }

    #[test]
    fn weights_whose_products_vanish_are_refused() {
        let graph = network();
        let tiny: Vec<Vec<f64>> = (graph.prunable().iter())
            .map(|tensor| vec![1e-200; tensor.len()])
            .collect();
        let refused = scores(&Source::new(&graph), &tiny, 2.0);
        assert!(matches!(refused, Err(PruneError::NoFlow)));
    }

    #[test]
    fn it_ends_at_the_compression_and_stops_when_asked() {
        let graph = network();
        let kernels = crate::pruning::score::random::scores(&graph.prunable(), 3);
        let source = Source::new(&graph);
        let survivors = |compression| {
            let keys = scores(&source, &kernels, compression).unwrap().concat();
            keys.iter().filter(|&&key| key >= 2.0 * 101.0).count()
        };
        let total = graph.total();
        assert_eq!(survivors(1.0), total);
        assert_eq!(survivors(4.0), total - (total as f64 * 0.75) as usize);

        let stop = std::sync::atomic::AtomicBool::new(true);
        let stopped = Source {
            stop: &stop,
            ..source
        };
        let refused = scores(&stopped, &kernels, 4.0);
        assert!(matches!(refused, Err(PruneError::Interrupted)));
    }
}
