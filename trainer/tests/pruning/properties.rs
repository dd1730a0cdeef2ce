//! What holds for effective masks and orderings whatever the network.

use rarefy_trainer::graph::architecture;
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;
use rarefy_trainer::pruning::{Ordering, effective};
use rarefy_trainer::random::Random;

use crate::oracle::{self, PerLayer};
use crate::samples::{self, Sample, bits};

/// A random mask and one that holds it, on a random network.
fn nested(seed: u64, most: u64) -> (Vec<usize>, PerLayer<bool>, PerLayer<bool>) {
    let mut random = Random::stream(seed, "nested masks");
    let widths = samples::widths(&mut random, most);
    let (density, more) = (random.unit(), random.unit() * 0.3);
    let small: PerLayer<bool> = oracle::sizes(&widths)
        .iter()
        .map(|&size| (0..size).map(|_| random.unit() < density).collect())
        .collect();
    let large = small
        .iter()
        .map(|layer| {
            layer
                .iter()
                .map(|&keep| keep || random.unit() < more)
                .collect()
        })
        .collect();
    (widths, small, large)
}

fn sweep(widths: &[usize], mask: &[Vec<bool>]) -> PerLayer<bool> {
    let graph = samples::graph(widths);
    bits(&effective::masks(&graph, &samples::masks(&graph, mask)))
}

fn within(small: &[Vec<bool>], large: &[Vec<bool>]) -> bool {
    let pairs = small.iter().flatten().zip(large.iter().flatten());
    pairs.into_iter().all(|(&small, &large)| large || !small)
}

#[test]
fn effective_is_part_of_direct_monotone_and_idempotent() {
    for seed in 0..1000 {
        let (widths, small, large) = nested(seed, 20);
        let (of_small, of_large) = (sweep(&widths, &small), sweep(&widths, &large));
        assert!(within(&of_small, &small), "{widths:?}");
        assert!(within(&of_small, &of_large), "{widths:?}");
        assert!(sweep(&widths, &of_small) == of_small, "{widths:?}");
    }
}

/// Marks the weights of every path of unmasked weights, by walking each path on its own.
fn walk(
    widths: &[usize],
    mask: &[Vec<bool>],
    path: &mut Vec<usize>,
    unit: usize,
    on_path: &mut PerLayer<bool>,
) {
    let layer = path.len();
    if layer == mask.len() {
        for (layer, &element) in path.iter().enumerate() {
            on_path[layer][element] = true;
        }
        return;
    }
    for next in 0..widths[layer + 1] {
        let element = next * widths[layer] + unit;
        if mask[layer][element] {
            path.push(element);
            walk(widths, mask, path, next, on_path);
            path.pop();
        }
    }
}

#[test]
fn effective_weights_are_exactly_those_on_some_path() {
    for seed in 0..1000 {
        let (widths, mask, _) = nested(seed, 4);
        let mut on_path: PerLayer<bool> =
            mask.iter().map(|layer| vec![false; layer.len()]).collect();
        for unit in 0..widths[0] {
            walk(&widths, &mask, &mut Vec::new(), unit, &mut on_path);
        }
        assert!(sweep(&widths, &mask) == on_path, "{widths:?}");
    }
}

#[test]
fn the_curve_counts_the_effective_mask_of_every_budget() {
    for sample in Sample::all(60, 10) {
        let births = effective::births(&sample.graph, sample.ordering.births());
        let mut last = 0;
        for budget in 0..=sample.ordering.total() as u32 {
            let on_curve = births.iter().flatten().filter(|&&b| b <= budget).count();
            let prefix = bits(&sample.ordering.prefix(budget));
            let counted = oracle::count(&oracle::effective(&sample.widths, &prefix));
            assert_eq!(on_curve, counted, "{} at {budget}", sample.label());
            assert!(on_curve >= last);
            last = on_curve;
        }
        assert_eq!(last, sample.ordering.total(), "{}", sample.label());
    }
}

/// Kept weights per layer.
fn kept(ordering: &Ordering, compression: f64) -> Vec<usize> {
    let masks = ordering.direct(compression);
    masks.iter().map(|mask| mask.nonzeros()).collect()
}

#[test]
fn direct_pruning_rounds_as_the_paper_does() {
    // Layers of 15, 15 and 5: N = 35. Scores rise from layer to layer.
    let graph = architecture::multilayer("rounding", [1, 1, 5], &[3, 5, 1]).unwrap();
    let tensors = graph.prunable();
    assert_eq!(
        tensors.iter().map(|t| t.len()).collect::<Vec<_>>(),
        [15, 15, 5]
    );
    let mut next = 0.0;
    let scores: Vec<Vec<f64>> = tensors
        .iter()
        .map(|tensor| {
            let mut rank = || {
                next += 1.0;
                next
            };
            (0..tensor.len()).map(|_| rank()).collect()
        })
        .collect();

    // int(s N): 35 * 0.75 = 26.25, 35 * 0.6 = 21, 35 * (1 - 1/1.6) = 13.125 are removed.
    let global = Ordering::global(&tensors, &scores).unwrap();
    assert_eq!(kept(&global, 4.0), [0, 4, 5]);
    assert_eq!(kept(&global, 2.5), [0, 9, 5]);
    assert_eq!(kept(&global, 1.6), [2, 15, 5]);
    assert_eq!(kept(&global, 1.0), [15, 15, 5]);

    let uniform = |rounding| Ordering::by_quota(&tensors, &scores, Quota::Uniform, rounding);
    // Half of 15 is 7.5 and of 5 is 2.5: to even 8 and 2 go, truncated 7 and 2.
    assert_eq!(
        kept(&uniform(Rounding::HalfToEven).unwrap(), 2.0),
        [7, 7, 3]
    );
    assert_eq!(kept(&uniform(Rounding::Truncate).unwrap(), 2.0), [8, 8, 3]);
    // Seven eighths: 13.125 and 4.375.
    assert_eq!(
        kept(&uniform(Rounding::HalfToEven).unwrap(), 8.0),
        [2, 2, 1]
    );
    assert_eq!(kept(&uniform(Rounding::Truncate).unwrap(), 8.0), [2, 2, 1]);
    // 15/16: 14.0625 and 4.6875, which rounds to all five but truncates to four.
    assert_eq!(
        kept(&uniform(Rounding::HalfToEven).unwrap(), 16.0),
        [1, 1, 0]
    );
    assert_eq!(kept(&uniform(Rounding::Truncate).unwrap(), 16.0), [1, 1, 1]);

    // Ideal gas with F = 2/15 keeps 15/3, 15/3 and 5/(5/3), 5, 5 and 3: 13 in all. At half a
    // weight more it keeps a little more of each, of which truncated removal leaves the next whole.
    let igq = |rounding| Ordering::by_quota(&tensors, &scores, Quota::Igq, rounding).unwrap();
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.0), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.5), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::Truncate), 35.0 / 13.5), [6, 6, 4]);
}

#[test]
fn direct_masks_keep_the_highest_scores_of_each_layer() {
    for sample in Sample::all(40, 15) {
        for compression in [1.0, 1.7, 3.0, 10.0, 64.0] {
            let direct = bits(&sample.ordering.direct(compression));
            for (births, keep) in sample.ordering.births().iter().zip(&direct) {
                let both = || births.iter().zip(keep);
                let latest_in = both().filter(|(_, keep)| **keep).map(|(b, _)| b).max();
                let first_out = both().filter(|(_, keep)| !**keep).map(|(b, _)| b).min();
                if let (Some(latest_in), Some(first_out)) = (latest_in, first_out) {
                    assert!(
                        latest_in <= first_out,
                        "{} at {compression}",
                        sample.label()
                    );
                }
            }
        }
    }
}
