//! The limits of the container that a network exceeds by its shape, whatever its weights.
//!
//! `format/SPEC.md` states them; here each has the name that the user gave the layer at fault, and what
//! to do. They hold for a folded network, before or after stripping; most are known before training
//! ([`before_training`]), so that nobody trains for hours what no device can be given.

use super::network::{Layer, Network, Operation};
use super::{DeployError, fold};
use crate::graph::{Graph, Window};
use crate::network::{State, initial};
use crate::pruning::Masks;

/// Layers of a network.
const LAYERS: usize = rarefy_format::MAX_LAYERS;

/// Channels and rows of an input that is read as a map: a byte each.
const INPUT_AXIS: usize = u8::MAX as usize;

/// Units or channels of a layer, and values that a dense layer reads: 16 bits.
const UNITS: usize = u16::MAX as usize;

/// Bytes of a map with its margins that a convolution or a pooling reads.
const MAP_BYTES: usize = rarefy_format::MAX_SOURCE_BYTES;

/// Size, stride and padding of a window: four bits.
const WINDOW: usize = 15;

/// Size of a pooling that is fused into a convolution: six bits.
const POOLED: usize = 63;

/// Layers that a link reaches back.
const BACK: usize = 15;

/// A limit that a network exceeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What exceeds it: "layer conv1", "the network".
    pub what: String,
    /// The limit, by how much it is exceeded, and what to do.
    pub reason: String,
    /// Whether pruning may bring it below the limit, by detaching units.
    pub may_shrink: bool,
}

impl From<Limit> for DeployError {
    fn from(Limit { what, reason, .. }: Limit) -> Self {
        DeployError::Limit { what, reason }
    }
}

/// Returns why a network of `graph` could not be exported, as far as its shape tells, as sentences;
/// inputs are pixels normalised by this mean and standard deviation.
#[must_use]
pub fn before_training(graph: &Graph, pixels: (f32, f32)) -> Vec<String> {
    let none = Masks::from_fn(&graph.prunable(), |_, _| false);
    match fold::fold(graph, &untrained(graph), &none, pixels) {
        Err(error) => vec![error.to_string()],
        Ok(network) => exceeded(&network)
            .into_iter()
            .map(|limit| {
                let unless = match limit.may_shrink {
                    true => " (unless pruning detaches enough of it)",
                    false => "",
                };
                DeployError::from(limit).to_string() + unless
            })
            .collect(),
    }
}

/// A state of `graph` with weights of 0.
fn untrained(graph: &Graph) -> State {
    let mut state = initial::beside(graph);
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

/// Checks that a container can state the shape of `network`.
///
/// # Errors
/// Returns the first limit that it exceeds.
pub fn check(network: &Network) -> Result<(), DeployError> {
    match exceeded(network).into_iter().next() {
        Some(limit) => Err(limit.into()),
        None => Ok(()),
    }
}

/// Returns every limit that `network` exceeds, of each layer the first.
#[must_use]
pub fn exceeded(network: &Network) -> Vec<Limit> {
    let mut limits = Vec::new();
    if network.layers.len() > LAYERS {
        limits.push(Limit {
            what: "the network".into(),
            reason: format!(
                "it takes {} layers, and a container holds at most {LAYERS}: leave some out",
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
        if let Some((reason, may_shrink)) = found {
            limits.push(Limit {
                what: format!("layer {}", written(&layer.name)),
                reason,
                may_shrink,
            });
        }
    }
    limits
}

/// The name that the user gave the layer which a layer called `name` belongs to.
fn written(name: &str) -> &str {
    // Layers that deployment inserts are called after what needs them.
    let inserted = [".input", ".output", ".source1", ".source2", ".skip"];
    let owner = inserted.iter().find_map(|suffix| name.strip_suffix(suffix));
    owner.unwrap_or(name)
}

/// What is exceeded, and whether pruning may help.
type Found = Option<(String, bool)>;

/// Windows that a container cannot state.
fn operation(layer: &Layer, network: &Network) -> Found {
    let (window, pooled) = match layer.operation {
        Operation::Dense if layer.skip.is_some() => {
            let [_, height, width] = network.shape(layer.source);
            if height != width || height > WINDOW {
                let reason = format!(
                    "it is dense, reads a map of {height} x {width} and is added to another layer, which only square maps of at most {WINDOW} x {WINDOW} allow: pool before it"
                );
                return Some((reason, false));
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
    let padding = before.into_iter().chain(after).max().unwrap_or(0);
    for (what, found, most) in [
        ("a window", size, WINDOW),
        ("a stride", stride, WINDOW),
        ("a padding", padding, WINDOW),
        ("a pooling behind it", pooled, POOLED),
    ] {
        if found > most {
            let reason = format!(
                "it has {what} of {found}, and a container states at most {most}: split it in two"
            );
            return Some((reason, false));
        }
    }
    None
}

/// Sources that are too large.
fn source(layer: &Layer, network: &Network) -> Found {
    let [channels, height, width] = network.shape(layer.source);
    let length = channels * height * width;
    let shape = format!("{channels} x {height} x {width}");
    let hidden = layer.source.is_some();
    if layer.operation == Operation::Dense && layer.skip.is_none() {
        let reason = format!(
            "it reads {length} values, and a dense layer of a container reads at most {UNITS}: pool before it or give it fewer inputs"
        );
        return (length > UNITS).then_some((reason, hidden));
    }
    if !hidden && (channels > INPUT_AXIS || height > INPUT_AXIS) {
        let reason = format!(
            "it reads an input of {shape} as a map, of which a container states at most {INPUT_AXIS} channels and {INPUT_AXIS} rows: crop the input, or swap its axes"
        );
        return Some((reason, false));
    }
    let [[top, left], [bottom, right]] = margins(layer.source, network);
    let bytes = channels * (top + height + bottom) * (left + width + right);
    let inserted = layer.source.is_some_and(|source| {
        let name = &network.layers[source].name;
        written(name) != name
    });
    let why = match inserted {
        true => " (one channel of it stands for the mean of the data in the padding)",
        false => "",
    };
    let reason = format!(
        "it reads a map of {shape}{why}, which takes {bytes} bytes with its padding, and a container allows at most {MAP_BYTES}: pool before it or give it fewer channels"
    );
    (bytes > MAP_BYTES).then_some((reason, hidden && !inserted))
}

/// The widest padding of those that read `source` as a map: before and after, rows and columns.
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

/// More units than can be stated, before or after stripping.
fn units(layer: &Layer) -> Found {
    let units = layer.shape[0].max(layer.original.0);
    let reason = format!(
        "it has {units} units, and a container states at most {UNITS}: give it fewer, pruned or not"
    );
    (units > UNITS).then_some((reason, false))
}

/// Links that reach too far back.
fn links(layer: &Layer, index: usize) -> Found {
    let place = |source: Option<usize>| source.map_or(0, |source| source + 1);
    let reads = [
        place(layer.source),
        layer.skip.map_or(index, |skip| skip + 1),
    ];
    let back = reads.iter().map(|read| index + 1 - read).max().unwrap_or(0);
    let reason = format!(
        "it reads or adds what is {back} layers back, and a container reaches {BACK}: shorten the branch beside it"
    );
    (back > BACK).then_some((reason, false))
}

/// Class scores that add another layer.
fn scores(layer: &Layer, index: usize, network: &Network) -> Found {
    let last = index + 1 == network.layers.len();
    (last && layer.skip.is_some()).then(|| {
        let reason = "it gives the class scores and adds another layer, which no container can: train it with a dense layer behind";
        (reason.into(), false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;

    /// What is said of a network of these layers before it is trained.
    fn said(input: &str, layers: &str, mean: f32) -> Vec<String> {
        let text = format!("name = \"wide\"\ninput = {input}\n{layers}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wide.toml");
        std::fs::write(&path, text).unwrap();
        let graph = graph::load(path.to_str().unwrap()).unwrap();
        before_training(&graph, (mean, 1.0))
    }

    const DENSE: &str = "[[layer]]\ntype = \"dense\"\nunits = 2\n";

    /// A convolution of these keys.
    fn conv(keys: &str) -> String {
        format!("[[layer]]\ntype = \"conv\"\n{keys}\n")
    }

    #[test]
    fn what_only_dense_layers_read_may_have_any_shape() {
        for input in ["[1, 300, 2]", "[300, 2, 2]", "[3, 20000, 1]"] {
            assert!(said(input, DENSE, 0.5).is_empty(), "{input}");
        }
        assert_eq!(
            said("[1, 300, 300]", DENSE, 0.5),
            [
                "layer fc1 cannot be exported: it reads 90000 values, and a dense layer of a container reads at most 65535: pool before it or give it fewer inputs"
            ]
        );
    }

    #[test]
    fn a_layer_is_called_as_the_user_called_it() {
        let layers = |channels: usize| {
            conv(&format!("channels = {channels}\nkernel = 3\npadding = 1")) + DENSE
        };
        assert!(said("[1, 200, 200]", &layers(1), 0.0).is_empty());
        // A second channel carries the mean into the padding.
        let found = said("[1, 200, 200]", &layers(1), 0.5);
        let [found] = &found[..] else {
            panic!("{found:?}")
        };
        for says in [
            "layer conv1 cannot be exported: it reads a map of 2 x 200 x 200 (one channel of it",
            "takes 81608 bytes",
            "at most 65536",
        ] {
            assert!(found.contains(says), "{found}");
        }
        // The dense layer behind reads two channels of 40,000.
        let found = said("[1, 200, 200]", &layers(2), 0.0);
        let [found] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(found.starts_with("layer fc1 cannot be exported: it reads 80000 values"));
        assert!(found.ends_with("(unless pruning detaches enough of it)"));
    }

    #[test]
    fn every_limit_of_a_shape_is_known_before_training() {
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
                "[1, 20, 20]",
                conv("channels = 2\nkernel = 16"),
                "a window of 16",
            ),
            ("[1, 70, 70]", wide + pool, "a pooling behind it of 70"),
            (
                "[1, 2, 2]",
                "[[layer]]\ntype = \"dense\"\nunits = 70000\n".into(),
                "70000 units",
            ),
            ("[1, 4, 4]", DENSE.repeat(64), "65 layers"),
        ] {
            let found = said(input, &(layers + DENSE), 0.0);
            assert!(
                found.iter().any(|found| found.contains(says)),
                "{says}: {found:?}"
            );
        }
    }
}
