//! Binary masks over the prunable tensors of an architecture.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::sweep::Connection;
use super::{PruneError, floats};
use crate::artifact;
use crate::graph::{Graph, Prunable};

/// Which weights of one tensor stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// One entry per weight, row-major: true for those that stay.
    pub keep: Vec<bool>,
}

impl Mask {
    /// Number of weights that stay.
    pub fn nonzeros(&self) -> usize {
        self.keep.iter().filter(|&&keep| keep).count()
    }
}

/// One mask per prunable tensor, in the graph's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masks(Vec<Mask>);

impl Masks {
    /// Masks over `tensors` that keep what `keep(tensor, element)` says.
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

    /// Masks over `tensors` that keep the given elements of each.
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

    /// The weights that stay, as connections that are there, one list per tensor.
    pub fn connections(&self) -> Vec<Vec<Connection<bool>>> {
        self.0.iter().map(|mask| kept(&mask.keep)).collect()
    }

    /// Masks that keep every weight of `graph`.
    pub fn dense(graph: &Graph) -> Self {
        Self::from_fn(&graph.prunable(), |_, _| true)
    }

    /// The masks in the graph's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Mask> {
        self.0.iter()
    }

    /// The mask of tensor `index`.
    pub fn get(&self, index: usize) -> &Mask {
        &self.0[index]
    }

    /// Number of weights that stay in all tensors.
    pub fn nonzeros(&self) -> usize {
        self.0.iter().map(Mask::nonzeros).sum()
    }

    /// Number of weights in all tensors, N.
    pub fn total(&self) -> usize {
        self.0.iter().map(|mask| mask.keep.len()).sum()
    }

    /// N over the number of weights that stay; none when nothing stays.
    pub fn compression(&self) -> Option<f64> {
        let nonzeros = self.nonzeros();
        (nonzeros > 0).then(|| self.total() as f64 / nonzeros as f64)
    }

    /// Writes the masks as a safetensors file of u8 zeros and ones.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), PruneError> {
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
        artifact::write(path, &file)?;
        Ok(())
    }

    /// Reads the masks of `graph` from a safetensors file: u8 or bool 0/1 tensors of the graph's
    /// names and shapes; a float tensor counts its nonzeros.
    ///
    /// # Errors
    /// When the file cannot be read, a tensor is missing, unknown, twice or of another shape or
    /// type, or holds what is no mask.
    pub fn load(graph: &Graph, path: &Path) -> Result<Self, PruneError> {
        let refuse = |reason: String| PruneError::MaskFile {
            path: path.display().to_string(),
            reason,
        };
        let bytes = artifact::read(path)?;
        let file = crate::tensors::parse(&bytes).map_err(refuse)?;
        let mut found: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        let tensors = graph.prunable();
        let mut masks = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let Prunable { name, shape, .. } = tensor;
            let view = found
                .remove(&name)
                .ok_or_else(|| refuse(format!("tensor {name} of {} is missing", graph.name())))?;
            if view.shape() != shape {
                let found = view.shape();
                return Err(refuse(format!(
                    "tensor {name} has shape {found:?}, but {} has {shape:?}",
                    graph.name()
                )));
            }
            let keep = keeps(&view).map_err(|reason| refuse(format!("tensor {name} {reason}")))?;
            masks.push(Mask { name, shape, keep });
        }
        if let Some(extra) = found.keys().next() {
            return Err(refuse(format!(
                "{} has no prunable tensor called {extra}",
                graph.name()
            )));
        }
        Ok(Self(masks))
    }
}

/// The elements that `keep`, as connections that are there.
fn kept(keep: &[bool]) -> Vec<Connection<bool>> {
    /// Weights looked at together: most stretches of a sparse mask are empty.
    const STRETCH: usize = 32;
    let mut connections = Vec::new();
    for (stretch, keep) in keep.chunks(STRETCH).enumerate() {
        if !keep.iter().fold(false, |any, &keep| any | keep) {
            continue;
        }
        for (at, _) in keep.iter().enumerate().filter(|&(_, &keep)| keep) {
            let element = (stretch * STRETCH + at) as u32;
            let value = true;
            connections.push(Connection { element, value });
        }
    }
    connections
}

/// What a tensor says about each weight.
fn keeps(view: &TensorView<'_>) -> Result<Vec<bool>, String> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::U8 | Dtype::BOOL => match bytes.iter().position(|&byte| byte > 1) {
            Some(at) => Err(format!(
                "holds {} at element {at}: a mask is of 0 and 1",
                bytes[at]
            )),
            None => Ok(bytes.iter().map(|&byte| byte == 1).collect()),
        },
        dtype if floats::is_float(dtype) => nonzeros(floats::read(view)?),
        other => Err(format!(
            "is of type {other:?}: give u8, bool, or a float type"
        )),
    }
}

/// Which of `values` are not zero; NaN and infinities are refused.
fn nonzeros(values: Vec<f64>) -> Result<Vec<bool>, String> {
    values
        .into_iter()
        .enumerate()
        .map(|(at, value)| {
            if value.is_finite() {
                Ok(value != 0.0)
            } else {
                Err(format!(
                    "holds {value} at element {at}: only finite numbers make a mask"
                ))
            }
        })
        .collect()
}
