//! Quantization to 8-bit integers, calibrated on training images.
//!
//! Activations are unsigned 8-bit (pixels are, and hidden units follow a ReLU), weights signed 8-bit,
//! biases and accumulators 32-bit. The device requantizes by a shift alone: with `s_x` and `s_w` the
//! steps of inputs and weights, the output's step is `s_x s_w 2^shift`, so the two steps of a
//! layer cannot be chosen apart. The leftover factor below two is given to the weights, to the
//! activations, or shared, and the largest activations may be clipped: of all these choices a
//! layer takes the one with the least squared error on the calibration images, its inputs being
//! those that the layers quantized before really give.

use rarefy_format::requantize;
use sprs::CsMat;

use super::network::Operation;
use super::sparse::{self, from_rows};
use super::strip::strip;
use super::{DeployError, Layer, Network};

/// Calibration images that choices are compared on.
pub const CALIBRATION: usize = 500;

/// The largest |weight|.
const WEIGHT_LIMIT: f64 = 127.0;

/// The largest activation.
const ACTIVATION_LIMIT: f64 = 255.0;

/// Shares of the largest activation at which to try clipping.
const CLIPS: [f64; 6] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6];

/// How to share the factor that a shift leaves over: the part of it (as an exponent) that makes
/// the step of the weights coarser; the rest makes that of the activations coarser.
const SPLITS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// One layer in integers.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedLayer {
    /// The layer's name.
    pub name: String,
    /// Weights, (outputs, inputs); those that round to zero are gone.
    pub weights: CsMat<i8>,
    /// Biases in units of the accumulator.
    pub bias: Vec<i32>,
    /// Bits that requantization drops; 0 for the last layer, which gives accumulators.
    pub shift: u8,
    /// Whether the layer requantizes behind a ReLU: all but the last.
    pub relu: bool,
    /// (outputs, inputs) before stripping.
    pub original: (usize, usize),
}

/// Steps of one layer: what one unit of its integers stands for.
#[derive(Debug, Clone, Copy)]
struct Steps {
    input: f64,
    weight: f64,
    shift: u8,
}

impl QuantizedLayer {
    /// `layer` in integers by `steps`.
    fn new(layer: &Layer, steps: Steps) -> Result<Self, DeployError> {
        let integer = |weight: f32| {
            let value = (f64::from(weight) / steps.weight).round();
            value.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) as i8
        };
        let rows = layer.weights.outer_iterator().map(|row| {
            let weights = row
                .iter()
                .map(|(column, &weight)| (column, integer(weight)));
            weights.filter(|&(_, value)| value != 0).collect()
        });
        let weights = from_rows(layer.weights.cols(), rows);
        let accumulator = steps.input * steps.weight;
        let bias = layer.bias.iter().map(|&bias| {
            let value = (f64::from(bias) / accumulator).round();
            if value.abs() < 2f64.powi(30) {
                Ok(value as i32)
            } else {
                Err(DeployError::Quantize {
                    layer: layer.name.clone(),
                    reason: format!(
                        "its bias {bias} is beyond 32 bits at a step of {accumulator:e}"
                    ),
                })
            }
        });
        Ok(Self {
            name: layer.name.clone(),
            bias: bias.collect::<Result<_, _>>()?,
            weights,
            shift: steps.shift,
            relu: layer.relu,
            original: layer.original,
        })
    }

    /// The accumulators of `inputs`.
    fn accumulate(&self, inputs: &[u8]) -> Vec<i32> {
        let rows = self.weights.outer_iterator().zip(&self.bias);
        rows.map(|(row, &bias)| {
            row.iter().fold(bias, |sum, (column, &weight)| {
                sum.wrapping_add(i32::from(weight) * i32::from(inputs[column]))
            })
        })
        .collect()
    }

    /// The activations of `inputs`.
    fn forward(&self, inputs: &[u8]) -> Vec<u8> {
        self.accumulate(inputs)
            .into_iter()
            .map(|sum| requantize(sum, self.shift))
            .collect()
    }
}

/// Quantizes a stripped `network`, calibrated on `images` (raw pixels), and strips what that detaches.
///
/// Weights that round to zero can detach units that were connected: those are stripped too, and
/// what is left is quantized anew, until every stored unit is connected.
///
/// # Errors
/// When the network is no chain of dense layers or a layer's numbers do not fit integers.
pub fn quantize_and_strip(
    network: &Network,
    images: &[&[u8]],
) -> Result<Vec<QuantizedLayer>, DeployError> {
    let mut network = network.clone();
    loop {
        let quantized = quantize(&network, images)?;
        let mut stored = network.clone();
        for (layer, integers) in stored.layers.iter_mut().zip(&quantized) {
            let keep = |row, column| integers.weights.get(row, column).is_some();
            layer.weights = sparse::retain(&layer.weights, keep);
        }
        let connected = strip(&stored);
        let units = |network: &Network| -> Vec<usize> {
            network.layers.iter().map(Layer::outputs).collect()
        };
        if units(&connected) == units(&network) {
            return Ok(quantized);
        }
        network = connected;
    }
}

/// Quantizes `network` as it is, calibrated on `images` (raw pixels).
///
/// # Errors
/// When the network is no chain of dense layers or a layer's numbers do not fit integers.
pub fn quantize(network: &Network, images: &[&[u8]]) -> Result<Vec<QuantizedLayer>, DeployError> {
    let layers = &network.layers;
    for (index, layer) in layers.iter().enumerate() {
        let chained = layer.source == index.checked_sub(1) && layer.skip.is_none();
        let rectified = layer.relu || index + 1 == layers.len();
        if layer.operation != Operation::Dense || !chained || !rectified {
            return Err(DeployError::Quantize {
                layer: layer.name.clone(),
                reason: "only chains of dense layers with ReLUs can be yet, not convolutions, pooling or additions"
                    .into(),
            });
        }
    }
    let mut quantized = Vec::with_capacity(layers.len());
    let mut exact: Vec<Vec<f32>> = images
        .iter()
        .map(|image| image.iter().map(|&pixel| f32::from(pixel)).collect())
        .collect();
    let mut inputs: Vec<Vec<u8>> = images.iter().map(|image| image.to_vec()).collect();
    let mut step = 1.0;
    for layer in layers {
        let refuse = |reason: &str| DeployError::Quantize {
            layer: layer.name.clone(),
            reason: reason.into(),
        };
        exact
            .iter_mut()
            .for_each(|values| *values = layer.forward(values, [values.len(), 1, 1], None));
        let largest =
            |values: &mut dyn Iterator<Item = f32>| values.fold(0.0_f32, |a, b| a.max(b.abs()));
        let largest_weight = f64::from(largest(&mut layer.weights.data().iter().copied()));
        if !largest_weight.is_finite() || largest_weight == 0.0 {
            return Err(refuse("it has no finite weight other than zero"));
        }
        let finest = largest_weight / WEIGHT_LIMIT;
        if !layer.relu {
            let steps = Steps {
                input: step,
                weight: finest,
                shift: 0,
            };
            quantized.push(QuantizedLayer::new(layer, steps)?);
            continue;
        }
        let largest_activation = f64::from(largest(&mut exact.iter().flatten().copied()));
        if !largest_activation.is_finite() {
            return Err(refuse("its activations are not finite"));
        }
        let mut best: Option<(f64, f64, QuantizedLayer)> = None;
        for steps in choices(step, finest, largest_activation) {
            let candidate = QuantizedLayer::new(layer, steps)?;
            let output = steps.input * steps.weight * 2f64.powi(i32::from(steps.shift));
            let error: f64 = inputs
                .iter()
                .zip(&exact)
                .flat_map(|(inputs, exact)| candidate.forward(inputs).into_iter().zip(exact))
                .map(|(found, &exact)| (f64::from(found) * output - f64::from(exact)).powi(2))
                .sum();
            if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                best = Some((error, output, candidate));
            }
        }
        let (_, output, layer) = best.ok_or_else(|| refuse("its activations are all zero"))?;
        inputs
            .iter_mut()
            .for_each(|values| *values = layer.forward(values));
        step = output;
        quantized.push(layer);
    }
    Ok(quantized)
}

/// The steps worth trying for a hidden layer whose inputs have the step `input`, whose weights
/// need at least the step `finest` and whose activations reach `largest`.
fn choices(input: f64, finest: f64, largest: f64) -> Vec<Steps> {
    let mut choices = Vec::new();
    for clip in CLIPS {
        // The exponent at which both steps would be just what they need.
        let exponent = (clip * largest / ACTIVATION_LIMIT / (finest * input)).log2();
        if !exponent.is_finite() {
            continue;
        }
        for (shift, splits) in [(exponent.floor(), &SPLITS[..]), (exponent.ceil(), &[0.0])] {
            if !(0.0..=f64::from(rarefy_format::MAX_SHIFT)).contains(&shift) {
                continue;
            }
            for split in splits {
                let weight = finest * 2f64.powf((exponent - shift).max(0.0) * split);
                choices.push(Steps {
                    input,
                    weight,
                    shift: shift as u8,
                });
            }
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Layers that each read the one before.
    fn chain(input: [usize; 3], layers: impl IntoIterator<Item = Layer>) -> Network {
        let layers = layers.into_iter().enumerate();
        let linked = layers.map(|(index, layer)| Layer {
            source: index.checked_sub(1),
            ..layer
        });
        Network {
            input,
            layers: linked.collect(),
        }
    }

    #[test]
    fn units_that_rounding_detaches_are_stripped_and_their_constants_stay() {
        let layer = |name: &str, rows: usize, columns, weights: [f32; 4], bias: [f32; 2], relu| {
            let weights = CsMat::new(
                (rows, columns),
                (0..=rows).map(|row| row * columns).collect(),
                (0..rows).flat_map(|_| 0..columns).collect(),
                weights[..rows * columns].to_vec(),
            );
            Layer {
                name: name.into(),
                operation: Operation::Dense,
                weights,
                bias: bias[..rows].to_vec(),
                relu,
                source: None,
                skip: None,
                shape: [rows, 1, 1],
                original: (rows, columns),
            }
        };
        // Unit 1 reads nothing that survives eight bits; it sends 3, of which unit 0's reader gets
        // -6. Its own reader in the middle is left.
        let first = layer("fc1", 2, 2, [1.0, 0.5, 1e-4, -1e-4], [0.0, 3.0], true);
        let second = layer("fc2", 2, 2, [1.0, -2.0, 0.5, 0.25], [10.0, 0.0], true);
        let third = layer("fc3", 1, 2, [1.0, -1.0, 0.0, 0.0], [0.0, 0.0], false);
        let network = chain([2, 1, 1], [first, second, third]);
        let images: Vec<[u8; 2]> = (0..=250).map(|pixel| [pixel, 255 - pixel]).collect();
        let images: Vec<&[u8]> = images.iter().map(<[u8; 2]>::as_slice).collect();
        let quantized = quantize_and_strip(&network, &images).unwrap();
        assert_eq!(quantized[0].weights.shape(), (1, 2));
        assert_eq!(quantized[1].weights.shape(), (2, 1));

        let step = f64::from(network.scores(&[200, 55])[0]);
        let logit = |image: &[u8]| {
            let hidden = quantized[1].forward(&quantized[0].forward(image));
            f64::from(quantized[2].accumulate(&hidden)[0])
        };
        let step = step / logit(&[200, 55]);
        for image in images {
            let exact = f64::from(network.scores(image)[0]);
            assert!(
                (logit(image) * step - exact).abs() < 3.0,
                "{image:?} {exact}"
            );
        }
    }

    #[test]
    fn integers_follow_the_floats_closely() {
        let mut random = Random::new(2);
        let sizes = [20, 30, 12, 4];
        let layers = sizes.windows(2).enumerate().map(|(index, pair)| {
            let count = pair[0] * pair[1];
            let scale = if index == 0 { 0.004 } else { 0.3 };
            let values = (0..count)
                .map(|_| (scale * random.normal()) as f32)
                .collect();
            let indices = (0..pair[1]).flat_map(|_| 0..pair[0]).collect();
            let starts = (0..=pair[1]).map(|row| row * pair[0]).collect();
            Layer {
                name: format!("fc{index}"),
                operation: Operation::Dense,
                weights: CsMat::new((pair[1], pair[0]), starts, indices, values),
                bias: (0..pair[1]).map(|_| random.normal() as f32 * 0.2).collect(),
                relu: index < 2,
                source: None,
                skip: None,
                shape: [pair[1], 1, 1],
                original: (pair[1], pair[0]),
            }
        });
        let network = chain([20, 1, 1], layers);
        let images: Vec<Vec<u8>> = (0..50)
            .map(|_| (0..20).map(|_| random.below(256) as u8).collect())
            .collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let quantized = quantize(&network, &images).unwrap();
        assert_eq!(
            quantized.iter().map(|l| l.relu).collect::<Vec<_>>(),
            [true, true, false]
        );

        // The logits agree up to one common factor: compare directions.
        let (mut dot, mut a2, mut b2) = (0.0, 0.0, 0.0);
        for image in &images {
            let mut values = image.to_vec();
            for layer in &quantized[..2] {
                values = layer.forward(&values);
            }
            for (&a, b) in quantized[2]
                .accumulate(&values)
                .iter()
                .zip(network.scores(image))
            {
                let (a, b) = (f64::from(a), f64::from(b));
                (dot, a2, b2) = (dot + a * b, a2 + a * a, b2 + b * b);
            }
        }
        let cosine = dot / (a2 * b2).sqrt();
        assert!(cosine > 0.999, "{cosine}");
    }
}
