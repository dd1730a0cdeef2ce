//! Effective searches: where they end, to the very count.

use rarefy_trainer::graph::Graph;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::search::{Target, prune};
use rarefy_trainer::pruning::{Ordering, score};

use super::layout::{Layout, network};
use super::*;
use crate::oracle::{self, Family, PerLayer, Sharing};
use crate::samples::bits;

#[derive(Deserialize)]
struct Case {
    arch: String,
    kind: String,
    weight_seed: u64,
    target_compression: f64,
    /// Weights to remove, where the search ended: of a global order, of a quota.
    pruned_count: Option<usize>,
    pruned_target_count: Option<usize>,
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
    reference_nnz_direct: Option<Vec<usize>>,
    reference_equal: Option<bool>,
}

fn of_kind(kind: &str) -> (Sharing, Option<Quota>) {
    match kind {
        "global_abs_weight" => (Sharing::Global, None),
        "magnitude_uniform" => (Sharing::Uniform, Some(Quota::Uniform)),
        "magnitude_uniform_plus" => (Sharing::UniformPlus, Some(Quota::UniformPlus)),
        "magnitude_erk" => (Sharing::Erk, Some(Quota::Erk)),
        "magnitude_igq" => (Sharing::Igq, Some(Quota::Igq)),
        other => panic!("{other} is no search of the collection"),
    }
}

fn check(case: &Case) {
    let graph = network(&case.arch);
    let label = format!(
        "{} of {} to {}",
        case.kind, case.arch, case.target_compression
    );
    let scores = score::magnitude::scores(&Layout::of(&graph).drawn_weights(case.weight_seed));
    let (sharing, quota) = of_kind(&case.kind);
    // The networks of the samples' size can be searched by bisection as well.
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
        case.target_compression,
        &case.kind,
    );
    let outcome = outcome.unwrap_or_else(|error| panic!("{label}: {error}"));
    assert_eq!(counts(&outcome.direct), case.nnz_direct, "{label}");
    assert_eq!(counts(&outcome.effective), case.nnz_eff, "{label}");
    // Not only the counts: the very number of weights to remove, and one more is too many.
    let without = |k: usize| ordering.prefix((total - k) as u32);
    assert!(without(k) == outcome.direct, "{label}");
    let next = effective::masks(&graph, &without(k + 1), Mode::Exact).nonzeros();
    let wanted = oracle::wanted(total, case.target_compression);
    assert!(next < wanted, "{label}");
    // Where the next mask has no path, the last that has one is the answer, and says so.
    let collapsed = next == 0 && outcome.effective.nonzeros() > wanted;
    assert_eq!(outcome.collapsed, collapsed, "{label}");
    let again = oracle::effective(&graph, &bits(&outcome.direct), Mode::Exact);
    assert!(bits(&outcome.effective) == again, "{label}");
    // The paper's code rounds sparsities to nine decimals, worth a weight at most a layer.
    if let Some(theirs) = &case.reference_nnz_direct {
        let apart = usize::from(case.reference_equal != Some(true));
        for (ours, theirs) in case.nnz_direct.iter().zip(theirs) {
            assert!(ours.abs_diff(*theirs) <= apart, "{label}");
        }
    }
}

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
    if let Some(folder) = whole() {
        let file: Cases<Case> = read(&folder.join("effective_search.json"));
        assert_eq!(file.cases.len(), 19);
        file.cases.iter().for_each(check);
    }
}
