//! Effective pruning with the layer sizes of SynFlow, by bisection over the budget.
//!
//! The layer sizes that SynFlow leaves depend on the compression it aims at, so its masks at two
//! budgets are not nested and connections have no births. As in the paper's code, SynFlow runs
//! again at every budget of the bisection. The masks compared are made nested: the size of each
//! layer is clamped between its sizes in the last mask that had too few effective connections and
//! in the last that had enough. One random order per layer, drawn once, selects the connections.

use super::compression::{Compression, Target};
use super::effective;
use super::error::PruneError;
use super::ordering::Ordering;
use super::search::Outcome;
use crate::graph::Graph;
use crate::masks::Masks;

/// Returns the mask of the smallest budget found that has at least as many effective connections
/// as `compression` keeps. `order` ranks the connections of each layer; `sizes` returns the layer
/// sizes at a direct compression; errors name `pruner`.
///
/// # Errors
/// Returns an error if the compression keeps fewer connections than the shortest path needs, or if
/// `sizes` fails.
pub fn search(
    graph: &Graph,
    order: &Ordering,
    compression: Compression,
    pruner: &str,
    mut sizes: impl FnMut(Compression) -> Result<Vec<usize>, PruneError>,
) -> Result<Outcome, PruneError> {
    let total = order.total();
    let wanted = compression.effective_count(total);
    let mut look = |budget: usize, clamp: &dyn Fn(usize, usize) -> usize| {
        let sizes = sizes(Compression::of(total, budget))?.into_iter();
        let sizes = sizes.enumerate().map(|(layer, size)| clamp(layer, size));
        let candidate = Candidate::of(graph, order, budget, sizes.collect());
        Ok::<_, PruneError>(candidate)
    };
    let mut short = Candidate::of(graph, order, 0, vec![0; order.tensors().len()]);
    let mut enough = upper_bound(graph, order, wanted, &mut short, &mut look)?;
    let mut least = short.budget.max(wanted - 1);
    while enough.budget - least > 1 {
        let middle = least + (enough.budget - least) / 2;
        let found = look(middle, &|layer, size| {
            size.clamp(short.sizes[layer], enough.sizes[layer])
        })?;
        if found.connected() >= wanted {
            enough = found;
        } else {
            least = middle;
            short = found;
        }
    }
    if compression.is_beyond(total, graph.shortest_path()) {
        return Err(PruneError::Disconnected {
            pruner: pruner.into(),
            target: Target::Effective,
            compression: compression.get(),
            reachable: total as f64 / enough.connected().max(1) as f64,
        });
    }
    let beyond = compression.is_beyond(total, enough.connected());
    if beyond && short.budget + 1 < enough.budget && enough.budget > 1 {
        // The next smaller budget was not tried, because it cannot yield enough effective
        // connections. Its mask tells whether the network is then disconnected.
        short = look(enough.budget - 1, &|layer, size| {
            size.min(enough.sizes[layer])
        })?;
    }
    Ok(Outcome {
        collapsed: beyond && short.connected() == 0,
        direct: enough.direct,
        effective: enough.effective,
    })
}

/// Returns a mask with at least `wanted` effective connections, or, if none is found, that of the
/// whole network. Sets `short` to the last mask tried that had fewer.
///
/// A budget below `wanted` cannot be enough, and a slightly larger one often is, so the budgets
/// grow from there.
fn upper_bound(
    graph: &Graph,
    order: &Ordering,
    wanted: usize,
    short: &mut Candidate,
    look: &mut impl FnMut(usize, &dyn Fn(usize, usize) -> usize) -> Result<Candidate, PruneError>,
) -> Result<Candidate, PruneError> {
    let total = order.total();
    let mut budget = wanted + wanted / 4 + 16;
    while budget < total {
        let found = look(budget, &|layer, size| size.max(short.sizes[layer]))?;
        if found.connected() >= wanted {
            return Ok(found);
        }
        *short = found;
        budget *= 2;
    }
    let all = order.tensors().iter().map(|tensor| tensor.len()).collect();
    Ok(Candidate::of(graph, order, total, all))
}

/// The masks at one budget.
struct Candidate {
    budget: usize,
    /// The number of connections of each layer in the direct mask.
    sizes: Vec<usize>,
    direct: Masks,
    effective: Masks,
}

impl Candidate {
    /// Returns the masks that keep the first `sizes[l]` connections of each layer `l` in `order`.
    fn of(graph: &Graph, order: &Ordering, budget: usize, sizes: Vec<usize>) -> Self {
        let direct = order.keeping(&sizes);
        let effective = effective::masks(graph, &direct, effective::Mode::Exact);
        Self {
            budget,
            sizes,
            direct,
            effective,
        }
    }

    /// Returns the number of effective connections.
    fn connected(&self) -> usize {
        self.effective.nonzeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::pruning::ordering::Rounding;
    use crate::pruning::quota::{Quota, kept};
    use crate::pruning::{score, search as selection};

    /// Compares the result with the selection over births, which applies because the sizes of a
    /// quota are nested.
    #[test]
    fn nested_sizes_yield_the_mask_of_the_selection_over_births() {
        for seed in 0..30 {
            let graph = multilayer("toy", [1, 1, 20], &[15, 9, 4]).unwrap();
            let tensors = graph.prunable();
            let scores = || score::random::scores(&tensors, seed);
            let by = |scores| {
                Ordering::by_quota(&tensors, scores, Quota::Igq, Rounding::HalfToEven).unwrap()
            };
            let order = by(scores());
            let sizes = |compression: Compression| {
                let densities = Quota::Igq.densities(&tensors, compression.density())?;
                let sizes = tensors.iter().zip(densities);
                Ok(sizes
                    .map(|(tensor, density)| kept(tensor.len(), density))
                    .collect())
            };
            for ratio in [1.0, 1.5, 3.0, 8.0, 20.0, 60.0] {
                let compression = Compression::new(ratio).unwrap();
                let found = search(&graph, &order, compression, "toy", sizes).unwrap();
                let expected =
                    selection::prune(&graph, &order, Target::Effective, compression, "toy")
                        .unwrap();
                assert_eq!(found.direct, expected.direct, "{compression} {seed}");
                assert_eq!(found.effective, expected.effective);
                assert_eq!(found.collapsed, expected.collapsed, "{compression} {seed}");
            }
            assert!(matches!(
                search(
                    &graph,
                    &order,
                    Compression::new(300.0).unwrap(),
                    "toy",
                    sizes
                ),
                Err(PruneError::Disconnected { .. })
            ));
        }
    }

    /// Checks that the result has enough effective connections even if the sizes oscillate.
    #[test]
    fn sizes_that_are_not_nested_still_yield_enough_connections() {
        let graph = multilayer("toy", [1, 1, 30], &[20, 10]).unwrap();
        let tensors = graph.prunable();
        let order = Ordering::global(&tensors, score::random::scores(&tensors, 1)).unwrap();
        let total = order.total();
        let oscillating = |compression: Compression| {
            let budget = compression.share_of(total).round() as usize;
            let second = (budget % 7 * 20).min(200);
            Ok(vec![budget.saturating_sub(second).min(600), second])
        };
        for ratio in [2.0, 5.0, 10.0] {
            let compression = Compression::new(ratio).unwrap();
            let found = search(&graph, &order, compression, "toy", oscillating).unwrap();
            let left = found.effective.nonzeros();
            assert!(left as f64 >= compression.share_of(total), "{left}");
            assert!(left <= found.direct.nonzeros());
        }
    }
}
