//! Gradients of the loss with respect to kernel weights, for the scores that need them.
//!
//! The gradient of a minibatch is that of its mean loss, without regularization; batch norms use
//! the statistics of the minibatch. The gradient over several minibatches is the mean of their
//! gradients, with equal weights even if the last minibatch is smaller. Images are normalised and
//! not augmented.

use candle_core::{DType, Device, Result as TensorResult, Tensor};

use super::Scores;
use crate::data::Dataset;
use crate::data::batches::Batches;
use crate::network::Network;
use crate::network::gradients::Gradients;
use crate::pruning::error::PruneError;
use crate::random::Random;

pub use crate::pruning::loss::Loss;

/// The number of images in a minibatch, as in the paper's code.
pub const BATCH: usize = 128;

/// Returns the mean gradient with respect to the kernel weights of `network`, and the mean loss,
/// over `batches` of inputs (rows, elements) and classes (rows).
///
/// `loss` maps logits (rows, classes) and classes to a scalar. Before each minibatch, `progress`
/// is called with the number of minibatches done.
///
/// # Errors
/// Returns an error if the device fails, or the error of `progress`.
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
        let Gradients {
            loss: value,
            of_parameters,
        } = network.gradients(&inputs, |scores| loss(scores, &classes))?;
        let of_kernels = (network.parameters().iter().zip(of_parameters))
            .filter_map(|(parameter, gradient)| parameter.kernel.then_some(gradient));
        for (gradient, sum) in of_kernels.zip(&mut sums) {
            let Some(gradient) = gradient else { continue };
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

/// Iterates over minibatches of `size` training images of `data` with the given `indices`: inputs
/// (rows, elements) and [targets](Batches::targets), on `device`.
pub fn minibatches<'a>(
    data: &'a Dataset,
    indices: &'a [u32],
    size: usize,
    device: &Device,
) -> impl Iterator<Item = TensorResult<(Tensor, Tensor)>> + 'a {
    let batches = Batches::new(&data.train, &data.normalisation, device);
    let parts = parts(indices, size).into_iter();
    parts.map(move |part| Ok((batches.inputs(part)?, batches.targets(part)?)))
}

/// Splits `indices` into parts of `size`; the last may be smaller. A single remaining index, over
/// which a batch norm could compute no variance, is appended to the part before it.
pub fn parts(indices: &[u32], size: usize) -> Vec<&[u32]> {
    let mut parts: Vec<&[u32]> = indices.chunks(size).collect();
    if let [.., _, [_]] = parts.as_slice() {
        parts.truncate(parts.len() - 2);
        parts.push(&indices[parts.len() * size..]);
    }
    parts
}

/// Draws `count` distinct indices below `all`, or all of them if there are fewer.
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
    use crate::pruning::source::Source;
    use crate::pruning::weights::Weights;

    /// Returns the gradient and the loss over the given training images, in f64 if `double`.
    fn of(double: bool, indices: &[u32], loss: Loss) -> (Scores, f64) {
        let graph = architecture::by_name("lenet-5-28").unwrap();
        let source = Source::new(&graph);
        let kernels = Weights::initial(&graph, 2);
        let data = digits::load();
        let network = kernels.network(&graph, kernels.values(), double, source.device);
        let batches = minibatches(&data, indices, BATCH, source.device);
        let loss = |logits: &Tensor, classes: &Tensor| loss.mean(logits, classes);
        mean(&network.unwrap(), batches, loss, |_| Ok(())).unwrap()
    }

    /// Returns the norm of `a - b` relative to that of `b`.
    fn distance(a: &Scores, b: &Scores) -> f64 {
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
            assert!(distance(&single.0, &double.0) < 1e-4);
            assert!((single.1 / double.1 - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn a_smaller_minibatch_has_the_same_weight() {
        let indices: Vec<u32> = (0..BATCH as u32 + 20).collect();
        let loss = Loss::CrossEntropy;
        let both = of(false, &indices, loss);
        let (whole, short) = indices.split_at(BATCH);
        let (whole, short) = (of(false, whole, loss), of(false, short, loss));
        let mut mean = whole.0.clone();
        for (mean, short) in mean.iter_mut().flatten().zip(short.0.iter().flatten()) {
            *mean = (*mean + short) / 2.0;
        }
        assert!(distance(&both.0, &mean) < 1e-6);
        assert!((both.1 - (whole.1 + short.1) / 2.0).abs() < 1e-9);
    }

    /// Computes the swapped loss by its definition, `-sum p ln(clip(label))`.
    #[test]
    fn the_reference_loss_is_cross_entropy_with_swapped_arguments() {
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
    fn no_minibatch_has_a_single_image() {
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
    fn drawn_indices_are_distinct_and_in_range() {
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
