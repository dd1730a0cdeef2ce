//! SynFlow score: the synaptic flow through each connection (Tanaka et al. 2020).
//!
//! The network is made linear: weights `|w|`, average pooling, no batch norms, biases or ReLUs,
//! and an input of ones. The score of a connection is `|w| dR/d|w|`, where `R` is the sum of the
//! outputs. This is the sum, over all paths through the connection, of the product of their `|w|`:
//! a path sum over the semiring (+, x). It needs no data.
//!
//! Because the input is constant, most positions of early feature maps have equal sums: each class
//! of them is computed once (`places`), by products of connections and columns of values (`layer`,
//! `products`). Each of a hundred rounds scores the connections that the previous one left, so
//! rounds become cheaper. In f64, no product overflows or underflows in the deepest predefined
//! network.

use super::Scores;
use super::rounds::Rounds;
use crate::pruning::compression::Compression;
use crate::pruning::error::PruneError;
use crate::pruning::source::Source;

mod layer;
mod places;
mod products;
mod sweep;

use sweep::Sweep;

/// The number of rounds, as in the paper.
const ROUNDS: usize = 100;

/// Returns [keys](Rounds::keys) that order the weights `kernels` of the source's graph by the
/// rounds that prune to `compression`.
///
/// # Errors
/// Returns an error if the flow through every connection is zero, or if the pruner is interrupted.
pub fn scores(
    source: &Source<'_>,
    kernels: &[Vec<f64>],
    compression: Compression,
) -> Result<Scores, PruneError> {
    let tensors = source.graph.prunable();
    let sweep = Sweep::new(source.graph);
    let mut rounds = Rounds::new(&tensors, kernels, ROUNDS, compression);
    for round in 0..ROUNDS {
        source.step(round, ROUNDS)?;
        if !rounds.is_idle() {
            sweep.run(&mut rounds.alive);
            if round == 0 && !rounds.scores().any(|score| score > 0.0) {
                return Err(PruneError::NoFlow);
            }
        }
        rounds.remove();
    }
    Ok(rounds.keys())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::by_name;
    use crate::graph::{Graph, Operation, Padding, Pooling, Prunable, Window};
    use crate::pruning::paths::{Connection, Semiring, sum_over_paths};
    use crate::pruning::score::rounds::Remaining;
    use crate::pruning::units::Mode;
    use crate::random::Random;

    /// Returns a residual block with a strided shortcut, pooling with overlapping windows, and a
    /// dense layer.
    fn network() -> Graph {
        let mut graph = Graph::new("toy", [2, 6, 5]);
        let conv = |graph: &mut Graph, name: &str, source: usize, size, stride, padding| {
            let shape = &graph.nodes()[source].shape;
            let window = Window::new(size, stride, padding, [shape[1], shape[2]]).unwrap();
            let operation = Operation::Conv {
                channels: 3,
                window,
                groups: 1,
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

    /// Returns a narrow network with the windows of ResNet-18 on maps that have an interior.
    fn resnet() -> Graph {
        let mut graph = Graph::new("narrow", [3, 24, 20]);
        let mut last = 0;
        for (index, stride) in [1, 1, 2, 1, 2].into_iter().enumerate() {
            let shape = &graph.nodes()[last].shape;
            let input = [shape[1], shape[2]];
            let window = Window::new(3, stride, Padding::Same, input).unwrap();
            let operation = Operation::Conv {
                channels: 5,
                window,
                groups: 1,
                bias: false,
            };
            let (name, source) = (format!("conv{index}"), last);
            last = graph.push_from(&name, operation, &[source]).unwrap();
            if stride == 1 && index > 0 {
                let name = format!("add{index}");
                last = graph
                    .push_from(&name, Operation::Add, &[last, source])
                    .unwrap();
            }
        }
        graph.push("flatten", Operation::Flatten).unwrap();
        let (units, bias) = (3, false);
        graph.push("fc", Operation::Dense { units, bias }).unwrap();
        graph
    }

    /// The semiring (+, x) over magnitudes: the definition of the flow, position by position.
    #[derive(Debug)]
    enum SynapticFlow {}

    impl Semiring for SynapticFlow {
        type Value = f64;
        const ZERO: f64 = 0.0;
        const ONE: f64 = 1.0;

        #[inline]
        fn add(a: f64, b: f64) -> f64 {
            a + b
        }

        #[inline]
        fn multiply(a: f64, b: f64) -> f64 {
            a * b
        }

        #[inline]
        fn pool(value: f64, area: usize) -> f64 {
            value / area as f64
        }
    }

    /// Returns a network of rectangular windows and of groups on a map that is not square, with an
    /// interior.
    fn speech() -> Graph {
        let mut graph = Graph::new("speech", [2, 21, 12]);
        let convolutions = [
            ([6, 3], [2, 1], 4, 1),
            ([3, 3], [1, 1], 8, 4),
            ([2, 5], [1, 2], 6, 2),
        ];
        for (index, (size, stride, channels, groups)) in convolutions.into_iter().enumerate() {
            let shape = &graph.nodes()[index].shape;
            let input = [shape[1], shape[2]];
            let window = Window::rectangular(size, stride, Padding::Same, input).unwrap();
            let operation = Operation::Conv {
                channels,
                window,
                groups,
                bias: true,
            };
            graph.push(&format!("conv{index}"), operation).unwrap();
        }
        let window = Window::rectangular([4, 3], [2, 1], Padding::Valid, [11, 6]).unwrap();
        let kind = Pooling::Average;
        graph
            .push("pool", Operation::Pool { kind, window })
            .unwrap();
        graph.push("flatten", Operation::Flatten).unwrap();
        let (units, bias) = (3, false);
        graph.push("fc", Operation::Dense { units, bias }).unwrap();
        graph
    }

    /// Returns connections of random values for every weight of `graph`.
    fn random_connections(graph: &Graph, random: &mut Random) -> Vec<Vec<Connection<f64>>> {
        let mut tensor = |length: usize| {
            let draw = |element| Connection {
                element,
                value: random.unit(),
            };
            (0..length as u32).map(draw).collect()
        };
        let tensors = graph.prunable();
        tensors
            .iter()
            .map(|weights| tensor(weights.len()))
            .collect()
    }

    /// Returns what `Sweep` reads: the lists of `connections`, of whose values it needs the
    /// magnitudes.
    fn remaining(graph: &Graph, connections: &[Vec<Connection<f64>>]) -> Vec<Remaining> {
        let list = |(tensor, connections): (&Prunable, &Vec<Connection<f64>>)| {
            let row = (tensor.len() / tensor.shape[0]) as u32;
            let before = |output: usize| {
                connections.partition_point(|c| c.element < (output as u32 + 1) * row)
            };
            Remaining {
                elements: connections.iter().map(|c| c.element).collect(),
                magnitudes: connections.iter().map(|c| c.value).collect(),
                scores: vec![f64::NAN; connections.len()],
                ends: (0..tensor.shape[0]).map(before).collect(),
            }
        };
        graph.prunable().iter().zip(connections).map(list).collect()
    }

    /// Compares with path sums at every position, of dense and of pruned networks.
    #[test]
    fn classes_of_positions_give_the_sums_of_all_positions() {
        let mut random = Random::new(5);
        let lenet = by_name("lenet-5-28").unwrap();
        for graph in [network(), lenet, resnet(), speech()] {
            let mut connections = random_connections(&graph, &mut random);
            for share in [1.0, 0.6, 0.1] {
                for layer in &mut connections {
                    layer.retain(|_| random.unit() < share);
                }
                let mut expected = connections.clone();
                let mut found = remaining(&graph, &connections);
                let flow = sum_over_paths::<SynapticFlow>(&graph, &mut expected, Mode::Exact);
                let all: f64 = flow.from_input(graph.nodes().len() - 1).iter().sum();
                assert!((Sweep::new(&graph).run(&mut found) - all).abs() <= 1e-12 * all);
                let found = found.iter().flat_map(|layer| &layer.scores);
                for (found, expected) in found.zip(expected.iter().flatten()) {
                    let difference = (found - expected.value).abs();
                    assert!(
                        difference <= 1e-11 * expected.value,
                        "{found:?} {expected:?}"
                    );
                }
            }
        }
    }

    /// Removes each connection in turn. The outputs are linear in each weight, so its score is
    /// their decrease.
    #[test]
    fn a_score_is_the_decrease_of_the_outputs_without_the_connection() {
        let graph = network();
        let mut random = Random::new(1);
        let all = random_connections(&graph, &mut random);
        let sweep = Sweep::new(&graph);
        let mut scored = remaining(&graph, &all);
        let whole = sweep.run(&mut scored);
        for (layer, connections) in scored.iter().enumerate() {
            for (place, score) in connections.scores.iter().enumerate() {
                let mut rest = all.clone();
                rest[layer].remove(place);
                let lost = whole - sweep.run(&mut remaining(&graph, &rest));
                assert!((lost - score).abs() < 1e-10 * whole, "{lost}");
            }
        }
    }

    #[test]
    fn rejects_weights_whose_products_underflow() {
        let graph = network();
        let tiny: Vec<Vec<f64>> = (graph.prunable().iter())
            .map(|tensor| vec![1e-200; tensor.len()])
            .collect();
        let rejected = scores(&Source::new(&graph), &tiny, Compression::new(2.0).unwrap());
        assert!(matches!(rejected, Err(PruneError::NoFlow)));
    }

    #[test]
    fn reaches_the_compression_and_stops_when_interrupted() {
        let graph = network();
        let kernels = crate::pruning::score::random::scores(&graph.prunable(), 3);
        let source = Source::new(&graph);
        let survivors = |ratio| {
            let compression = Compression::new(ratio).unwrap();
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
        let rejected = scores(&stopped, &kernels, Compression::NONE);
        assert!(matches!(rejected, Err(PruneError::Interrupted)));
    }
}
