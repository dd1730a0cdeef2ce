//! Reads float tensors of safetensors files as f64, which represents every float type exactly.

use candle_core::safetensors::Load;
use candle_core::{DType, Device};
use safetensors::tensor::{Dtype, TensorView};

/// Checks whether `dtype` is a float type that [`read`] accepts.
pub(super) fn is_float(dtype: Dtype) -> bool {
    [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype)
}

/// Returns the values of a float tensor, row-major.
///
/// # Errors
/// Returns the reason, without the tensor's name, if the tensor cannot be read.
pub(super) fn read(view: &TensorView<'_>) -> Result<Vec<f64>, String> {
    let read = || {
        let tensor = view.load(&Device::Cpu)?.to_dtype(DType::F64)?;
        tensor.flatten_all()?.to_vec1::<f64>()
    };
    read().map_err(|e: candle_core::Error| format!("cannot be read ({e})"))
}
