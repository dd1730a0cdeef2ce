//! SNIP on one minibatch through LeNet-300-100, by cross-entropy and by the loss of the paper's
//! code.

use std::collections::BTreeMap;

use rarefy_trainer::random::Random;

use super::layout::{Layout, network};
use super::*;
use crate::oracle::snip::{self, Loss};
use crate::oracle::{self, Family, PerLayer, Sharing};

#[derive(Deserialize)]
struct File {
    weight_seed: u64,
    losses: BTreeMap<String, Saliency>,
}

#[derive(Deserialize)]
struct Saliency {
    loss: f64,
    score_sum: Vec<f64>,
    score_max: Vec<f64>,
    /// (flat index over all tensors there, score).
    top10: Vec<(usize, f64)>,
    masks: Vec<Pruned>,
}

#[derive(Deserialize)]
struct Pruned {
    pruned: usize,
    nnz: Vec<usize>,
}

/// The minibatch: 64 samples uniform in -1 to 1 from seed 42, and their labels.
fn minibatch() -> (PerLayer<f64>, Vec<usize>) {
    let mut random = Random::new(42);
    let mut sample = || (0..784).map(|_| 2.0 * random.unit() - 1.0).collect();
    let samples = (0..64).map(|_| sample()).collect();
    (samples, (0..64).map(|sample| 7 * sample % 10).collect())
}

fn check(file: &Path) {
    let file: File = read(file);
    let graph = network("lenet300100");
    let layout = Layout::of(&graph);
    let kernels = layout.drawn_weights(file.weight_seed);
    let (batch, labels) = minibatch();
    for (name, loss) in [
        ("cross_entropy", Loss::CrossEntropy),
        ("reference_swapped", Loss::Swapped),
    ] {
        let expected = &file.losses[name];
        let near = |ours: f64, theirs: f64| {
            assert!(
                (ours / theirs - 1.0).abs() < 1e-9,
                "{name}: {ours} against {theirs}"
            );
        };
        let (lost, scores) = snip::scores(&kernels, &batch, &labels, loss);
        near(lost, expected.loss);
        for (tensor, scores) in scores.iter().enumerate() {
            near(scores.iter().sum(), expected.score_sum[tensor]);
            near(
                scores.iter().copied().fold(0.0, f64::max),
                expected.score_max[tensor],
            );
        }
        let flat: Vec<f64> = layout.theirs(&scores).concat();
        for &(at, score) in &expected.top10 {
            near(flat[at], score);
            let above = flat.iter().filter(|&&other| other > score * (1.0 + 1e-9));
            assert!(above.count() < 10, "{name}: {at}");
        }
        let family = Family::new(&graph, Sharing::Global, &scores);
        for pruned in &expected.masks {
            let mask = family.mask(pruned.pruned);
            assert_eq!(oracle::counts(&mask), pruned.nnz, "{name}");
        }
    }
}

#[test]
fn snip_is_the_committed_one() {
    check(&committed().join("snip_lenet300100.json"));
}

#[test]
fn snip_is_the_papers() {
    if let Some(folder) = whole() {
        check(&folder.join("snip_lenet300100.json"));
    }
}
