//! Moves the constant part of nearly constant activations into their readers' biases.
//!
//! A unit whose activation ranges from 990 to 1010 wastes all but a few of the 255 quantization
//! levels. Subtracting a constant from its bias, and adding the constant's contribution to its
//! readers' biases, makes the activation range from 20 to 40 instead. This is exact if no ReLU
//! clips the remainder; as a margin, the remainder stays above 0 by the whole range that the unit
//! has over the calibration images (Nagel et al. 2019, "Data-free quantization", section 4.1.3,
//! absorb high biases by their statistics). Only layers that gain two bits of resolution are
//! changed.

use super::network::{Layer, Network, Operation};
use crate::graph::Pooling;

/// The factor by which a layer's largest activation must shrink to make the change worthwhile.
const GAIN: f32 = 4.0;

/// The smallest and the largest activation of a unit.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    /// The range of no values.
    const EMPTY: Self = Self {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
    };
}

/// Returns `network` with the constant part of nearly constant activations, as measured on
/// `images`, moved into their readers' biases.
#[must_use]
pub fn absorb(network: &Network, images: &[&[u8]]) -> Network {
    let mut network = network.clone();
    let ranges = ranges(&network, images);
    for (layer, ranges) in ranges.iter().enumerate() {
        if movable(&network, layer)
            && let Some(constants) = constants(&network.layers[layer], ranges)
        {
            move_constants(&mut network, layer, &constants);
        }
    }
    network
}

/// Returns the range of each unit (channel, for a map) of each layer over `images`.
fn ranges(network: &Network, images: &[&[u8]]) -> Vec<Vec<Range>> {
    let empty = |layer: &Layer| vec![Range::EMPTY; layer.shape[0]];
    let mut ranges: Vec<Vec<Range>> = network.layers.iter().map(empty).collect();
    for image in images {
        for (ranges, outputs) in ranges.iter_mut().zip(network.forward(image)) {
            let plane = outputs.len() / ranges.len().max(1);
            for (range, values) in ranges.iter_mut().zip(outputs.chunks(plane.max(1))) {
                for &value in values {
                    *range = Range {
                        low: range.low.min(value),
                        high: range.high.max(value),
                    };
                }
            }
        }
    }
    ranges
}

/// Returns whether a constant can be moved from the output of `layer` to its readers. It cannot be
/// moved out of the last layer, a pooling layer, fused average pooling or a ReLU with an upper
/// bound, nor into a pooling layer or through zero padding.
fn movable(network: &Network, layer: usize) -> bool {
    let own = &network.layers[layer];
    let mean = matches!(
        own.operation,
        Operation::Conv {
            pooling: Some((Pooling::Average, _)),
            ..
        }
    );

    !own.is_pool()
        && !mean
        && own.ceiling == f32::INFINITY
        && !network.is_last(layer)
        && network
            .readers(layer)
            .all(|reader| !(reader.is_pool() || reader.pads() && reader.source == Some(layer)))
}

/// Returns the constant to subtract from each unit of `layer`; `None` if that does not shrink the
/// layer's largest activation by more than the factor [`GAIN`].
fn constants(layer: &Layer, ranges: &[Range]) -> Option<Vec<f32>> {
    let constant = |&Range { low, high }: &Range| match layer.relu {
        // The remainder keeps a distance from 0 as large as its own range.
        true => (low - (high - low)).max(0.0),
        false => (low + high) / 2.0,
    };
    let constants: Vec<f32> = ranges.iter().map(constant).collect();
    let largest = |moved: &dyn Fn(usize) -> f32| {
        let units = ranges.iter().enumerate();
        units.fold(0.0_f32, |most, (unit, Range { low, high })| {
            let constant = moved(unit);
            most.max((low - constant).abs())
                .max((high - constant).abs())
        })
    };
    let (before, after) = (largest(&|_| 0.0), largest(&|unit| constants[unit]));
    (before.is_finite() && after * GAIN < before).then_some(constants)
}

/// Moves `constants` from the outputs of `layer` into the biases of its readers.
fn move_constants(network: &mut Network, layer: usize, constants: &[f32]) {
    let shape = network.layers[layer].shape;
    let own = &mut network.layers[layer].bias;
    own.iter_mut()
        .zip(constants)
        .for_each(|(bias, constant)| *bias -= constant);
    for reader in &mut network.layers {
        let block = reader.columns(shape).max(1);
        let (reads, adds) = (reader.source == Some(layer), reader.skip == Some(layer));
        let rows = reader.weights.outer_iterator().zip(&mut reader.bias);
        for (unit, (row, bias)) in rows.enumerate() {
            let mut more = 0.0;
            if reads {
                let parts = row.iter();
                let parts = parts.map(|(column, &weight)| {
                    f64::from(weight) * f64::from(constants[column / block])
                });
                more += parts.sum::<f64>();
            }
            if adds {
                more += f64::from(constants[unit]);
            }
            *bias = (f64::from(*bias) + more) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use rarefy_format::Encoding;

    use super::*;
    use crate::deploy::quantize::{WeightType, quantize};
    use crate::deploy::sparse::from_rows;
    use crate::random::Random;

    /// Returns two dense layers; the activations of the first vary by about 20 around `level`.
    fn network(level: f32, relu: bool) -> Network {
        let random = &mut Random::new(50);
        let mut layer = |rows: usize, columns: usize, scale: f64, bias: f32| {
            let weights = (0..rows).map(|_| {
                let weights = (0..columns).map(|column| (column, (scale * random.normal()) as f32));
                weights.collect()
            });
            let weights = from_rows(columns, weights.collect::<Vec<_>>().into_iter());
            Layer {
                name: format!("fc{rows}"),
                operation: Operation::Dense,
                bias: vec![bias; rows],
                relu,
                ceiling: f32::INFINITY,
                source: None,
                skip: None,
                shape: [rows, 1, 1],
                original: weights.shape(),
                weights,
            }
        };
        let (first, mut last) = (layer(12, 16, 0.01, level), layer(4, 12, 1.0, 0.0));
        (last.source, last.relu) = (Some(0), false);
        Network {
            input: [1, 4, 4],
            layers: vec![first, last],
        }
    }

    #[test]
    fn nearly_constant_activations_gain_resolution() {
        let mut random = Random::new(51);
        let images: Vec<Vec<u8>> = (0..80)
            .map(|_| (0..16).map(|_| random.below(256) as u8).collect())
            .collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        for relu in [true, false] {
            let near = network(1000.0, relu);
            let absorbed = absorb(&near, &images);
            for image in &images {
                for (a, b) in absorbed.scores(image).iter().zip(near.scores(image)) {
                    assert!((a - b).abs() < 0.02, "{a} {b}");
                }
            }
            let noise = |network: &Network| {
                let bits = WeightType::Int(8);
                let quantized = quantize(network, &images, bits, &[Encoding::Csr; 2]).unwrap();
                quantized.fidelity[1].noise
            };
            // The 255 levels cover a range of 40 instead of 1,000.
            let (before, after) = (noise(&near), noise(&absorbed));
            assert!(after * 8.0 < before, "{relu}: {before} {after}");
        }
        let plain = network(0.0, true);
        assert!(absorb(&plain, &images) == plain);
    }
}
