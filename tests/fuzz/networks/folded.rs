//! Checks the trainer's own forward pass, and the folded, stripped and sorted networks.

use candle_core::{DType, Device, Tensor};
use rarefy_trainer::deploy::{Network, fold, order, strip};
use rarefy_trainer::graph::Operation;
use rarefy_trainer::network::{self, Statistics};
use rarefy_trainer::pruning::effective::Mode;

use super::check::{Counts, Fault, Subject, fault};
use super::values::IMAGES;
use super::{pruning, refusals};

/// Checks the statistics and class scores of the trainer's own network.
pub(crate) fn trained(subject: &Subject) -> Result<(), Fault> {
    let step = "forward pass of the trainer";
    let trained = || -> candle_core::Result<(Statistics, Vec<Vec<f32>>)> {
        let network = network::Network::new(&subject.graph, &subject.state, &Device::Cpu)?;
        let (mean, deviation) = subject.pixels;
        let tensor = |images: &[Vec<u8>]| {
            let normal = |&pixel: &u8| (f32::from(pixel) / 255.0 - mean) / deviation;
            let values: Vec<f32> = images.iter().flatten().map(normal).collect();
            let shape = (images.len(), subject.graph.input_len());
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        let batches = || subject.images[..IMAGES].chunks(IMAGES / 2).map(tensor);
        let statistics = Statistics::compute(&network, batches)?;
        let last = subject.graph.nodes().len() - 1;
        let scores = network.forward_to(last, &tensor(&subject.images)?, &statistics)?;
        Ok((statistics, scores.to_dtype(DType::F32)?.to_vec2()?))
    };
    let (statistics, scores) = match trained() {
        Ok(trained) => trained,
        Err(error) => return fault(step, error.to_string()),
    };
    for (index, node) in subject.graph.nodes().iter().enumerate() {
        if node.operation != Operation::BatchNorm {
            continue;
        }
        let moments = statistics.of(index);
        let expected = |kind: &str| &subject.state.get(&format!("{}.{kind}", node.name)).values;
        let (means, variances) = (expected("running_mean"), expected("running_var"));
        for (unit, (&mean, &variance)) in means.iter().zip(variances).enumerate() {
            let size = f64::from(mean).powi(2) + f64::from(variance);
            let apart = [moments.mean[unit] - mean, moments.variance[unit] - variance];
            let rounding = [1e-5 * size.sqrt(), 1e-5 * size];
            let moved = subject.moments[index][unit];
            let allowed = |which: usize| 1e-6 + rounding[which] + 50.0 * moved[which];
            if (0..2).any(|which| f64::from(apart[which].abs()) > allowed(which)) {
                let what = format!(
                    "unit {unit} of {}: mean {} and variance {}, not {mean} and {variance}",
                    node.name, moments.mean[unit], moments.variance[unit]
                );
                return fault("statistics of the trainer", what);
            }
        }
    }
    let place = |image: &[u8]| subject.images.iter().position(|other| other == image);
    subject.agrees(step, |image| scores[place(image).unwrap_or(0)].clone())
}

/// Checks folding and stripping; returns the network ready to be quantized, or `None` if folding
/// rejects the network for a valid reason.
pub(crate) fn check(subject: &Subject, counts: &mut Counts) -> Result<Option<Network>, Fault> {
    let folded = match fold::fold(
        &subject.graph,
        &subject.state,
        &subject.masks,
        &subject.pixels.into(),
    ) {
        Ok(folded) => folded,
        Err(error) => {
            let reason = refusals::fold(subject, &error)?;
            counts.count(format!("rejected: {reason}"));
            return Ok(None);
        }
    };
    subject.agrees("fold", |image| folded.scores(image))?;
    let stripped = strip::strip(&folded);
    subject.agrees("strip", |image| stripped.scores(image))?;
    left(subject, &stripped, counts)?;
    let sorted = order::sorted(&stripped);
    subject.agrees("order", |image| sorted.scores(image))?;
    counts.count("networks folded and stripped");
    if sorted.layers.iter().any(|layer| layer.skip.is_some()) {
        counts.count("networks with an addition");
    }
    Ok(Some(sorted))
}

/// Checks which weights remain: all that are effective by positions, and none that is ineffective
/// by channels, unless a constant cannot become a bias.
fn left(subject: &Subject, stripped: &Network, counts: &mut Counts) -> Result<(), Fault> {
    let step = "strip";
    let [exact, channels] = [Mode::Exact, Mode::Graph]
        .map(|mode| pruning::effective(&subject.graph, &subject.keep, mode));
    let tensors = subject.graph.prunable();
    // Constant inputs of a padded convolution may remain.
    let pads = stripped.layers.iter().any(|layer| layer.pads());
    for (place, tensor) in tensors.iter().enumerate() {
        let node = &subject.graph.nodes()[tensor.node];
        let layer = stripped.layers.iter().find(|layer| layer.name == node.name);
        let count = |masks: &[Vec<bool>]| masks[place].iter().filter(|keep| **keep).count();
        let (least, expected) = (count(&exact), count(&channels));
        let found = layer.map_or(0, |layer| layer.weights.nnz());
        let most = count(&subject.keep);
        // An added constant channel has weights of its own.
        let shifted = layer.is_some_and(|layer| layer.original.1 != tensor.len() / tensor.shape[0]);
        if found < least || (!pads && found > expected) || (!shifted && found > most) {
            let what = format!(
                "{found} weights of {} remain; of {most} in the mask, {expected} are effective by channels and {least} by positions",
                node.name
            );
            return fault(step, what);
        }
        counts.count(match (least..=expected).contains(&found) {
            true => "layers stripped to their effective weights",
            false => "layers that keep weights of constants",
        });
    }
    Ok(())
}
