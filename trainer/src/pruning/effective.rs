//! Effective connections: those on a path of unpruned connections from an input to an output
//! (paper, section 3), for every budget of an ordering at once.
//!
//! Let `t(e)` be the birth of connection `e = (u, v)`, the smallest budget whose mask contains it.
//! Unit `v` is reachable from the input at budgets from
//! `t_in(v) = min over its incoming e of max(t(e), t_in(u))` on, and reaches the output from
//! `t_out(v)` on, defined in the same way backwards. Connection `e` becomes effective at
//! `max(t(e), t_in(u), t_out(v))`; a kernel weight at the earliest such budget over the positions
//! at which its tap reads the feature map. All of these are path sums over the semiring (min,
//! max), which [`paths`](super::paths) computes in integers, free of underflow and overflow.
//!
//! Biases and batch normalisation do not count: a unit without an effective input is dead, even if
//! its output is a nonzero constant.

use super::paths::{Connection, Flow, Semiring, sum_over_paths};
use crate::graph::{Graph, Operation};
use crate::masks::Masks;

pub use super::units::Mode;

/// The birth of a connection that is in no mask, or is effective in none.
pub const NEVER: u32 = u32::MAX;

/// The semiring (min, max) over births: a path exists once its last connection is born, and the
/// earliest of alternative paths counts.
#[derive(Debug)]
enum Births {}

impl Semiring for Births {
    type Value = u32;
    const ZERO: u32 = NEVER;
    const ONE: u32 = 0;

    #[inline]
    fn add(a: u32, b: u32) -> u32 {
        a.min(b)
    }

    #[inline]
    fn multiply(a: u32, b: u32) -> u32 {
        a.max(b)
    }

    #[inline]
    fn pool(value: u32, _: usize) -> u32 {
        value
    }
}

/// The semiring (or, and): whether any path exists. It gives the same answer as [`Births`] for one
/// budget, several times as fast.
#[derive(Debug)]
enum Reachability {}

impl Semiring for Reachability {
    type Value = bool;
    const ZERO: bool = false;
    const ONE: bool = true;

    #[inline]
    fn add(a: bool, b: bool) -> bool {
        a | b
    }

    #[inline]
    fn multiply(a: bool, b: bool) -> bool {
        a & b
    }

    #[inline]
    fn pool(value: bool, _: usize) -> bool {
        value
    }
}

/// Returns `connections` with their births replaced by the budgets at which they become effective,
/// or [`NEVER`].
///
/// `connections` holds one list per prunable tensor of `graph`. Connections that are not listed
/// count as never born.
pub fn births(
    graph: &Graph,
    mut connections: Vec<Vec<Connection<u32>>>,
    mode: Mode,
) -> Vec<Vec<Connection<u32>>> {
    sum_over_paths::<Births>(graph, &mut connections, mode);
    connections
}

/// Returns the effective masks of `masks`: the connections on a path from input to output.
pub fn masks(graph: &Graph, masks: &Masks, mode: Mode) -> Masks {
    let mut connections = kept(masks);
    sum_over_paths::<Reachability>(graph, &mut connections, mode);
    let effective = connections.iter().map(|layer| {
        let on_a_path = layer.iter().filter(|connection| connection.value);
        on_a_path.map(|connection| connection.element as usize)
    });
    Masks::of(&graph.prunable(), effective)
}

/// Returns the weights that `masks` keep as connections of value `true`, one list per tensor,
/// ascending.
fn kept(masks: &Masks) -> Vec<Vec<Connection<bool>>> {
    masks.iter().map(|mask| kept_by(&mask.keep)).collect()
}

/// Returns the elements that `keep` marks, as connections of value `true`.
fn kept_by(keep: &[bool]) -> Vec<Connection<bool>> {
    /// Weights that are checked at once: most chunks of a sparse mask are empty.
    const CHUNK: usize = 32;
    let mut connections = Vec::new();
    for (chunk, keep) in keep.chunks(CHUNK).enumerate() {
        if !keep.iter().fold(false, |any, &keep| any | keep) {
            continue;
        }
        for (at, _) in keep.iter().enumerate().filter(|&(_, &keep)| keep) {
            let element = (chunk * CHUNK + at) as u32;
            let value = true;
            connections.push(Connection { element, value });
        }
    }
    connections
}

/// Returns masks of the `connections` whose value is at most `budget`.
pub(super) fn within(graph: &Graph, connections: &[Vec<Connection<u32>>], budget: u32) -> Masks {
    Masks::of(
        &graph.prunable(),
        connections.iter().map(|layer| {
            let born = layer.iter().filter(move |c| c.value <= budget);
            born.map(|connection| connection.element as usize)
        }),
    )
}

/// Returns the names of the dead parts of a connected network with `masks`: tensors without an
/// effective connection, and branches of additions that lie on no path.
pub fn dead(graph: &Graph, masks: &Masks, mode: Mode) -> Vec<String> {
    let mut connections = kept(masks);
    let flow = sum_over_paths::<Reachability>(graph, &mut connections, mode);
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
            if !is_on_a_path(&flow, source, index) {
                let branch = &graph.nodes()[source].name;
                dead.push(format!("the branch {branch} of {}", node.name));
            }
        }
    }
    dead
}

/// Checks whether a path leads through `branch`, a source of the addition `add`, from the input to
/// the output.
fn is_on_a_path(flow: &Flow<bool>, branch: usize, add: usize) -> bool {
    let mut units = flow.from_input(branch).iter().zip(flow.to_output(add));
    units.any(|(&from_input, &to_output)| from_input && to_output)
}
