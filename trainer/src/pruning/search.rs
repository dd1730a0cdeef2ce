//! Direct and effective pruning of an ordering to a compression.
//!
//! The effective search needs no bisection: [`effective::births`] tells the budget at which each
//! connection becomes effective, and the smallest budget with enough of them is one selection.
//! This holds because the prefixes of an [`Ordering`] are nested.

use super::{Masks, Ordering, PruneError, effective};
use crate::graph::Graph;

/// Which of the two compressions is to be reached.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
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
}

/// Prunes by `ordering` to `compression` of the kind `target`; `pruner` is named in refusals.
///
/// # Errors
/// When the compression is below 1, or leaves no path from input to output; the message says
/// how far it can go.
pub fn prune(
    graph: &Graph,
    ordering: &Ordering,
    target: Target,
    compression: f64,
    pruner: &str,
) -> Result<Outcome, PruneError> {
    check_compression(compression)?;
    let disconnected = |reachable: f64| PruneError::Disconnected {
        pruner: pruner.into(),
        kind: target.name(),
        compression,
        reachable,
    };
    match target {
        Target::Direct => {
            let direct = ordering.direct(compression);
            let effective = effective::masks(graph, &direct);
            if effective.nonzeros() == 0 {
                return Err(disconnected(direct_reach(graph, ordering, compression)));
            }
            Ok(Outcome { direct, effective })
        }
        Target::Effective => {
            let births = effective::births(graph, ordering.births());
            let total = ordering.total();
            let mut times: Vec<u32> = births.iter().flatten().copied().collect();
            let first = times.iter().copied().min().unwrap_or(effective::NEVER);
            let wanted = effective_count(total, compression);
            let fewest = times.iter().filter(|&&time| time <= first).count();
            if wanted < fewest {
                return Err(disconnected(total as f64 / fewest as f64));
            }
            let (_, &mut budget, _) = times.select_nth_unstable(wanted - 1);
            let effective = Masks::from_fn(ordering.tensors(), |tensor, element| {
                births[tensor][element] <= budget
            });
            Ok(Outcome {
                direct: ordering.prefix(budget),
                effective,
            })
        }
    }
}

/// The highest direct compression that keeps a path, within 1/2000 below, given one `beyond` that
/// keeps none. Direct pruning rounds by its own rules and for any compression, not only whole
/// budgets, so births do not tell; but its masks are nested, so bisection does.
fn direct_reach(graph: &Graph, ordering: &Ordering, beyond: f64) -> f64 {
    let (mut low, mut high) = (1.0_f64, beyond);
    while high / low > 1.0005 {
        let middle = (low * high).sqrt();
        let mask = effective::masks(graph, &ordering.direct(middle));
        if mask.nonzeros() > 0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
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
fn effective_count(total: usize, compression: f64) -> usize {
    let total = total as f64;
    // The last term forgives the rounding of N / c where it is a whole number.
    ((total / compression - 1e-9 * total).ceil() as usize).max(1)
}
