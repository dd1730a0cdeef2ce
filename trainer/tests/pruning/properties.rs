//! Tests properties of effective masks and births on random networks.

use rarefy_trainer::graph::Graph;
use rarefy_trainer::pruning::Connection;
use rarefy_trainer::pruning::effective::{self, Mode};
use rarefy_trainer::random::Random;

use crate::oracle::{self, PerLayer, reachability};
use crate::samples::{self, Sample, bits, describe};

const MODES: [Mode; 2] = [Mode::Exact, Mode::Graph];

/// Returns the effective mask of `mask`.
fn effective_of(graph: &Graph, mask: &[Vec<bool>], mode: Mode) -> PerLayer<bool> {
    bits(&effective::masks(graph, &samples::masks(graph, mask), mode))
}

/// Checks whether `small` keeps only weights that `large` keeps.
fn within(small: &[Vec<bool>], large: &[Vec<bool>]) -> bool {
    let pairs = small.iter().flatten().zip(large.iter().flatten());
    pairs.into_iter().all(|(&small, &large)| large || !small)
}

#[test]
fn effective_masks_match_boolean_reachability() {
    let (mut nontrivial, mut modes_differ) = (0, 0);
    for seed in 0..3000 {
        let mut random = Random::stream(seed, "reachability");
        let graph = samples::graph(&mut random, 40, 20);
        let (direct, _) = samples::nested(&mut random, &graph);
        let expected = MODES.map(|mode| oracle::effective(&graph, &direct, mode));
        for (expected, mode) in expected.iter().zip(MODES) {
            let found = effective_of(&graph, &direct, mode);
            assert!(found == *expected, "{mode:?} on {}", describe(&graph));
        }
        let [exact, channels] = expected.map(|mask| oracle::count(&mask));
        nontrivial += usize::from(exact > 0 && exact < oracle::count(&direct));
        modes_differ += usize::from(exact > 0 && exact < channels);
    }
    assert!(nontrivial > 800, "only {nontrivial} masks are nontrivial");
    assert!(
        modes_differ > 80,
        "the modes differ on only {modes_differ} masks"
    );
}

#[test]
fn effective_masks_are_subsets_monotone_and_idempotent() {
    for seed in 0..1000 {
        let mut random = Random::stream(seed, "nested masks");
        let graph = samples::graph(&mut random, 20, 20);
        let (small, large) = samples::nested(&mut random, &graph);
        let label = describe(&graph);
        for mode in MODES {
            let (of_small, of_large) = (
                effective_of(&graph, &small, mode),
                effective_of(&graph, &large, mode),
            );
            assert!(within(&of_small, &small), "{label}");
            assert!(within(&of_small, &of_large), "{label}");
            assert!(effective_of(&graph, &of_small, mode) == of_small, "{label}");
        }
        let [exact, channels] = MODES.map(|mode| effective_of(&graph, &large, mode));
        assert!(within(&exact, &channels), "{label}");
    }
}

#[test]
fn effective_weights_are_exactly_those_on_a_path() {
    let mut walked = 0;
    for seed in 0..1500 {
        let mut random = Random::stream(seed, "paths");
        let graph = samples::graph(&mut random, 4, 6);
        // The number of paths grows exponentially with layers and positions.
        if graph.total() > 60 {
            continue;
        }
        let (mask, _) = samples::nested(&mut random, &graph);
        for mode in MODES {
            let on_path = reachability::on_some_path(&graph, &mask, mode);
            let found = effective_of(&graph, &mask, mode);
            assert!(found == on_path, "{mode:?} on {}", describe(&graph));
        }
        walked += 1;
    }
    assert!(walked > 400, "only {walked} networks were checked");
}

#[test]
fn births_count_the_effective_weights_at_every_budget() {
    for sample in Sample::all(80, 8) {
        let total = sample.family.total();
        for mode in MODES {
            let connections = sample.ordering.first(total as u32);
            let births = effective::births(&sample.graph, connections, mode);
            let mut last = 0;
            for k in sample.family.valid().unwrap().rev() {
                let budget = (total - k) as u32;
                let found = births.iter().flatten().filter(|c| c.value <= budget);
                let mask = oracle::effective(&sample.graph, &sample.family.mask(k), mode);
                let label = format!("{mode:?} {} at {budget}", sample.label());
                let found = found.count();
                assert_eq!(found, oracle::count(&mask), "{label}");
                assert!(found >= last, "{label}");
                last = found;
            }
        }
    }
}

#[test]
fn births_of_a_prefix_are_those_within_its_budget() {
    for sample in Sample::all(80, 8) {
        let total = sample.ordering.total() as u32;
        let all = effective::births(&sample.graph, sample.ordering.first(total), Mode::Exact);
        for part in [total / 3, total / 2, total - 1] {
            // A prefix determines the births up to its budget, and no later ones.
            let given = sample.ordering.first(part);
            let found = effective::births(&sample.graph, given.clone(), Mode::Exact);
            for ((found, given), all) in found.iter().zip(&given).zip(&all) {
                assert!(given.is_sorted_by(|a, b| a.element < b.element));
                let elements =
                    |c: &[Connection<u32>]| -> Vec<u32> { c.iter().map(|c| c.element).collect() };
                assert_eq!(elements(found), elements(given), "{}", sample.label());
                for connection in found {
                    let of_all = all.iter().find(|c| c.element == connection.element);
                    let of_all = of_all.map_or(effective::NEVER, |c| c.value);
                    let expected = if of_all <= part {
                        of_all
                    } else {
                        effective::NEVER
                    };
                    assert_eq!(connection.value, expected, "{}", sample.label());
                }
            }
        }
    }
}
