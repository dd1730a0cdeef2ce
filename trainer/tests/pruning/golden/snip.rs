//! Compares SNIP on one minibatch: the loss, the highest scores and the masks, for both losses.

use candle_core::{Device, Tensor};
use rarefy_trainer::network::Network;
use rarefy_trainer::pruning::score::gradient::{self, Loss};
use rarefy_trainer::pruning::score::snip;
use rarefy_trainer::pruning::{Ordering, Weights};
use rarefy_trainer::random::Random;

use super::layout::{Layout, network};
use super::*;
use crate::samples::to;

#[derive(Deserialize)]
struct File {
    weight_seed: u64,
    losses: Losses,
}

#[derive(Deserialize)]
struct Losses {
    cross_entropy: Case,
    reference_swapped: Case,
}

#[derive(Deserialize)]
struct Case {
    loss: f64,
    score_sum: Vec<f64>,
    score_max: Vec<f64>,
    /// Index and score of the highest scores, in descending order; indices run over all tensors.
    top10: Vec<(usize, f64)>,
    masks: Vec<Masked>,
}

#[derive(Deserialize)]
struct Masked {
    compression: f64,
    nnz: Vec<usize>,
}

/// Checks that two values agree to nine digits.
fn close(found: f64, expected: f64) {
    assert!(
        (found / expected - 1.0).abs() < 1e-9,
        "{found} against {expected}"
    );
}

/// Returns the minibatch that the README describes: 64 images of 784 uniform values, and their
/// classes.
fn minibatch() -> (Tensor, Tensor) {
    let mut random = Random::new(42);
    let inputs: Vec<f64> = (0..64 * 784).map(|_| 2.0 * random.unit() - 1.0).collect();
    let classes: Vec<u32> = (0..64).map(|row| 7 * row % 10).collect();
    let inputs = Tensor::from_vec(inputs, (64, 784), &Device::Cpu).unwrap();
    (inputs, Tensor::new(classes, &Device::Cpu).unwrap())
}

/// Compares the scores and masks for one loss.
fn check(weight_seed: u64, loss: Loss, case: &Case) {
    let graph = network("lenet300100");
    let layout = Layout::of(&graph);
    let kernels = Weights::new(&graph, layout.drawn_weights(weight_seed));
    let state = kernels.state(&graph);
    let network = Network::in_double(&graph, &state, kernels.values(), &Device::Cpu).unwrap();
    let loss = |logits: &Tensor, classes: &Tensor| loss.mean(logits, classes);
    let found = gradient::mean(&network, [Ok(minibatch())], loss, |_| Ok(()));
    let (gradient, value) = found.unwrap();
    close(value, case.loss);
    let scores = snip::saliency(kernels.values(), gradient);

    // The index of each of our weights in the collection's layout.
    let mut indices = 0..;
    let tensors = graph.prunable();
    let theirs: Vec<Vec<usize>> = (tensors.iter())
        .map(|tensor| indices.by_ref().take(tensor.len()).collect())
        .collect();
    let indices = layout.ours(&theirs).into_iter().flatten();
    let mut ranked: Vec<(usize, f64)> = indices.zip(scores.iter().flatten().copied()).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (found, expected) in ranked.iter().zip(&case.top10) {
        assert_eq!(found.0, expected.0);
        close(found.1, expected.1);
    }
    for (scores, (sum, max)) in scores
        .iter()
        .zip(case.score_sum.iter().zip(&case.score_max))
    {
        close(scores.iter().sum(), *sum);
        close(scores.iter().copied().fold(0.0, f64::max), *max);
    }
    let ordering = Ordering::global(&tensors, scores).unwrap();
    for Masked { compression, nnz } in &case.masks {
        let direct = ordering.direct(to(*compression)).unwrap();
        assert_eq!(counts(&direct), *nnz, "{compression}");
    }
}

/// Compares both losses.
fn check_all(folder: &Path) {
    let file: File = read(&folder.join("snip_lenet300100.json"));
    let Losses {
        cross_entropy,
        reference_swapped,
    } = &file.losses;
    check(file.weight_seed, Loss::CrossEntropy, cross_entropy);
    check(file.weight_seed, Loss::Reference, reference_swapped);
}

#[test]
fn snip_scores_are_the_committed_ones() {
    check_all(&committed());
}

#[test]
fn snip_scores_are_the_papers() {
    if let Some(folder) = complete() {
        check_all(&folder);
    }
}
