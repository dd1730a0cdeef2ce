//! Compares SynFlow: its masks, its rounds, and effective searches over its orderings.

use rarefy_trainer::pruning::{Pruner, Source, Target, Weights};

use super::bits::base64;
use super::layout::{Layout, network};
use super::*;
use crate::samples::{bits, to};

#[derive(Deserialize)]
struct Case {
    arch: String,
    weight_seed: u64,
    compression: f64,
    history: Vec<Round>,
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
    mask_bits: Vec<String>,
    effective_search: Search,
}

#[derive(Deserialize)]
struct Round {
    iteration: usize,
    pruned_so_far: usize,
    nnz: Vec<usize>,
}

#[derive(Deserialize)]
struct Search {
    nnz_direct: Vec<usize>,
    nnz_eff: Vec<usize>,
}

/// Compares one case.
fn check(case: &Case) {
    let graph = network(&case.arch);
    let layout = Layout::of(&graph);
    let label = format!("{} at {}", case.arch, case.compression);
    let kernels = Weights::new(&graph, layout.drawn_weights(case.weight_seed));
    let source = Source {
        initial: Some(&kernels),
        ..Source::new(&graph)
    };
    let synflow = Pruner::by_name("synflow").unwrap();
    let to = |target| {
        synflow
            .prune(&source, target, to(case.compression))
            .unwrap()
    };

    let direct = to(Target::Direct);
    assert_eq!(counts(&direct.outcome.direct), case.nnz_direct, "{label}");
    assert_eq!(counts(&direct.outcome.effective), case.nnz_eff, "{label}");
    let found = layout.theirs(&bits(&direct.outcome.direct));
    let mut distance = 0;
    for (found, expected) in found.iter().zip(&case.mask_bits) {
        let expected = base64(expected);
        let differs =
            |&(at, &keep): &(usize, &bool)| (expected[at / 8] >> (at % 8) & 1 == 1) != keep;
        distance += found.iter().enumerate().filter(differs).count();
    }
    assert!(
        distance * 1000 <= graph.total(),
        "{label}: {distance} bits differ"
    );

    // The order contains the mask of every round.
    for round in &case.history {
        let left = (graph.total() - round.pruned_so_far) as u32;
        let label = format!("{label}, round {}", round.iteration);
        assert_eq!(counts(&direct.ordering.prefix(left)), round.nnz, "{label}");
    }

    let effective = to(Target::Effective).outcome;
    let expected = &case.effective_search;
    assert_eq!(counts(&effective.direct), expected.nnz_direct, "{label}");
    assert_eq!(counts(&effective.effective), expected.nnz_eff, "{label}");
    assert!(!effective.collapsed, "{label}");
}

/// Checks the cases of a file; returns their number.
fn check_all(folder: &Path) -> usize {
    let cases: Vec<Case> = read::<Cases<_>>(&folder.join("synflow_lenets.json")).cases;
    cases.iter().for_each(check);
    cases.len()
}

#[test]
fn synflow_masks_are_the_committed_ones() {
    assert_eq!(check_all(&committed()), 1);
}

#[test]
fn synflow_masks_are_the_papers() {
    if let Some(folder) = complete() {
        assert!(check_all(&folder) >= 3);
    }
}
