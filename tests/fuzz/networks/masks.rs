//! Checks effective masks and pruning against reachability by links.

use std::ops::RangeInclusive;

use rarefy_trainer::graph::Graph;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::{Compression, Masks, PruneError, Pruner, Source, Target, Weights};
use rarefy_trainer::random::Random;

use super::check::{Counts, Fault, fault};
use super::plan::{MaskKind, Plan};
use super::pruning::{self, Family, PerLayer, Sharing, reachability};
use super::values;

/// Returns `masks` as lists of `bool`.
fn bits(masks: &Masks) -> PerLayer<bool> {
    masks.iter().map(|mask| mask.keep.clone()).collect()
}

/// Checks the effective masks of `graph`, and the masks of a randomly chosen pruner. Returns the
/// mask that `plan` requests.
pub(crate) fn check(
    plan: &Plan,
    graph: &Graph,
    counts: &mut Counts,
) -> Result<PerLayer<bool>, Fault> {
    let drawn = values::direct_mask(plan, graph);
    let masks = Masks::from_fn(&graph.prunable(), |tensor, element| drawn[tensor][element]);
    let mut effective_masks = Vec::new();
    for mode in [Mode::Exact, Mode::Graph] {
        let expected = pruning::effective(graph, &drawn, mode);
        let found = effective::masks(graph, &masks, mode);
        if bits(&found) != expected {
            let (found, expected) = (found.nonzeros(), pruning::count(&expected));
            let what =
                format!("{mode:?}: the {found} effective weights are not the {expected} expected");
            return fault("effective masks", what);
        }
        if pruning::count(&expected) == 0 {
            counts.count(format!("masks without a path ({mode:?})"));
        }
        effective_masks.push(expected);
    }
    prune(plan, graph, counts)?;
    let [exact, channels] = effective_masks.try_into().unwrap_or_default();
    Ok(match plan.mask {
        MaskKind::Dense => drawn.iter().map(|mask| vec![true; mask.len()]).collect(),
        MaskKind::Direct => drawn,
        MaskKind::Exact => exact,
        MaskKind::Graph => channels,
    })
}

/// Pruners whose scores depend only on the weights.
const PRUNERS: [(&str, Sharing); 6] = [
    ("magnitude/global", Sharing::Global),
    ("magnitude/uniform", Sharing::Uniform),
    ("magnitude/uniform+", Sharing::UniformPlus),
    ("magnitude/erk", Sharing::Erk),
    ("magnitude/igq", Sharing::Igq),
    ("lamp", Sharing::Global),
];

/// Prunes `graph` with one of the pruners and checks the resulting mask.
fn prune(plan: &Plan, graph: &Graph, counts: &mut Counts) -> Result<(), Fault> {
    let random = &mut Random::stream(plan.seed, "pruning");
    let (name, sharing) = PRUNERS[random.below(PRUNERS.len() as u64) as usize];
    let total = graph.total();
    // From no pruning to twice the compression that would keep a single weight.
    let compression = (2.0 * total as f64).powf(random.unit()).max(1.0);
    let tensors = graph.prunable();
    let weights: PerLayer<f64> = tensors
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.normal()).collect())
        .collect();
    let kernels = Weights::new(graph, weights.clone());
    let source = Source {
        trained: Some(&kernels),
        ..Source::new(graph)
    };
    let scores = match name {
        "lamp" => weights.iter().map(|weights| lamp(weights)).collect(),
        _ => weights
            .iter()
            .map(|weights| weights.iter().map(|weight| weight.abs()).collect())
            .collect::<PerLayer<f64>>(),
    };
    let plus = sharing == Sharing::UniformPlus;
    if plus && (tensors.len() < 3 || tensors[0].shape.len() < 3) {
        return Ok(());
    }
    let family = Family::new(graph, sharing, &scores);
    let Ok(pruner) = Pruner::by_name(name) else {
        return fault("pruning", format!("there is no pruner {name}"));
    };
    let Ok(requested) = Compression::new(compression) else {
        return fault(
            "pruning",
            format!("{compression} is not a valid compression"),
        );
    };
    match pruner.prune(&source, Target::Effective, requested) {
        Ok(pruned) => {
            counts.count("networks pruned");
            let (direct, left) = (
                bits(&pruned.outcome.direct),
                bits(&pruned.outcome.effective),
            );
            let expected = family.mask(family.search(compression));
            if direct != expected || left != pruning::effective(graph, &expected, Mode::Exact) {
                let what = format!(
                    "{name} at {compression} keeps {:?} weights per layer, {:?} of them effective; the oracle keeps {:?}",
                    pruning::counts(&direct),
                    pruning::counts(&left),
                    pruning::counts(&expected),
                );
                return fault("pruning", what);
            }
        }
        Err(error) => {
            counts.count("pruning rejected");
            if !justified(graph, &family, compression, &error) {
                let what =
                    format!("{name} at {compression} is rejected for no valid reason: {error}");
                return fault("pruning", what);
            }
        }
    }
    Ok(())
}

/// Returns whether `error` states a valid reason why `family` cannot prune to `compression`.
fn justified(graph: &Graph, family: &Family, compression: f64, error: &PruneError) -> bool {
    let total = graph.total();
    let most = |valid: &RangeInclusive<usize>| pruning::count(&family.effective(*valid.start()));
    let valid = family.valid();
    match error {
        PruneError::Disconnected { .. } => {
            let shortest = reachability::shortest_path(graph);
            compression > (100 * total).div_ceil(shortest) as f64 / 100.0
        }
        PruneError::NeverConnected { .. } => valid.is_none_or(|valid| most(&valid) == 0),
        PruneError::TooDense { .. } | PruneError::TooSparse { .. } => {
            valid.is_none_or(|valid| valid != (0..=total))
        }
        PruneError::InvalidQuota { .. } | PruneError::NoConvolution { .. } => valid.is_none(),
        _ => false,
    }
}

/// Returns the LAMP scores by definition: a weight's square divided by the sum of the squares of
/// its layer's weights that are no smaller.
fn lamp(weights: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].abs().total_cmp(&weights[a].abs()));
    let mut scores = vec![0.0; weights.len()];
    let mut sum = 0.0;
    for element in order {
        let square = weights[element] * weights[element];
        sum += square;
        scores[element] = square / (sum + 1e-8);
    }
    scores
}
