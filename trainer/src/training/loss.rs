//! Losses: what training minimises.

use candle_core::{D, DType, Result, Tensor};

use crate::network::operators::likelihood::log_likelihood;

/// A classification loss.
pub trait Loss: std::fmt::Debug + Send + Sync {
    /// Returns the mean loss of a batch: a scalar that candle differentiates with respect to
    /// `scores` (batch, classes). `classes` (batch), in u32, are the correct classes.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    fn mean(&self, scores: &Tensor, classes: &Tensor) -> Result<Tensor>;
}

/// The cross-entropy between the softmax of the scores and the correct class, whose label can be
/// smoothed as in PyTorch: a share of the target is spread evenly over all classes, the correct one
/// included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CrossEntropy {
    /// The share of the target spread over all classes: at least 0 and below 1.
    pub label_smoothing: f64,
}

impl Loss for CrossEntropy {
    fn mean(&self, scores: &Tensor, classes: &Tensor) -> Result<Tensor> {
        if !(scores.device().is_cpu() && scores.dtype() == DType::F32) {
            return self.plain(scores, classes);
        }
        let likelihood = log_likelihood(&scores.contiguous()?, classes, self.label_smoothing)?;
        likelihood.sum_all()? * (-1.0 / classes.elem_count() as f64)
    }
}

impl CrossEntropy {
    /// Computes [`mean`](Loss::mean) with candle's tensor operations, as on devices other than the
    /// CPU and in types other than f32. This is the reference implementation of the fused loss.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    pub fn plain(&self, scores: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let logarithms = candle_nn::ops::log_softmax(scores, D::Minus1)?;
        let right = candle_nn::loss::nll(&logarithms, classes)?;
        if self.label_smoothing == 0.0 {
            return Ok(right);
        }
        let even = logarithms.mean_all()?;
        (right * (1.0 - self.label_smoothing))? - (even * self.label_smoothing)?
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::random::Random;

    /// Returns `batch` rows of scores of `count` classes, with ties, and the correct classes.
    fn batch(batch: usize, count: usize) -> (Vec<f32>, Tensor) {
        let mut random = Random::new(9);
        let mut scores: Vec<f32> = (0..batch * count)
            .map(|_| 4.0 * random.normal() as f32)
            .collect();
        scores[..count].fill(0.5);
        scores[count] = 90.0;
        let classes: Vec<u32> = (0..batch).map(|at| (at * 7 % count) as u32).collect();
        let classes = Tensor::from_vec(classes, batch, &Device::Cpu).unwrap();
        (scores, classes)
    }

    /// Returns a loss and its gradient.
    fn backward(scores: &Var, loss: Result<Tensor>) -> (f32, Vec<f32>) {
        let loss = loss.unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(scores).unwrap().flatten_all().unwrap();
        let gradient = gradient.to_dtype(DType::F32).unwrap();
        let loss = loss.to_dtype(DType::F32).unwrap();
        (loss.to_scalar().unwrap(), gradient.to_vec1().unwrap())
    }

    #[test]
    fn the_fused_loss_has_the_bits_of_candles() {
        for (rows, count) in [(100, 10), (7, 3), (33, 31), (2, 2)] {
            let (scores, classes) = batch(rows, count);
            let scores = Var::from_slice(&scores, (rows, count), &Device::Cpu).unwrap();
            let fused = CrossEntropy::default().mean(&scores, &classes);
            let candle = candle_nn::loss::cross_entropy(&scores, &classes);
            let (fused, candle) = (backward(&scores, fused), backward(&scores, candle));
            assert_eq!(fused.0.to_bits(), candle.0.to_bits(), "{rows} x {count}");
            assert_eq!(fused.1, candle.1, "{rows} x {count}");
        }
    }

    #[test]
    fn the_loss_is_its_formula_and_its_gradient_that_of_finite_differences() {
        let (rows, count) = (5, 4);
        let (scores, classes) = batch(rows, count);
        let right = classes.to_vec1::<u32>().unwrap();
        for label_smoothing in [0.0, 0.1, 0.75] {
            // PyTorch's definition: the cross-entropy with targets of (1 - s) [right] + s / K.
            let loss = |scores: &[f64]| -> f64 {
                let pairs = scores.chunks_exact(count).zip(&right);
                let losses = pairs.map(|(row, &right)| {
                    let sum = row.iter().map(|score| score.exp()).sum::<f64>();
                    let classes = row.iter().enumerate();
                    let terms = classes.map(|(class, score)| {
                        let even = label_smoothing / count as f64;
                        let is_right = f64::from(u8::from(class == right as usize));
                        -((1.0 - label_smoothing) * is_right + even) * (score - sum.ln())
                    });
                    terms.sum::<f64>()
                });
                losses.sum::<f64>() / rows as f64
            };
            let double: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
            let variable = Var::from_slice(&scores, (rows, count), &Device::Cpu).unwrap();
            let in_double = Var::from_slice(&double, (rows, count), &Device::Cpu).unwrap();
            let cross_entropy = CrossEntropy { label_smoothing };
            let found = [
                backward(&variable, cross_entropy.mean(&variable, &classes)),
                backward(&variable, cross_entropy.plain(&variable, &classes)),
                backward(&in_double, cross_entropy.mean(&in_double, &classes)),
            ];
            for (value, gradient) in found {
                let expected = loss(&double);
                assert!(
                    (f64::from(value) / expected - 1.0).abs() < 1e-6,
                    "{value} {expected}"
                );
                for (at, &slope) in gradient.iter().enumerate() {
                    let moved = |step: f64| {
                        let mut moved = double.clone();
                        moved[at] += step;
                        loss(&moved)
                    };
                    let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!(
                        (f64::from(slope) - expected).abs() < 1e-6,
                        "{at}: {slope} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn nan_is_passed_on_and_wrong_classes_are_refused() {
        let tensor = |values: &[f32]| Tensor::from_slice(values, (2, 2), &Device::Cpu).unwrap();
        let classes = |classes: [u32; 2]| Tensor::new(&classes, &Device::Cpu).unwrap();
        let cross_entropy = CrossEntropy::default();
        for at in 0..4 {
            let mut scores = [1.0, 2.0, 3.0, 4.0];
            scores[at] = f32::NAN;
            let loss = cross_entropy
                .mean(&tensor(&scores), &classes([0, 1]))
                .unwrap();
            assert!(loss.to_scalar::<f32>().unwrap().is_nan(), "{at}");
        }
        let error = cross_entropy.mean(&tensor(&[0.0; 4]), &classes([0, 2]));
        assert!(error.unwrap_err().to_string().contains("class 2"));
    }
}
