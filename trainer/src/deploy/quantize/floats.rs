//! Stores a chain of dense layers in floats, as a reference.

use rarefy_format::{Encoding, LayerSpec, NetworkSpec, WeightsSpec};

use super::{Quantized, operation};
use crate::deploy::activity::Activity;
use crate::deploy::network::Operation;
use crate::deploy::{DeployError, Network};

/// The logit of a class score of 1 that is stored unscaled.
const UNITS_OF_ONE: f64 = 65_536.0;

/// The largest class score that is stored unscaled; logits saturate at four times that, 2^15.
const LARGEST: f32 = 8192.0;

/// The smallest class score that is stored unscaled: logits in steps of 2^-16 keep 12 bits of it.
const SMALLEST: f32 = 0.0625;

/// The exponent of the power of two that the largest class score is scaled to: the score then takes
/// 22 bits of a logit, which leaves 9 for larger scores.
const AIM: f32 = 6.0;

/// Returns `network` in compressed sparse rows of f32. Logits are integers, so class scores that
/// are too large or too small for logits are multiplied by a power of two, which preserves the
/// classes.
///
/// # Errors
/// Returns an error if the network is not a chain of dense layers whose hidden layers have a ReLU,
/// or if the input is too large for the format.
pub fn floats(network: &Network, images: &[&[u8]]) -> Result<Quantized, DeployError> {
    let mut outputs: Vec<Vec<Vec<f32>>> = Vec::new();
    let mut layers = Vec::new();
    let mut factor = 1.0;
    for (index, layer) in network.layers.iter().enumerate() {
        let last = network.is_last(index);
        let chained = layer.source == index.checked_sub(1) && layer.skip.is_none();
        let bounded = layer.ceiling.is_finite();
        if layer.operation != Operation::Dense || !chained || layer.relu == last || bounded {
            let layer = layer.name.clone();
            return Err(DeployError::Floats { layer });
        }
        if last {
            // All layers were checked, so the forward pass can run.
            outputs = images.iter().map(|image| network.forward(image)).collect();
            factor = scale(&outputs);
        }
        let rows = layer.weights.outer_iterator().map(|row| {
            // A container has at most 65,535 columns.
            let weights = row
                .iter()
                .map(|(column, &weight)| (column as u16, weight * factor));
            weights.collect()
        });
        let bias = layer.bias.iter().map(|bias| bias * factor);
        layers.push(LayerSpec {
            operation: rarefy_format::Operation::Dense,
            encoding: Encoding::CsrF32,
            outputs: layer.shape[0],
            original_outputs: layer.original.0,
            shift: 0,
            source: 1,
            skip: None,
            weights: WeightsSpec::Floats {
                bias: bias.collect(),
                rows: rows.collect(),
            },
        });
    }
    let input = operation::input(network).map_err(|reason| DeployError::Quantize {
        layer: "input".into(),
        reason,
    })?;
    let activity = (0..layers.len()).map(|layer| {
        let active = |image: usize, input: usize| match layer.checked_sub(1) {
            None => images[image][input] != 0,
            Some(before) => outputs[image][before][input] != 0.0,
        };
        Activity::measure(network.layers[layer].weights.cols(), images.len(), active)
    });
    Ok(Quantized {
        activity: activity.collect(),
        fidelity: Vec::new(),
        output_step: 1.0 / (UNITS_OF_ONE * f64::from(factor)),
        spec: NetworkSpec { input, layers },
    })
}

/// Returns the power of two that scales the largest class score to the range of logits, or 1 if no
/// scaling is needed; `outputs` holds each image's outputs per layer.
fn scale(outputs: &[Vec<Vec<f32>>]) -> f32 {
    let scores = outputs.iter().filter_map(|layers| layers.last()).flatten();
    let largest = scores.fold(0.0_f32, |most, score| most.max(score.abs()));
    match largest {
        0.0 => 1.0,
        SMALLEST..=LARGEST => 1.0,
        _ if largest.is_finite() => (AIM - largest.log2().round()).clamp(-100.0, 100.0).exp2(),
        _ => 1.0,
    }
}
