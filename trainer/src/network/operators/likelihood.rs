//! The log-likelihood of the correct classes, for the cross-entropy loss.
//!
//! Computes the same operations as candle's `log_softmax` and `nll`, in the same order, so that
//! results are bit-identical for up to 31 classes (candle sums longer rows in parts). candle's
//! functions take about 25 tensor operations, which is slow compared with a training step of a
//! pruned network.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::operand::with_slice;

/// The operator, whose result is computed in advance.
struct Likelihood {
    classes: Vec<u32>,
    label_smoothing: f32,
    rows: Vec<Softmax>,
    /// The exponential of every score minus the largest score of its row.
    exponentials: Vec<f32>,
    values: Vec<f32>,
}

/// The softmax of a row of scores: `exp(score - largest) / sum`.
#[derive(Clone, Copy)]
struct Softmax {
    largest: f32,
    sum: f32,
}

/// Computes the logarithm of the softmax of `scores` (batch, classes) at the correct `classes`
/// (batch), times 1 - `label_smoothing`, plus the mean logarithm over all classes, times
/// `label_smoothing`. The result is (batch).
///
/// # Errors
/// Returns an error if `scores` is not contiguous f32 on the CPU, if the batch sizes differ, or if
/// a class is out of range.
pub fn log_likelihood(scores: &Tensor, classes: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    let (batch, count) = scores.dims2()?;
    let classes = classes.to_vec1::<u32>()?;
    if classes.len() != batch {
        candle_core::bail!("{} labels given for a batch of {batch}", classes.len());
    }
    if let Some(class) = classes.iter().find(|&&class| class as usize >= count) {
        candle_core::bail!("class {class} is out of range: there are {count} classes");
    }
    let label_smoothing = label_smoothing as f32;
    let operator = with_slice(scores, |scores| {
        Likelihood::new(scores, classes, label_smoothing)
    })?;
    scores.apply_op1(operator)
}

impl Softmax {
    /// Computes the softmax of `scores`, and writes the exponentials to `exponentials`.
    fn new(scores: &[f32], exponentials: &mut [f32]) -> Self {
        // NaN is passed on, so that training can detect divergence.
        let larger = |a: f32, b: f32| if a.is_nan() || a > b { a } else { b };
        let largest = scores.iter().copied().reduce(larger).unwrap_or(0.0);
        let mut sum = 0.0;
        for (exponential, score) in exponentials.iter_mut().zip(scores) {
            *exponential = (score - largest).exp();
            sum += *exponential;
        }
        Self { largest, sum }
    }
}

impl Likelihood {
    /// Computes the log-likelihood of the correct class of each row of `scores`.
    fn new(scores: &[f32], classes: Vec<u32>, label_smoothing: f32) -> Self {
        let count = (scores.len() / classes.len().max(1)).max(1);
        let mut exponentials = vec![0.0; scores.len()];
        let pairs = scores.chunks_exact(count);
        let pairs = pairs.zip(exponentials.chunks_exact_mut(count));
        let mut rows = Vec::with_capacity(classes.len());
        let values = pairs.zip(&classes).map(|((scores, exponentials), &class)| {
            let softmax = Softmax::new(scores, exponentials);
            let (largest, logarithm) = (softmax.largest, softmax.sum.ln());
            rows.push(softmax);
            let right = (scores[class as usize] - largest) - logarithm;
            if label_smoothing == 0.0 {
                return right;
            }
            let even: f32 = scores.iter().map(|x| (x - largest) - logarithm).sum();
            right * (1.0 - label_smoothing) + even / count as f32 * label_smoothing
        });
        let values = values.collect();
        Self {
            classes,
            label_smoothing,
            rows,
            exponentials,
            values,
        }
    }

    /// Returns the gradient of `scores`, given the `gradient` of each row's result.
    fn gradient(&self, scores: &[f32], gradient: &[f32]) -> Vec<f32> {
        let count = (scores.len() / self.classes.len().max(1)).max(1);
        let even = self.label_smoothing / count as f32;
        let mut result = vec![0.0; scores.len()];
        for (at, row) in result.chunks_exact_mut(count).enumerate() {
            let span = at * count..(at + 1) * count;
            let Softmax { largest, sum } = self.rows[at];
            row.fill(gradient[at] * even);
            row[self.classes[at] as usize] += gradient[at] * (1.0 - self.label_smoothing);
            let factor = row.iter().fold(0.0, |total, value| total - value) / sum;
            for (value, exponential) in row.iter_mut().zip(&self.exponentials[span.clone()]) {
                *value += factor * exponential;
            }
            // The gradient through the largest score: 0 except for rounding, but candle adds it.
            let rest = row.iter().fold(0.0, |rest, value| rest - value);
            for (value, &score) in row.iter_mut().zip(&scores[span]) {
                if score == largest {
                    *value += rest;
                }
            }
        }
        result
    }
}

impl CustomOp1 for Likelihood {
    fn name(&self) -> &'static str {
        "log-likelihood"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = self.values.clone();
        let batch = values.len();
        Ok((CpuStorage::F32(values), batch.into()))
    }

    fn bwd(&self, scores: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let result = with_slice(scores, |scores| {
            with_slice(&gradient, |gradient| self.gradient(scores, gradient))
        })??;
        Ok(Some(Tensor::from_vec(
            result,
            scores.shape(),
            scores.device(),
        )?))
    }
}
