//! Steps of training as single operations on the CPU.
//!
//! candle adds every parameter's gradient to a fresh tensor of zeros and builds batch norm from a
//! dozen passes; at LeNet's size that is half of a step. These operators compute forwards and
//! backwards in one pass each and hand a parameter's gradient over in a [`Gradient`] slot. They
//! are for contiguous f32 on the CPU; `Network` uses plain tensor operations elsewhere.

pub mod batch_norm;
pub mod conv;
pub mod linear;
pub mod pool;
pub mod relu;
mod runs;
mod taps;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, Layout, Result, Tensor};
use runs::Runs;

/// Where an operator leaves the gradient of one parameter during the backward pass.
#[derive(Debug, Clone, Default)]
pub struct Gradient(Arc<Mutex<Option<Tensor>>>);

impl Gradient {
    /// Leaves `gradient`, replacing what was there.
    pub(crate) fn put(&self, gradient: Tensor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }

    /// Takes the gradient, if one was left since the last time.
    pub fn take(&self) -> Option<Tensor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A parameter in use: its values, and where an operator leaves their gradient.
pub type Own<'a> = (Tensor, &'a Gradient);

/// A layer's bias, for as long as its operator lives.
struct Bias {
    values: Vec<f32>,
    gradient: Gradient,
}

impl Bias {
    fn new((values, gradient): &Own<'_>) -> Result<Self> {
        Ok(Self {
            values: with_slice(values, <[f32]>::to_vec)?,
            gradient: (*gradient).clone(),
        })
    }

    /// Leaves its gradient, the sum of the `output`'s (batch, units, …).
    fn sum(&self, output: &Tensor) -> Result<()> {
        let runs = Runs::of(output.shape());
        let sums = with_slice(output, |output| runs.totals(output))?;
        self.gradient
            .put(Tensor::from_vec(sums, runs.units, output.device())?);
        Ok(())
    }
}

/// The elements of a contiguous f32 storage.
pub(crate) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("an operator of the trainer needs a contiguous tensor"),
    }
}

/// Runs `read` on the elements of a contiguous f32 tensor on the CPU.
pub(crate) fn with_slice<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => Ok(read(slice(storage, layout)?)),
        _ => candle_core::bail!("an operator of the trainer needs a tensor on the CPU"),
    }
}
