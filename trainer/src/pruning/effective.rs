//! Effective connections: those on some path of unpruned connections from an input to an output
//! (paper, section 3), for every budget of an ordering at once.
//!
//! With `t(e)` the birth of connection `e = (u, v)`: a unit is reached from the input at
//! `t_in(v) = min over e of max(t(e), t_in(u))`, it reaches the output at `t_out(u)` likewise
//! backwards, and `e` becomes effective at `max(t(e), t_in(u), t_out(v))`. One sweep forward, one
//! back, whole numbers only: nothing can under- or overflow. Biases and batch normalisation do
//! not enter: a unit without live inputs is dead whatever constant it sends.

use super::Masks;
use crate::graph::{Graph, Operation};

/// The birth of a connection that is never let in.
pub const NEVER: u32 = u32::MAX;

/// The budget at which each connection becomes effective, given the `births` of the prunable
/// tensors of `graph` (in their layouts, (out, in)); [`NEVER`] where none does.
pub fn births(graph: &Graph, births: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let nodes = graph.nodes();
    // Which prunable tensor belongs to a node.
    let mut tensor_of = vec![usize::MAX; nodes.len()];
    for (index, tensor) in graph.prunable().iter().enumerate() {
        tensor_of[tensor.node] = index;
    }

    let mut reached: Vec<Vec<u32>> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let units = node.shape.iter().product();
        let times = match (node.operation, node.sources.first().copied()) {
            (Operation::Input, _) | (_, None) => vec![0; units],
            (Operation::Dense { .. }, Some(source)) => {
                let before = &reached[source];
                births[tensor_of[index]]
                    .chunks_exact(before.len())
                    .map(|row| {
                        row.iter()
                            .zip(before)
                            .map(|(&birth, &unit)| birth.max(unit))
                            .min()
                            .unwrap_or(NEVER)
                    })
                    .collect()
            }
            (_, Some(source)) => reached[source].clone(),
        };
        reached.push(times);
    }

    let mut effective = births.to_vec();
    let mut reaching: Vec<u32> = vec![0; graph.classes()];
    for (index, node) in nodes.iter().enumerate().rev() {
        let (Operation::Dense { .. }, source) = (node.operation, node.source()) else {
            continue;
        };
        let before = &reached[source];
        let mut earlier = vec![NEVER; before.len()];
        let rows = effective[tensor_of[index]].chunks_exact_mut(before.len());
        for (row, &output) in rows.zip(&reaching) {
            for ((birth, &unit), earliest) in row.iter_mut().zip(before).zip(&mut earlier) {
                let out = (*birth).max(output);
                *earliest = (*earliest).min(out);
                *birth = out.max(unit);
            }
        }
        reaching = earlier;
    }
    effective
}

/// The effective part of `masks`.
pub fn masks(graph: &Graph, masks: &Masks) -> Masks {
    let kept_or_never = |&keep: &bool| if keep { 1 } else { NEVER };
    let direct: Vec<Vec<u32>> = masks
        .iter()
        .map(|mask| mask.keep.iter().map(kept_or_never).collect())
        .collect();
    let effective = births(graph, &direct);
    Masks::from_fn(&graph.prunable(), |tensor, element| {
        effective[tensor][element] != NEVER
    })
}
