//! Imports networks from ONNX files.
//!
//! [`read`] turns a file into what the other modules take: an architecture and its weights. It goes
//! through a normal form:
//!
//! 1. `proto` decodes the file; `model` checks it and drops what the output does not depend on.
//! 2. `walk` follows the nodes in order. `evaluate` computes constants; `operators` turns the
//!    others into `step`s, and `flow` follows how the file arranges their values.
//! 3. `layers` merges steps into the layers of an architecture file, and `write` writes these.
//!
//! # Examples
//!
//! ```
//! use std::path::Path;
//!
//! use candle_core::{Device, Tensor};
//! use rarefy_trainer::import;
//! use rarefy_trainer::network::{Network, Statistics};
//!
//! let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/torch-old-lenet-5.onnx");
//! let imported = import::read(Path::new(path))?;
//! let network = Network::new(&imported.graph, &imported.state, &Device::Cpu)?;
//! let statistics = Statistics::of_state(&imported.graph, &imported.state).unwrap();
//! let image = Tensor::zeros((1, 784), candle_core::DType::F32, &Device::Cpu)?;
//! assert_eq!(network.classify(&image, &statistics)?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arguments;
mod attributes;
mod constant;
mod evaluate;
mod flow;
mod layers;
mod model;
mod operators;
mod proto;
mod shapes;
mod step;
mod vectors;
mod walk;
mod write;

use std::path::Path;

use crate::atomic::{self, FileError};
use crate::data::InputScale;
use crate::graph::{self, Graph, architecture};
use crate::network::State;

pub use vectors::Compared;

/// The largest file, in bytes: 2 GiB, which protobuf does not exceed.
const MOST_BYTES: u64 = 1 << 31;

/// An imported network.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The architecture.
    pub graph: Graph,
    /// The architecture as the text of a TOML file (see [`graph::file`]).
    pub toml: String,
    /// The weights, biases and batch-norm statistics.
    pub state: State,
    /// What was left out or changed, one sentence each.
    pub notes: Vec<String>,
}

impl Imported {
    /// Adds to the architecture's file that the network expects inputs of this `scale`.
    pub fn state_input(&mut self, scale: &InputScale) {
        if !scale.is_empty() {
            let table = toml::to_string(scale).expect("a scale is plain values");
            let table = format!("\n[normalisation]\n{table}\n[[layer]]");
            self.toml = self.toml.replacen("\n[[layer]]", &table, 1);
        }
    }
}

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold a network that can be imported.
    #[error("{path}: {reason}")]
    Model {
        /// Path of the file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A node of the file cannot be imported.
    #[error("{path}, node {node} ({operator}): {reason}")]
    Node {
        /// Path of the file.
        path: String,
        /// Name of the node or, if it has none, of its first output.
        node: String,
        /// Name of its operator.
        operator: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Imports the network in the ONNX file `path`.
///
/// The network computes what the file does, up to rounding, on inputs with channels first. Its
/// weights are rounded to f32.
///
/// # Errors
/// Returns an error that names the file, and the node at fault with its operator, if the file
/// cannot be read, is malformed, or holds a network that an [architecture file](graph::file) cannot
/// describe.
pub fn read(path: &Path) -> Result<Imported, ImportError> {
    let bytes = atomic::read_at_most(path, MOST_BYTES, "an ONNX file")?;
    let shown = || path.display().to_string();
    let refuse = |walk::Refusal { origin, reason }| match origin.operator.is_empty() {
        true => ImportError::Model {
            path: shown(),
            reason,
        },
        false => ImportError::Node {
            path: shown(),
            node: origin.node,
            operator: origin.operator,
            reason,
        },
    };
    let model = model::Model::parse(&bytes).map_err(|reason| ImportError::Model {
        path: shown(),
        reason,
    })?;
    drop(bytes);
    let layers = walk::walk(&model).and_then(layers::merge).map_err(refuse)?;
    let (toml, names) = write::architecture(&name_of(path), &model.input.shape, &layers);
    let graph = graph::file::from_text(&toml, path).map_err(|error| ImportError::Model {
        path: shown(),
        reason: format!("its network is no valid architecture ({error})"),
    })?;
    let state = write::weights(&layers, &names, &graph).map_err(refuse)?;
    Ok(Imported {
        graph,
        toml,
        state,
        notes: model.notes,
    })
}

/// Compares `imported`, the network in the ONNX file `path`, with the test vectors beside the file:
/// folders `test_data_set_N` with an `input_0.pb` and an `output_0.pb`. Returns `None` if there are
/// none.
///
/// # Errors
/// Returns an error that names the file at fault if it cannot be read, or if a test vector does not
/// fit the network.
pub fn compare(path: &Path, imported: &Imported) -> Result<Option<Compared>, ImportError> {
    let bytes = atomic::read_at_most(path, MOST_BYTES, "an ONNX file")?;
    let network = (&imported.graph, &imported.state);
    let compared = vectors::compare(path, &bytes, network);
    compared.map_err(|vectors::Unfit { path, reason }| ImportError::Model {
        path: path.display().to_string(),
        reason,
    })
}

/// Returns a name for the architecture in the file `path` that no built-in architecture has.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = stem
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    match architecture::NAMES.contains(&name.as_str()) || name.is_empty() {
        true => format!("{name}-imported"),
        false => name,
    }
}
