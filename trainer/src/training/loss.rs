//! Losses: what training minimises.

use candle_core::{D, DType, Result, Tensor};

use crate::network::operators::likelihood::log_likelihood;
use crate::pruning::loss::mean_squared_error;

/// A loss.
pub trait Loss: std::fmt::Debug + Send + Sync {
    /// Returns the mean loss of a batch: a scalar that candle differentiates with respect to
    /// `outputs` (batch, outputs). `targets` are the correct classes (batch), in u32, or the
    /// numbers (batch, outputs) that the outputs should be.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor>;
}

/// The mean of the squared differences between the outputs and their targets, over the batch and
/// the outputs, as in PyTorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeanSquaredError;

impl Loss for MeanSquaredError {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        mean_squared_error(outputs, targets)
    }
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
    use crate::graph::{Graph, Operation};
    use crate::network::{Network, State};
    use crate::pruning::Masks;
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

    /// Compares the loss and the gradient of the outputs with torch.nn.functional.mse_loss.
    #[test]
    fn the_mean_squared_error_is_that_of_pytorch() {
        let outputs = Var::new(&[[0.5_f32, -1.25, 3.0], [2.0, 0.0, -0.75]], &Device::Cpu).unwrap();
        let targets = [[1.0_f32, -1.0, 0.5], [2.0, -4.0, 0.25]];
        let targets = Tensor::new(&targets, &Device::Cpu).unwrap();
        let (value, gradient) = backward(&outputs, MeanSquaredError.mean(&outputs, &targets));
        assert!((value - 3.927_083_3).abs() < 1e-6, "{value}");
        for (found, expected) in gradient.iter().zip([
            -1.0 / 6.0,
            -1.0 / 12.0,
            5.0 / 6.0,
            0.0,
            4.0 / 3.0,
            -1.0 / 3.0,
        ]) {
            assert!((found - expected).abs() < 1e-7, "{found} {expected}");
        }
        let wrong = Tensor::new(&[[1.0_f32], [2.0]], &Device::Cpu).unwrap();
        assert!(MeanSquaredError.mean(&outputs, &wrong).is_err());
    }

    /// Compares the loss of a batch and its gradients with those of PyTorch 2 in f64, in a dense
    /// and in a sparse network.
    #[test]
    fn gradients_of_the_mean_squared_error_are_those_of_pytorch() {
        let mut graph = Graph::new("toy", [1, 1, 3]);
        graph.push("flatten", Operation::Flatten).unwrap();
        let dense = |units| Operation::Dense { units, bias: true };
        graph.push("fc1", dense(3)).unwrap();
        graph.push("relu1", Operation::Relu).unwrap();
        graph.push("fc2", dense(2)).unwrap();
        let mut state = State::default();
        let mut insert = |name: &str, shape: &[usize], values: &[f32]| {
            state.insert(name.into(), shape.to_vec(), values.to_vec());
        };
        let kernel = [0.5, -0.25, 1.0, -1.5, 0.75, 0.5, 0.125, 0.25, -2.0];
        insert("fc1.weight", &[3, 3], &kernel);
        insert("fc1.bias", &[3], &[0.1, -0.2, 0.3]);
        insert("fc2.weight", &[2, 3], &[1.0, -0.5, 0.25, 0.75, 2.0, -1.0]);
        insert("fc2.bias", &[2], &[0.05, -0.4]);
        let expected: [(&str, &[f32]); 4] = [
            (
                "fc1.weight",
                &[
                    -0.616_666_7,
                    -0.033_333_3,
                    2.7,
                    -1.459_440_1,
                    -2.423_307_3,
                    4.571_094,
                    0.254_720_05,
                    1.528_320_3,
                    -1.018_880_2,
                ],
            ),
            ("fc1.bias", &[1.6, -0.771_093_8, 1.018_880_2]),
            (
                "fc2.weight",
                &[
                    0.88,
                    1.536_692_7,
                    0.181_826_17,
                    2.24,
                    1.789_895_8,
                    -2.711_888,
                ],
            ),
            ("fc2.bias", &[0.617_187_5, 0.397_916_67]),
        ];
        let x = [[1.0_f32, -2.0, 0.5], [0.25, 1.5, -1.0], [-0.75, 0.5, 2.0]];
        let x = Tensor::new(&x, &Device::Cpu).unwrap();
        let y = [[2.0_f32, -1.0], [0.5, 0.0], [-1.5, 3.0]];
        let y = Tensor::new(&y, &Device::Cpu).unwrap();
        let sparse = Network::sparse(&graph, &state, &Masks::dense(&graph)).unwrap();
        let dense = Network::new(&graph, &state, &Device::Cpu).unwrap();
        for (network, x) in [
            (dense, x.clone()),
            (sparse, x.t().unwrap().contiguous().unwrap()),
        ] {
            let loss = |outputs: &Tensor| MeanSquaredError.mean(outputs, &y);
            let found = network.gradients(&x, loss).unwrap();
            let value = found.loss.to_scalar::<f32>().unwrap();
            assert!((value - 3.700_111).abs() < 1e-5, "{value}");
            let gradients = network.parameters().iter().zip(found.of_parameters);
            for (parameter, gradient) in gradients {
                let gradient = gradient.unwrap().flatten_all().unwrap();
                let gradient = gradient.to_vec1::<f32>().unwrap();
                let of = expected.iter().find(|(name, _)| *name == parameter.name);
                let (name, expected) = of.unwrap();
                assert_eq!(gradient.len(), expected.len(), "{name}");
                for (found, expected) in gradient.iter().zip(*expected) {
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{name}: {found} {expected}"
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
