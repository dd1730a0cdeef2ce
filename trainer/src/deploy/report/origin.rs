//! Traces the layers of a container to their origin: the architecture, or deployment itself.
//!
//! Folding may copy a map to add a constant channel, or insert a layer for a normalised sum;
//! decoupling copies the skip of an addition. Such layers, and the weights that read a constant
//! channel, are stored and run like any other, but compression ratios exclude them.

use rarefy_format::{NetworkSpec, WeightsSpec};
use serde::Deserialize;

use super::ModelReport;
use crate::deploy::Network;
use crate::graph::{Graph, Operation};

/// The origin of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LayerOrigin {
    /// The layer's name in the architecture; inserted layers are named after the layer that needs
    /// them.
    pub name: String,
    /// Whether deployment inserted it.
    pub inserted: bool,
    /// The number of its nonzero weights that deployment inserted.
    pub inserted_nonzeros: usize,
    /// The number of columns in the architecture.
    pub original_inputs: usize,
}

/// Returns the origin of each layer of `network`, which was folded from `graph` and whose container
/// holds `spec`.
#[must_use]
pub fn origins(graph: &Graph, network: &Network, spec: &NetworkSpec) -> Vec<LayerOrigin> {
    let inputs: Vec<Option<usize>> = network
        .layers
        .iter()
        .map(|layer| written_inputs(graph, &layer.name))
        .collect();
    let layers = network.layers.iter().zip(&spec.layers).enumerate();
    let origins = layers.map(|(index, (layer, stored))| {
        // The constant channel of an inserted layer is the one that reads nothing.
        let constant = |column: usize| {
            let source = layer
                .source
                .filter(|&source| layer.pads() && inputs[source].is_none());
            source.is_some_and(|source| {
                let shape = network.shape(layer.source);
                let unit = column / layer.columns(shape).max(1);
                let row = network.layers[source].weights.outer_view(unit);
                row.is_none_or(|row| row.nnz() == 0)
            })
        };
        let inserted = inputs[index].is_none();
        LayerOrigin {
            name: layer.name.clone(),
            inserted,
            inserted_nonzeros: count(&stored.weights, |column| inserted || constant(column)),
            original_inputs: inputs[index].unwrap_or(layer.original.1),
        }
    });
    origins.collect()
}

/// Returns the number of columns of the layer called `name` in the architecture; `None` if there is
/// no such layer.
fn written_inputs(graph: &Graph, name: &str) -> Option<usize> {
    let index = graph.nodes().iter().position(|node| node.name == name)?;
    match graph.nodes()[index].operation {
        Operation::Pool { .. } => Some(0),
        Operation::Conv { .. } | Operation::Dense { .. } => {
            let shape = graph.kernel_shape(index)?;
            Some(shape[1..].iter().product())
        }
        _ => None,
    }
}

/// Returns the number of nonzero weights in the columns for which `of` is true.
fn count(weights: &WeightsSpec, of: impl Fn(usize) -> bool) -> usize {
    match weights {
        WeightsSpec::None => 0,
        WeightsSpec::Integers { rows, .. } => {
            let weights = rows.iter().flatten().filter(|weight| weight.1 != 0);
            weights.filter(|weight| of(weight.0.into())).count()
        }
        WeightsSpec::Floats { rows, .. } => {
            let weights = rows.iter().flatten().filter(|weight| weight.1 != 0.0);
            weights.filter(|weight| of(weight.0.into())).count()
        }
    }
}

impl ModelReport {
    /// Names the layers, and counts inserted weights separately. Does nothing if the number of
    /// layers differs.
    pub fn named(&mut self, origins: &[LayerOrigin]) {
        if origins.len() != self.layers.len() {
            return;
        }
        for (layer, origin) in self.layers.iter_mut().zip(origins) {
            layer.name = Some(origin.name.clone());
            layer.inserted = origin.inserted;
            layer.inserted_nonzeros = origin.inserted_nonzeros;
            // A constant channel makes a layer read more than the architecture says, too.
            layer.grouped = layer.window.is_some()
                && origin.inserted_nonzeros == 0
                && (1..layer.original_inputs).contains(&origin.original_inputs);
            layer.original_inputs = origin.original_inputs;
            if !origin.inserted {
                let own = layer.nonzeros - origin.inserted_nonzeros.min(layer.nonzeros);
                let original = layer.original_inputs * layer.original_outputs;
                layer.density = own as f64 / original.max(1) as f64;
            }
        }
        self.inserted_nonzeros = self.layers.iter().map(|l| l.inserted_nonzeros).sum();
        let stored: usize = self.layers.iter().map(|layer| layer.nonzeros).sum();
        self.nonzeros = stored - self.inserted_nonzeros.min(stored);
        let own = self.layers.iter().filter(|layer| !layer.inserted);
        self.total = own
            .map(|layer| layer.original_inputs * layer.original_outputs)
            .sum();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rarefy_format::{AlignedBytes, Encoding, Model, write};

    use super::*;
    use crate::deploy::costs::Core;
    use crate::deploy::quantize::{WeightType, quantize};
    use crate::deploy::{fold, order, report, strip};
    use crate::graph::{Padding, Window};
    use crate::network::initial;
    use crate::pruning::Masks;

    #[test]
    fn a_convolution_in_groups_is_shown_by_the_channels_of_a_group() {
        let mut graph = Graph::new("grouped", [4, 8, 8]);
        let window = Window::new(3, 1, Padding::Same, [8, 8]).unwrap();
        let conv = Operation::Conv {
            channels: 4,
            window,
            groups: 4,
            bias: true,
        };
        graph.push("first", conv).unwrap();
        graph.push("flat", Operation::Flatten).unwrap();
        let dense = Operation::Dense {
            units: 3,
            bias: true,
        };
        graph.push("scores", dense).unwrap();
        let (state, masks) = (initial::state(&graph, 3), Masks::dense(&graph));
        let network = fold::fold(&graph, &state, &masks, &(0.0, 1.0).into()).unwrap();
        let network = order::sorted(&strip::strip(&network));
        let encodings = vec![Encoding::Csr; network.layers.len()];
        let image: Vec<u8> = (0..=255).collect();
        let quantized = quantize(&network, &[&image], WeightType::Int(8), &encodings);
        let spec = quantized.unwrap().spec;
        let bytes = AlignedBytes::copy_from(&write(&spec).unwrap());
        let model = Model::parse(&bytes).unwrap();
        let mut found = report::report(&model, Path::new("m.rfy"), Core::M4, None);
        assert_eq!(found.layers[0].shape(), "4 x 4 x 3 x 3");
        found.named(&origins(&graph, &network, &spec));
        let shapes = found
            .layers
            .iter()
            .map(|layer| [layer.original_shape(), layer.shape()]);
        let shapes: Vec<[String; 2]> = shapes.collect();
        assert_eq!(shapes[0], ["4 x 1 x 3 x 3", "4 x 1 x 3 x 3"]);
        assert_eq!(shapes[1], ["3 x 256", "3 x 256"]);
    }

    /// Tests a padded convolution of pixels with a mean other than 0, for which folding inserts a
    /// layer and a constant channel.
    #[test]
    fn what_is_inserted_is_none_of_the_users_weights() {
        let mut graph = Graph::new("padded", [1, 8, 8]);
        let window = Window::new(3, 1, Padding::Same, [8, 8]).unwrap();
        let conv = Operation::Conv {
            channels: 4,
            window,
            groups: 1,
            bias: true,
        };
        let dense = Operation::Dense {
            units: 3,
            bias: true,
        };
        for (name, operation) in [
            ("first", conv),
            ("relu", Operation::Relu),
            ("flat", Operation::Flatten),
            ("scores", dense),
        ] {
            graph.push(name, operation).unwrap();
        }
        let tensors = graph.prunable();
        let masks = Masks::from_fn(&tensors, |_, element| element % 3 != 0);
        let kept = masks.nonzeros();
        let total: usize = tensors.iter().map(|tensor| tensor.len()).sum();
        let image: Vec<u8> = (0..64).map(|pixel| (pixel * 37 % 256) as u8).collect();
        for (mean, inserted) in [(0.0, 0), (0.3, 1)] {
            let state = initial::state(&graph, 3);
            let network = fold::fold(&graph, &state, &masks, &(mean, 1.0).into()).unwrap();
            let network = order::sorted(&strip::strip(&network));
            let encodings = vec![Encoding::Csr; network.layers.len()];
            let bits = WeightType::Int(8);
            let spec = quantize(&network, &[&image], bits, &encodings)
                .unwrap()
                .spec;
            let bytes = AlignedBytes::copy_from(&write(&spec).unwrap());
            let model = Model::parse(&bytes).unwrap();
            let mut found = report::report(&model, Path::new("m.rfy"), Core::M4, None);
            let stored = found.nonzeros;
            found.named(&origins(&graph, &network, &spec));
            let names = found.layers.iter().map(|layer| layer.name.as_deref());
            let names: Vec<&str> = names.flatten().collect();
            assert_eq!(names[inserted..], ["first", "scores"]);
            let marked: Vec<bool> = found.layers.iter().map(|layer| layer.inserted).collect();
            assert_eq!(marked, [vec![true; inserted], vec![false; 2]].concat());
            assert_eq!(found.total, total);
            assert_eq!(found.nonzeros + found.inserted_nonzeros, stored);
            // Rounding may remove a weight, but adds none.
            assert!(found.nonzeros <= kept && 10 * found.nonzeros >= 9 * kept);
            // One weight that copies the map, and at most one for each of 4 x 9 taps.
            let most = 37 * inserted;
            assert!(found.inserted_nonzeros <= most && (inserted == 0) == (stored <= kept));
            assert_eq!(found.layers[inserted].original_inputs, 9);
        }
    }
}
