//! Binary masks over the prunable tensors of a graph.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::atomic::{self, FileError};
use crate::graph::{Graph, Prunable};
use crate::tensors;

/// Why a masks file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// The file does not fit the architecture.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The mask of one tensor: which of its weights are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// The tensor's name.
    pub name: String,
    /// The tensor's shape, (out, in) or (out, in, height, width).
    pub shape: Vec<usize>,
    /// One entry per weight, row-major: true if the weight is kept, false if it is pruned.
    pub keep: Vec<bool>,
}

impl Mask {
    /// Returns the number of weights kept.
    pub fn nonzeros(&self) -> usize {
        self.keep.iter().filter(|&&keep| keep).count()
    }
}

/// One mask per prunable tensor, in the graph's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masks(Vec<Mask>);

impl Masks {
    /// Creates masks over `tensors` that keep the weights for which `keep(tensor, element)` is
    /// true; both are indices.
    pub fn from_fn(tensors: &[Prunable], keep: impl Fn(usize, usize) -> bool) -> Self {
        let masks = tensors.iter().enumerate().map(|(index, tensor)| Mask {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            keep: (0..tensor.len())
                .map(|element| keep(index, element))
                .collect(),
        });
        Self(masks.collect())
    }

    /// Creates masks over `tensors` that keep the given flat indices of each.
    ///
    /// # Panics
    /// Panics if an index is out of range.
    pub fn of<I: IntoIterator<Item = usize>>(
        tensors: &[Prunable],
        elements: impl IntoIterator<Item = I>,
    ) -> Self {
        let masks = tensors.iter().zip(elements).map(|(tensor, elements)| {
            let mut keep = vec![false; tensor.len()];
            elements
                .into_iter()
                .for_each(|element| keep[element] = true);
            Mask {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                keep,
            }
        });
        Self(masks.collect())
    }

    /// Creates masks that keep every weight of `graph`.
    pub fn dense(graph: &Graph) -> Self {
        Self::from_fn(&graph.prunable(), |_, _| true)
    }

    /// Iterates over the masks, in the order of [`Graph::prunable`].
    pub fn iter(&self) -> std::slice::Iter<'_, Mask> {
        self.0.iter()
    }

    /// Returns the mask of the prunable tensor `index`.
    ///
    /// # Panics
    /// Panics if there is no such tensor.
    pub fn get(&self, index: usize) -> &Mask {
        &self.0[index]
    }

    /// Returns the total number of weights kept.
    pub fn nonzeros(&self) -> usize {
        self.0.iter().map(Mask::nonzeros).sum()
    }

    /// Returns the total number of weights, N.
    pub fn total(&self) -> usize {
        self.0.iter().map(|mask| mask.keep.len()).sum()
    }

    /// Returns the compression ratio, N over the number of weights kept; `None` if all are pruned.
    pub fn compression(&self) -> Option<f64> {
        let nonzeros = self.nonzeros();
        (nonzeros > 0).then(|| self.total() as f64 / nonzeros as f64)
    }

    /// Writes the masks to the safetensors file `path`, as u8 tensors of zeros and ones.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), MaskError> {
        let bytes: Vec<Vec<u8>> = self
            .0
            .iter()
            .map(|mask| mask.keep.iter().map(|&keep| u8::from(keep)).collect())
            .collect();
        let views = self.0.iter().zip(&bytes).map(|(mask, bytes)| {
            let view = TensorView::new(Dtype::U8, mask.shape.clone(), bytes);
            (mask.name.as_str(), view.expect("one byte per weight"))
        });
        let file = safetensors::serialize(views, None).expect("masks have plain names and shapes");
        atomic::write(path, &file)?;
        Ok(())
    }

    /// Reads the masks of `graph` from the safetensors file `path`.
    ///
    /// The file must hold every prunable tensor and no other, each under its name and in its
    /// shape: as u8 or bool zeros and ones, or as floats, of which the nonzeros mark the kept
    /// weights.
    ///
    /// # Errors
    /// Returns an error that names the file, and the tensor at fault, if the file cannot be read
    /// or a tensor is missing, unknown, duplicate, of another shape or type, or is not a mask.
    pub fn load(graph: &Graph, path: &Path) -> Result<Self, MaskError> {
        let reject = |reason: String| MaskError::Invalid {
            path: path.display().to_string(),
            reason,
        };
        let bytes = atomic::read(path)?;
        let file = tensors::parse(&bytes).map_err(reject)?;
        let mut found: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        let tensors = graph.prunable();
        let mut masks = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let Prunable { name, shape, .. } = tensor;
            let view = found
                .remove(&name)
                .ok_or_else(|| reject(format!("tensor {name} of {} is missing", graph.name())))?;
            if view.shape() != shape {
                let found = view.shape();
                return Err(reject(format!(
                    "tensor {name} has shape {found:?}, but {} expects {shape:?}",
                    graph.name()
                )));
            }
            let keep =
                read_mask(&view).map_err(|reason| reject(format!("tensor {name} {reason}")))?;
            masks.push(Mask { name, shape, keep });
        }
        if let Some(extra) = found.keys().next() {
            return Err(reject(format!(
                "{} has no prunable tensor called {extra}",
                graph.name()
            )));
        }
        Ok(Self(masks))
    }
}

/// Reads a tensor as a mask, one entry per weight.
///
/// # Errors
/// Returns the reason, without the tensor's name, if it is not a mask.
fn read_mask(view: &TensorView<'_>) -> Result<Vec<bool>, String> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::U8 | Dtype::BOOL => match bytes.iter().position(|&byte| byte > 1) {
            Some(at) => Err(format!(
                "holds {} at element {at}: a mask must consist of 0 and 1",
                bytes[at]
            )),
            None => Ok(bytes.iter().map(|&byte| byte == 1).collect()),
        },
        dtype if tensors::is_float(dtype) => nonzeros(tensors::floats(view)?),
        other => Err(format!(
            "has type {other:?}: convert it to u8, bool or a float type"
        )),
    }
}

/// Returns which of `values` are nonzero.
///
/// # Errors
/// Returns the reason if a value is NaN or infinite.
fn nonzeros(values: Vec<f64>) -> Result<Vec<bool>, String> {
    values
        .into_iter()
        .enumerate()
        .map(|(at, value)| {
            if value.is_finite() {
                Ok(value != 0.0)
            } else {
                Err(format!(
                    "holds {value} at element {at}: a mask must consist of finite numbers"
                ))
            }
        })
        .collect()
}
