//! Direct and effective pruning of an ordering to a compression.
//!
//! The effective search needs no bisection: [`effective::births`] tells the budget at which each
//! connection becomes effective, and the smallest budget with enough of them is one selection.
//! This holds because the prefixes of an [`Ordering`] are nested. Nor does it look at the whole
//! ordering: a prefix that has enough effective connections holds the answer, so prefixes of
//! growing budgets are tried, the first a little larger than the wanted number.

use super::{Masks, Ordering, PruneError, effective};
use crate::graph::Graph;
use effective::{Mode, NEVER};

/// Which of the two compressions is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// What the mask says
    Direct,
    /// What is connected
    Effective,
}

impl Target {
    /// "direct" or "effective".
    pub fn name(self) -> &'static str {
        match self {
            Target::Direct => "direct",
            Target::Effective => "effective",
        }
    }
}

/// What pruning left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the pruner keeps.
    pub direct: Masks,
    /// What of it is connected.
    pub effective: Masks,
    /// Whether the network falls apart before the target: the mask is then the last that is
    /// connected or, pruned directly, of no connected network at all.
    pub collapsed: bool,
}

/// Prunes by `ordering` to `compression` of the kind `target`; `pruner` is named in refusals.
///
/// # Errors
/// When the compression is below 1, leaves fewer connections than the shortest path from input to
/// output has, or is not one of the quota's; the message says how far it can go.
pub fn prune(
    graph: &Graph,
    ordering: &Ordering,
    target: Target,
    compression: f64,
    pruner: &str,
) -> Result<Outcome, PruneError> {
    check_compression(compression)?;
    match target {
        Target::Direct => {
            let direct = ordering.direct(compression)?;
            if direct.nonzeros() < graph.shortest_path() {
                return Err(PruneError::Disconnected {
                    pruner: pruner.into(),
                    kind: target.name(),
                    compression,
                    reachable: direct_reach(graph, ordering, compression),
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
        Target::Effective => effectively(graph, ordering, compression, pruner),
    }
}

/// The smallest budget with as many effective connections as `compression` leaves.
fn effectively(
    graph: &Graph,
    ordering: &Ordering,
    compression: f64,
    pruner: &str,
) -> Result<Outcome, PruneError> {
    let total = ordering.total();
    let wanted = effective_count(total, compression);
    let (least, most) = ordering.budgets().into_inner();
    let mut bound = (wanted as u32 + wanted as u32 / 4 + 16).clamp(least, most);
    let (direct, births, mut times) = loop {
        let direct = ordering.first(bound);
        let births = effective::births(graph, direct.clone(), Mode::Exact);
        let times = births.iter().flatten().map(|c| c.value);
        let times: Vec<u32> = times.filter(|&time| time != NEVER).collect();
        if times.len() >= wanted || bound == most {
            break (direct, births, times);
        }
        bound = bound.saturating_mul(4).min(most);
    };
    let Some(first) = times.iter().copied().min() else {
        return Err(PruneError::NeverConnected {
            pruner: pruner.into(),
        });
    };
    let fewest = times.iter().filter(|&&time| time == first).count();
    let collapsed = is_beyond(compression, total, fewest);
    if is_beyond(compression, total, graph.shortest_path()) {
        return Err(PruneError::Disconnected {
            pruner: pruner.into(),
            kind: Target::Effective.name(),
            compression,
            reachable: total as f64 / fewest as f64,
        });
    }
    // Targets beyond the quota's range, where the network would still be connected.
    if collapsed && first == least && least > 1 {
        return Err(PruneError::TooSparse {
            pruner: pruner.into(),
            compression,
            most: total as f64 / fewest as f64,
            tensor: at_fault(ordering, least - 1),
        });
    }
    if times.len() < wanted && (most as usize) < total {
        return Err(PruneError::TooDense {
            pruner: pruner.into(),
            compression,
            least: total as f64 / times.len() as f64,
            tensor: at_fault(ordering, most + 1),
        });
    }
    // Where even the whole network has less (taps that see only padding), it is all there is.
    let budget = match times.len() {
        all if all < wanted => most,
        _ => *times.select_nth_unstable(wanted - 1).1,
    };
    Ok(Outcome {
        direct: effective::within(graph, &direct, budget),
        effective: effective::within(graph, &births, budget),
        collapsed,
    })
}

/// The tensor for which the quota is not valid at `budget`.
fn at_fault(ordering: &Ordering, budget: u32) -> String {
    let density = f64::from(budget) / ordering.total() as f64;
    let densities = ordering
        .quota()
        .map(|quota| quota.densities(ordering.tensors(), density));
    match densities {
        Some(Err(PruneError::InvalidQuota { tensor, .. })) => tensor,
        _ => "a tensor".into(),
    }
}

/// The highest direct compression of two decimals that keeps a path, given one `beyond` that keeps
/// none. Direct pruning rounds by its own rules and for any compression, not only whole budgets, so
/// births do not tell; but its masks are nested, so bisection does.
pub fn direct_reach(graph: &Graph, ordering: &Ordering, beyond: f64) -> f64 {
    let total = ordering.total() as f64;
    let (least, most) = ordering.budgets().into_inner();
    let is_connected = |compression: f64| {
        ordering
            .direct(compression)
            .is_ok_and(|direct| effective::masks(graph, &direct, Mode::Exact).nonzeros() > 0)
    };
    let low = (total / f64::from(most) * 100.0).ceil();
    let high = (beyond.min(total / f64::from(least)) * 100.0).ceil();
    last_hundredth(low as u64, high as u64, is_connected)
}

/// Returns the last of the compressions `low` to `high`, in hundredths, that `holds`, which no later
/// one does; `low` holds, and `high` does not.
pub(super) fn last_hundredth(mut low: u64, mut high: u64, holds: impl Fn(f64) -> bool) -> f64 {
    while high > low + 1 {
        let middle = low.midpoint(high);
        *(if holds(middle as f64 / 100.0) {
            &mut low
        } else {
            &mut high
        }) = middle;
    }
    low as f64 / 100.0
}

/// Whether `compression` of `total` connections is beyond that which leaves `fewest` of them, which is
/// rounded up to two decimals as messages print it: one rounded down asks for a connection more.
pub(super) fn is_beyond(compression: f64, total: usize, fewest: usize) -> bool {
    compression > (100 * total).div_ceil(fewest.max(1)) as f64 / 100.0
}

/// Checks that `compression` is a number of at least 1.
///
/// # Errors
/// When it is not.
pub fn check_compression(compression: f64) -> Result<(), PruneError> {
    if compression.is_finite() && compression >= 1.0 {
        Ok(())
    } else {
        Err(PruneError::Compression { compression })
    }
}

/// The number of effective connections that `compression` of `total` asks for, at least 1.
pub(super) fn effective_count(total: usize, compression: f64) -> usize {
    let total = total as f64;
    // The last term forgives the rounding of N / c where it is a whole number.
    ((total / compression - 1e-9 * total).ceil() as usize).max(1)
}
