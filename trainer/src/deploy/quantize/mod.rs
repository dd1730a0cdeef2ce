//! Quantizes a stripped f32 network to the integers of a container.
//!
//! Activations are unsigned 8-bit integers with one step per layer, and a zero point if they can be
//! negative. The encoding determines the integers that weights can have; sums have 32 bits, and so
//! have biases, except those of entropy-coded rows. Layers are quantized in order: `layer` chooses
//! the steps of a layer on calibration images, given the quantized outputs of the layers before
//! it, and `grid` and `rounding` round its weights.
//!
//! Calibration computes with integers in f32, which is exact up to 2^24 and has a relative error of
//! 10^-7 above that: enough to compare choices. Every layer must come after its sources, and the
//! last layer must be dense. Windows and dimensions that a container cannot represent, and values
//! that are not finite, are errors.

pub mod fidelity;
mod floats;
mod grid;
mod layer;
mod operation;
mod pooling;
mod rounding;

use rarefy_format::{Encoding, LayerSpec, NetworkSpec, SkipSpec, WeightsSpec};

use super::activity::Activity;
use super::limits::LAST_LAYER_ADDS;
use super::network::Operation;
use super::{DeployError, Layer, Network};
use crate::graph::Pooling;

pub use fidelity::Fidelity;
pub use floats::floats;
pub use grid::WeightType;
use layer::{Fit, Storage, Unfit};
pub(super) use layer::{finest, room, step_of_biases};

/// The maximum number of calibration images.
pub const CALIBRATION: usize = 500;

/// The maximum number of multiplications per pass over the calibration images; larger networks are
/// calibrated on fewer images, but on at least 50.
const MULTIPLICATIONS: usize = 200_000_000;

/// A quantized network.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The contents of the container.
    pub spec: NetworkSpec,
    /// How often the values that each layer reads are nonzero, over the calibration images.
    pub activity: Vec<Activity>,
    /// How closely the integers of each layer follow the f32 network.
    pub fidelity: Vec<Fidelity>,
    /// What a logit of 1 stands for: an output of the f32 network is its logit times this step.
    pub output_step: f64,
}

/// The output of a layer, or the network's input, for each calibration image.
pub(super) struct Values {
    /// The f32 values.
    exact: Vec<Vec<f32>>,
    /// The stored integers.
    stored: Vec<Vec<f32>>,
    /// The real value of one integer unit.
    step: f64,
    /// The integer that represents 0.
    zero: f64,
    /// (channels, height, width).
    shape: [usize; 3],
}

/// Returns whether `encoding` can store the weights of `layer` as the type `weights`.
#[must_use]
pub fn holds(encoding: Encoding, weights: WeightType, layer: &Layer) -> bool {
    let (rows, columns) = layer.weights.shape();
    let for_operation = match encoding {
        // A dense layer with a skip becomes a convolution.
        Encoding::Columns => layer.operation == Operation::Dense && layer.skip.is_none(),
        _ => true,
    };
    !layer.is_pool() && for_operation && grid::grid(encoding, weights, rows, columns).is_some()
}

/// Quantizes `network` for the given encoding of each layer, calibrated on `images` (raw pixels).
///
/// # Errors
/// Returns an error if a layer has values that are not finite or too large, or if a container
/// cannot represent it; [`DeployError::Overflow`] if only the layer's sums are too large, which
/// another encoding may avoid.
///
/// # Panics
/// Panics if an encoding does not [hold](holds) its layer, or if there are no images.
pub fn quantize(
    network: &Network,
    images: &[&[u8]],
    weights: WeightType,
    encodings: &[Encoding],
) -> Result<Quantized, DeployError> {
    assert!(!images.is_empty(), "calibration needs images");
    let images = enough(network, images);
    let input = operation::input(network).map_err(|reason| DeployError::Quantize {
        layer: "input".into(),
        reason,
    })?;
    let mut walk = Walk::new(network, images, weights, encodings);
    while walk.layers.len() < network.layers.len() {
        walk.step()?;
    }
    Ok(Quantized {
        activity: network
            .layers
            .iter()
            .map(|layer| activity(&walk.values[place(layer.source)]))
            .collect(),
        fidelity: fidelity::of(network, &walk.values[1..]),
        output_step: walk.values.last().map_or(1.0, |outputs| outputs.step),
        spec: NetworkSpec {
            input,
            layers: walk.layers,
        },
    })
}

/// Returns those of `images` that `network` is calibrated on: all, or fewer if an image takes many
/// multiplications.
pub(super) fn enough<'a>(network: &Network, images: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    let enough = MULTIPLICATIONS / multiplications(network).max(1);
    &images[..images.len().min(enough.max(50))]
}

/// Returns the index in [`Walk::values`] of the output of `source`.
fn place(source: Option<usize>) -> usize {
    source.map_or(0, |layer| layer + 1)
}

/// The state of quantizing a network layer by layer.
///
/// The step of a skip must be a power of two times the step of the sums it is added to. If the step
/// of the skip is too small for these sums (the skip is nearly always zero, or its values are
/// small), the weights would saturate. Then the walk goes back to the layer that chose the step of
/// the skip and requires a coarser one. The step of the sums would be at least as coarse anyway,
/// so the sums lose nothing.
struct Walk<'a> {
    network: &'a Network,
    weights: WeightType,
    encodings: &'a [Encoding],
    /// The network's input and the outputs of the layers quantized so far.
    values: Vec<Values>,
    layers: Vec<LayerSpec>,
    /// The minimum step of each layer's outputs.
    least: Vec<f64>,
    /// How often the walk may still go back on behalf of each layer.
    returns: Vec<u8>,
}

/// How often a layer may require a coarser step of its skip: more than once, since the step that
/// it requires may change slightly each time.
const RETURNS: u8 = 3;

impl<'a> Walk<'a> {
    fn new(
        network: &'a Network,
        images: &[&[u8]],
        weights: WeightType,
        encodings: &'a [Encoding],
    ) -> Self {
        let pixels = |image: &&[u8]| -> Vec<f32> { image.iter().map(|&x| f32::from(x)).collect() };
        let pixels: Vec<Vec<f32>> = images.iter().map(pixels).collect();
        let input = Values {
            exact: pixels.clone(),
            stored: pixels,
            step: 1.0,
            zero: 0.0,
            shape: network.input,
        };
        Self {
            network,
            weights,
            encodings,
            values: vec![input],
            layers: Vec::new(),
            least: vec![0.0; network.layers.len()],
            returns: vec![RETURNS; network.layers.len()],
        }
    }

    /// Quantizes the next layer, or goes back to an earlier one.
    fn step(&mut self) -> Result<(), DeployError> {
        let index = self.layers.len();
        let layer = &self.network.layers[index];
        let source = &self.values[place(layer.source)];
        if self.network.is_last(index) && layer.skip.is_some() {
            return Err(unquantizable(layer, LAST_LAYER_ADDS.into()));
        }
        let operation = operation::operation(layer, source.shape)
            .map_err(|reason| unquantizable(layer, reason))?;
        let mut stored = LayerSpec {
            operation,
            encoding: self.encodings[index],
            outputs: layer.shape[0],
            original_outputs: layer.original.0.max(layer.shape[0]),
            shift: 0,
            source: index + 1 - place(layer.source),
            skip: None,
            weights: WeightsSpec::None,
        };
        let values = if let Operation::Pool { kind, .. } = layer.operation {
            stored.encoding = Encoding::None;
            let (shift, values) = pooling::pool(layer, source, kind, self.least[index]);
            stored.shift = shift;
            values
        } else {
            match self.fit(index, &mut stored)? {
                Some(values) => values,
                None => return Ok(()),
            }
        };
        self.values.push(values);
        self.layers.push(stored);
        Ok(())
    }

    /// Quantizes layer `index`, which has weights, into `stored`, and returns its outputs; `None`
    /// if the walk went back to an earlier layer instead.
    fn fit(&mut self, index: usize, stored: &mut LayerSpec) -> Result<Option<Values>, DeployError> {
        let layer = &self.network.layers[index];
        let source = &self.values[place(layer.source)];
        let skip = layer.skip.map(|skip| &self.values[place(Some(skip))]);
        let fit = Fit::new(layer, self.storage(index), source, skip);
        if let Some((owner, step)) = self.coarser(index, &fit) {
            self.go_back(owner, step);
            self.returns[index] -= 1;
            return Ok(None);
        }
        let (integers, values) = fit.best().map_err(|unfit| match unfit {
            Unfit::Reason(reason) => unquantizable(layer, reason),
            Unfit::Overflow => DeployError::Overflow {
                layer: layer.name.clone(),
                index,
                encoding: stored.encoding,
            },
        })?;
        stored.shift = integers.shift;
        stored.skip = layer.skip.map(|skip| SkipSpec {
            back: index + 1 - place(Some(skip)),
            shift: integers.skip_shift,
        });
        stored.weights = WeightsSpec::Integers {
            bias: integers.bias,
            rows: integers.rows,
        };
        Ok(Some(values))
    }

    /// Discards the results of `owner` and all layers after it, and sets the minimum step of
    /// `owner`.
    fn go_back(&mut self, owner: usize, step: f64) {
        self.least[owner] = step;
        self.layers.truncate(owner);
        self.values.truncate(place(Some(owner)));
    }

    /// Returns how layer `index` is stored.
    fn storage(&self, index: usize) -> Storage {
        let layer = &self.network.layers[index];
        let (rows, columns) = layer.weights.shape();
        let encoding = self.encodings[index];
        let grid = match grid::grid(encoding, self.weights, rows, columns) {
            // The skip fixes the scale, and the few weights act on whole maps, so each gets a byte.
            Some(grid) if passes_on(layer) => grid.whole_byte(),
            grid => grid.expect("the encoding holds the layer"),
        };
        Storage {
            grid,
            bits: self.weights.bits(),
            short_biases: encoding == Encoding::Rice,
            last: self.network.is_last(index),
            least: self.least[index],
        }
    }

    /// Returns the layer whose step is too small for layer `index` to add its output, and the step
    /// required; `None` if there is no such layer, or if the walk may not go back again for this
    /// layer.
    fn coarser(&self, index: usize, fit: &Fit<'_>) -> Option<(usize, f64)> {
        let step = fit.least_of_skip()?;
        let owner = owner(self.network, self.network.layers[index].skip)?;
        // The step of a bounded ReLU is that at which it saturates.
        if self.network.layers[owner].ceiling.is_finite() {
            return None;
        }
        (self.returns[index] > 0 && step > self.least[owner]).then_some((owner, step))
    }
}

/// Returns the error that `layer` cannot be quantized, for `reason`.
fn unquantizable(layer: &Layer, reason: String) -> DeployError {
    DeployError::Quantize {
        layer: layer.name.clone(),
        reason,
    }
}

/// Returns the layer that chooses the step of the output of `layer`: `layer` itself, or, since max
/// pooling keeps the step of its source, the first layer before it that is not max pooling. Returns
/// `None` for the network's input.
pub(super) fn owner(network: &Network, mut layer: Option<usize>) -> Option<usize> {
    while let Operation::Pool {
        kind: Pooling::Max, ..
    } = network.layers[layer?].operation
    {
        layer = network.layers[layer?].source;
    }
    layer
}

/// Returns whether `layer` adds a skip and each of its channels reads only the same channel of its
/// source.
#[must_use]
pub fn passes_on(layer: &Layer) -> bool {
    let rows = layer.weights.outer_iterator().enumerate();
    let mut rows = rows.map(|(row, weights)| weights.indices().iter().all(|&column| column == row));
    layer.skip.is_some() && layer.weights.nnz() > 0 && rows.all(|diagonal| diagonal)
}

/// Rounds `biases` to 8 bits times a common power of two.
#[must_use]
pub fn short(biases: &[i32]) -> Vec<i32> {
    let largest = biases.iter().map(|bias| bias.unsigned_abs()).max();
    // The smallest shift for which the largest bias, rounded, has 7 bits besides its sign.
    let rounded = |bias: i32, shift: u32| {
        let half = 1_i64 << shift >> 1;
        (i64::from(bias) + half) >> shift
    };
    let largest = largest.map_or(0, |largest| largest.min(i32::MAX as u32) as i32);
    let shift = (0..31).find(|&shift| rounded(largest, shift) <= 127);
    let shift = shift.unwrap_or(31);
    let all = biases.iter();
    all.map(|&bias| (rounded(bias, shift).max(-127) << shift) as i32)
        .collect()
}

/// Returns the number of multiplications per image.
fn multiplications(network: &Network) -> usize {
    let of = |layer: &Layer| match layer.operation {
        Operation::Conv { window, .. } => {
            let [_, height, width] = network.shape(layer.source);
            let [height, width] = window.outputs([height, width]);
            layer.weights.nnz() * height * width
        }
        Operation::Dense | Operation::Pool { .. } => layer.weights.nnz(),
    };
    network.layers.iter().map(of).sum()
}

/// Returns how often the stored values are nonzero.
fn activity(values: &Values) -> Activity {
    let count = values.shape.iter().product();
    let active = |image: usize, value: usize| values.stored[image][value] != 0.0;
    Activity::measure(count, values.stored.len(), active)
}

#[cfg(test)]
mod ranges;
#[cfg(test)]
mod tests;
