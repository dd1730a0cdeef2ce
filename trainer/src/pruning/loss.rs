//! The loss whose gradient is read by scores such as SNIP.

use candle_core::{Result as TensorResult, Tensor};
use serde::{Deserialize, Serialize};

/// The loss whose gradient is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Cross-entropy
    #[default]
    CrossEntropy,
    /// The loss of the paper's published code: cross-entropy with prediction and label swapped
    Reference,
    /// Mean squared error, for targets that are numbers
    Mse,
}

/// Returns the mean of the squared differences between `outputs` and `targets` (rows, outputs).
///
/// # Errors
/// Returns an error if the shapes do not match or the device fails.
pub fn mean_squared_error(outputs: &Tensor, targets: &Tensor) -> TensorResult<Tensor> {
    if !targets.dtype().is_float() {
        candle_core::bail!("the mean squared error needs targets that are numbers, not classes");
    }
    let targets = targets.to_dtype(outputs.dtype())?;
    (outputs - targets)?.sqr()?.mean_all()
}

impl Loss {
    /// Returns the mean loss of `logits` (rows, classes) for the true `classes` (rows), or for
    /// targets that are numbers (rows, outputs).
    ///
    /// The reference loss is about `16.1 (1 - p) + 1e-7 p`, where `p` is the probability of the
    /// true class: Keras clips predictions to the range 1e-7 to 1 - 1e-7, and with prediction and
    /// label swapped it is the labels that are clipped.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn mean(self, logits: &Tensor, classes: &Tensor) -> TensorResult<Tensor> {
        const CLIP: f64 = 1e-7;
        match self {
            Loss::CrossEntropy => candle_nn::loss::cross_entropy(logits, classes),
            Loss::Mse => mean_squared_error(logits, classes),
            Loss::Reference => {
                let logarithms = candle_nn::ops::log_softmax(logits, 1)?;
                let right = logarithms.gather(&classes.unsqueeze(1)?, 1)?.exp()?;
                let (if_wrong, if_right) = (-CLIP.ln(), -(1.0 - CLIP).ln());
                right.mean_all()?.affine(if_right - if_wrong, if_wrong)
            }
        }
    }
}
