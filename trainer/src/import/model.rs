//! A file's graph, checked and reduced to the nodes that its output depends on.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::constant::{elements_within, lengths};
use super::flow::{Flow, MOST_FEATURES};
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, is_onnx};

/// The versions of ONNX' operators that are known: from the first in which batch norms have one
/// output for inference, to that of ONNX 1.23.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Operators that turn class scores into probabilities or the class.
pub(super) const CLASSIFIERS: [&str; 3] = ["Softmax", "LogSoftmax", "ArgMax"];

/// A graph to import.
#[derive(Debug)]
pub(super) struct Model {
    /// The nodes that the output depends on, in order.
    pub(super) nodes: Vec<NodeProto>,
    /// Initialisers by name.
    pub(super) initialisers: HashMap<String, TensorProto>,
    /// The input.
    pub(super) input: Input,
    /// Name of the value with the class scores.
    pub(super) output: String,
    /// What was left out, one sentence each.
    pub(super) notes: Vec<String>,
}

/// The input of a network.
#[derive(Debug)]
pub(super) struct Input {
    /// Its name.
    pub(super) name: String,
    /// Its shape in Rarefy: (channels, height, width).
    pub(super) shape: Vec<usize>,
    /// The input as the file sees it.
    pub(super) flow: Flow,
}

impl Model {
    /// Parses the file `bytes`.
    ///
    /// # Errors
    /// Returns the reason if the file is not ONNX, or not a network that maps one input to one
    /// output.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let model = ModelProto::decode(bytes).map_err(|e| {
            format!("it is not an ONNX file ({e}); give a file written by an exporter")
        })?;
        let graph = checked(model)?;
        let mut initialisers: HashMap<String, TensorProto> = HashMap::new();
        for tensor in graph.initializer {
            let name = tensor.name.clone();
            if initialisers.insert(name.clone(), tensor).is_some() {
                return Err(format!(
                    "two of its tensors are called {name:?}: export the model again"
                ));
            }
        }
        let inputs = graph.input.iter();
        let inputs: Vec<&ValueInfoProto> = inputs
            .filter(|input| !initialisers.contains_key(&input.name))
            .collect();
        let &[input] = inputs.as_slice() else {
            return Err(format!(
                "it has {} inputs{}, but a network has one: export it with one input",
                inputs.len(),
                listed(&inputs)
            ));
        };
        let outputs: Vec<&ValueInfoProto> = graph.output.iter().collect();
        let &[output] = outputs.as_slice() else {
            return Err(format!(
                "it has {} outputs{}, but a network has one: export it with its class scores only",
                outputs.len(),
                listed(&outputs)
            ));
        };
        let (output, mut notes) = scores(&graph.node, &output.name);
        let nodes = live(graph.node, &output);
        notes.extend(integers(input, &nodes, &initialisers));
        let input = read_input(input, &nodes)?;
        Ok(Self {
            nodes,
            initialisers,
            input,
            output,
            notes,
        })
    }
}

/// Checks that `model` is for inference and uses a known version of the operators, and returns its
/// graph.
fn checked(model: ModelProto) -> Result<GraphProto, String> {
    let graph = model
        .graph
        .ok_or("it contains no graph; give a file written by an exporter")?;
    if !model.training_info.is_empty() {
        return Err("it contains a graph for training: export it for inference".into());
    }
    if !graph.sparse_initializer.is_empty() {
        return Err("it contains sparse initialisers: export the weights dense".into());
    }
    let version = model
        .opset_import
        .iter()
        .find(|set| is_onnx(&set.domain))
        .map(|set| set.version);
    match version {
        Some(version) if OPSETS.contains(&version) => Ok(graph),
        Some(version) => Err(format!(
            "it uses version {version} of ONNX' operators, but {} to {} are known: export it for one of these (opset_version)",
            OPSETS.start(),
            OPSETS.end()
        )),
        None => Err(
            "it does not state the version of its operators; give a file written by an exporter"
                .into(),
        ),
    }
}

/// Lists the names of `values`: " (a, b)".
fn listed(values: &[&ValueInfoProto]) -> String {
    let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(", "))
    }
}

/// Returns the name of the value with the class scores from which `output` is computed, and notes
/// on the operators between the two, which are left out.
fn scores(nodes: &[NodeProto], output: &str) -> (String, Vec<String>) {
    let (mut output, mut notes) = (output.to_owned(), Vec::new());
    while let Some(node) = nodes
        .iter()
        .find(|node| node.output.first() == Some(&output))
        && node.is_onnx()
        && CLASSIFIERS.contains(&node.op_type.as_str())
        && let Some(input) = node.input.first()
    {
        notes.push(format!(
            "{} at the end is left out: a network returns class scores, of which the largest is the class",
            node.op_type
        ));
        // A malformed file could form a cycle.
        if notes.len() > CLASSIFIERS.len() {
            break;
        }
        output.clone_from(input);
    }
    (output, notes)
}

/// Returns a note on the input, and on each array of weights, whose elements are integers.
fn integers(
    input: &ValueInfoProto,
    nodes: &[NodeProto],
    initialisers: &HashMap<String, TensorProto>,
) -> Vec<String> {
    let tensor = input
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let read = tensor.and_then(|tensor| integer_type(tensor.elem_type));
    let read = read.map(|kind| {
        format!(
            "its input {} has elements of type {kind}: the network computes with these numbers as floats, so state the normalisation that makes inputs of them",
            input.name
        )
    });
    let of_node = |node: &NodeProto| {
        let name = node.input.get(1)?;
        let has_weights = ["Conv", "Gemm", "MatMul"].contains(&node.op_type.as_str());
        let kind = integer_type(initialisers.get(name).filter(|_| has_weights)?.data_type)?;
        Some(format!(
            "the weights {name} have elements of type {kind}, which are taken as floats: if they are quantized, export the network before its quantization"
        ))
    };
    read.into_iter()
        .chain(nodes.iter().filter_map(of_node))
        .collect()
}

/// Returns the name of the type of integers with this number in `TensorProto.DataType`, if it is
/// one.
fn integer_type(number: i32) -> Option<&'static str> {
    Some(match number {
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        9 => "bool",
        12 => "uint32",
        13 => "uint64",
        _ => return None,
    })
}

/// Returns those of `nodes` that `output` depends on, in order.
fn live(nodes: Vec<NodeProto>, output: &str) -> Vec<NodeProto> {
    let mut needed = HashSet::from([output.to_owned()]);
    let mut live: Vec<NodeProto> = (nodes.into_iter().rev())
        .filter(|node| {
            let is_live = node.output.iter().any(|name| needed.contains(name));
            if is_live {
                needed.extend(node.input.iter().cloned());
            }
            is_live
        })
        .collect();
    live.reverse();
    live
}

/// Reads the shape of the input, which `nodes` read.
fn read_input(input: &ValueInfoProto, nodes: &[NodeProto]) -> Result<Input, String> {
    let name = input.name.clone();
    let tensor = input
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let reason = |what: &str| format!("its input {name} {what}");
    let shape =
        shape.ok_or_else(|| reason("has no shape: export it with the shape of the input"))?;
    let mut dims: Vec<Option<i64>> = shape
        .dim
        .iter()
        .map(|axis| axis.dim_value.filter(|&length| length > 0))
        .collect();
    if let Some(batch) = dims.first_mut() {
        batch.get_or_insert(1);
    }
    let dims: Vec<i64> = dims.into_iter().collect::<Option<_>>().ok_or_else(|| {
        reason("has a length that only its use determines: export it with a fixed size, all but the batch")
    })?;
    let dims = lengths(&dims)?;
    if elements_within(&dims, MOST_FEATURES).is_none() {
        return Err(reason(&format!(
            "has more than {MOST_FEATURES} elements: make it smaller"
        )));
    }
    let is_last = || channel_last(&dims, &name, nodes);
    let (shape, order) = match *dims.as_slice() {
        [_, units] => (vec![1, 1, units], None),
        [_, height, width] => (vec![1, height, width], None),
        [_, height, width, channels] if is_last() => {
            (vec![channels, height, width], Some([0, 2, 3, 1]))
        }
        [_, channels, height, width] => (vec![channels, height, width], None),
        _ => {
            return Err(reason(&format!(
                "has {} axes, but two (features) to four (maps of channels) are supported, the batch included",
                dims.len()
            )));
        }
    };
    let flow = Flow::of(0, dims[0], &shape);
    let flow = match order {
        Some(perm) => flow.transposed(&perm)?,
        None => flow.with_dims(dims.clone())?,
    };
    Ok(Input { name, shape, flow })
}

/// Returns whether an input with four axes has its channels last, as in TensorFlow: it is
/// transposed to channel-first, or no `Conv` or `Pad` reads it and only its last axis is short
/// enough for channels (at most 4).
fn channel_last(dims: &[usize], name: &str, nodes: &[NodeProto]) -> bool {
    let mut readers = nodes
        .iter()
        .filter(|node| node.input.iter().any(|input| input == name));
    let to_first = |node: &NodeProto| {
        node.op_type == "Transpose"
            && super::attributes::integers(node, "perm") == Some(&[0, 3, 1, 2])
    };
    let is_short = dims[3] <= 4 && dims[1] > 4;
    match readers.clone().any(to_first) {
        true => true,
        false => is_short && !readers.any(|node| ["Conv", "Pad"].contains(&node.op_type.as_str())),
    }
}
