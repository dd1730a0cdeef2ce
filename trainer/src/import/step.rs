//! The normal form of a network: steps that compute in Rarefy's order of elements.

use super::flow::Flow;
use crate::graph::{KernelLayout, Pooling};

/// A step, what it reads, and the shape of its output.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// The node of the file that it comes from.
    pub(super) origin: Origin,
    /// Indices of the steps that it reads.
    pub(super) sources: Vec<usize>,
    /// Shape of the output per sample: (units) or (channels, height, width).
    pub(super) shape: Vec<usize>,
    /// What it computes.
    pub(super) action: Action,
}

/// What a step computes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// The input.
    Input,
    /// A convolution.
    Conv(Kernel, Sliding),
    /// A dense layer.
    Dense(Kernel),
    /// Pooling.
    Pool(Pooling, Sliding),
    /// A margin of zeros before and after the map, along height and width. A convolution that
    /// reads the map adds the margin to its own padding; other layers cannot read the map.
    Pad([[usize; 2]; 2]),
    /// Multiplication and addition, per channel or unit.
    Affine(Affine),
    /// Batch norm.
    Norm(Norm),
    /// A ReLU.
    Relu(Clip),
    /// The sum of two sources.
    Add,
}

/// The bounds of a ReLU, in ascending order of what they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clip {
    /// max(0, x).
    Zero,
    /// min(max(0, x), 6).
    Six,
}

/// The weights of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kernel {
    /// Shape: (out, in) or (out, in / groups, height, width).
    pub(super) shape: Vec<usize>,
    /// The number of groups of channels; 1 for a dense layer.
    pub(super) groups: usize,
    /// The weights, row-major.
    pub(super) weights: Vec<f64>,
    /// The bias per output, if there is one.
    pub(super) bias: Option<Vec<f64>>,
}

/// A sliding window: (height, width) each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sliding {
    /// Taps.
    pub(super) kernel: [usize; 2],
    /// Distance between outputs.
    pub(super) stride: [usize; 2],
    /// Padding before and after the map.
    pub(super) padding: [[usize; 2]; 2],
}

/// `x * scale + shift`, per channel or unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

/// A batch norm: `(x - mean) / sqrt(variance + epsilon) * scale + shift`, per channel or unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Norm {
    pub(super) affine: Affine,
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
    pub(super) epsilon: f64,
}

/// The node of the file that a step comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Origin {
    /// Name of the node or, if it has none, of its first output.
    pub(super) node: String,
    /// Name of its operator.
    pub(super) operator: String,
    /// Name of the initialiser that holds its weights, if there is one.
    pub(super) parameter: Option<String>,
}

impl Origin {
    /// Returns "node /conv1/Conv (Conv)".
    pub(super) fn shown(&self) -> String {
        format!("node {} ({})", self.node, self.operator)
    }
}

impl Sliding {
    /// Returns the output size along both axes over a map of this size, or `None` if the window
    /// does not fit.
    pub(super) fn outputs(&self, map: [usize; 2]) -> Option<[usize; 2]> {
        let mut outputs = [0; 2];
        for axis in 0..2 {
            let [before, after] = self.padding.map(|side| side[axis]);
            let room = before.checked_add(map[axis])?.checked_add(after)?;
            let room = room.checked_sub(self.kernel[axis])?;
            outputs[axis] = room.checked_div(self.stride[axis])? + 1;
        }
        Some(outputs)
    }
}

impl Norm {
    /// Returns what the batch norm computes, as a multiplication and an addition.
    pub(super) fn to_affine(&self) -> Affine {
        let scale: Vec<f64> = (self.affine.scale.iter().zip(&self.variance))
            .map(|(scale, variance)| scale / (variance + self.epsilon).sqrt())
            .collect();
        let shift = (self.affine.shift.iter().zip(&self.mean).zip(&scale))
            .map(|((shift, mean), scale)| shift - mean * scale)
            .collect();
        Affine { scale, shift }
    }
}

impl Affine {
    /// Returns the function that applies this one, then `next`.
    pub(super) fn then(&self, next: &Self) -> Self {
        let pairs = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>();
        let mut shift = pairs(&self.shift, &next.scale);
        shift.iter_mut().zip(&next.shift).for_each(|(a, b)| *a += b);
        Self {
            scale: pairs(&self.scale, &next.scale),
            shift,
        }
    }
}

impl Kernel {
    /// Applies `affine` to the outputs.
    pub(super) fn scale_outputs(&mut self, affine: &Affine) {
        let row = self.weights.len() / self.shape[0].max(1);
        for (row, scale) in self.weights.chunks_mut(row.max(1)).zip(&affine.scale) {
            row.iter_mut().for_each(|weight| *weight *= scale);
        }
        let mut bias = self.bias.take().unwrap_or_else(|| vec![0.0; self.shape[0]]);
        for (bias, (scale, shift)) in bias.iter_mut().zip(affine.scale.iter().zip(&affine.shift)) {
            *bias = *bias * scale + shift;
        }
        self.bias = Some(bias);
    }

    /// Applies `affine`, which has an entry per input channel, to the inputs. Padding must stay
    /// zero: either there is none, or the shifts are zero.
    pub(super) fn scale_inputs(&mut self, affine: &Affine) {
        // A dense layer reads every position of each channel.
        let inputs = affine.scale.len() / self.groups;
        let layout = KernelLayout {
            outputs: self.shape[0] / self.groups,
            inputs,
            taps: self.weights.len() / (self.shape[0] * inputs).max(1),
        };
        let mut bias = self.bias.take().unwrap_or_else(|| vec![0.0; self.shape[0]]);
        for (element, weight) in self.weights.iter_mut().enumerate() {
            let (output, input, _) = layout.locate(element);
            bias[output] += *weight * affine.shift[input];
            *weight *= affine.scale[input];
        }
        self.bias = Some(bias);
    }
}

impl Step {
    /// Returns the (channels, height, width) of `flow`, the output of this step, if the file reads
    /// it as a map in Rarefy's order.
    pub(super) fn map_of(&self, flow: &Flow) -> Option<[usize; 3]> {
        match (self.shape.as_slice(), flow.sample()) {
            (&[channels, height, width], sample) if sample == self.shape && flow.in_order() => {
                Some([channels, height, width])
            }
            _ => None,
        }
    }
}
