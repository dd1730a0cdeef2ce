//! Tests the errors of pruning: requests that cannot be met, and what the messages promise instead.

use rarefy_trainer::graph::architecture;
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::search::prune;
use rarefy_trainer::pruning::{Compression, Ordering, PruneError, Target};
use rarefy_trainer::random::Random;

use crate::oracle::{self, reachability};
use crate::samples::{SHARINGS, Sample, to};

#[test]
fn the_compression_in_an_error_can_be_reached() {
    let (mut few, mut dense) = (0, 0);
    for sample in Sample::all(150, 20) {
        let total = sample.ordering.total() as f64;
        let label = sample.label();
        let (graph, ordering) = (&sample.graph, &sample.ordering);
        let at = |ratio| prune(graph, ordering, Target::Effective, to(ratio), "p");
        if let Err(PruneError::Disconnected { reachable, .. }) = at(2.0 * total) {
            // If even the largest valid mask has no path, nothing can be promised.
            let all = *sample.family.valid().unwrap().start();
            if oracle::count(&sample.family.effective(all)) > 0 {
                let outcome = at(reachable).unwrap_or_else(|again| panic!("{label}: {again}"));
                assert_eq!(
                    outcome.effective.nonzeros() as f64,
                    (total / reachable).round(),
                    "{label}"
                );
                assert!(!outcome.collapsed, "{label}");
                few += 1;
            }
        }
        if let Err(PruneError::TooDense { least, .. }) = at(1.0) {
            let outcome = at(least).unwrap_or_else(|again| panic!("{label}: {again}"));
            assert_eq!(
                outcome.effective.nonzeros() as f64,
                (total / least).round(),
                "{label}"
            );
            dense += 1;
        }
    }
    assert!(few > 200 && dense > 20, "{few}, {dense}");
}

#[test]
fn direct_masks_without_a_path_are_marked_as_collapsed() {
    let mut collapsed = 0;
    for sample in Sample::all(150, 20) {
        for compression in [1.5, 3.0, 20.0, 200.0].map(to) {
            let (graph, ordering) = (&sample.graph, &sample.ordering);
            let Ok(outcome) = prune(graph, ordering, Target::Direct, compression, "p") else {
                // Only an invalid quota or a mask too small for any path is an error.
                let shortest = reachability::shortest_path(graph);
                let direct = ordering.direct(compression);
                let enough = direct.is_ok_and(|direct| direct.nonzeros() >= shortest);
                assert!(!enough, "{}", sample.label());
                continue;
            };
            assert_eq!(outcome.direct, ordering.direct(compression).unwrap());
            let connected = outcome.effective.nonzeros() > 0;
            assert_eq!(outcome.collapsed, !connected, "{}", sample.label());
            collapsed += usize::from(!connected);
        }
    }
    assert!(collapsed > 300, "{collapsed}");
}

#[test]
fn messages_promise_only_what_can_be_reached() {
    let graph = architecture::by_name("lenet-5-28").unwrap();
    let tensors = graph.prunable();
    let mut random = Random::stream(3, "scores");
    let scores: Vec<Vec<f64>> = tensors
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.unit()).collect())
        .collect();
    // Parses the number after the last `word` in a message, before its advice.
    let number = |message: &str, word: &str| -> f64 {
        let problem = message.split("choose").next().unwrap();
        let after = problem.rsplit(word).next().unwrap();
        let number = after
            .split([' ', ',', ':', ';'])
            .find(|word| !word.is_empty());
        number.unwrap().parse().unwrap()
    };
    for (sharing, quota) in SHARINGS {
        let ordering = match quota {
            None => Ordering::global(&tensors, scores.clone()),
            Some(quota) => {
                Ordering::by_quota(&tensors, scores.clone(), quota, Rounding::HalfToEven)
            }
        };
        let ordering = ordering.unwrap();
        let at = |target, ratio| prune(&graph, &ordering, target, to(ratio), "a/pruner");
        let message = at(Target::Effective, 44_190.0).unwrap_err().to_string();
        let (problem, _) = message.split_once(": choose").unwrap();
        let promised: f64 = problem.rsplit(' ').next().unwrap().parse().unwrap();
        let outcome = at(Target::Effective, promised).unwrap();
        assert!(!outcome.collapsed, "{sharing:?}: {message}");
        if quota == Some(Quota::Erk) {
            let message = at(Target::Effective, 1.0).unwrap_err().to_string();
            let promised = number(&message, "from");
            let outcome = at(Target::Effective, promised).unwrap();
            assert!(outcome.effective.nonzeros() > 5000, "{message}");
        }
        for compression in [1.0, 1000.0] {
            let Err(error) = at(Target::Direct, compression) else {
                continue;
            };
            let message = error.to_string();
            for promised in [number(&message, "from "), number(&message, " to ")] {
                // The quota must be valid there, even if no path is left.
                match at(Target::Direct, promised) {
                    Ok(_) | Err(PruneError::Disconnected { .. }) => {}
                    Err(again) => panic!("{message}, then {again}"),
                }
            }
        }
    }
}

#[test]
fn compressions_below_one_are_wrong_usage() {
    for ratio in [0.99, 0.0, -3.0, f64::NAN, f64::INFINITY] {
        let error = PruneError::from(Compression::new(ratio).unwrap_err());
        assert!(error.is_wrong_usage());
        let message = error.to_string();
        let words = format!("compression of {ratio} ");
        assert!(message.contains(&words), "{message}");
    }
}

#[test]
fn rejects_scores_that_are_not_finite_by_tensor_and_element() {
    let graph = architecture::multilayer("toy", [1, 1, 3], &[2, 2]).unwrap();
    let tensors = graph.prunable();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut scores = vec![vec![0.5; 6], vec![0.5; 4]];
        scores[1][3] = bad;
        let by_quota = Ordering::by_quota(&tensors, scores.clone(), Quota::Igq, Rounding::Truncate);
        for rejected in [Ordering::global(&tensors, scores), by_quota] {
            let message = rejected.unwrap_err().to_string();
            assert!(
                message.contains("fc2.weight") && message.contains("element 3"),
                "{message}"
            );
        }
    }
}

#[test]
fn uniform_plus_requires_a_convolution() {
    let graph = architecture::by_name("lenet-300-100").unwrap();
    let tensors = graph.prunable();
    let scores = tensors.iter().map(|tensor| vec![0.5; tensor.len()]);
    let scores: Vec<Vec<f64>> = scores.collect();
    let quota = Quota::UniformPlus;
    assert!(quota.densities(&tensors, 0.1).is_err());
    let error = Ordering::by_quota(&tensors, scores, quota, Rounding::HalfToEven).unwrap_err();
    assert!(error.to_string().contains("uniform+"), "{error}");
}
