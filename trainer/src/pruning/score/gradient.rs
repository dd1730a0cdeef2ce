//! Gradients of the kernels, for scores that read them.
//!
//! The gradient of a minibatch is that of its mean loss, batch norms on the statistics of the
//! minibatch, no regulariser; over several minibatches it is the mean, each weighing the same.
//! Images are as they are in the dataset, normalised, not augmented.

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

use super::Scores;
use crate::data::Dataset;
use crate::network::Network;
use crate::pruning::PruneError;
use crate::random::Random;
use crate::training::batches::Batches;

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

/// The training images of `data` with the given indices, in minibatches.
pub fn minibatches<'a>(
    data: &'a Dataset,
    indices: &'a [u32],
    device: &Device,
) -> impl Iterator<Item = TensorResult<(Tensor, Tensor)>> + 'a {
    let batches = Batches::new(&data.train, &data.normalisation, device);
    let chunks = indices.chunks(BATCH);
    chunks.map(move |chunk| Ok((batches.inputs(chunk)?, batches.classes(chunk)?)))
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
