//! Gradients of the kernels, for scores that read them.
//!
//! The gradient of a minibatch is that of its mean loss, batch norms on the statistics of the
//! minibatch, no regulariser; over several minibatches it is the mean, each weighing the same.
//! Images are as they are in the dataset, normalised, not augmented.

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

use super::Scores;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::network::Network;
use crate::pruning::PruneError;
use crate::random::Random;

/// Images in a minibatch, as in the paper's code.
pub const BATCH: usize = 128;

/// What the gradient is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Cross-entropy of the softmax
    #[default]
    CrossEntropy,
    /// What the paper's published code computes: cross-entropy with its arguments exchanged
    Reference,
}

impl Loss {
    /// The mean loss of `scores` (rows, classes) for the `classes` (rows) they should tell.
    ///
    /// Keras clips probabilities to between 1e-7 and 1 - 1e-7. With prediction and label exchanged
    /// the label is clipped, so that what is left is `(1 - p) 16.1 + p 1e-7`, `p` the probability
    /// of the right class.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn mean(self, scores: &Tensor, classes: &Tensor) -> TensorResult<Tensor> {
        const CLIP: f64 = 1e-7;
        match self {
            Loss::CrossEntropy => candle_nn::loss::cross_entropy(scores, classes),
            Loss::Reference => {
                let logarithms = candle_nn::ops::log_softmax(scores, 1)?;
                let right = logarithms.gather(&classes.unsqueeze(1)?, 1)?.exp()?;
                let (wrong, right_too) = (-CLIP.ln(), -(1.0 - CLIP).ln());
                right.mean_all()?.affine(right_too - wrong, wrong)
            }
        }
    }
}

/// The mean gradient of the kernels of `network` over `batches` of inputs (rows, elements) and
/// classes (rows) and the mean loss, which `loss` gives for scores and classes. `progress` is told
/// the minibatches done, and may refuse to go on.
///
/// # Errors
/// When the device or `progress` refuses.
pub fn mean(
    network: &Network,
    batches: impl IntoIterator<Item = TensorResult<(Tensor, Tensor)>>,
    loss: impl Fn(&Tensor, &Tensor) -> TensorResult<Tensor>,
    mut progress: impl FnMut(usize) -> Result<(), PruneError>,
) -> Result<(Scores, f64), PruneError> {
    let kernels = || network.parameters().iter().filter(|p| p.kernel);
    let mut sums: Scores = kernels().map(|p| vec![0.0; p.var.elem_count()]).collect();
    let (mut losses, mut count) = (0.0, 0);
    for batch in batches {
        progress(count)?;
        let (inputs, classes) = batch?;
        let value = loss(&network.train_forward(&inputs)?, &classes)?;
        let gradients = value.backward()?;
        for (parameter, sum) in kernels().zip(&mut sums) {
            let slot = parameter.gradient.take();
            let Some(gradient) = slot.as_ref().or_else(|| gradients.get(&parameter.var)) else {
                continue;
            };
            let gradient = gradient.to_dtype(DType::F64)?.flatten_all()?;
            for (sum, g) in sum.iter_mut().zip(gradient.to_vec1::<f64>()?) {
                *sum += g;
            }
        }
        losses += value.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        count += 1;
    }
    let share = 1.0 / count.max(1) as f64;
    for sum in sums.iter_mut().flatten() {
        *sum *= share;
    }
    Ok((sums, losses * share))
}

/// The training images of `data` with the given indices, in minibatches of `size`.
pub fn minibatches<'a>(
    data: &'a Dataset,
    indices: &'a [u32],
    size: usize,
    device: &Device,
) -> impl Iterator<Item = TensorResult<(Tensor, Tensor)>> + 'a {
    let batches = Batches::new(&data.train, &data.normalisation, device);
    let parts = parts(indices, size).into_iter();
    parts.map(move |part| Ok((batches.inputs(part)?, batches.classes(part)?)))
}

/// `indices` in parts of `size`, the last one shorter where they do not come out even; one that
/// would be left alone, which a batch norm takes no variance of, joins the part before.
pub fn parts(indices: &[u32], size: usize) -> Vec<&[u32]> {
    let mut parts: Vec<&[u32]> = indices.chunks(size).collect();
    if let [.., _, [_]] = parts.as_slice() {
        parts.truncate(parts.len() - 2);
        parts.push(&indices[parts.len() * size..]);
    }
    parts
}

/// `count` different indices below `all`, drawn at random.
pub fn draw(random: &mut Random, all: usize, count: usize) -> Vec<u32> {
    let mut indices: Vec<u32> = (0..all as u32).collect();
    let count = count.min(all);
    for place in 0..count {
        let other = place + random.below((all - place) as u64) as usize;
        indices.swap(place, other);
    }
    indices.truncate(count);
    indices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::graph::architecture;
    use crate::pruning::{Kernels, Source};

    fn of(double: bool, indices: &[u32], loss: Loss) -> (Scores, f64) {
        let graph = architecture::by_name("lenet-5-28").unwrap();
        let source = Source::new(&graph);
        let kernels = Kernels::initial(&graph, 2);
        let data = digits::load();
        let network = kernels.network(&graph, kernels.values(), double, source.device);
        let batches = minibatches(&data, indices, BATCH, source.device);
        let loss = |scores: &Tensor, classes: &Tensor| loss.mean(scores, classes);
        mean(&network.unwrap(), batches, loss, |_| Ok(())).unwrap()
    }

    fn apart(a: &Scores, b: &Scores) -> f64 {
        let squares = |list: &mut dyn Iterator<Item = f64>| list.map(|x| x * x).sum::<f64>();
        let (a, b) = (a.concat(), b.concat());
        let differences = squares(&mut a.iter().zip(&b).map(|(a, b)| a - b));
        (differences / squares(&mut b.iter().copied())).sqrt()
    }

    #[test]
    fn single_and_double_precision_agree_on_convolutions() {
        let indices: Vec<u32> = (0..40).collect();
        for loss in [Loss::CrossEntropy, Loss::Reference] {
            let (single, double) = (of(false, &indices, loss), of(true, &indices, loss));
            assert!(apart(&single.0, &double.0) < 1e-4);
            assert!((single.1 / double.1 - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn a_short_minibatch_weighs_as_much_as_a_whole_one() {
        let indices: Vec<u32> = (0..BATCH as u32 + 20).collect();
        let loss = Loss::CrossEntropy;
        let both = of(false, &indices, loss);
        let (whole, short) = indices.split_at(BATCH);
        let (whole, short) = (of(false, whole, loss), of(false, short, loss));
        let mut mean = whole.0.clone();
        for (mean, short) in mean.iter_mut().flatten().zip(short.0.iter().flatten()) {
            *mean = (*mean + short) / 2.0;
        }
        assert!(apart(&both.0, &mean) < 1e-6);
        assert!((both.1 - (whole.1 + short.1) / 2.0).abs() < 1e-9);
    }

    /// Label and prediction exchanged, by the definition: `-sum p ln(clip(label))`.
    #[test]
    fn the_reference_loss_is_cross_entropy_the_wrong_way_round() {
        let scores = Tensor::new(&[[0.3_f64, -1.2, 2.0], [0.0, 0.5, -0.5]], &Device::Cpu).unwrap();
        let classes = Tensor::new(&[2_u32, 0], &Device::Cpu).unwrap();
        let mut expected = 0.0;
        for (row, class) in [([0.3_f64, -1.2, 2.0], 2), ([0.0, 0.5, -0.5], 0)] {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            for (index, x) in row.iter().enumerate() {
                let label: f64 = if index == class { 1.0 - 1e-7 } else { 1e-7 };
                expected -= x.exp() / sum * label.ln() / 2.0;
            }
        }
        let found = Loss::Reference.mean(&scores, &classes).unwrap();
        let found = found.to_scalar::<f64>().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn no_image_is_left_alone_in_a_minibatch() {
        let lengths = |count: u32| -> Vec<usize> {
            let indices: Vec<u32> = (0..count).collect();
            let parts = parts(&indices, 4);
            assert_eq!(parts.concat(), indices);
            parts.iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(8), [4, 4]);
        assert_eq!(lengths(9), [4, 5]);
        assert_eq!(lengths(10), [4, 4, 2]);
        assert_eq!(lengths(5), [5]);
        assert_eq!(lengths(1), [1]);
        assert!(lengths(0).is_empty());
    }

    #[test]
    fn draws_are_different_and_no_more_than_there_are() {
        let mut drawn = draw(&mut Random::new(1), 50, 20);
        assert_ne!(drawn, draw(&mut Random::new(2), 50, 20));
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 20);
        let mut all = draw(&mut Random::new(1), 5, 20);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
