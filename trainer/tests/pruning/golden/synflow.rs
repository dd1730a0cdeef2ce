//! SynFlow on the LeNets: every kept weight, and the effective search by its order of removal.

use super::bits::{base64, packed};
use super::layout::{Layout, network};
use super::{Cases, committed, read, whole};
use crate::oracle::{Family, Sharing, counts, effective, synflow};
use rarefy_trainer::pruning::effective::Mode;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    arch: String,
    weight_seed: u64,
    compression: f64,
    sparsity: f64,
    history: Vec<Iteration>,
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
    mask_bits: Vec<String>,
    effective_search: Search,
}

#[derive(Deserialize)]
struct Iteration {
    iteration: usize,
    #[serde(rename = "saliency_sum_R")]
    sum: f64,
    pruned_so_far: usize,
    nnz: Vec<usize>,
}

#[derive(Deserialize)]
struct Search {
    pruned_count: usize,
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
}

fn check(case: &Case) {
    let label = format!("{} to {}", case.arch, case.compression);
    let graph = network(&case.arch);
    let layout = Layout::of(&graph);
    let kernels = layout.drawn_weights(case.weight_seed);
    let run = synflow::prune(&graph, &kernels, case.sparsity);
    for iteration in &case.history {
        let (sum, removed) = run.history[iteration.iteration - 1];
        assert!((sum / iteration.sum - 1.0).abs() < 1e-9, "{label}: {sum}");
        assert_eq!(removed, iteration.pruned_so_far, "{label}");
        let mask = run.mask(&graph, iteration.iteration);
        assert_eq!(counts(&mask), iteration.nnz, "{label}");
    }
    let mask = run.mask(&graph, run.history.len());
    let theirs: Vec<Vec<u8>> = case.mask_bits.iter().map(|text| base64(text)).collect();
    assert!(
        packed(&layout.theirs(&mask)) == theirs,
        "{label}: bits differ"
    );
    assert_eq!(counts(&mask), case.nnz_direct, "{label}");
    let active = effective(&graph, &mask, Mode::Exact);
    assert_eq!(counts(&active), case.nnz_eff, "{label}");

    let family = Family::new(&graph, Sharing::Global, &run.scores(&graph));
    let k = family.search(case.compression);
    assert_eq!(k, case.effective_search.pruned_count, "{label}");
    assert_eq!(counts(&family.mask(k)), case.effective_search.nnz_direct);
    assert_eq!(counts(&family.effective(k)), case.effective_search.nnz_eff);
}

#[test]
fn synflow_is_the_committed_one() {
    let file: Cases<Case> = read(&committed().join("synflow_lenets.json"));
    assert_eq!(file.cases.len(), 1);
    file.cases.iter().for_each(check);
}

#[test]
fn synflow_is_the_papers_bit_for_bit() {
    if let Some(folder) = whole() {
        let file: Cases<Case> = read(&folder.join("synflow_lenets.json"));
        assert_eq!(file.cases.len(), 3);
        file.cases.iter().for_each(check);
    }
}
