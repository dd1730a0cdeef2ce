//! Quantization: a stripped network in f32 becomes the integers of a container.
//!
//! Activations are unsigned 8-bit integers with a step each layer (and a zero point where they are
//! signed), weights what their encoding holds, biases and sums 32-bit. Layer by layer, each calibrated on
//! what those before it really give for some training images: `layer` chooses the steps of one,
//! `grid` and `rounding` round its weights.
//!
//! Calibration computes in f32 on whole numbers: exact up to 2^24, beyond that to one part in 10^7, which
//! is enough to choose by. Assumes a network in which every layer follows what it reads, its last dense.
//! Refuses what a container cannot state (windows, dimensions) and numbers that are not finite.

mod floats;
mod grid;
mod layer;
mod operation;
mod rounding;

use rarefy_format::{Encoding, LayerSpec, MAX_SHIFT, NetworkSpec, SkipSpec, WeightsSpec};

use super::activity::Activity;
use super::network::Operation;
use super::{DeployError, Layer, Network};
use crate::graph::Pooling;

pub use floats::floats;
pub use grid::WeightType;
use layer::{Fit, Storage};

/// Calibration images that choices are compared on, for a network of few multiplications.
pub const CALIBRATION: usize = 500;

/// Multiplications that calibration spends at most on one pass over its images: what larger networks
/// are calibrated on are fewer images, 50 at least.
const MULTIPLICATIONS: usize = 200_000_000;

/// A network in integers.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// What a container is to hold.
    pub spec: NetworkSpec,
    /// For each layer how often, over the calibration images, what it reads is not 0.
    pub activity: Vec<Activity>,
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
    let enough = MULTIPLICATIONS / multiplications(network).max(1);
    let images = &images[..images.len().min(enough.max(50))];
    let pixels = |image: &&[u8]| -> Vec<f32> { image.iter().map(|&x| f32::from(x)).collect() };
    let pixels: Vec<Vec<f32>> = images.iter().map(pixels).collect();
    let mut values = vec![Values {
        exact: pixels.clone(),
        stored: pixels,
        step: 1.0,
        zero: 0.0,
        shape: network.input,
    }];
    let place = |source: Option<usize>| source.map_or(0, |layer| layer + 1);
    let mut spec = NetworkSpec {
        input: operation::input(network).map_err(|reason| DeployError::Quantize {
            layer: "input".into(),
            reason,
        })?,
        layers: Vec::new(),
    };
    let mut activities = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let refuse = |reason: String| DeployError::Quantize {
            layer: layer.name.clone(),
            reason,
        };
        let source = &values[place(layer.source)];
        let skip = layer.skip.map(|skip| &values[place(Some(skip))]);
        let last = index + 1 == network.layers.len();
        if last && layer.skip.is_some() {
            return Err(refuse(
                "it gives the class scores and adds another layer, which no container can: train it with a dense layer behind"
                    .into(),
            ));
        }
        let operation = operation::operation(layer, source.shape).map_err(refuse)?;
        activities.push(activity(source));
        let mut stored = LayerSpec {
            operation,
            encoding: encodings[index],
            outputs: layer.shape[0],
            original_outputs: layer.original.0.max(layer.shape[0]),
            shift: 0,
            source: index + 1 - place(layer.source),
            skip: None,
            weights: WeightsSpec::None,
        };
        if let Operation::Pool { window, kind } = layer.operation {
            stored.encoding = Encoding::None;
            let (shift, given) = pool(layer, source, kind, window.size * window.size);
            stored.shift = shift;
            values.push(given);
        } else {
            let (rows, columns) = layer.weights.shape();
            let grid = grid::grid(encodings[index], weights, rows, columns);
            let storage = Storage {
                grid: grid.expect("the encoding holds the layer"),
                short_biases: encodings[index] == Encoding::Rice,
                last,
            };
            let (integers, given) = Fit::new(layer, storage, source, skip)
                .best()
                .map_err(refuse)?;
            stored.shift = integers.shift;
            stored.skip = layer.skip.map(|skip| SkipSpec {
                back: index + 1 - place(Some(skip)),
                shift: integers.skip_shift,
            });
            stored.weights = WeightsSpec::Integers {
                bias: integers.bias,
                rows: integers.rows,
            };
            values.push(given);
        }
        spec.layers.push(stored);
    }
    Ok(Quantized {
        spec,
        activity: activities,
    })
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

/// Pooling on its own: its shift, and what it gives. A maximum needs none; a mean over `area` integers is
/// their sum by a shift, which gives the outputs a step and a zero point of their own.
fn pool(layer: &Layer, source: &Values, kind: Pooling, area: usize) -> (u8, Values) {
    let every = |images: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let images = images.iter();
        images
            .map(|values| layer.forward(values, source.shape, None))
            .collect()
    };
    let (exact, pooled) = (every(&source.exact), every(&source.stored));
    let area = area as f64;
    let with_shift = |shift: u8| {
        let one = 2_f64.powi(shift.into());
        // Rounds half up, from a shift of 1 on.
        let half = if shift == 0 { 0.0 } else { 0.5 };
        let requantize = |mean: &f32| {
            let sum = (f64::from(*mean) * area).round();
            (sum / one + half).floor().clamp(0.0, 255.0) as f32
        };
        let stored = pooled
            .iter()
            .map(|image| image.iter().map(requantize).collect());
        Values {
            stored: stored.collect(),
            exact: exact.clone(),
            step: source.step * one / area,
            zero: source.zero * area / one,
            shape: layer.shape,
        }
    };
    match kind {
        Pooling::Max => {
            let values = Values {
                stored: pooled,
                exact,
                step: source.step,
                zero: source.zero,
                shape: layer.shape,
            };
            (0, values)
        }
        Pooling::Average => {
            let exponent = area.log2();
            let choices = [exponent.floor(), exponent.ceil()].map(|shift| {
                let shift = shift.min(MAX_SHIFT.into()) as u8;
                (shift, with_shift(shift))
            });
            let [floor, ceil] = choices;
            if error(&floor.1) <= error(&ceil.1) {
                floor
            } else {
                ceil
            }
        }
    }
}

/// The squared error of what is stored.
fn error(values: &Values) -> f64 {
    let images = values.stored.iter().zip(&values.exact);
    let of = |(stored, exact): (&f32, &f32)| {
        ((f64::from(*stored) - values.zero) * values.step - f64::from(*exact)).powi(2)
    };
    images
        .flat_map(|(stored, exact)| stored.iter().zip(exact))
        .map(of)
        .sum()
}

#[cfg(test)]
mod tests;
