//! Gives an addition a copy of what it adds, where both cannot share a step.
//!
//! Quantization makes the step of what is added at least that of the sums it is added to. Where
//! other layers read it too, and the sums are so much larger that this would cost them more than a
//! bit of its resolution, the addition reads a copy of it instead: a diagonal layer, whose step is
//! its own. The same where the step cannot change, as that of pooled pixels. The network computes
//! the same; most have no such addition and stay as they are.

use sprs::CsMat;

use super::network::{Layer, Network, Operation, disjoint};
use super::quantize::{WeightType, finest, owner, room, step_of_biases};
use super::sparse::from_rows;

/// Powers of two by which a step may be too small before a copy is worth its layer.
const SHARED: f64 = 1.0;

/// `network` with the copies that its additions need, its weights in `weights`, judged by
/// `images`.
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

/// About the step of each layer's output, and last that of the pixels.
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

/// Whether `layer` is to add a copy.
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
    // Biases that decide alone need a coarser step than the weights beside them.
    let finest = finest.max(step_of_biases(adds) / step(adds.source));
    let far = (step(Some(skip)) / step(adds.source) / finest).log2();
    match owner(network, Some(skip)) {
        // Its step is that of a pixel, whatever is asked.
        None => far < room(levels),
        Some(owner) => {
            let shared = network.readers(owner).count() > 1 || network.readers(skip).count() > 1;
            shared && far.is_finite() && far < room(levels) - SHARED
        }
    }
}

/// Inserts a copy of what `layer` adds, before it.
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

    /// A layer of 1 x 1 over maps of 4 x 4 whose one weight and bias are given.
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
            source,
            skip,
            shape: [1, 4, 4],
            original: (1, 1),
        }
    }

    /// The first layer, added to one that makes `gain` times as much of it, and read by the
    /// second.
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
    fn only_what_is_too_small_for_the_sums_it_is_added_to_is_copied() {
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
