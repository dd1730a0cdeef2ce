//! Named arrays on the host: the parameters of a network between stages and in files.
//!
//! Files are safetensors with PyTorch's names and layouts: `fc1.weight` (out, in), `fc1.bias`,
//! `bn1.weight`, `bn1.bias`, `bn1.running_mean`, `bn1.running_var`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::atomic::{self, FileError};
use crate::tensors;

/// A row-major array of f32.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<f32>,
}

/// Arrays by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State(pub BTreeMap<String, Array>);

/// Why a weights file could not be used or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is not valid safetensors, or a tensor is missing, contains a value that is not
    /// finite, or has the wrong shape or type.
    #[error("{path}: {reason}")]
    Tensor {
        /// Path of the file.
        path: String,
        /// What is wrong, and with which tensor.
        reason: String,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl State {
    /// Returns the array called `name`.
    ///
    /// # Panics
    /// Panics if there is none: a state is used only with the graph that it was created or checked
    /// for.
    pub fn get(&self, name: &str) -> &Array {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("the state has no array {name}"))
    }

    /// Adds or replaces an array.
    pub fn insert(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.0.insert(name, Array { shape, values });
    }

    /// Writes the arrays to a safetensors file, with `notes` as its metadata.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save(&self, path: &Path, notes: &[(&str, String)]) -> Result<(), FileError> {
        let bytes: Vec<Vec<u8>> = self
            .0
            .values()
            .map(|array| {
                array
                    .values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect()
            })
            .collect();
        let views = self.0.iter().zip(&bytes).map(|((name, array), bytes)| {
            let view = TensorView::new(Dtype::F32, array.shape.clone(), bytes);
            (name.as_str(), view.expect("four bytes per element"))
        });
        let notes: HashMap<String, String> = notes
            .iter()
            .map(|(key, value)| ((*key).into(), value.clone()))
            .collect();
        let notes = (!notes.is_empty()).then_some(notes);
        let file = safetensors::serialize(views, notes).expect("names and shapes are valid");
        atomic::write(path, &file)
    }

    /// Reads all arrays and the metadata of a safetensors file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not valid safetensors, contains a tensor
    /// twice, or contains a tensor that is not f32.
    pub fn load(path: &Path) -> Result<(Self, HashMap<String, String>), StateError> {
        let refuse = |reason: String| StateError::Tensor {
            path: path.display().to_string(),
            reason,
        };
        let bytes = atomic::read(path)?;
        let file = tensors::parse(&bytes).map_err(refuse)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| {
            refuse(format!(
                "not a valid safetensors file ({e}); write it again"
            ))
        })?;
        let mut state = Self::default();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(refuse(format!(
                    "tensor {name} has type {:?}; convert it to f32",
                    view.dtype()
                )));
            }
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
            state.insert(name, view.shape().to_vec(), values.collect());
        }
        Ok((state, metadata.metadata().clone().unwrap_or_default()))
    }

    /// Checks that the state contains every array of `expected`, with the same shape and finite
    /// values.
    ///
    /// # Errors
    /// Returns an error that names `path`, the state's file, and the first array at fault.
    pub fn check(&self, expected: &State, path: &Path) -> Result<(), StateError> {
        match self.mismatch(expected) {
            None => Ok(()),
            Some(reason) => Err(StateError::Tensor {
                path: path.display().to_string(),
                reason,
            }),
        }
    }

    /// Returns a clause about the first array of `expected` that this state lacks, or has with
    /// another shape or with a value that is not finite; `None` if there is no such array.
    #[must_use]
    pub fn mismatch(&self, expected: &State) -> Option<String> {
        expected.0.iter().find_map(|(name, Array { shape, .. })| {
            let Some(found) = self.0.get(name) else {
                return Some(format!("tensor {name} is missing"));
            };
            if found.shape != *shape {
                let found = &found.shape;
                return Some(format!(
                    "tensor {name} has shape {found:?}, but the architecture requires {shape:?}"
                ));
            }
            let at = found.values.iter().position(|value| !value.is_finite())?;
            let value = found.values[at];
            Some(format!("tensor {name} holds {value} at element {at}"))
        })
    }
}
