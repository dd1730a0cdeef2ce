//! Inserts a copy of a skip whose quantization step does not suit the addition.
//!
//! An addition requires the step of its skip to be at least that of its sums. With a coarser step,
//! the skip's other readers lose resolution. If they would lose more than a bit, the addition reads
//! a copy of the skip instead, which a diagonal layer makes with a step of its own. An addition
//! also reads a copy if the step of its skip is too fine but fixed, like that of the pixels. The
//! network's function is preserved; most networks need no copy and are returned unchanged.

use sprs::CsMat;

use super::network::{Layer, Network, Operation, disjoint};
use super::quantize::{WeightType, finest, owner, room, step_of_biases};
use super::sparse::from_rows;

/// The mismatch of steps, in powers of two, that is tolerated before a copy is worth a layer.
const SHARED: f64 = 1.0;

/// Returns `network` with the copies that its additions need when weights are stored as `weights`.
/// Steps are estimated from the activations for `images`.
#[must_use]
pub fn decouple(network: &Network, images: &[&[u8]], weights: WeightType) -> Network {
    let mut network = network.clone();
    if network.layers.iter().all(|layer| layer.skip.is_none()) {
        return network;
    }
    let steps = steps(&network, images);
    let needing: Vec<usize> = (0..network.layers.len())
        .filter(|&layer| needs_copy(&network, layer, &steps, weights))
        .collect();
    for layer in needing.into_iter().rev() {
        insert_copy(&mut network, layer);
    }
    network
}

/// Returns the approximate step of each layer's output, followed by that of the pixels.
fn steps(network: &Network, images: &[&[u8]]) -> Vec<f64> {
    let mut largest = vec![0.0_f32; network.layers.len()];
    for image in images {
        for (largest, outputs) in largest.iter_mut().zip(network.forward(image)) {
            *largest = outputs.iter().fold(*largest, |most, x| most.max(x.abs()));
        }
    }
    let steps = largest.into_iter().enumerate().map(|(layer, largest)| {
        let levels = if network.signed(Some(layer)) {
            127.0
        } else {
            255.0
        };
        f64::from(largest) / levels
    });
    steps.chain([1.0]).collect()
}

/// Returns whether the addition in `layer` needs a copy of its skip.
fn needs_copy(network: &Network, layer: usize, steps: &[f64], weights: WeightType) -> bool {
    let adds = &network.layers[layer];
    let Some(skip) = adds.skip else {
        return false;
    };
    let levels = weights.levels();
    let Some(finest) = finest(adds, levels) else {
        return false;
    };
    let step = |source: Option<usize>| steps[source.unwrap_or(network.layers.len())];
    // Large biases may need a coarser step than the weights.
    let finest = finest.max(step_of_biases(adds) / step(adds.source));
    let far = (step(Some(skip)) / step(adds.source) / finest).log2();
    match owner(network, Some(skip)) {
        // The step is fixed to that of a pixel.
        None => far < room(levels),
        Some(owner) => {
            let shared = network.readers(owner).count() > 1 || network.readers(skip).count() > 1;
            shared && far.is_finite() && far < room(levels) - SHARED
        }
    }
}

/// Inserts a copy of the skip of `layer` before `layer`, which then adds the copy instead.
fn insert_copy(network: &mut Network, layer: usize) {
    let skip = network.layers[layer].skip;
    let shape = network.shape(skip);
    let relu = !network.signed(skip);
    let later = |place: &mut Option<usize>| {
        if let Some(place) = place.as_mut().filter(|place| **place >= layer) {
            *place += 1;
        }
    };
    for other in &mut network.layers {
        later(&mut other.source);
        later(&mut other.skip);
    }
    let weights: CsMat<f32> = from_rows(shape[0], (0..shape[0]).map(|row| vec![(row, 1.0)]));
    let copy = Layer {
        name: format!("{}.skip", network.layers[layer].name),
        operation: Operation::Conv {
            window: disjoint(1),
            pooling: None,
        },
        bias: vec![0.0; shape[0]],
        original: weights.shape(),
        weights,
        relu,
        ceiling: f32::INFINITY,
        source: skip,
        skip: None,
        shape,
    };
    network.layers[layer].skip = Some(layer);
    network.layers.insert(layer, copy);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Returns a 1 x 1 convolution over maps of 4 x 4 with a single weight.
    fn conv(weight: f32, source: Option<usize>, skip: Option<usize>) -> Layer {
        Layer {
            name: format!("conv{}", source.map_or(0, |source| source + 1)),
            operation: Operation::Conv {
                window: disjoint(1),
                pooling: None,
            },
            weights: from_rows(1, [vec![(0, weight)]].into_iter()),
            bias: vec![0.0],
            relu: true,
            ceiling: f32::INFINITY,
            source,
            skip,
            shape: [1, 4, 4],
            original: (1, 1),
        }
    }

    /// Returns a network whose first layer is read by the second layer and added by the third,
    /// which multiplies the second layer's output by `gain`.
    fn network(gain: f32) -> Network {
        let dense = Layer {
            operation: Operation::Dense,
            weights: from_rows(16, (0..3).map(|row| vec![(row, 1.0), (row + 9, -1.0)])),
            bias: vec![0.0; 3],
            relu: false,
            shape: [3, 1, 1],
            original: (3, 16),
            ..conv(1.0, Some(2), None)
        };
        let layers = vec![
            conv(0.01, None, None),
            conv(1.0, Some(0), None),
            conv(gain, Some(1), Some(0)),
            dense,
        ];
        Network {
            input: [1, 4, 4],
            layers,
        }
    }

    #[test]
    fn only_skips_with_unsuitable_steps_are_copied() {
        let mut random = Random::new(8);
        let image: Vec<u8> = (0..16).map(|_| random.below(256) as u8).collect();
        let bits = WeightType::Int(6);
        for gain in [0.01, 1.0, 8.0] {
            let network = network(gain);
            assert_eq!(decouple(&network, &[&image], bits), network, "{gain}");
        }
        let network = network(1000.0);
        let decoupled = decouple(&network, &[&image], bits);
        let links = |layer: &Layer| (layer.source, layer.skip);
        let links: Vec<_> = decoupled.layers.iter().map(links).collect();
        let (a, b, c) = (Some(0), Some(1), Some(2));
        assert_eq!(
            links,
            [(None, None), (a, None), (a, None), (b, c), (Some(3), None)]
        );
        assert_eq!(decoupled.scores(&image), network.scores(&image));
        assert_eq!(decouple(&decoupled, &[&image], bits), decoupled);
    }
}
