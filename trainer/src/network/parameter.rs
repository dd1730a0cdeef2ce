//! The trainable parameters of a network.

use candle_core::{DType, Result, Var};

use super::operators::GradientSlot;
use crate::graph::Operation;

/// A trainable parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Name of the tensor, such as `fc1.weight`.
    pub name: String,
    /// The values: the whole array, or those at `places` as a vector.
    pub var: Var,
    /// The slot in which the fused operators store the gradient.
    pub gradient: GradientSlot,
    /// Whether it is a kernel. Only kernels are pruned and subject to weight decay.
    pub kernel: bool,
    /// The places of the values in the array, if a sparse network stores only some of its elements.
    pub places: Option<Places>,
}

/// The elements of an array that a sparse network stores: the kept weights of a kernel, or the
/// elements of another parameter that belong to live units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The shape of the array.
    pub shape: Vec<usize>,
    /// The row-major indices of the elements, in ascending order.
    pub indices: Vec<u32>,
}

impl Places {
    /// Returns the elements of the whole `array` that are stored.
    pub fn gather(&self, array: &[f32]) -> Vec<f32> {
        self.indices.iter().map(|&at| array[at as usize]).collect()
    }

    /// Writes the stored `values` to their places in the whole `array`.
    pub fn scatter(&self, values: &[f32], array: &mut [f32]) {
        for (&at, &value) in self.indices.iter().zip(values) {
            array[at as usize] = value;
        }
    }
}

impl Parameter {
    /// Returns the shape of the whole array.
    pub fn shape(&self) -> &[usize] {
        match &self.places {
            Some(places) => &places.shape,
            None => self.var.dims(),
        }
    }

    /// Returns the values on the host.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.var.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
    }

    /// Expands `values`, one per stored element of the parameter (such as velocities), to the
    /// whole array. Elements that are not stored become 0.
    pub fn spread(&self, values: Vec<f32>) -> Vec<f32> {
        match &self.places {
            None => values,
            Some(places) => {
                let mut array = vec![0.0; places.shape.iter().product()];
                places.scatter(&values, &mut array);
                array
            }
        }
    }

    /// Returns the elements of the whole `array` that this parameter stores.
    pub fn select(&self, array: &[f32]) -> Vec<f32> {
        match &self.places {
            None => array.to_vec(),
            Some(places) => places.gather(array),
        }
    }
}

/// Returns the name suffixes of an operation's parameters, in order.
pub(super) fn suffixes(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Dense { bias: false, .. } | Operation::Conv { bias: false, .. } => &["weight"],
        Operation::Dense { .. } | Operation::Conv { .. } | Operation::BatchNorm => {
            &["weight", "bias"]
        }
        _ => &[],
    }
}
