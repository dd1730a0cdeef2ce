//! What leaves no path is refused, and the refusal says how far pruning can go.

use rarefy_trainer::graph::{Graph, architecture};
use rarefy_trainer::pruning::search::{Outcome, Target, prune};
use rarefy_trainer::pruning::{Ordering, PruneError, Pruner};
use rarefy_trainer::random::Random;

use crate::oracle;
use crate::samples::{Sample, bits};

/// How far it can go, if `compression` is refused.
fn refusal(
    graph: &Graph,
    ordering: &Ordering,
    target: Target,
    compression: f64,
) -> Result<Outcome, f64> {
    match prune(graph, ordering, target, compression, "a/pruner") {
        Ok(outcome) => Ok(outcome),
        Err(PruneError::Disconnected {
            pruner,
            kind,
            compression: asked,
            reachable,
        }) => {
            assert_eq!(
                (pruner.as_str(), kind, asked),
                ("a/pruner", target.name(), compression)
            );
            Err(reachable)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_compression_a_refusal_names_can_be_reached_and_little_more() {
    let mut refused = [0, 0];
    for sample in Sample::all(150, 20) {
        let total = sample.ordering.total() as f64;
        for (index, target) in [Target::Direct, Target::Effective].into_iter().enumerate() {
            let label = format!("{} {}", target.name(), sample.label());
            let at = |compression| refusal(&sample.graph, &sample.ordering, target, compression);
            for asked in [total / 3.0, 2.0 * total] {
                let asked = asked.max(1.0);
                let Err(reachable) = at(asked) else { continue };
                refused[index] += 1;
                assert!(reachable < asked, "{label}: {reachable} of {asked}");
                let outcome = at(reachable).unwrap_or_else(|again| {
                    panic!("{label}: asked {asked}, told {reachable}, then told {again}")
                });
                let direct = bits(&outcome.direct);
                let effective = oracle::effective(&sample.widths, &direct);
                assert!(oracle::count(&effective) > 0, "{label}");
                assert!(bits(&outcome.effective) == effective, "{label}");
                // Counts are whole: what is left may stay the same until one weight fewer is
                // wanted. Beyond that every compression is refused.
                let beyond = match target {
                    Target::Direct => reachable * 1.001,
                    Target::Effective => total / (total / reachable - 1.0) * (1.0 + 1e-6),
                };
                assert!(
                    at(beyond).is_err(),
                    "{label}: {beyond} is beyond {reachable}"
                );
            }
        }
    }
    assert!(refused[0] > 300 && refused[1] > 300, "{refused:?}");
}

#[test]
fn the_message_promises_only_what_can_be_reached() {
    let graph = architecture::by_name("lenet-300-100").unwrap();
    let mut random = Random::stream(3, "weights");
    let weights: Vec<Vec<f32>> = graph
        .prunable()
        .iter()
        .map(|tensor| (0..tensor.len()).map(|_| random.normal() as f32).collect())
        .collect();
    for name in Pruner::names() {
        let ordering = Pruner::by_name(name)
            .unwrap()
            .order(&graph, &weights, 0)
            .unwrap();
        for target in [Target::Direct, Target::Effective] {
            let error = prune(&graph, &ordering, target, 200_000.0, name).unwrap_err();
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("{name} at {}", target.name())),
                "{message}"
            );
            let promised: f64 = message.rsplit(' ').next().unwrap().parse().unwrap();
            let outcome = prune(&graph, &ordering, target, promised, name).unwrap();
            assert!(outcome.effective.nonzeros() >= 3, "{message}");
        }
    }
}

#[test]
fn compressions_below_one_are_refused() {
    let sample = Sample::draw(1, 10, crate::samples::PRUNERS[0]);
    for target in [Target::Direct, Target::Effective] {
        for compression in [0.99, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            let error = prune(&sample.graph, &sample.ordering, target, compression, "p");
            assert!(
                matches!(error, Err(PruneError::Compression { .. })),
                "{compression}"
            );
        }
        let dense = prune(&sample.graph, &sample.ordering, target, 1.0, "p").unwrap();
        assert_eq!(dense.direct.nonzeros(), sample.graph.total());
        assert_eq!(dense.effective.nonzeros(), sample.graph.total());
    }
}

#[test]
fn scores_that_are_not_numbers_are_refused_by_name_and_place() {
    let graph = architecture::multilayer("toy", [1, 1, 3], &[2, 2]).unwrap();
    for name in ["magnitude/global", "magnitude/igq"] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut weights = vec![vec![0.5; 6], vec![0.5; 4]];
            weights[1][3] = bad;
            let error = Pruner::by_name(name)
                .unwrap()
                .order(&graph, &weights, 0)
                .unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains("fc2.weight") && message.contains("element 3"),
                "{message}"
            );
        }
    }
}
