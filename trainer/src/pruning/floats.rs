//! Tensors of any float type, read from safetensors files as f64, in which all of them are exact.

use candle_core::safetensors::Load;
use candle_core::{DType, Device};
use safetensors::tensor::{Dtype, TensorView};

/// Whether a tensor of this type is one of floats.
pub(super) fn is_float(dtype: Dtype) -> bool {
    [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype)
}

/// The numbers of a tensor of floats, row-major.
///
/// # Errors
/// With the reason when it cannot be read.
pub(super) fn read(view: &TensorView<'_>) -> Result<Vec<f64>, String> {
    let read = || {
        let tensor = view.load(&Device::Cpu)?.to_dtype(DType::F64)?;
        tensor.flatten_all()?.to_vec1::<f64>()
    };
    read().map_err(|e: candle_core::Error| format!("cannot be read ({e})"))
}
