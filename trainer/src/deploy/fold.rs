//! Folding: batch norms and the input's normalisation become part of weights and biases.
//!
//! With population mean m and variance v: `a = scale / sqrt(v + eps)`, `w' = a w`,
//! `b' = shift + a (b - m)`. The input's `(pixel / 255 - mean) / std` goes into the first layer, so
//! that the device reads raw pixels and a black pixel is an exact zero. Assumes a chain of dense
//! layers, each followed by at most one batch norm and one ReLU; refuses anything else.

use super::sparse::from_rows;
use super::{DeployError, SparseLayer};
use crate::graph::{Graph, Operation};
use crate::network::{EPSILON, State};
use crate::pruning::Masks;

/// Folds `state` (weights with statistics) under `masks`; inputs are pixels normalised by
/// `(pixel / 255 - mean) / std`.
///
/// # Errors
/// When the graph is no such chain.
pub fn fold(
    graph: &Graph,
    state: &State,
    masks: &Masks,
    (mean, std): (f32, f32),
) -> Result<Vec<SparseLayer>, DeployError> {
    let refuse = |layer: &str, reason: &str| DeployError::Fold {
        arch: graph.name().into(),
        layer: layer.into(),
        reason: reason.into(),
    };
    let mut layers: Vec<SparseLayer> = Vec::new();
    let mut masks = masks.iter();
    let mut normalised = false;
    for node in graph.nodes() {
        let name = &node.name;
        match node.operation {
            Operation::Input | Operation::Flatten => {}
            Operation::Dense { units, .. } => {
                let mask = masks.next().ok_or_else(|| refuse(name, "it has no mask"))?;
                if layers.last().is_some_and(|before| !before.relu) {
                    return Err(refuse(name, "the layer before it has no ReLU"));
                }
                layers.push(dense(name, units, state, &mask.keep));
                normalised = false;
            }
            Operation::BatchNorm => {
                let layer = layers.last_mut().filter(|layer| !layer.relu && !normalised);
                let layer = layer.ok_or_else(|| refuse(name, "it follows no dense layer"))?;
                normalise(layer, state, name);
                normalised = true;
            }
            Operation::Conv { .. } | Operation::Pool { .. } | Operation::Add => {
                return Err(refuse(name, "only dense layers can be exported yet"));
            }
            Operation::Relu => {
                let layer = layers.last_mut().filter(|layer| !layer.relu);
                layer
                    .ok_or_else(|| refuse(name, "it follows no dense layer"))?
                    .relu = true;
            }
        }
    }
    match layers.first_mut() {
        Some(first) => take_pixels(first, mean, std),
        None => return Err(refuse("input", "there is no dense layer")),
    }
    match layers.last() {
        Some(last) if last.relu => Err(refuse(&last.name, "the last layer has a ReLU")),
        _ => Ok(layers),
    }
}

/// The masked kernel and the bias of dense layer `name`.
fn dense(name: &str, units: usize, state: &State, keep: &[bool]) -> SparseLayer {
    let kernel = state.get(&format!("{name}.weight"));
    let inputs = kernel.shape[1];
    let rows = kernel
        .values
        .chunks_exact(inputs)
        .zip(keep.chunks_exact(inputs));
    let rows = rows.map(|(row, kept)| {
        let weights = row.iter().zip(kept).enumerate();
        weights
            .filter(|(_, (_, keep))| **keep)
            .map(|(column, (&weight, _))| (column, weight))
            .collect()
    });
    SparseLayer {
        name: name.into(),
        weights: from_rows(inputs, rows),
        bias: state.get(&format!("{name}.bias")).values.clone(),
        relu: false,
        original: (units, inputs),
    }
}

/// Folds batch norm `name` into `layer`.
fn normalise(layer: &mut SparseLayer, state: &State, name: &str) {
    let values = |suffix: &str| &state.get(&format!("{name}.{suffix}")).values;
    let (scale, shift) = (values("weight"), values("bias"));
    let (mean, variance) = (values("running_mean"), values("running_var"));
    for (row, mut weights) in layer.weights.outer_iterator_mut().enumerate() {
        let a = f64::from(scale[row]) / (f64::from(variance[row]) + EPSILON).sqrt();
        for (_, weight) in weights.iter_mut() {
            *weight = (a * f64::from(*weight)) as f32;
        }
        let centred = f64::from(layer.bias[row]) - f64::from(mean[row]);
        layer.bias[row] = (f64::from(shift[row]) + a * centred) as f32;
    }
}

/// Lets the first layer read raw pixels.
fn take_pixels(layer: &mut SparseLayer, mean: f32, std: f32) {
    let (mean, std) = (f64::from(mean), f64::from(std));
    for (mut weights, bias) in layer.weights.outer_iterator_mut().zip(&mut layer.bias) {
        let mut sum = 0.0;
        for (_, weight) in weights.iter_mut() {
            sum += f64::from(*weight);
            *weight = (f64::from(*weight) / (255.0 * std)) as f32;
        }
        *bias = (f64::from(*bias) - sum * mean / std) as f32;
    }
}
