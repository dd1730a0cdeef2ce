//! Prunes a network by an ordering, to a direct or an effective compression.
//!
//! The effective search needs no bisection: [`effective::births`] returns the budget at which each
//! connection becomes effective, and one selection finds the smallest budget with enough of them.
//! This holds because the prefixes of an [`Ordering`] are nested. It rarely needs the whole
//! ordering either: a prefix with enough effective connections is sufficient. So prefixes of
//! growing budgets are tried, the first slightly larger than the wanted number.

use super::compression::{Compression, Target};
use super::effective::{self, Mode, NEVER};
use super::error::PruneError;
use super::hundredths;
use super::ordering::Ordering;
use super::paths::Connection;
use crate::graph::Graph;
use crate::masks::Masks;

/// The masks that a pruner found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The connections that the pruner keeps.
    pub direct: Masks,
    /// The effective ones among them.
    pub effective: Masks,
    /// Whether the network is disconnected at the requested compression. Effective pruning then
    /// returns the sparsest connected mask; direct pruning returns the mask as requested, without
    /// any effective connection.
    pub collapsed: bool,
}

/// Prunes `graph` by `ordering` to `compression`; `target` says which weights count as remaining.
/// Errors name `pruner`.
///
/// # Errors
/// Returns an error if the compression keeps fewer connections than the shortest path from input
/// to output has, or if the quota is not valid at that compression; the error states the
/// compressions that can be reached. Effective pruning also returns an error if no mask of the
/// ordering connects input and output.
pub fn prune(
    graph: &Graph,
    ordering: &Ordering,
    target: Target,
    compression: Compression,
    pruner: &str,
) -> Result<Outcome, PruneError> {
    match target {
        Target::Direct => {
            let direct = ordering.direct(compression)?;
            if direct.nonzeros() < graph.shortest_path() {
                return Err(PruneError::Disconnected {
                    pruner: pruner.into(),
                    target,
                    compression: compression.get(),
                    reachable: direct_reach(graph, ordering, compression.get()),
                });
            }
            let effective = effective::masks(graph, &direct, Mode::Exact);
            let collapsed = effective.nonzeros() == 0;
            Ok(Outcome {
                direct,
                effective,
                collapsed,
            })
        }
        Target::Effective => prune_effectively(graph, ordering, compression, pruner),
    }
}

/// Returns the masks of the smallest budget with at least as many effective connections as
/// `compression` keeps.
fn prune_effectively(
    graph: &Graph,
    ordering: &Ordering,
    compression: Compression,
    pruner: &str,
) -> Result<Outcome, PruneError> {
    let (least, most) = ordering.budgets().into_inner();
    let total = ordering.total();
    let wanted = compression.effective_count(total);
    let mut prefix = Prefix::with(graph, ordering, wanted);
    let Some(first) = prefix.times.iter().copied().min() else {
        return Err(PruneError::NeverConnected {
            pruner: pruner.into(),
        });
    };
    let fewest = prefix.times.iter().filter(|&&time| time == first).count();
    let collapsed = compression.is_beyond(total, fewest);
    if compression.is_beyond(total, graph.shortest_path()) {
        return Err(PruneError::Disconnected {
            pruner: pruner.into(),
            target: Target::Effective,
            compression: compression.get(),
            reachable: total as f64 / fewest as f64,
        });
    }
    // The compression is beyond the quota's range, where the network would still be connected.
    if collapsed && first == least && least > 1 {
        return Err(PruneError::TooSparse {
            pruner: pruner.into(),
            compression: compression.get(),
            most: total as f64 / fewest as f64,
            tensor: invalid_tensor(ordering, least - 1),
        });
    }
    let found = prefix.times.len();
    if found < wanted && (most as usize) < total {
        return Err(PruneError::TooDense {
            pruner: pruner.into(),
            compression: compression.get(),
            least: total as f64 / found as f64,
            tensor: invalid_tensor(ordering, most + 1),
        });
    }
    // Even the whole network can have fewer effective connections: some taps see only padding.
    let budget = match found < wanted {
        true => most,
        false => *prefix.times.select_nth_unstable(wanted - 1).1,
    };
    Ok(Outcome {
        direct: effective::within(graph, &prefix.direct, budget),
        effective: effective::within(graph, &prefix.births, budget),
        collapsed,
    })
}

/// The connections of an ordering up to a budget.
struct Prefix {
    /// The connections with their births.
    direct: Vec<Vec<Connection<u32>>>,
    /// The same connections with the budgets at which they become effective.
    births: Vec<Vec<Connection<u32>>>,
    /// The budgets in `births` at which connections become effective, unordered, without
    /// [`NEVER`].
    times: Vec<u32>,
}

impl Prefix {
    /// Returns the first prefix tried that has at least `wanted` effective connections, or, if none
    /// has, the longest.
    fn with(graph: &Graph, ordering: &Ordering, wanted: usize) -> Self {
        let (least, most) = ordering.budgets().into_inner();
        let mut bound = (wanted as u32 + wanted as u32 / 4 + 16).clamp(least, most);
        loop {
            let direct = ordering.first(bound);
            let births = effective::births(graph, direct.clone(), Mode::Exact);
            let times = births.iter().flatten().map(|c| c.value);
            let times: Vec<u32> = times.filter(|&time| time != NEVER).collect();
            if times.len() >= wanted || bound == most {
                return Self {
                    direct,
                    births,
                    times,
                };
            }
            bound = bound.saturating_mul(4).min(most);
        }
    }
}

/// Returns the name of the tensor for which the quota is not valid at `budget`.
fn invalid_tensor(ordering: &Ordering, budget: u32) -> String {
    let density = f64::from(budget) / ordering.total() as f64;
    let densities = ordering
        .quota()
        .map(|quota| quota.densities(ordering.tensors(), density));
    match densities {
        Some(Err(PruneError::InvalidQuota { tensor, .. })) => tensor,
        _ => "a tensor".into(),
    }
}

/// Returns the highest direct compression, with two decimals, at which a path from input to output
/// is left. There must be no path at `beyond`.
///
/// Direct pruning has its own rounding and takes any compression, not only those of whole budgets,
/// so births do not answer this. Its masks are nested, so bisection does.
pub fn direct_reach(graph: &Graph, ordering: &Ordering, beyond: f64) -> f64 {
    let total = ordering.total() as f64;
    let (least, most) = ordering.budgets().into_inner();
    let is_connected = |ratio: f64| {
        let direct = Compression::new(ratio).map(|compression| ordering.direct(compression));
        let Ok(Ok(direct)) = direct else {
            return false;
        };
        effective::masks(graph, &direct, Mode::Exact).nonzeros() > 0
    };
    let low = (total / f64::from(most) * 100.0).ceil();
    let high = (beyond.min(total / f64::from(least)) * 100.0).ceil();
    hundredths::last(low as u64, high as u64, is_connected)
}
