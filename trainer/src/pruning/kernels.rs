//! Kernels: the weights of the prunable tensors, ranked in the precision they come in.
//!
//! Values are held in f64, in which every f16, bf16 and f32 is exact, with a note whether they came
//! in f64: gradients are then taken in f64 too. A file holds every prunable tensor under the name
//! and in the shape that the graph gives it. Biases and batch norms may stand beside them, and so
//! may PyTorch's running statistics. Ranking does without: a bias or a batch norm that is missing
//! starts at zero and one, and is [told](Kernels::missing). A tensor that belongs to no layer is
//! refused, and so are one that is there twice and a number that is not finite.

use std::path::Path;

use candle_core::Device;
use safetensors::tensor::{Dtype, TensorView};

use super::{PruneError, floats};
use crate::artifact;
use crate::graph::{Graph, Operation, Prunable};
use crate::network::{Network, State, initial};
use crate::tensors;

/// What PyTorch keeps of a batch norm beside its parameters.
const RUNNING: [&str; 3] = ["running_mean", "running_var", "num_batches_tracked"];

/// The kernels of a graph, and the parameters that stand beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernels {
    /// One list per prunable tensor, row-major.
    values: Vec<Vec<f64>>,
    /// Whether they came in f64.
    double: bool,
    /// Biases, scales and shifts of batch norms, and their running statistics where they came.
    others: State,
    /// The names of those biases, scales and shifts that did not come.
    missing: Vec<String>,
}

impl Kernels {
    /// Kernels of `graph` with the given f64 `values` (one list per prunable tensor, row-major);
    /// biases and shifts zero, scales one.
    ///
    /// # Panics
    /// When there is not one list of the right length for each tensor.
    pub fn new(graph: &Graph, values: Vec<Vec<f64>>) -> Self {
        let sizes = graph.prunable().into_iter().map(|tensor| tensor.len());
        assert!(values.iter().map(Vec::len).eq(sizes), "one value a weight");
        Self {
            values,
            double: true,
            others: initial::without_kernels(graph),
            missing: Vec::new(),
        }
    }

    /// The kernels that training from `seed` starts from.
    pub fn initial(graph: &Graph, seed: u64) -> Self {
        Self::of(graph, initial::state(graph, seed))
    }

    /// The kernels of `state`, which must be of `graph`.
    ///
    /// # Panics
    /// When a prunable tensor is not in it.
    pub fn of(graph: &Graph, mut state: State) -> Self {
        let kernel = |tensor: Prunable| {
            let array = state.0.remove(&tensor.name);
            let array = array.expect("the state is of the graph");
            array.values.into_iter().map(f64::from).collect()
        };
        Self {
            values: graph.prunable().into_iter().map(kernel).collect(),
            double: false,
            others: state,
            missing: Vec::new(),
        }
    }

    /// Reads the kernels of `graph` from the safetensors file `path`, of f64, f32, f16 or bf16.
    ///
    /// # Errors
    /// When the file cannot be read, or a tensor is missing, there twice, unknown, of another shape
    /// or type, or holds a number that is not finite; the message names it.
    pub fn load(graph: &Graph, path: &Path) -> Result<Self, PruneError> {
        let refuse = |reason: String| PruneError::WeightsFile {
            path: path.display().to_string(),
            reason,
        };
        let bytes = artifact::read(path)?;
        let file = tensors::parse(&bytes).map_err(refuse)?;
        for name in file.names() {
            if !belongs(graph, name) {
                let reason = format!("{} has no tensor called {name}", graph.name());
                return Err(refuse(reason));
            }
        }
        let read = |name: &str, shape: &[usize]| match file.tensor(name) {
            Ok(view) => {
                let values = values(&view, shape, graph.name());
                let values = values.map_err(|reason| refuse(format!("tensor {name} {reason}")));
                values.map(|values| Some((values, view.dtype())))
            }
            Err(_) => Ok(None),
        };
        let mut kernels = Self {
            values: Vec::new(),
            double: false,
            others: initial::without_kernels(graph),
            missing: Vec::new(),
        };
        for Prunable { name, shape, .. } in graph.prunable() {
            let Some((values, dtype)) = read(&name, &shape)? else {
                let reason = format!("tensor {name} of {} is missing", graph.name());
                return Err(refuse(reason));
            };
            kernels.values.push(values);
            kernels.double |= dtype == Dtype::F64;
        }
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        for (name, array) in &mut kernels.others.0 {
            match read(name, &array.shape)? {
                Some((values, _)) => array.values = single(values),
                None => kernels.missing.push(name.clone()),
            }
        }
        for node in graph.nodes() {
            if node.operation != Operation::BatchNorm {
                continue;
            }
            for kind in ["running_mean", "running_var"] {
                let (name, shape) = (format!("{}.{kind}", node.name), vec![node.shape[0]]);
                let Some((values, _)) = read(&name, &shape)? else {
                    continue;
                };
                let negative = values.iter().position(|&value| value < 0.0);
                if let (Some(at), "running_var") = (negative, kind) {
                    return Err(refuse(format!(
                        "tensor {name} holds {} at element {at}: a variance is at least 0",
                        values[at]
                    )));
                }
                kernels.others.insert(name, shape, single(values));
            }
        }
        Ok(kernels)
    }

    /// The names of the biases, scales and shifts that were not in the file: nothing where the
    /// weights are those of a whole network.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The weights, one list per prunable tensor, row-major.
    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// Whether they came in f64.
    pub fn is_double(&self) -> bool {
        self.double
    }

    /// All parameters of the network in f32: what training goes on from.
    pub fn state(&self, graph: &Graph) -> State {
        self.state_with(graph, &self.values)
    }

    /// The same with `values` in place of the kernels.
    fn state_with(&self, graph: &Graph, values: &[Vec<f64>]) -> State {
        let mut state = self.others.clone();
        for (Prunable { name, shape, .. }, values) in graph.prunable().into_iter().zip(values) {
            let values = values.iter().map(|&value| value as f32).collect();
            state.insert(name, shape, values);
        }
        state
    }

    /// The network of `graph` with `values` in place of the kernels, in f64 or else in f32.
    ///
    /// # Errors
    /// When the device refuses.
    pub(super) fn network(
        &self,
        graph: &Graph,
        values: &[Vec<f64>],
        double: bool,
        device: &Device,
    ) -> Result<Network, PruneError> {
        let state = self.state_with(graph, values);
        Ok(if double {
            Network::in_double(graph, &state, values, device)?
        } else {
            Network::new(graph, &state, device)?
        })
    }
}

/// Whether a tensor of this name may belong to a layer of `graph`.
fn belongs(graph: &Graph, name: &str) -> bool {
    let Some((layer, kind)) = name.rsplit_once('.') else {
        return false;
    };
    let node = graph.node(layer);
    node.is_some_and(|node| match node.operation {
        Operation::BatchNorm => ["weight", "bias"].contains(&kind) || RUNNING.contains(&kind),
        Operation::Dense { bias, .. } | Operation::Conv { bias, .. } => {
            kind == "weight" || (kind == "bias" && bias)
        }
        _ => false,
    })
}

/// The numbers of a tensor that must have `shape`.
fn values(view: &TensorView<'_>, shape: &[usize], graph: &str) -> Result<Vec<f64>, String> {
    if view.shape() != shape {
        let found = view.shape();
        return Err(format!("has shape {found:?}, but {graph} has {shape:?}"));
    }
    let dtype = view.dtype();
    if !floats::is_float(dtype) {
        return Err(format!("is of type {dtype:?}: give f64, f32, f16 or bf16"));
    }
    let values = floats::read(view)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!(
            "holds {} at element {at}: only finite numbers can be ranked",
            values[at]
        )),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;

    /// A tensor of a file: name, type, shape, bytes.
    type Entry = (&'static str, Dtype, Vec<usize>, Vec<u8>);

    fn double(values: &[f64]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn single(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    /// What `load` makes of a file of `entries` for dense layers of 2 and 1 units that read 3.
    fn load(entries: &[Entry]) -> Result<Kernels, String> {
        let graph = multilayer("toy", [1, 1, 3], &[2, 1]).unwrap();
        let views = entries.iter().map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.clone(), bytes).unwrap(),
            )
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        Kernels::load(&graph, &path).map_err(|error| error.to_string())
    }

    fn whole() -> Vec<Entry> {
        let first = [0.1, -0.2, 0.3, 0.4, 0.5, 1e-300];
        vec![
            ("fc1.weight", Dtype::F64, vec![2, 3], double(&first)),
            ("fc2.weight", Dtype::F32, vec![1, 2], single(&[0.1, 2.0])),
            ("bn1.bias", Dtype::F64, vec![2], double(&[0.25, -1.0])),
            ("bn1.running_var", Dtype::F32, vec![2], single(&[1.0, 1.0])),
            ("bn2.num_batches_tracked", Dtype::I64, vec![], vec![0; 8]),
        ]
    }

    #[test]
    fn weights_keep_their_precision_and_what_stands_beside_them() {
        let kernels = load(&whole()).unwrap();
        assert_eq!(kernels.values()[0][5], 1e-300);
        assert_eq!(kernels.values()[1], [f64::from(0.1_f32), 2.0]);
        assert!(kernels.is_double());
        let state = kernels.state(&multilayer("toy", [1, 1, 3], &[2, 1]).unwrap());
        assert_eq!(state.get("bn1.bias").values, [0.25, -1.0]);
        assert_eq!(state.get("bn1.weight").values, [1.0, 1.0]);
        assert_eq!(state.get("fc1.weight").values[1], -0.2);
        assert_eq!(state.get("fc1.bias").values, [0.0, 0.0]);

        // 1.5 in both sixteen-bit types.
        let mut entries = whole();
        entries[0] = ("fc1.weight", Dtype::F16, vec![2, 3], [0x00, 0x3e].repeat(6));
        entries[1] = (
            "fc2.weight",
            Dtype::BF16,
            vec![1, 2],
            [0xc0, 0x3f].repeat(2),
        );
        let kernels = load(&entries).unwrap();
        assert_eq!(kernels.values(), [vec![1.5; 6], vec![1.5; 2]]);
        assert!(!kernels.is_double());
    }

    #[test]
    fn weights_that_are_not_the_graphs_are_refused_by_name() {
        let refused = |change: &dyn Fn(&mut Vec<Entry>), words: &[&str]| {
            let mut entries = whole();
            change(&mut entries);
            let message = load(&entries).unwrap_err();
            for word in words {
                assert!(message.contains(word), "{message}: no {word}");
            }
        };
        refused(
            &|e| drop(e.remove(1)),
            &["w.safetensors", "fc2.weight", "missing"],
        );
        refused(
            &|e| e[0].2 = vec![3, 2],
            &["fc1.weight", "[3, 2]", "[2, 3]"],
        );
        refused(&|e| e[1].1 = Dtype::I32, &["fc2.weight", "I32", "f32"]);
        let nan = [1.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
        refused(
            &|e| e[0].3 = double(&nan),
            &["fc1.weight", "NaN", "element 1"],
        );
        let infinite = [0.0, f32::INFINITY];
        refused(
            &|e| e[1].3 = single(&infinite),
            &["fc2.weight", "inf", "element 1"],
        );
        refused(&|e| e[2].2 = vec![1, 2], &["bn1.bias", "[1, 2]"]);
        for stranger in ["fc3.weight", "fc1.running_var", "relu1.weight", "weight"] {
            refused(
                &|e| e.push((stranger, Dtype::F32, vec![1], single(&[1.0]))),
                &["toy", stranger],
            );
        }
    }
}
