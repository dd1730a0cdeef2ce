//! Mean and variance of the inputs of a batch norm.

use candle_core::{DType, Result, Tensor};

/// Batch norm's epsilon, added to a variance before its root: Keras' default, as in the paper's
/// code. PyTorch's default is 1e-5: whoever loads trained weights there must give this one, or
/// class scores differ (by up to 0.34 at 300x on LeNet-300-100). `run.toml` and `rarefy arch` state it.
pub const EPSILON: f64 = 1e-3;

/// Mean and biased variance of each unit (of a map: each channel, over its positions too).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// The mean of each unit.
    pub mean: Vec<f32>,
    /// The variance of each unit.
    pub variance: Vec<f32>,
}

/// Sums over the values of each unit of a node.
pub(super) struct Sums {
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// Values of a unit, of one image.
    area: usize,
    count: usize,
}

impl Sums {
    /// Those of a node of `shape`, empty.
    pub(super) fn new(shape: &[usize]) -> Self {
        let zeros = vec![0.0; shape[0]];
        Self {
            sum: zeros.clone(),
            squares: zeros,
            area: shape[1..].iter().product(),
            count: 0,
        }
    }

    /// Adds the values of a batch.
    pub(super) fn add(&mut self, value: &Tensor) -> Result<()> {
        let (units, area) = (self.sum.len(), self.area);
        self.count += value.dim(0)? * area;
        let values = value
            .flatten_all()?
            .to_dtype(DType::F32)?
            .to_vec1::<f32>()?;
        for sample in values.chunks_exact(units * area) {
            let runs = sample.chunks_exact(area);
            for ((sum, square), run) in self.sum.iter_mut().zip(&mut self.squares).zip(runs) {
                for &x in run {
                    *sum += f64::from(x);
                    *square += f64::from(x) * f64::from(x);
                }
            }
        }
        Ok(())
    }

    /// The mean and the variance of each unit.
    pub(super) fn moments(&self) -> Moments {
        let count = self.count as f64;
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / count).collect();
        let variance = self.squares.iter().zip(&mean);
        Moments {
            variance: variance
                .map(|(s, m)| (s / count - m * m).max(0.0) as f32)
                .collect(),
            mean: mean.iter().map(|&mean| mean as f32).collect(),
        }
    }
}
