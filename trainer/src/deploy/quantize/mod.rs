//! Quantization: a stripped network in f32 becomes the integers of a container.
//!
//! Activations are unsigned 8-bit integers with a step each layer (and a zero point where they are
//! signed), weights what their encoding holds, biases and sums 32-bit. Layer by layer, each
//! calibrated on what those before it really give for some training images: `layer` chooses the
//! steps of one, `grid` and `rounding` round its weights.
//!
//! Calibration computes in f32 on whole numbers: exact up to 2^24, beyond that to one part in
//! 10^7, which is enough to choose by. Assumes a network in which every layer follows what it
//! reads, its last dense. Refuses what a container cannot state (windows, dimensions) and numbers
//! that are not finite.

pub mod fidelity;
mod floats;
mod grid;
mod layer;
mod operation;
mod pooling;
mod rounding;

use rarefy_format::{Encoding, LayerSpec, NetworkSpec, SkipSpec, WeightsSpec};

use super::activity::Activity;
use super::network::Operation;
use super::{DeployError, Layer, Network};
use crate::graph::Pooling;

pub use fidelity::Fidelity;
pub use floats::floats;
pub use grid::WeightType;
use layer::{Fit, Storage, Unfit};
pub(super) use layer::{finest, room, step_of_biases};

/// Calibration images that choices are compared on, for a network of few multiplications.
pub const CALIBRATION: usize = 500;

/// Multiplications that calibration spends at most on one pass over its images: what larger
/// networks are calibrated on are fewer images, 50 at least.
const MULTIPLICATIONS: usize = 200_000_000;

/// A network in integers.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// What a container is to hold.
    pub spec: NetworkSpec,
    /// For each layer how often, over the calibration images, what it reads is not 0.
    pub activity: Vec<Activity>,
    /// For each layer how near its integers are to the floats.
    pub fidelity: Vec<Fidelity>,
}

/// What the input or a layer gives for each calibration image.
pub(super) struct Values {
    /// In f32.
    exact: Vec<Vec<f32>>,
    /// In the integers that are stored.
    stored: Vec<Vec<f32>>,
    /// What an integer's one stands for.
    step: f64,
    /// The integer that stands for 0.
    zero: f64,
    /// (channels, height, width).
    shape: [usize; 3],
}

/// Whether `encoding` can store the weights of `layer` in this type.
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

/// Quantizes `network`, its layers with weights stored as `encodings` say, calibrated on `images` (raw
/// pixels).
///
/// # Errors
/// When a layer's numbers are not finite or do not fit, or a container cannot state it.
/// [`DeployError::Overflow`] where another encoding may have room for the layer's sums.
///
/// # Panics
/// When an encoding does not [hold](holds) its layer, or there are no images.
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
        spec: NetworkSpec {
            input,
            layers: walk.layers,
        },
    })
}

/// Those of `images` that `network` is calibrated on: fewer where an image takes many multiplications.
pub(super) fn enough<'a>(network: &Network, images: &'a [&'a [u8]]) -> &'a [&'a [u8]] {
    let enough = MULTIPLICATIONS / multiplications(network).max(1);
    &images[..images.len().min(enough.max(50))]
}

/// Where in [`Walk::values`] the output of `source` is.
fn place(source: Option<usize>) -> usize {
    source.map_or(0, |layer| layer + 1)
}

/// Quantization under way, layer after layer.
///
/// A layer that adds another fixes the ratio of their steps to a power of two. Where what is added
/// has a step too small for the sums it is added to (its branch is nearly always zero, or gives
/// little), the weights would saturate: then the walk goes back to the layer that gives it, which
/// takes a coarser step. The sums are no finer than that, so nothing is lost in them.
struct Walk<'a> {
    network: &'a Network,
    weights: WeightType,
    encodings: &'a [Encoding],
    /// The input and the layers so far.
    values: Vec<Values>,
    layers: Vec<LayerSpec>,
    /// The step that each layer has at least.
    least: Vec<f64>,
    /// How often the walk may still go back for each layer's addition.
    returns: Vec<u8>,
}

/// How often a layer asks for a coarser step of what it adds: what is quantized again may change
/// its own step a little.
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

    /// Quantizes the next layer, or goes back to one before it.
    fn step(&mut self) -> Result<(), DeployError> {
        let index = self.layers.len();
        let layer = &self.network.layers[index];
        let refuse = |reason: String| DeployError::Quantize {
            layer: layer.name.clone(),
            reason,
        };
        let source = &self.values[place(layer.source)];
        let last = index + 1 == self.network.layers.len();
        if last && layer.skip.is_some() {
            return Err(refuse(
                "it gives the class scores and adds another layer, which no container can: train it with a dense layer behind"
                    .into(),
            ));
        }
        let mut stored = LayerSpec {
            operation: operation::operation(layer, source.shape).map_err(refuse)?,
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
            let skip = layer.skip.map(|skip| &self.values[place(Some(skip))]);
            let fit = Fit::new(layer, self.storage(index), source, skip);
            if let Some((owner, step)) = self.coarser(index, &fit) {
                self.go_back(owner, step);
                self.returns[index] -= 1;
                return Ok(());
            }
            let overflow = || DeployError::Overflow {
                layer: layer.name.clone(),
                index,
                encoding: self.encodings[index],
            };
            let (integers, values) = fit.best().map_err(|unfit| match unfit {
                Unfit::Reason(reason) => refuse(reason),
                Unfit::Overflow => overflow(),
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
            values
        };
        self.values.push(values);
        self.layers.push(stored);
        Ok(())
    }

    /// Forgets `owner` and what follows it: it is to take a step of at least `step`.
    fn go_back(&mut self, owner: usize, step: f64) {
        self.least[owner] = step;
        self.layers.truncate(owner);
        self.values.truncate(place(Some(owner)));
    }

    /// How layer `index` is to be stored.
    fn storage(&self, index: usize) -> Storage {
        let layer = &self.network.layers[index];
        let (rows, columns) = layer.weights.shape();
        let encoding = self.encodings[index];
        let grid = match grid::grid(encoding, self.weights, rows, columns) {
            // What is added fixes the scale, and few weights stand for a whole map: they take a
            // byte.
            Some(grid) if passes_on(layer) => grid.whole_byte(),
            grid => grid.expect("the encoding holds the layer"),
        };
        Storage {
            grid,
            bits: self.weights.bits(),
            short_biases: encoding == Encoding::Rice,
            last: index + 1 == self.network.layers.len(),
            least: self.least[index],
        }
    }

    /// The layer whose step is too small for what layer `index` adds, and the step that would do.
    fn coarser(&self, index: usize, fit: &Fit<'_>) -> Option<(usize, f64)> {
        let step = fit.least_of_skip()?;
        let owner = owner(self.network, self.network.layers[index].skip)?;
        (self.returns[index] > 0 && step > self.least[owner]).then_some((owner, step))
    }
}

/// The layer that chooses the step of what `layer` gives: a maximum passes on that of its source.
/// None for the input.
pub(super) fn owner(network: &Network, mut layer: Option<usize>) -> Option<usize> {
    while let Operation::Pool {
        kind: Pooling::Max, ..
    } = network.layers[layer?].operation
    {
        layer = network.layers[layer?].source;
    }
    layer
}

/// Whether `layer` passes on what it reads, each channel from itself alone, plus what it adds.
#[must_use]
pub fn passes_on(layer: &Layer) -> bool {
    let rows = layer.weights.outer_iterator().enumerate();
    let mut rows = rows.map(|(row, weights)| weights.indices().iter().all(|&column| column == row));
    layer.skip.is_some() && layer.weights.nnz() > 0 && rows.all(|diagonal| diagonal)
}

/// `biases` in 8 bits times a power of two that they share: the nearest.
#[must_use]
pub fn short(biases: &[i32]) -> Vec<i32> {
    let largest = biases.iter().map(|bias| bias.unsigned_abs()).max();
    // The smallest by which the largest, rounded, has 7 bits beside its sign.
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

/// Multiplications of one image.
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

/// How often what is stored is not 0.
fn activity(values: &Values) -> Activity {
    let count = values.shape.iter().product();
    let active = |image: usize, value: usize| values.stored[image][value] != 0.0;
    Activity::measure(count, values.stored.len(), active)
}

#[cfg(test)]
mod ranges;
#[cfg(test)]
mod tests;
