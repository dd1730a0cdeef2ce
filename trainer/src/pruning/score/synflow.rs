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
/// When interrupted.
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
