//! Safetensors files as another program would write them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// A tensor of a file: type, shape, bytes.
#[derive(Debug, Clone)]
pub(crate) struct Tensor(Dtype, Vec<usize>, Vec<u8>);

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<&'static str, Tensor>;

/// Returns a tensor of `numbers`, which are given as little-endian bytes.
pub(crate) fn tensor<const N: usize>(
    dtype: Dtype,
    shape: &[usize],
    numbers: impl IntoIterator<Item = [u8; N]>,
) -> Tensor {
    let bytes: Vec<u8> = numbers.into_iter().flatten().collect();
    Tensor(dtype, shape.to_vec(), bytes)
}

/// Returns a tensor of f64.
pub(crate) fn double(shape: &[usize], numbers: &[f64]) -> Tensor {
    tensor(Dtype::F64, shape, numbers.iter().map(|n| n.to_le_bytes()))
}

/// Returns a tensor of f32.
pub(crate) fn single(shape: &[usize], numbers: &[f32]) -> Tensor {
    tensor(Dtype::F32, shape, numbers.iter().map(|n| n.to_le_bytes()))
}

/// Returns a tensor of u8.
pub(crate) fn bytes(shape: &[usize], numbers: &[u8]) -> Tensor {
    tensor(Dtype::U8, shape, numbers.iter().map(|&n| [n]))
}

/// Writes `tensors` to the file `path`.
pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(&name, Tensor(dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Reads the masks in the file `path` by name: one byte per weight.
pub(crate) fn masks(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap().tensors();
    let masks = tensors.into_iter().map(|(name, view)| {
        assert_eq!(view.dtype(), Dtype::U8, "{name}");
        (name, view.data().to_vec())
    });
    masks.collect()
}
