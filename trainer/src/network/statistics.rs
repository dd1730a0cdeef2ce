//! Population statistics of batch norms: the mean and variance with which they normalise when
//! deployed.

use std::sync::OnceLock;

use candle_core::{DType, Device, Result, Tensor};

use super::state::State;
use crate::graph::{Graph, Operation};
use crate::transfer::upload;

/// The epsilon of batch norms, added to the variance before taking its square root.
///
/// This is Keras' default, as in the paper's code. PyTorch's default is 1e-5: a PyTorch network
/// that loads trained weights must use this value instead, or class scores differ (by up to 0.34
/// for LeNet-300-100 at 300x). `run.toml` and `rarefy arch` state it.
pub const EPSILON: f64 = 1e-3;

/// Mean and biased variance per unit. A unit of a feature map is a channel with all its
/// positions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// Mean per unit.
    pub mean: Vec<f32>,
    /// Biased variance per unit.
    pub variance: Vec<f32>,
    /// Mean and variance as tensors, on the device that reads them.
    pub(super) uploaded: Uploaded,
}

/// The tensors of [`Moments`], once they have been uploaded. Comparisons ignore them, and clones
/// start without them, because the moments of a clone can be changed.
#[derive(Debug, Default)]
pub(super) struct Uploaded(OnceLock<[Tensor; 2]>);

impl Clone for Uploaded {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Uploaded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Moments {
    /// Creates moments of the given mean and variance per unit.
    pub fn new(mean: Vec<f32>, variance: Vec<f32>) -> Self {
        Self {
            mean,
            variance,
            uploaded: Uploaded::default(),
        }
    }

    /// Returns the mean and variance as tensors (units) of type `dtype` on `device`. For the first
    /// device and type requested, they are uploaded only once.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn on(&self, device: &Device, dtype: DType) -> Result<[Tensor; 2]> {
        if let Some(tensors) = self.uploaded.0.get()
            && tensors[0].device().same_device(device)
            && tensors[0].dtype() == dtype
        {
            return Ok(tensors.clone());
        }
        let tensor = |values: &[f32]| {
            let tensor = upload(values, values.len(), device);
            tensor?.to_dtype(dtype)
        };
        let tensors = [tensor(&self.mean)?, tensor(&self.variance)?];
        // Only the tensors of the first device are kept; for another one, every call uploads.
        self.uploaded.0.get_or_init(|| tensors.clone());
        Ok(tensors)
    }
}

/// The moments of the input of every batch norm of a graph, indexed by node.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics(pub(super) Vec<Moments>);

impl Statistics {
    /// Returns the statistics of `graph` stored in `state` under PyTorch's names, or `None` if one
    /// is missing.
    pub fn of_state(graph: &Graph, state: &State) -> Option<Self> {
        let moments = graph.nodes().iter().map(|node| {
            if node.operation != Operation::BatchNorm {
                return Some(Moments::default());
            }
            let values = |kind: &str| {
                let array = state.0.get(&format!("{}.{kind}", node.name));
                array.map(|array| array.values.clone())
            };
            Some(Moments::new(
                values("running_mean")?,
                values("running_var")?,
            ))
        });
        moments.collect::<Option<_>>().map(Self)
    }

    /// Returns the moments of batch norm `node`; they are empty for other nodes.
    pub fn of(&self, node: usize) -> &Moments {
        &self.0[node]
    }

    /// Stores the statistics in `state` under PyTorch's names, `NAME.running_mean` and
    /// `NAME.running_var`.
    pub fn add_to(&self, graph: &Graph, state: &mut State) {
        for (node, moments) in graph.nodes().iter().zip(&self.0) {
            if node.operation == Operation::BatchNorm {
                let (mean, variance) = (moments.mean.clone(), moments.variance.clone());
                state.insert(
                    format!("{}.running_mean", node.name),
                    vec![mean.len()],
                    mean,
                );
                state.insert(
                    format!("{}.running_var", node.name),
                    vec![variance.len()],
                    variance,
                );
            }
        }
    }
}
