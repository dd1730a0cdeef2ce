//! Parameters and tensors as the operators access them.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, Layout, Result, Tensor};

use super::units::UnitLayout;

/// The slot in which an operator stores the gradient of one parameter during the backward pass.
#[derive(Debug, Clone, Default)]
pub struct GradientSlot(Arc<Mutex<Option<Tensor>>>);

impl GradientSlot {
    /// Stores `gradient`, replacing an earlier one.
    pub(crate) fn put(&self, gradient: Tensor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }

    /// Takes the gradient, if one was stored since the last call.
    pub fn take(&self) -> Option<Tensor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A parameter as an operator reads it.
#[derive(Debug, Clone)]
pub struct Operand<'a> {
    /// The values.
    pub values: Tensor,
    /// The slot that receives their gradient.
    pub gradient: &'a GradientSlot,
}

/// The bias of a layer, copied for its operator.
pub(super) struct Bias {
    pub(super) values: Vec<f32>,
    gradient: GradientSlot,
}

impl Bias {
    /// Copies the values of `bias`.
    pub(super) fn new(bias: &Operand<'_>) -> Result<Self> {
        Ok(Self {
            values: with_slice(&bias.values, <[f32]>::to_vec)?,
            gradient: bias.gradient.clone(),
        })
    }

    /// Stores the gradient of the bias: the sum, per unit, of `output` (batch, units, …), which is
    /// the gradient of the layer's output.
    pub(super) fn sum(&self, output: &Tensor) -> Result<()> {
        let layout = UnitLayout::of(output.shape());
        let sums = with_slice(output, |output| layout.totals(output))?;
        self.gradient
            .put(Tensor::from_vec(sums, layout.units, output.device())?);
        Ok(())
    }
}

/// Returns the elements of `storage`.
///
/// # Errors
/// Returns an error if the layout is not contiguous or the storage is not f32.
pub(in crate::network) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("the fused operators require a contiguous tensor"),
    }
}

/// Returns the result of `read` for the elements of `tensor`.
///
/// # Errors
/// Returns an error if the tensor is not contiguous, not f32, or not on the CPU.
pub(in crate::network) fn with_slice<T>(
    tensor: &Tensor,
    read: impl FnOnce(&[f32]) -> T,
) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => Ok(read(slice(storage, layout)?)),
        _ => candle_core::bail!("the fused operators require a tensor on the CPU"),
    }
}
