//! Losses: what training minimises.

use candle_core::{D, Result, Tensor};

/// A loss of classification.
pub trait Loss: std::fmt::Debug + Send + Sync {
    /// Returns the mean loss of a batch: a scalar that candle differentiates with respect to
    /// `scores` (batch, classes). `classes` (batch) are the right ones, of type u32.
    ///
    /// # Errors
    /// Returns an error if the shapes do not match or the device fails.
    fn mean(&self, scores: &Tensor, classes: &Tensor) -> Result<Tensor>;
}

/// The cross-entropy of the softmax of the scores with the right class, or with targets smoothed
/// as in PyTorch: a share is spread evenly over all classes, the right one included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CrossEntropy {
    /// The share spread over all classes: at least 0 and below 1.
    pub label_smoothing: f64,
}

impl Loss for CrossEntropy {
    fn mean(&self, scores: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let logarithms = candle_nn::ops::log_softmax(scores, D::Minus1)?;
        let right = candle_nn::loss::nll(&logarithms, classes)?;
        if self.label_smoothing == 0.0 {
            return Ok(right);
        }
        let even = logarithms.mean_all()?;
        (right * (1.0 - self.label_smoothing))? - (even * self.label_smoothing)?
    }
}
