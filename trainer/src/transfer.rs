//! Copies tensors between the host and a device, and counts the copies.
//!
//! On a GPU every copy costs a launch, and reading back waits for all work queued before it.
//! Training steps on a GPU copy only with these functions, so that a test can check the number of
//! copies per step.

use std::cell::Cell;

use candle_core::{Device, Result, Shape, Tensor, WithDType};

/// Copies made by the current thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Tensors copied to a device.
    pub uploads: usize,
    /// Bytes of these tensors.
    pub uploaded_bytes: usize,
    /// Tensors copied to the host.
    pub readbacks: usize,
}

thread_local! {
    static TRANSFERS: Cell<Transfers> = Cell::default();
}

/// Returns the copies made by the current thread so far.
pub fn transfers() -> Transfers {
    TRANSFERS.get()
}

/// Copies `values` to a tensor of `shape` on `device`.
///
/// # Errors
/// Returns an error if the number of values does not match the shape, or if the device fails.
pub fn upload<T: WithDType>(
    values: &[T],
    shape: impl Into<Shape>,
    device: &Device,
) -> Result<Tensor> {
    let mut transfers = TRANSFERS.get();
    transfers.uploads += 1;
    transfers.uploaded_bytes += size_of_val(values);
    TRANSFERS.set(transfers);
    Tensor::from_slice(values, shape.into(), device)
}

/// Copies a tensor of one dimension to the host.
///
/// # Errors
/// Returns an error if the tensor does not have one dimension and type `T`, or if the device
/// fails.
pub fn read<T: WithDType>(tensor: &Tensor) -> Result<Vec<T>> {
    let mut transfers = TRANSFERS.get();
    transfers.readbacks += 1;
    TRANSFERS.set(transfers);
    tensor.to_vec1()
}
