//! A network in floats, for reference: chains of dense layers alone.

use rarefy_format::{Encoding, LayerSpec, NetworkSpec, WeightsSpec};

use super::{Quantized, operation};
use crate::deploy::activity::Activity;
use crate::deploy::network::Operation;
use crate::deploy::{DeployError, Network};

/// `network` as it is, in compressed sparse rows of floats.
///
/// # Errors
/// When it is no chain of dense layers, hidden ones with a ReLU.
pub fn floats(network: &Network, images: &[&[u8]]) -> Result<Quantized, DeployError> {
    let mut layers = Vec::new();
    for (index, layer) in network.layers.iter().enumerate() {
        let refuse = |reason: String| DeployError::Quantize {
            layer: layer.name.clone(),
            reason,
        };
        let last = index + 1 == network.layers.len();
        let chained = layer.source == index.checked_sub(1) && layer.skip.is_none();
        if layer.operation != Operation::Dense || !chained || layer.relu == last {
            return Err(refuse(
                "floats are for chains of dense layers with ReLUs alone: export it with --weights int8"
                    .into(),
            ));
        }
        let rows = layer.weights.outer_iterator().map(|row| {
            // The container has no more columns than that.
            let weights = row.iter().map(|(column, &weight)| (column as u16, weight));
            weights.collect()
        });
        layers.push(LayerSpec {
            operation: rarefy_format::Operation::Dense,
            encoding: Encoding::CsrF32,
            outputs: layer.shape[0],
            original_outputs: layer.original.0,
            shift: 0,
            source: 1,
            skip: None,
            weights: WeightsSpec::Floats {
                bias: layer.bias.clone(),
                rows: rows.collect(),
            },
        });
    }
    let input = operation::input(network).map_err(|reason| DeployError::Quantize {
        layer: "input".into(),
        reason,
    })?;
    let outputs: Vec<Vec<Vec<f32>>> = images.iter().map(|image| network.forward(image)).collect();
    let activity = (0..layers.len()).map(|layer| {
        let active = |image: usize, input: usize| match layer.checked_sub(1) {
            None => images[image][input] != 0,
            Some(before) => outputs[image][before][input] != 0.0,
        };
        Activity::measure(network.layers[layer].weights.cols(), images.len(), active)
    });
    Ok(Quantized {
        activity: activity.collect(),
        spec: NetworkSpec { input, layers },
    })
}
