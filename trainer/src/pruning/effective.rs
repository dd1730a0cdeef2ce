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

/// Whether there is a path at all: [`Times`] of a single budget, and several times as fast.
#[derive(Debug)]
enum Paths {}

impl Semiring for Paths {
    type Value = bool;
    const NONE: bool = false;
    const EMPTY: bool = true;

    #[inline]
    fn either(a: bool, b: bool) -> bool {
        a | b
    }

    #[inline]
    fn both(a: bool, b: bool) -> bool {
        a & b
    }

    #[inline]
    fn pooled(value: bool, _: usize) -> bool {
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
    let mut connections = masks.connections();
    sweep::<Paths>(graph, &mut connections, mode);
    let effective = connections.iter().map(|layer| {
        let there = layer.iter().filter(|connection| connection.value);
        there.map(|connection| connection.element as usize)
    });
    Masks::of(&graph.prunable(), effective)
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
    let flow = sweep::<Paths>(graph, &mut connections, mode);
    let mut dead: Vec<String> = masks
        .iter()
        .zip(&connections)
        .filter(|(_, layer)| !layer.iter().any(|connection| connection.value))
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
fn passes(flow: &Flow<bool>, branch: usize, add: usize) -> bool {
    let mut pairs = flow.reached(branch).iter().zip(flow.reaching(add));
    pairs.any(|(&reached, &reaching)| reached && reaching)
}
