//! Effective searches on LeNet-300-100: where they end, to the very count.

use super::*;

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

fn ordering(graph: &Graph, kind: &str, scores: &PerLayer<f64>) -> Option<Ordering> {
    let tensors = graph.prunable();
    let ordering = match kind {
        "global_abs_weight" => Ordering::global(&tensors, scores),
        _ => {
            let quota = Quota::by_name(kind.strip_prefix("magnitude_")?).ok()?;
            Ordering::by_quota(&tensors, scores, quota, Rounding::HalfToEven)
        }
    };
    Some(ordering.unwrap())
}

fn check(file: &Path) -> usize {
    let (graph, shapes) = lenet();
    let total = graph.total();
    let mut checked = 0;
    for case in read::<Cases<Case>>(file).cases {
        if case.arch != "lenet300100" {
            continue;
        }
        let drawn = weights(&shapes, case.weight_seed);
        let scores = drawn
            .iter()
            .zip(&shapes)
            .map(|(layer, shape)| transposed(layer, shape).iter().map(|w| w.abs()).collect())
            .collect();
        let Some(ordering) = ordering(&graph, &case.kind, &scores) else {
            continue;
        };
        let label = format!("{} to {}", case.kind, case.target_compression);
        let to = |compression| {
            prune(
                &graph,
                &ordering,
                Target::Effective,
                compression,
                &case.kind,
            )
        };
        let outcome = match to(case.target_compression) {
            Ok(outcome) => outcome,
            // The paper's code returns the last mask before all paths are gone; we refuse and
            // say how far it goes, and that far it goes.
            Err(PruneError::Disconnected { reachable, .. }) => {
                let kept: usize = case.nnz_eff.iter().sum();
                assert_eq!(reachable, total as f64 / kept as f64, "{label}");
                assert!(
                    (kept as f64) > total as f64 / case.target_compression,
                    "{label}"
                );
                to(reachable).unwrap()
            }
            Err(other) => panic!("{label}: {other}"),
        };
        assert_eq!(counts(&outcome.direct), case.nnz_direct, "{label}");
        assert_eq!(counts(&outcome.effective), case.nnz_eff, "{label}");
        // Not only the counts: the very number of weights to remove, and one more is too many.
        let k = case.pruned_count.or(case.pruned_target_count).unwrap();
        let without = |k: usize| ordering.prefix((total - k) as u32);
        assert!(without(k) == outcome.direct, "{label}");
        let next = effective::masks(&graph, &without(k + 1)).nonzeros() as f64;
        assert!(next < total as f64 / case.target_compression, "{label}");
        // The paper's code rounds sparsities to nine decimals, worth a weight at most a layer.
        let apart = usize::from(case.reference_equal != Some(true));
        let theirs = case.reference_nnz_direct.unwrap();
        for (ours, theirs) in case.nnz_direct.iter().zip(&theirs) {
            assert!(ours.abs_diff(*theirs) <= apart, "{label}");
        }
        checked += 1;
    }
    checked
}

#[test]
fn effective_searches_end_where_committed() {
    assert_eq!(check(&committed().join("effective_search.json")), 7);
}

#[test]
fn effective_searches_end_where_the_papers_do() {
    if let Some(folder) = whole() {
        assert!(check(&folder.join("effective_search.json")) >= 7);
    }
}
