//! Checks a network's shape against the limits of the container format.
//!
//! `format/SPEC.md` states the limits; errors name the user's layer and suggest a remedy. The
//! limits apply to a folded network, before or after stripping. Most can be checked before
//! training ([`before_training`]), so that nobody spends hours training a network that cannot be
//! deployed.

use super::draft::FUSED;
use super::network::{Layer, Network, Operation, name_in_architecture};
use super::{DeployError, fold};
use crate::data::Scaling;
use crate::graph::{Graph, Window};
use crate::network::{State, initial};
use crate::pruning::Masks;

/// The maximum number of layers.
const LAYERS: usize = rarefy_format::MAX_LAYERS;

/// The maximum number of channels and the maximum number of rows of an input that is read as a map:
/// each is stored in one byte.
const INPUT_AXIS: usize = u8::MAX as usize;

/// The maximum number of units or channels of a layer, and of values that a dense layer reads: 16
/// bits.
const UNITS: usize = u16::MAX as usize;

/// The maximum size of a map that a convolution or a pooling layer reads, in bytes with its
/// margins.
const MAP_BYTES: usize = rarefy_format::MAX_SOURCE_BYTES;

/// The maximum height and width of a window.
const WINDOW: usize = rarefy_format::MAX_WINDOW as usize;

/// The maximum stride of a window along an axis, and the maximum padding on a side.
const STRIDE: usize = rarefy_format::MAX_STRIDE as usize;

/// The maximum distance, in layers, between a layer and what it reads or adds.
const BACK: usize = 15;

/// Why the last layer cannot have a skip.
pub(super) const LAST_LAYER_ADDS: &str = "it returns the class scores and adds the output of another layer, which a container does not support: end the network with another dense layer";

/// An exceeded limit of the container format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What exceeds the limit: "layer conv1", "the network".
    pub what: String,
    /// The limit, the actual value, and a remedy.
    pub reason: String,
    /// Whether pruning may help by detaching units.
    pub may_shrink: bool,
}

impl From<Limit> for DeployError {
    fn from(Limit { what, reason, .. }: Limit) -> Self {
        DeployError::Limit { what, reason }
    }
}

/// Returns the reasons, known before training, why networks of `graph` cannot be exported, one
/// sentence each; empty if there are none. If pruning may remove a reason, its sentence says so.
/// Inputs are pixels normalised by `pixels`.
#[must_use]
pub fn before_training(graph: &Graph, pixels: &Scaling) -> Vec<String> {
    let none = Masks::from_fn(&graph.prunable(), |_, _| false);
    match fold::fold(graph, &untrained(graph), &none, pixels) {
        Err(error) => vec![error.to_string()],
        Ok(network) => exceeded(&network)
            .into_iter()
            .map(|limit| {
                let unless = match limit.may_shrink {
                    true => " (not needed if pruning removes enough of its inputs)",
                    false => "",
                };
                DeployError::from(limit).to_string() + unless
            })
            .collect(),
    }
}

/// Returns why no network of `graph` can be exported, however it is pruned; `None` if its shape
/// does not rule that out. Inputs are pixels normalised by `pixels`.
#[must_use]
pub fn forbids(graph: &Graph, pixels: &Scaling) -> Option<DeployError> {
    let none = Masks::from_fn(&graph.prunable(), |_, _| false);
    match fold::fold(graph, &untrained(graph), &none, pixels) {
        Err(error) => Some(error),
        Ok(network) => {
            let mut limits = exceeded(&network).into_iter();
            limits.find(|limit| !limit.may_shrink).map(Into::into)
        }
    }
}

/// Returns a state of `graph` whose weights are all 0.
fn untrained(graph: &Graph) -> State {
    let mut state = initial::without_kernels(graph);
    for tensor in graph.prunable() {
        let values = vec![0.0; tensor.len()];
        state.insert(tensor.name, tensor.shape, values);
    }
    for node in graph.nodes() {
        if node.operation == crate::graph::Operation::BatchNorm {
            let units = node.shape[0];
            for (suffix, value) in [("running_mean", 0.0), ("running_var", 1.0)] {
                let name = format!("{}.{suffix}", node.name);
                state.insert(name, vec![units], vec![value; units]);
            }
        }
    }
    state
}

/// Checks that a container can represent the shape of `network`.
///
/// # Errors
/// Returns the first exceeded limit.
pub fn check(network: &Network) -> Result<(), DeployError> {
    match exceeded(network).into_iter().next() {
        Some(limit) => Err(limit.into()),
        None => Ok(()),
    }
}

/// Returns the limits that `network` exceeds, at most one per layer.
#[must_use]
pub fn exceeded(network: &Network) -> Vec<Limit> {
    let mut limits = Vec::new();
    if network.layers.len() > LAYERS {
        limits.push(Limit {
            what: "the network".into(),
            reason: format!(
                "it has {} layers, but a container holds at most {LAYERS}: remove some",
                network.layers.len()
            ),
            may_shrink: false,
        });
    }
    for (index, layer) in network.layers.iter().enumerate() {
        let found = operation(layer, network)
            .or_else(|| source(layer, network))
            .or_else(|| units(layer).or_else(|| links(layer, index)))
            .or_else(|| scores(layer, index, network));
        if let Some(excess) = found {
            limits.push(Limit {
                what: format!("layer {}", name_in_architecture(&layer.name)),
                reason: excess.reason,
                may_shrink: excess.may_shrink,
            });
        }
    }
    limits
}

/// A limit that a layer exceeds; see [`Limit`].
struct Excess {
    reason: String,
    may_shrink: bool,
}

impl Excess {
    /// Returns an excess that pruning cannot mend.
    fn fixed(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            may_shrink: false,
        }
    }
}

/// Returns the limit that the windows of `layer` exceed, if any.
fn operation(layer: &Layer, network: &Network) -> Option<Excess> {
    let (window, pooled) = match layer.operation {
        Operation::Dense if layer.skip.is_some() => {
            let [_, height, width] = network.shape(layer.source);
            if height > WINDOW || width > WINDOW {
                return Some(Excess::fixed(format!(
                    "it adds the output of another layer and reads a map of {height} x {width}, but a dense layer with an addition reads a map of at most {WINDOW} x {WINDOW}: pool before it"
                )));
            }
            return None;
        }
        Operation::Dense => return None,
        Operation::Conv { window, pooling } => (window, pooling.map_or(1, |(_, size)| size)),
        Operation::Pool { window, .. } => (window, 1),
    };
    let Window {
        size,
        stride,
        before,
        after,
    } = window;
    let larger = |[down, across]: [usize; 2]| down.max(across);
    let padding = larger(before).max(larger(after));
    for (what, found, most) in [
        ("window size", larger(size), WINDOW),
        ("stride", larger(stride), STRIDE),
        ("padding", padding, STRIDE),
        ("fused pooling size", pooled, FUSED),
    ] {
        if found > most {
            return Some(Excess::fixed(format!(
                "its {what} is {found}, but a container supports at most {most}: split the layer in two"
            )));
        }
    }
    None
}

/// Returns the limit that the size of the source of `layer` exceeds, if any.
fn source(layer: &Layer, network: &Network) -> Option<Excess> {
    let [channels, height, width] = network.shape(layer.source);
    let length = channels * height * width;
    let shape = format!("{channels} x {height} x {width}");
    let hidden = layer.source.is_some();
    if layer.operation == Operation::Dense && layer.skip.is_none() {
        let reason = format!(
            "it reads {length} values, but a dense layer of a container reads at most {UNITS}: pool before it or give it fewer inputs"
        );
        return (length > UNITS).then_some(Excess {
            reason,
            may_shrink: hidden,
        });
    }
    if !hidden && (channels > INPUT_AXIS || height > INPUT_AXIS) {
        return Some(Excess::fixed(format!(
            "it reads an input of {shape} as a map, but a container supports at most {INPUT_AXIS} channels and {INPUT_AXIS} rows: crop the input, or swap its axes"
        )));
    }
    let [[top, left], [bottom, right]] = margins(layer.source, network);
    let bytes = channels * (top + height + bottom) * (left + width + right);
    let inserted = layer.source.map(|source| &network.layers[source]);
    let inserted = inserted.filter(|layer| name_in_architecture(&layer.name) != layer.name);
    let is_constant = |layer: &Layer| layer.weights.outer_iterator().any(|row| row.nnz() == 0);
    let why = match inserted.is_some_and(is_constant) {
        true => {
            " (including a constant channel, so that the zero padding is right for the shifted map)"
        }
        false => "",
    };
    let reason = format!(
        "it reads a map of {shape}{why}, which takes {bytes} bytes with its padding, but a container allows at most {MAP_BYTES}: pool the map first, or give it fewer channels"
    );
    (bytes > MAP_BYTES).then_some(Excess {
        reason,
        may_shrink: hidden && inserted.is_none(),
    })
}

/// Returns the margins of `source`: the widest padding among its readers, \[top, left\] and
/// \[bottom, right\].
fn margins(source: Option<usize>, network: &Network) -> [[usize; 2]; 2] {
    let mut widest = [[0; 2]; 2];
    for reader in &network.layers {
        let (Operation::Conv { window, .. } | Operation::Pool { window, .. }) = reader.operation
        else {
            continue;
        };
        if reader.source == source {
            for (side, own) in widest.iter_mut().zip([window.before, window.after]) {
                for (widest, own) in side.iter_mut().zip(own) {
                    *widest = own.max(*widest);
                }
            }
        }
    }
    widest
}

/// Returns the limit that the number of units of `layer`, before or after stripping, exceeds, if
/// any.
fn units(layer: &Layer) -> Option<Excess> {
    let units = layer.shape[0].max(layer.original.0);
    let reason = format!(
        "it has {units} units, pruned ones included, but a container supports at most {UNITS}: give it fewer"
    );
    (units > UNITS).then(|| Excess::fixed(reason))
}

/// Returns the limit that the distance to what `layer` reads or adds exceeds, if any.
fn links(layer: &Layer, index: usize) -> Option<Excess> {
    let place = |source: Option<usize>| source.map_or(0, |source| source + 1);
    let reads = [
        place(layer.source),
        layer.skip.map_or(index, |skip| skip + 1),
    ];
    let back = reads.iter().map(|read| index + 1 - read).max().unwrap_or(0);
    let reason = format!(
        "it reads or adds the output of a layer {back} layers back, but a container supports at most {BACK}: shorten the branch in between"
    );
    (back > BACK).then(|| Excess::fixed(reason))
}

/// Returns an excess if `layer` is the last layer and has a skip.
fn scores(layer: &Layer, index: usize, network: &Network) -> Option<Excess> {
    (network.is_last(index) && layer.skip.is_some()).then(|| Excess::fixed(LAST_LAYER_ADDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;

    /// Returns the sentences of [`before_training`] about a network of these layers.
    fn sentences(input: &str, layers: &str, mean: f32) -> Vec<String> {
        let text = format!("name = \"wide\"\ninput = {input}\n{layers}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.toml");
        std::fs::write(&path, text).unwrap();
        let graph = graph::load(path.to_str().unwrap()).unwrap();
        before_training(&graph, &(mean, 1.0).into())
    }

    const DENSE: &str = "[[layer]]\ntype = \"dense\"\nunits = 2\n";

    /// Returns a convolution with these keys.
    fn conv(keys: &str) -> String {
        format!("[[layer]]\ntype = \"conv\"\n{keys}\n")
    }

    #[test]
    fn inputs_of_dense_layers_may_have_any_shape() {
        for input in ["[1, 300, 2]", "[300, 2, 2]", "[3, 20000, 1]"] {
            assert!(sentences(input, DENSE, 0.5).is_empty(), "{input}");
        }
        assert_eq!(
            sentences("[1, 300, 300]", DENSE, 0.5),
            [
                "layer fc1 cannot be exported: it reads 90000 values, but a dense layer of a container reads at most 65535: pool before it or give it fewer inputs"
            ]
        );
    }

    #[test]
    fn limits_name_the_layers_of_the_architecture() {
        let layers = |channels: usize| {
            conv(&format!("channels = {channels}\nkernel = 3\npadding = 1")) + DENSE
        };
        assert!(sentences("[1, 200, 200]", &layers(1), 0.0).is_empty());
        // A second channel carries the mean, which the padding needs.
        let found = sentences("[1, 200, 200]", &layers(1), 0.5);
        let [found] = &found[..] else {
            panic!("{found:?}")
        };
        for part in [
            "layer conv1 cannot be exported: it reads a map of 2 x 200 x 200 (including a constant channel",
            "takes 81608 bytes",
            "at most 65536",
        ] {
            assert!(found.contains(part), "{found}");
        }
        // The dense layer after it reads two channels of 40,000 values.
        let found = sentences("[1, 200, 200]", &layers(2), 0.0);
        let [found] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(found.starts_with("layer fc1 cannot be exported: it reads 80000 values"));
        assert!(found.ends_with("(not needed if pruning removes enough of its inputs)"));
    }

    #[test]
    fn a_window_may_have_more_than_15_rows() {
        let layers = conv("channels = 2\nkernel = 20") + DENSE;
        assert!(sentences("[1, 25, 22]", &layers, 0.0).is_empty());
        // Too large to be fused, and a layer of its own.
        let pool = "[[layer]]\ntype = \"max-pool\"\nsize = 70\n";
        let layers = conv("channels = 1\nkernel = 1\nnorm = false") + pool + DENSE;
        assert!(sentences("[1, 70, 70]", &layers, 0.0).is_empty());
    }

    #[test]
    fn all_limits_of_shapes_are_found_before_training() {
        let pool = "[[layer]]\ntype = \"max-pool\"\nsize = 70\n";
        let wide = conv("channels = 1\nkernel = 1\nnorm = false");
        for (input, layers, says) in [
            (
                "[300, 4, 4]",
                conv("channels = 2\nkernel = 3"),
                "at most 255 channels",
            ),
            ("[1, 300, 4]", conv("channels = 2\nkernel = 3"), "255 rows"),
            (
                "[1, 255, 255]",
                conv("channels = 2\nkernel = 256\npadding = 1"),
                "its window size is 256",
            ),
            (
                "[1, 40, 40]",
                conv("channels = 2\nkernel = 3\nstride = 16"),
                "its stride is 16",
            ),
            ("[1, 140, 140]", wide + pool, "its stride is 70"),
            (
                "[1, 2, 2]",
                "[[layer]]\ntype = \"dense\"\nunits = 70000\n".into(),
                "70000 units",
            ),
            ("[1, 4, 4]", DENSE.repeat(64), "65 layers"),
        ] {
            let found = sentences(input, &(layers + DENSE), 0.0);
            assert!(
                found.iter().any(|found| found.contains(says)),
                "{says}: {found:?}"
            );
        }
    }
}
