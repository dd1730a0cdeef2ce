//! Effective connections: those on some path of unpruned connections from an input to an output
//! (paper, section 3), for every budget of an ordering at once.
//!
//! With `t(e)` the birth of connection `e = (u, v)`: a unit is reached from the input at
//! `t_in(v) = min over e of max(t(e), t_in(u))`, it reaches the output at `t_out(u)` likewise
//! backwards, and `e` becomes effective at `max(t(e), t_in(u), t_out(v))`; a convolution's at the
//! earliest over the positions where it reads real input. One [`sweep()`](super::sweep::sweep), whole numbers only:
//! nothing can under- or overflow. Biases and batch normalisation do not enter: a unit without
//! live inputs is dead whatever constant it sends.

use super::Masks;
use super::sweep::{Connection, Flow, Semiring, sweep};
use crate::graph::{Graph, Operation};

pub use super::sweep::Mode;

/// The birth of a connection that is never let in, or never effective.
pub const NEVER: u32 = u32::MAX;

/// Times: of two paths the earlier counts, of a path its last connection.
#[derive(Debug)]
enum Times {}

impl Semiring for Times {
    type Value = u32;
    const NONE: u32 = NEVER;
    const EMPTY: u32 = 0;

    #[inline]
    fn either(a: u32, b: u32) -> u32 {
        a.min(b)
    }

    #[inline]
    fn both(a: u32, b: u32) -> u32 {
        a.max(b)
    }

    #[inline]
    fn pooled(value: u32, _: usize) -> u32 {
        value
    }
}

/// Replaces the births of `connections` (one list per prunable tensor of `graph`) by the budgets at
/// which they become effective; [`NEVER`] where none does.
pub fn births(
    graph: &Graph,
    mut connections: Vec<Vec<Connection<u32>>>,
    mode: Mode,
) -> Vec<Vec<Connection<u32>>> {
    sweep::<Times>(graph, &mut connections, mode);
    connections
}

/// The effective part of `masks`.
pub fn masks(graph: &Graph, masks: &Masks, mode: Mode) -> Masks {
    let effective = births(graph, masks.connections(), mode);
    within(graph, &effective, 0)
}

/// The masks of those `connections` that are there by `budget`.
pub(super) fn within(graph: &Graph, connections: &[Vec<Connection<u32>>], budget: u32) -> Masks {
    Masks::of(
        &graph.prunable(),
        connections.iter().map(|layer| {
            let there = layer.iter().filter(move |c| c.value <= budget);
            there.map(|connection| connection.element as usize)
        }),
    )
}

/// What died in `masks`, which are of a network that is connected: layers without an effective
/// connection, and branches of additions that nothing passes. By their names.
pub fn dead(graph: &Graph, masks: &Masks, mode: Mode) -> Vec<String> {
    let mut connections = masks.connections();
    let flow = sweep::<Times>(graph, &mut connections, mode);
    let mut dead: Vec<String> = masks
        .iter()
        .zip(&connections)
        .filter(|(_, layer)| layer.iter().all(|connection| connection.value == NEVER))
        .map(|(mask, _)| mask.name.clone())
        .collect();
    for (index, node) in graph.nodes().iter().enumerate() {
        if node.operation != Operation::Add {
            continue;
        }
        for &source in &node.sources {
            if !passes(&flow, source, index) {
                let branch = &graph.nodes()[source].name;
                dead.push(format!("the branch {branch} of {}", node.name));
            }
        }
    }
    dead
}

/// Whether a path goes from the unit of `branch` to the same unit of the addition `add`.
fn passes(flow: &Flow<u32>, branch: usize, add: usize) -> bool {
    let pairs = flow.reached(branch).iter().zip(flow.reaching(add));
    pairs.into_iter().any(|(&a, &b)| a != NEVER && b != NEVER)
}
