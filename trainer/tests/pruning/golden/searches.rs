//! Compares the exact counts of the masks that effective searches find.

use rarefy_trainer::graph::Graph;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::search::prune;
use rarefy_trainer::pruning::{Ordering, Target, score};

use super::layout::{Layout, network};
use super::*;
use crate::oracle::{self, Family, PerLayer, Sharing};
use crate::samples::{bits, to};

#[derive(Deserialize)]
struct Case {
    arch: String,
    kind: String,
    weight_seed: u64,
    target_compression: f64,
    /// The number of weights removed, if the search is over a global order.
    pruned_count: Option<usize>,
    /// The same, if the search is over a quota.
    pruned_target_count: Option<usize>,
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
    reference_nnz_direct: Option<Vec<usize>>,
    reference_equal: Option<bool>,
}

/// Returns the sharing and the quota of a kind of search.
fn of_kind(kind: &str) -> (Sharing, Option<Quota>) {
    match kind {
        "global_abs_weight" => (Sharing::Global, None),
        "magnitude_uniform" => (Sharing::Uniform, Some(Quota::Uniform)),
        "magnitude_uniform_plus" => (Sharing::UniformPlus, Some(Quota::UniformPlus)),
        "magnitude_erk" => (Sharing::Erk, Some(Quota::Erk)),
        "magnitude_igq" => (Sharing::Igq, Some(Quota::Igq)),
        other => panic!("{other} is not a search of the collection"),
    }
}

/// Compares the result of one search.
fn check(case: &Case) {
    let graph = network(&case.arch);
    let label = format!(
        "{} of {} to {}",
        case.kind, case.arch, case.target_compression
    );
    let scores = score::magnitude::scores(&Layout::of(&graph).drawn_weights(case.weight_seed));
    let (sharing, quota) = of_kind(&case.kind);
    // Small networks can also be searched by the oracle's bisection.
    let k = case.pruned_count.or(case.pruned_target_count).unwrap();
    if graph.total() < 300_000 {
        let family = Family::new(&graph, sharing, &scores);
        assert_eq!(family.search(case.target_compression), k, "{label}");
    }
    let ordering = ordering(&graph, quota, scores);
    let total = graph.total();

    let outcome = prune(
        &graph,
        &ordering,
        Target::Effective,
        to(case.target_compression),
        &case.kind,
    );
    let outcome = outcome.unwrap_or_else(|error| panic!("{label}: {error}"));
    assert_eq!(counts(&outcome.direct), case.nnz_direct, "{label}");
    assert_eq!(counts(&outcome.effective), case.nnz_eff, "{label}");
    // The mask must be that of the stated number of removed weights, and removing one more must be
    // too many.
    let without = |k: usize| ordering.prefix((total - k) as u32);
    assert!(without(k) == outcome.direct, "{label}");
    let next = effective::masks(&graph, &without(k + 1), Mode::Exact).nonzeros();
    let wanted = oracle::wanted(total, case.target_compression);
    assert!(next < wanted, "{label}");
    // If the next mask has no path, the result is the last mask with one, marked as collapsed.
    let collapsed = next == 0 && outcome.effective.nonzeros() > wanted;
    assert_eq!(outcome.collapsed, collapsed, "{label}");
    let again = oracle::effective(&graph, &bits(&outcome.direct), Mode::Exact);
    assert!(bits(&outcome.effective) == again, "{label}");
    // The paper's code rounds sparsities to nine decimals, a difference of at most one weight per
    // layer.
    if let Some(theirs) = &case.reference_nnz_direct {
        let tolerance = usize::from(case.reference_equal != Some(true));
        for (ours, theirs) in case.nnz_direct.iter().zip(theirs) {
            assert!(ours.abs_diff(*theirs) <= tolerance, "{label}");
        }
    }
}

/// Returns the ordering of `scores` by `quota`, or over the whole network.
fn ordering(graph: &Graph, quota: Option<Quota>, scores: PerLayer<f64>) -> Ordering {
    let tensors = graph.prunable();
    let ordering = match quota {
        None => Ordering::global(&tensors, scores),
        Some(quota) => Ordering::by_quota(&tensors, scores, quota, Rounding::HalfToEven),
    };
    ordering.unwrap()
}

#[test]
fn effective_searches_end_where_committed() {
    let file: Cases<Case> = read(&committed().join("effective_search.json"));
    assert_eq!(file.cases.len(), 17);
    file.cases.iter().for_each(check);
}

#[test]
fn effective_searches_end_where_the_papers_do() {
    if let Some(folder) = complete() {
        let file: Cases<Case> = read(&folder.join("effective_search.json"));
        assert_eq!(file.cases.len(), 19);
        file.cases.iter().for_each(check);
    }
}
