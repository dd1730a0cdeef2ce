//! Effective pruning to the layer sizes that SynFlow leaves, by bisection.
//!
//! What SynFlow leaves of a layer depends on the compression its rounds head for, so that masks of
//! two budgets are not nested and births tell nothing: SynFlow is run anew for every budget looked
//! at (paper's code). Masks are made nested as they are looked at: a layer holds no less than in
//! the sparsest mask that fell short and no more than in the last that did not, and who stays is
//! settled by one random order a layer, drawn once. Counts are whole numbers.

use super::search::{self, Outcome};
use super::{Masks, Ordering, PruneError, effective};
use crate::graph::Graph;

/// The mask of the smallest budget found with as many effective connections as `compression`
/// leaves. `order` ranks the connections of each layer; `sizes` gives the layers' sizes at a direct
/// compression; `pruner` is named in refusals.
///
/// # Errors
/// When the compression is below 1 or leaves fewer connections than the shortest path has, or
/// `sizes` refuses.
pub fn search(
    graph: &Graph,
    order: &Ordering,
    compression: f64,
    pruner: &str,
    mut sizes: impl FnMut(f64) -> Result<Vec<usize>, PruneError>,
) -> Result<Outcome, PruneError> {
    search::check_compression(compression)?;
    let total = order.total();
    let wanted = search::effective_count(total, compression);
    let mut look = |budget: usize, clamp: &dyn Fn(usize, usize) -> usize| {
        let sizes = sizes(total as f64 / budget as f64)?;
        let sizes: Vec<usize> = sizes
            .into_iter()
            .enumerate()
            .map(|(l, n)| clamp(l, n))
            .collect();
        let look = Look::of(graph, order, budget, sizes);
        Ok::<_, PruneError>(look)
    };

    // Fewer than wanted cannot be enough; a few more may be, so the bracket grows from there.
    let mut short = Look::of(graph, order, 0, vec![0; order.tensors().len()]);
    let mut budget = wanted + wanted / 4 + 16;
    let mut enough = loop {
        if budget >= total {
            let all = order.tensors().iter().map(|tensor| tensor.len()).collect();
            break Look::of(graph, order, total, all);
        }
        let found = look(budget, &|layer, size| size.max(short.sizes[layer]))?;
        if found.connected() >= wanted {
            break found;
        }
        short = found;
        budget *= 2;
    };
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
    if search::is_beyond(compression, total, graph.shortest_path()) {
        return Err(PruneError::Disconnected {
            pruner: pruner.into(),
            kind: search::Target::Effective.name(),
            compression,
            reachable: total as f64 / enough.connected().max(1) as f64,
        });
    }
    let beyond = search::is_beyond(compression, total, enough.connected());
    if beyond && short.budget + 1 < enough.budget && enough.budget > 1 {
        // Nothing sparser was looked at, because nothing sparser can be enough.
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

/// The mask of one budget.
struct Look {
    budget: usize,
    sizes: Vec<usize>,
    direct: Masks,
    effective: Masks,
}

impl Look {
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

    fn connected(&self) -> usize {
        self.effective.nonzeros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::pruning::quota::{Quota, kept};
    use crate::pruning::search::Target;
    use crate::pruning::{ordering::Rounding, score};

    /// Where sizes are nested, those of a quota, the selection over births is right too.
    #[test]
    fn nested_sizes_give_what_the_selection_gives() {
        for seed in 0..30 {
            let graph = multilayer("toy", [1, 1, 20], &[15, 9, 4]).unwrap();
            let tensors = graph.prunable();
            let scores = || score::random::scores(&tensors, seed);
            let by = |scores| {
                Ordering::by_quota(&tensors, scores, Quota::Igq, Rounding::HalfToEven).unwrap()
            };
            let order = by(scores());
            let sizes = |compression: f64| {
                let densities = Quota::Igq.densities(&tensors, 1.0 / compression)?;
                let sizes = tensors.iter().zip(densities);
                Ok(sizes
                    .map(|(tensor, density)| kept(tensor.len(), density))
                    .collect())
            };
            for compression in [1.0, 1.5, 3.0, 8.0, 20.0, 60.0] {
                let found = search(&graph, &order, compression, "toy", sizes).unwrap();
                let expected =
                    search::prune(&graph, &order, Target::Effective, compression, "toy").unwrap();
                assert_eq!(found.direct, expected.direct, "{compression} {seed}");
                assert_eq!(found.effective, expected.effective);
                assert_eq!(found.collapsed, expected.collapsed, "{compression} {seed}");
            }
            assert!(matches!(
                search(&graph, &order, 300.0, "toy", sizes),
                Err(PruneError::Disconnected { .. })
            ));
        }
    }

    /// Sizes that swing: the mask is still of the bracket, and connected enough.
    #[test]
    fn sizes_that_are_not_nested_end_at_enough() {
        let graph = multilayer("toy", [1, 1, 30], &[20, 10]).unwrap();
        let tensors = graph.prunable();
        let order = Ordering::global(&tensors, score::random::scores(&tensors, 1)).unwrap();
        let total = order.total();
        let swinging = |compression: f64| {
            let budget = (total as f64 / compression).round() as usize;
            let second = (budget % 7 * 20).min(200);
            Ok(vec![budget.saturating_sub(second).min(600), second])
        };
        for compression in [2.0, 5.0, 10.0] {
            let found = search(&graph, &order, compression, "toy", swinging).unwrap();
            let left = found.effective.nonzeros();
            assert!(left as f64 >= total as f64 / compression, "{left}");
            assert!(left <= found.direct.nonzeros());
        }
    }
}
