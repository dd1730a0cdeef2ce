//! Tests direct pruning: it keeps the highest scores, and rounds counts as the paper's code does.

use rarefy_trainer::graph::{Graph, Operation, Padding, Window, architecture};
use rarefy_trainer::pruning::Ordering;
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;

use crate::samples::{Sample, bits, to};

/// Returns the number of weights kept per layer.
fn kept(ordering: &Ordering, compression: f64) -> Vec<usize> {
    let masks = ordering.direct(to(compression)).unwrap();
    masks.iter().map(|mask| mask.nonzeros()).collect()
}

/// Returns scores that increase from element to element and from layer to layer.
fn rising(graph: &Graph) -> Vec<Vec<f64>> {
    let mut ranks = (0..graph.total()).map(|rank| rank as f64);
    let tensors = graph.prunable();
    let layers = tensors
        .iter()
        .map(|t| ranks.by_ref().take(t.len()).collect());
    layers.collect()
}

#[test]
fn rounds_counts_as_the_papers_code_does() {
    // Layers of 15, 15 and 5 weights: N = 35.
    let graph = architecture::multilayer("rounding", [1, 1, 5], &[3, 5, 1]).unwrap();
    let tensors = graph.prunable();
    let sizes: Vec<usize> = tensors.iter().map(|t| t.len()).collect();
    assert_eq!(sizes, [15, 15, 5]);

    // int(s N) are removed: 35 * 0.75 = 26.25, 35 * 0.6 = 21, 35 * (1 - 1/1.6) = 13.125.
    let global = Ordering::global(&tensors, rising(&graph)).unwrap();
    assert_eq!(kept(&global, 4.0), [0, 4, 5]);
    assert_eq!(kept(&global, 2.5), [0, 9, 5]);
    assert_eq!(kept(&global, 1.6), [2, 15, 5]);
    assert_eq!(kept(&global, 1.0), [15, 15, 5]);

    let by_quota =
        |quota, rounding| Ordering::by_quota(&tensors, rising(&graph), quota, rounding).unwrap();
    let uniform = |rounding| by_quota(Quota::Uniform, rounding);
    // Half of 15 is 7.5, half of 5 is 2.5: rounding to even removes 8 and 2, truncating 7 and 2.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 2.0), [7, 7, 3]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 2.0), [8, 8, 3]);
    // 7/8 of 15 and 5: 13.125 and 4.375.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 8.0), [2, 2, 1]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 8.0), [2, 2, 1]);
    // 15/16 of 15 and 5: 14.0625 and 4.6875, which rounds to 5 and truncates to 4.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 16.0), [1, 1, 0]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 16.0), [1, 1, 1]);

    // Ideal gas with F = 2/15 keeps 15/3 = 5, 5 and 5/(5/3) = 3 weights, 13 in total. Keeping half
    // a weight more keeps slightly more of each layer; truncating the number removed rounds the
    // number kept up.
    let igq = |rounding| by_quota(Quota::Igq, rounding);
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.0), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.5), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::Truncate), 35.0 / 13.5), [6, 6, 4]);

    // The dimensions sum to 8, 8 and 6. Of 7 weights, the layers keep 28/11, 28/11 and 21/11. Of
    // 21, they would keep 84/11, 84/11 and 63/11; the last passes 8/11 on, so the second keeps
    // 92/11.
    let erk = |rounding| by_quota(Quota::Erk, rounding);
    assert_eq!(kept(&erk(Rounding::HalfToEven), 5.0), [3, 3, 2]);
    assert_eq!(kept(&erk(Rounding::Truncate), 5.0), [3, 3, 2]);
    assert_eq!(kept(&erk(Rounding::HalfToEven), 35.0 / 21.0), [8, 8, 5]);
    assert_eq!(kept(&erk(Rounding::Truncate), 35.0 / 21.0), [8, 9, 5]);
}

#[test]
fn uniform_plus_keeps_the_first_layer_and_a_fifth_of_the_last() {
    // A convolution of 2 weights, and dense layers of 40, 20 and 8: N = 70.
    let mut graph = Graph::new("plus", [1, 1, 4]);
    let conv = Operation::Conv {
        channels: 2,
        window: Window::new(1, 1, Padding::Valid, [1, 4]).unwrap(),
        groups: 1,
        bias: true,
    };
    graph.push("conv1", conv).unwrap();
    graph.push("flatten", Operation::Flatten).unwrap();
    for (index, units) in [5, 4, 2].into_iter().enumerate() {
        let dense = Operation::Dense { units, bias: true };
        graph.push(&format!("fc{index}"), dense).unwrap();
    }
    let tensors = graph.prunable();
    let sizes: Vec<usize> = tensors.iter().map(|t| t.len()).collect();
    assert_eq!(sizes, [2, 40, 20, 8]);
    let of = |rounding| {
        Ordering::by_quota(&tensors, rising(&graph), Quota::UniformPlus, rounding).unwrap()
    };
    let (even, truncated) = (of(Rounding::HalfToEven), of(Rounding::Truncate));
    // Removing 34 of the 68 weights after the first layer halves each of the later layers.
    assert_eq!(kept(&even, 70.0 / 36.0), [2, 20, 10, 4]);
    // Of 62 weights to remove, the last layer loses only 6.4; the two before it lose 55.6 of their
    // 60: 37.07 and 18.53.
    assert_eq!(kept(&even, 70.0 / 8.0), [2, 3, 1, 2]);
    assert_eq!(kept(&truncated, 70.0 / 8.0), [2, 3, 2, 2]);
    // Of 67 to remove, the two would have to lose 60.6 of their 60.
    let error = even.direct(to(70.0 / 3.0)).unwrap_err().to_string();
    assert!(error.contains("fc0.weight"), "{error}");
}

#[test]
fn keeps_the_highest_scores_of_each_layer() {
    for sample in Sample::all(60, 15) {
        for compression in [1.0, 1.7, 3.0, 10.0, 64.0] {
            let Ok(direct) = sample.ordering.direct(to(compression)) else {
                continue;
            };
            for (scores, keep) in sample.scores.iter().zip(bits(&direct)) {
                let both = || scores.iter().zip(&keep);
                let lowest_kept = both().filter(|(_, keep)| **keep).map(|(s, _)| *s);
                let highest_pruned = both().filter(|(_, keep)| !**keep).map(|(s, _)| *s);
                let lowest_kept = lowest_kept.fold(f64::INFINITY, f64::min);
                let highest_pruned = highest_pruned.fold(f64::NEG_INFINITY, f64::max);
                let label = sample.label();
                assert!(lowest_kept >= highest_pruned, "{label} at {compression}");
            }
        }
    }
}
