//! Judges rejections: the stated reason must hold for the network, and the message must name a
//! layer of the architecture.

use rarefy_format::{Encoding, index_bits};
use rarefy_trainer::deploy::choose::EncodingChoice;
use rarefy_trainer::deploy::export::Options;
use rarefy_trainer::deploy::network::Operation as Deployed;
use rarefy_trainer::deploy::quantize::WeightType;
use rarefy_trainer::deploy::{DeployError, Layer, Network};
use rarefy_trainer::graph::{Graph, Operation, Pooling};

use super::check::{Fault, Subject, fault};

/// A documented reason.
pub(crate) type Reason = &'static str;

/// Returns the fault of a rejection without a valid reason.
fn unjustified<T>(error: &DeployError) -> Result<T, Fault> {
    fault("refusal", format!("no valid reason: {error}"))
}

/// Returns whether `sentence` names a layer of the architecture.
fn names(graph: &Graph, sentence: &str) -> bool {
    let named = sentence
        .strip_prefix("layer ")
        .and_then(|rest| rest.split(' ').next());
    graph
        .nodes()
        .iter()
        .any(|node| Some(node.name.as_str()) == named)
}

/// Returns the reason that `error` states for not folding `subject`, if it holds.
pub(crate) fn fold(subject: &Subject, error: &DeployError) -> Result<Reason, Fault> {
    let graph = &subject.graph;
    let DeployError::Fold { layer, .. } = error else {
        return unjustified(error);
    };
    let Some(index) = graph.nodes().iter().position(|node| node.name == *layer) else {
        return fault("refusal", format!("names no layer: {error}"));
    };
    let node = &graph.nodes()[index];
    match node.operation {
        Operation::Conv { window, .. }
            if [window.before, window.after] != [[0; 2]; 2] && signed(graph, node.source()) =>
        {
            Ok("a convolution pads a signed map")
        }
        Operation::Pool {
            kind: Pooling::Average,
            window,
        } if [window.before, window.after] != [[0; 2]; 2] => {
            Ok("average pooling over padded windows")
        }
        _ => unjustified(error),
    }
}

/// Returns whether the output of `node` can be negative.
fn signed(graph: &Graph, node: usize) -> bool {
    let of = &graph.nodes()[node];
    match of.operation {
        Operation::Input | Operation::Relu | Operation::Relu6 => false,
        // With a negative scale, max pooling selects among negative values.
        Operation::Pool {
            kind: Pooling::Max, ..
        } => {
            graph.nodes()[of.source()].operation == Operation::BatchNorm
                || signed(graph, of.source())
        }
        Operation::Pool { .. } | Operation::BatchNorm | Operation::Flatten => {
            signed(graph, of.source())
        }
        Operation::Conv { .. } | Operation::Dense { .. } | Operation::Add => true,
    }
}

/// Returns the reason that `error` states for not exporting `network` with `options`, if it holds.
pub(crate) fn export(
    subject: &Subject,
    network: &Network,
    options: &Options,
    error: &DeployError,
) -> Result<Reason, Fault> {
    let named = match error {
        DeployError::Quantize { layer, .. }
        | DeployError::Encoding { layer, .. }
        | DeployError::Layer { layer, .. } => layer,
        _ => return unjustified(error),
    };
    let Some(layer) = network.layers.iter().find(|layer| layer.name == *named) else {
        return fault("refusal", format!("names no layer: {error}"));
    };
    let reason = match error {
        DeployError::Quantize { .. } if options.weights == WeightType::F32 => chain(network)
            .is_none()
            .then_some("floats require a chain of dense layers"),
        DeployError::Encoding { .. } => no_room(layer, options),
        _ => None,
    };
    let Some(reason) = reason else {
        return unjustified(error);
    };
    if !names(&subject.graph, &error.to_string()) {
        return fault(
            "refusal",
            format!("names no layer of the architecture: {error}"),
        );
    }
    Ok(reason)
}

/// Returns `Some` if `network` is a chain of dense layers with ReLUs.
fn chain(network: &Network) -> Option<()> {
    let last = network.layers.len() - 1;
    let chained = network.layers.iter().enumerate().all(|(index, layer)| {
        layer.operation == Deployed::Dense
            && layer.source == index.checked_sub(1)
            && layer.skip.is_none()
            && layer.relu == (index < last)
    });
    chained.then_some(())
}

/// Returns the reason why the one allowed encoding cannot represent `layer`, if it cannot.
fn no_room(layer: &Layer, options: &Options) -> Option<Reason> {
    let (rows, columns) = layer.weights.shape();
    let full = |count: usize| index_bits(count) + options.weights.bits() > 16;
    match options.encoding {
        EncodingChoice::Only(Encoding::Words) if full(columns) => {
            Some("packed words have too few bits for the weights")
        }
        EncodingChoice::Only(Encoding::Columns)
            if layer.operation != Deployed::Dense || layer.skip.is_some() =>
        {
            Some("columns require a dense layer")
        }
        EncodingChoice::Only(Encoding::Columns) if full(rows) => {
            Some("packed words have too few bits for the weights")
        }
        _ => None,
    }
}
