//! Compares SynFlow by path sums with its definition, on networks with padding, pooling and
//! shortcuts.

use rarefy_trainer::graph::Graph;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::pruning::{Masks, Ordering, PruneError, Pruner, Source, Weights};
use rarefy_trainer::random::Random;

use crate::oracle::{PerLayer, synflow};
use crate::samples::{self, bits, describe, to};

/// Checks that each round removes the connections of the lowest scores. As much flows into a unit
/// as out of it, so equal scores are common, and rounding errors may decide between them.
fn check(graph: &Graph, kernels: &[Vec<f64>], ordering: &Ordering, sparsity: f64) {
    let total = graph.total();
    let after = |round: usize| -> PerLayer<bool> {
        let left = total - synflow::removed(total, sparsity, round);
        let mask = bits(&ordering.prefix(left as u32));
        assert_eq!(crate::oracle::count(&mask), left);
        mask
    };
    let mut before = after(0);
    for round in 1..=synflow::ROUNDS {
        let mask = after(round);
        if mask == before {
            continue;
        }
        let scores = synflow::scores(graph, kernels, &before);
        let (mut highest_removed, mut lowest_kept) = (0.0_f64, f64::INFINITY);
        for ((scores, before), mask) in scores.iter().zip(&before).zip(&mask) {
            for ((&score, &was), &is) in scores.iter().zip(before).zip(mask) {
                assert!(was || !is, "a removed connection is back");
                if is {
                    lowest_kept = lowest_kept.min(score);
                } else if was {
                    highest_removed = highest_removed.max(score);
                }
            }
        }
        assert!(
            highest_removed <= lowest_kept * (1.0 + 1e-12),
            "round {round} to {sparsity} removes {highest_removed} but keeps {lowest_kept} of {}",
            describe(graph)
        );
        before = mask;
    }
}

#[test]
fn synflow_removes_the_lowest_scores_round_by_round() {
    for seed in 0..150 {
        let mut random = Random::stream(seed, "synflow");
        let graph = samples::graph(&mut random, 12, 6);
        let mut draw = |size: usize| (0..size).map(|_| random.normal()).collect();
        let tensors = graph.prunable();
        let values: Vec<Vec<f64>> = tensors.iter().map(|t| draw(t.len())).collect();
        let compression = [2.0, 4.0, 10.0, 50.0][seed as usize % 4];

        let kernels = Weights::new(&graph, values.clone());
        let source = Source {
            initial: Some(&kernels),
            ..Source::new(&graph)
        };
        let synflow = Pruner::by_name("synflow").unwrap();
        let ordering = match synflow.order(&source, to(compression)) {
            // The windows alone disconnect some samples.
            Err(PruneError::NoFlow) => {
                let whole = effective::masks(&graph, &Masks::dense(&graph), Mode::Exact);
                assert_eq!(whole.nonzeros(), 0, "{}", describe(&graph));
                continue;
            }
            ordering => ordering.unwrap(),
        };
        check(&graph, &values, &ordering, 1.0 - 1.0 / compression);
    }
}
