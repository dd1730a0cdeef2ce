//! Direct pruning keeps the highest scores, as many as the paper's code does.

use rarefy_trainer::graph::{Graph, Operation, Padding, Window, architecture};
use rarefy_trainer::pruning::Ordering;
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::Quota;

use crate::samples::{Sample, bits};

/// Kept weights per layer.
fn kept(ordering: &Ordering, compression: f64) -> Vec<usize> {
    let masks = ordering.direct(compression).unwrap();
    masks.iter().map(|mask| mask.nonzeros()).collect()
}

/// Scores that rise from element to element and from layer to layer.
fn rising(graph: &Graph) -> Vec<Vec<f64>> {
    let mut ranks = (0..graph.total()).map(|rank| rank as f64);
    let tensors = graph.prunable();
    let layers = tensors
        .iter()
        .map(|t| ranks.by_ref().take(t.len()).collect());
    layers.collect()
}

#[test]
fn direct_pruning_rounds_as_the_paper_does() {
    // Layers of 15, 15 and 5: N = 35.
    let graph = architecture::multilayer("rounding", [1, 1, 5], &[3, 5, 1]).unwrap();
    let tensors = graph.prunable();
    let sizes: Vec<usize> = tensors.iter().map(|t| t.len()).collect();
    assert_eq!(sizes, [15, 15, 5]);

    // int(s N): 35 * 0.75 = 26.25, 35 * 0.6 = 21, 35 * (1 - 1/1.6) = 13.125 are removed.
    let global = Ordering::global(&tensors, rising(&graph)).unwrap();
    assert_eq!(kept(&global, 4.0), [0, 4, 5]);
    assert_eq!(kept(&global, 2.5), [0, 9, 5]);
    assert_eq!(kept(&global, 1.6), [2, 15, 5]);
    assert_eq!(kept(&global, 1.0), [15, 15, 5]);

    let by_quota =
        |quota, rounding| Ordering::by_quota(&tensors, rising(&graph), quota, rounding).unwrap();
    let uniform = |rounding| by_quota(Quota::Uniform, rounding);
    // Half of 15 is 7.5 and of 5 is 2.5: to even 8 and 2 go, truncated 7 and 2.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 2.0), [7, 7, 3]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 2.0), [8, 8, 3]);
    // Seven eighths: 13.125 and 4.375.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 8.0), [2, 2, 1]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 8.0), [2, 2, 1]);
    // 15/16: 14.0625 and 4.6875, which rounds to all five but truncates to four.
    assert_eq!(kept(&uniform(Rounding::HalfToEven), 16.0), [1, 1, 0]);
    assert_eq!(kept(&uniform(Rounding::Truncate), 16.0), [1, 1, 1]);

    // Ideal gas with F = 2/15 keeps 15/3, 15/3 and 5/(5/3), 5, 5 and 3: 13 in all. At half a
    // weight more it keeps a little more of each, of which truncated removal leaves the next whole.
    let igq = |rounding| by_quota(Quota::Igq, rounding);
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.0), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::HalfToEven), 35.0 / 13.5), [5, 5, 3]);
    assert_eq!(kept(&igq(Rounding::Truncate), 35.0 / 13.5), [6, 6, 4]);

    // Dimensions sum to 8, 8 and 6. Of 7 kept they get 28/11, 28/11 and 21/11; of 21 kept 84/11,
    // 84/11 and 63/11, of which the last has 8/11 too many, and the second then 92/11.
    let erk = |rounding| by_quota(Quota::Erk, rounding);
    assert_eq!(kept(&erk(Rounding::HalfToEven), 5.0), [3, 3, 2]);
    assert_eq!(kept(&erk(Rounding::Truncate), 5.0), [3, 3, 2]);
    assert_eq!(kept(&erk(Rounding::HalfToEven), 35.0 / 21.0), [8, 8, 5]);
    assert_eq!(kept(&erk(Rounding::Truncate), 35.0 / 21.0), [8, 9, 5]);
}

#[test]
fn uniform_plus_spares_the_first_layer_and_a_fifth_of_the_last() {
    // Layers of 2, 40, 20 and 10, the first a convolution: N = 72.
    let mut graph = Graph::new("plus", [1, 1, 4]);
    let conv = Operation::Conv {
        channels: 2,
        window: Window::new(1, 1, Padding::Valid, [1, 4]).unwrap(),
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
    // Of the last 68, 34 are half of each.
    assert_eq!(kept(&even, 70.0 / 36.0), [2, 20, 10, 4]);
    // Of 62 to go the last can give only 6.4, the others then 55.6 / 60: 37.07 and 18.53.
    assert_eq!(kept(&even, 70.0 / 8.0), [2, 3, 1, 2]);
    assert_eq!(kept(&truncated, 70.0 / 8.0), [2, 3, 2, 2]);
    // Of 67 the others would have to give 60.6 of their 60.
    let refused = even.direct(70.0 / 3.0).unwrap_err().to_string();
    assert!(refused.contains("fc0.weight"), "{refused}");
}

#[test]
fn direct_masks_keep_the_highest_scores_of_each_layer() {
    for sample in Sample::all(60, 15) {
        for compression in [1.0, 1.7, 3.0, 10.0, 64.0] {
            let Ok(direct) = sample.ordering.direct(compression) else {
                continue;
            };
            for (scores, keep) in sample.scores.iter().zip(bits(&direct)) {
                let both = || scores.iter().zip(&keep);
                let lowest_in = both().filter(|(_, keep)| **keep).map(|(s, _)| *s);
                let highest_out = both().filter(|(_, keep)| !**keep).map(|(s, _)| *s);
                let lowest_in = lowest_in.fold(f64::INFINITY, f64::min);
                let highest_out = highest_out.fold(f64::NEG_INFINITY, f64::max);
                let label = sample.label();
                assert!(lowest_in >= highest_out, "{label} at {compression}");
            }
        }
    }
}
