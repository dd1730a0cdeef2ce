//! The weights that pruners rank, in the precision of their source.
//!
//! Values are stored in f64, which represents every f16, bf16 and f32 exactly. If any value was
//! given in f64, gradients are computed in f64 too.
//!
//! A weights file holds:
//! - every prunable tensor, under the name and in the shape that the graph gives it;
//! - optionally biases, scales and shifts of batch norms, and PyTorch's running statistics.
//!   Ranking does not need them: a missing bias or shift is 0, a missing scale 1, and
//!   [`Weights::missing`] names them;
//! - nothing else: tensors that belong to no layer, duplicates, and numbers that are not finite
//!   are errors.
//!
//! All names may have a common prefix, such as PyTorch's `module.`. Instead of `NAME`, a file may
//! hold `NAME_orig` and `NAME_mask`, as `torch.nn.utils.prune` leaves them: their product is read.

use std::path::Path;

use candle_core::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::error::PruneError;
use crate::atomic;
use crate::graph::{Graph, Operation, Prunable};
use crate::masks::Masks;
use crate::network::outputs::OutputParameters;
use crate::network::{Network, State, initial};
use crate::tensors;

/// The running statistics that PyTorch stores with a batch norm.
const RUNNING: [&str; 3] = ["running_mean", "running_var", "num_batches_tracked"];

/// The suffixes of the two parts of a pruned tensor: its weights, and its mask.
const PARTS: [&str; 2] = ["_orig", "_mask"];

/// The weights of a graph: its kernels, which pruners rank, and its other parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One list per prunable tensor, row-major.
    values: Vec<Vec<f64>>,
    /// Whether any of them was given in f64.
    double: bool,
    /// Biases, scales and shifts of batch norms, and their running statistics if known.
    others: State,
    /// The names of those biases, scales and shifts that were not given.
    missing: Vec<String>,
}

impl Weights {
    /// Creates weights of `graph` from f64 `values` (one list per prunable tensor, row-major),
    /// with biases and shifts of 0 and scales of 1.
    ///
    /// # Panics
    /// Panics unless there is one list of the right length per tensor.
    pub fn new(graph: &Graph, values: Vec<Vec<f64>>) -> Self {
        let sizes = graph.prunable().into_iter().map(|tensor| tensor.len());
        assert!(
            values.iter().map(Vec::len).eq(sizes),
            "one value per weight"
        );
        Self {
            values,
            double: true,
            others: initial::without_kernels(graph),
            missing: Vec::new(),
        }
    }

    /// Returns the weights at which training from `seed` starts.
    pub fn initial(graph: &Graph, seed: u64) -> Self {
        Self::of(graph, initial::state(graph, seed))
    }

    /// Returns the weights in `state`, a state of `graph`.
    ///
    /// # Panics
    /// Panics if `state` lacks a prunable tensor.
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

    /// Reads the weights of `graph` from the safetensors file `path`. Tensors may be f64, f32, f16
    /// or bf16.
    ///
    /// # Errors
    /// Returns an error that names the file, and the tensor at fault, if the file cannot be read
    /// or a tensor is missing, duplicate, unknown, of the wrong shape or type, or holds a number
    /// that is not finite.
    pub fn load(graph: &Graph, path: &Path) -> Result<Self, PruneError> {
        let reject = |reason: String| PruneError::WeightsFile {
            path: path.display().to_string(),
            reason,
        };
        let bytes = atomic::read(path)?;
        let file = tensors::parse(&bytes).map_err(reject)?;
        let prefix = prefix(graph, &file).to_owned();
        let file = WeightsFile {
            graph,
            file,
            prefix,
        };
        file.read().map_err(reject)
    }

    /// Returns the names of the biases, scales and shifts that were not in the file. The list is
    /// empty if the file holds a complete network.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Returns the kernel weights, one list per prunable tensor, row-major.
    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// Returns whether any of the kernel weights was given in f64.
    pub fn is_double(&self) -> bool {
        self.double
    }

    /// Returns the masks of `graph` that prune the weights that are zero, and keep all others.
    pub fn nonzero(&self, graph: &Graph) -> Masks {
        let is_kept = |tensor: usize, element: usize| self.values[tensor][element] != 0.0;
        Masks::from_fn(&graph.prunable(), is_kept)
    }

    /// Returns all parameters of the network in f32, from which training continues.
    pub fn state(&self, graph: &Graph) -> State {
        self.state_with(graph, &self.values)
    }

    /// Returns all parameters of the network in f32, with `values` in place of the kernel weights.
    fn state_with(&self, graph: &Graph, values: &[Vec<f64>]) -> State {
        let mut state = self.others.clone();
        for (Prunable { name, shape, .. }, values) in graph.prunable().into_iter().zip(values) {
            state.insert(name, shape, single(values));
        }
        state
    }

    /// Multiplies every output of the network by `scale`, which is positive, and then adds its
    /// `shift`, if `outputs` [can](OutputParameters::can_shift).
    pub(crate) fn change_outputs(
        &mut self,
        graph: &Graph,
        outputs: &OutputParameters,
        scale: f64,
        shift: &[f64],
    ) {
        let mut state = self.state(graph);
        outputs.apply(&mut state, scale, shift);
        for (Prunable { name, .. }, values) in graph.prunable().into_iter().zip(&mut self.values) {
            state.0.remove(&name);
            if outputs.scales(&name) {
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
        self.others = state;
    }

    /// Builds the network of `graph` on `device` with `values` in place of the kernel weights, in
    /// f64 if `double` and in f32 otherwise.
    ///
    /// # Errors
    /// Returns an error if the device fails.
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

/// A parsed weights file of a graph. The errors of its methods are reasons without the file's
/// name.
struct WeightsFile<'a> {
    graph: &'a Graph,
    file: SafeTensors<'a>,
    /// The prefix of all names in the file; the graph's names follow it.
    prefix: String,
}

impl WeightsFile<'_> {
    /// Reads all tensors.
    fn read(&self) -> Result<Weights, String> {
        self.check_names()?;
        let (values, double) = self.kernels()?;
        let mut others = initial::without_kernels(self.graph);
        let mut missing = Vec::new();
        for (name, array) in &mut others.0 {
            match self.tensor(name, &array.shape)? {
                Some((values, _)) => array.values = single(&values),
                None => missing.push(name.clone()),
            }
        }
        self.read_statistics(&mut others)?;
        Ok(Weights {
            values,
            double,
            others,
            missing,
        })
    }

    /// Checks that every tensor of the file belongs to a layer. The error names the first in
    /// alphabetical order that does not.
    fn check_names(&self) -> Result<(), String> {
        let mut names = self.file.names();
        names.sort_unstable();
        for name in names {
            let own = name.strip_prefix(&self.prefix).unwrap_or(name);
            let whole = PARTS.iter().find_map(|part| own.strip_suffix(part));
            if !belongs(self.graph, whole.unwrap_or(own)) {
                return Err(format!("{} has no tensor called {name}", self.graph.name()));
            }
        }
        Ok(())
    }

    /// Returns the values of the prunable tensors, and whether any of them is f64.
    fn kernels(&self) -> Result<(Vec<Vec<f64>>, bool), String> {
        let (mut kernels, mut double) = (Vec::new(), false);
        for Prunable { name, shape, .. } in self.graph.prunable() {
            let Some((values, dtype)) = self.tensor(&name, &shape)? else {
                return Err(format!("tensor {name} of {} is missing", self.graph.name()));
            };
            kernels.push(values);
            double |= dtype == Dtype::F64;
        }
        Ok((kernels, double))
    }

    /// Reads the running statistics that are in the file into `state`.
    fn read_statistics(&self, state: &mut State) -> Result<(), String> {
        for node in self.graph.nodes() {
            if node.operation != Operation::BatchNorm {
                continue;
            }
            for kind in ["running_mean", "running_var"] {
                let (name, shape) = (format!("{}.{kind}", node.name), vec![node.shape[0]]);
                let Some((values, _)) = self.tensor(&name, &shape)? else {
                    continue;
                };
                let negative = values.iter().position(|&value| value < 0.0);
                if let (Some(at), "running_var") = (negative, kind) {
                    return Err(format!(
                        "tensor {name} holds {} at element {at}: a variance must be at least 0",
                        values[at]
                    ));
                }
                state.insert(name, shape, single(&values));
            }
        }
        Ok(())
    }

    /// Returns the values of the tensor called `name`, which must have `shape`, and its type in the
    /// file; `None` if the file contains neither the tensor nor the two parts of a pruned one.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Option<(Vec<f64>, Dtype)>, String> {
        let [original, mask] = PARTS.map(|part| format!("{name}{part}"));
        let whole = self.exactly(name, shape)?;
        let parts = (self.exactly(&original, shape)?, self.exactly(&mask, shape)?);
        match (whole, parts) {
            (whole, (None, None)) => Ok(whole),
            (None, (Some((mut values, dtype)), Some((mask, _)))) => {
                values
                    .iter_mut()
                    .zip(mask)
                    .for_each(|(value, mask)| *value *= mask);
                Ok(Some((values, dtype)))
            }
            (None, _) => Err(format!(
                "only one of the tensors {original} and {mask} is there: add the other one"
            )),
            (Some(_), _) => Err(format!(
                "tensor {name} is there beside {original} or {mask}: remove one of them"
            )),
        }
    }

    /// Returns the values and the type of the tensor with exactly this `name` after the prefix.
    fn exactly(&self, name: &str, shape: &[usize]) -> Result<Option<(Vec<f64>, Dtype)>, String> {
        let Ok(view) = self.file.tensor(&format!("{}{name}", self.prefix)) else {
            return Ok(None);
        };
        let values = values(&view, shape, self.graph.name());
        let values = values.map_err(|reason| format!("tensor {name} {reason}"))?;
        Ok(Some((values, view.dtype())))
    }
}

/// Returns the prefix that all names of `file` have before those of `graph`, or an empty string if
/// there is none.
fn prefix<'a>(graph: &Graph, file: &'a SafeTensors<'_>) -> &'a str {
    let names = file.names();
    let Some(first) = graph
        .prunable()
        .into_iter()
        .next()
        .map(|tensor| tensor.name)
    else {
        return "";
    };
    let of = |name: &'a str| {
        let whole = PARTS.iter().find_map(|part| name.strip_suffix(part));
        let prefix = whole.unwrap_or(name).strip_suffix(&first)?;
        (prefix.is_empty() || prefix.ends_with('.')).then_some(prefix)
    };
    let mut prefixes = names.iter().filter_map(|name| of(name));
    let is_common = |prefix: &&str| names.iter().all(|name| name.starts_with(prefix));
    prefixes.find(is_common).unwrap_or("")
}

/// Rounds `values` to f32.
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Checks whether a tensor called `name` may belong to a layer of `graph`.
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

/// Returns the values of a tensor, row-major; the tensor must have `shape`.
///
/// # Errors
/// Returns the reason, without the tensor's name, if its shape or type is wrong, or if a value is
/// not finite.
fn values(view: &TensorView<'_>, shape: &[usize], graph: &str) -> Result<Vec<f64>, String> {
    if view.shape() != shape {
        let found = view.shape();
        return Err(format!(
            "has shape {found:?}, but {graph} expects {shape:?}"
        ));
    }
    let dtype = view.dtype();
    if !tensors::is_float(dtype) {
        return Err(format!(
            "has type {dtype:?}: convert it to f64, f32, f16 or bf16"
        ));
    }
    let values = tensors::floats(view)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!(
            "holds {} at element {at}: only finite weights can be ranked",
            values[at]
        )),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;

    /// A tensor of a file: name, type, shape and bytes.
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

    /// Loads a file of `entries` as weights of a network of 3 inputs and dense layers of 2 and 1
    /// units.
    fn load(entries: &[Entry]) -> Result<Weights, String> {
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
        Weights::load(&graph, &path).map_err(|error| error.to_string())
    }

    fn complete() -> Vec<Entry> {
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
    fn loads_weights_in_their_precision_with_the_other_parameters() {
        let kernels = load(&complete()).unwrap();
        assert_eq!(kernels.values()[0][5], 1e-300);
        assert_eq!(kernels.values()[1], [f64::from(0.1_f32), 2.0]);
        assert!(kernels.is_double());
        let state = kernels.state(&multilayer("toy", [1, 1, 3], &[2, 1]).unwrap());
        assert_eq!(state.get("bn1.bias").values, [0.25, -1.0]);
        assert_eq!(state.get("bn1.weight").values, [1.0, 1.0]);
        assert_eq!(state.get("fc1.weight").values[1], -0.2);
        assert_eq!(state.get("fc1.bias").values, [0.0, 0.0]);

        // 1.5 in either 16-bit type.
        let mut entries = complete();
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
    fn prefixes_and_masks_of_pytorch_are_read() {
        let expected = load(&complete()).unwrap();
        let names =
            ["fc1.weight", "fc2.weight", "bn1.bias"].map(|name| format!("net.module.{name}"));
        let mut entries = complete();
        entries.truncate(3);
        let mut prefixed = entries.clone();
        for (entry, name) in prefixed.iter_mut().zip(&names) {
            entry.0 = name.clone().leak();
        }
        let found = load(&prefixed).unwrap();
        assert_eq!(found.values(), expected.values());
        prefixed[2].0 = "bn1.bias";
        assert!(
            load(&prefixed).unwrap_err().contains("fc1.weight"),
            "no common prefix"
        );

        // The second weight of fc2 is pruned.
        entries[1].0 = "fc2.weight_orig";
        let reason = load(&entries).unwrap_err();
        assert!(reason.contains("fc2.weight_mask"), "{reason}");
        entries.push((
            "fc2.weight_mask",
            Dtype::F32,
            vec![1, 2],
            single(&[1.0, 0.0]),
        ));
        assert_eq!(
            load(&entries).unwrap().values()[1],
            [f64::from(0.1_f32), 0.0]
        );
        entries.push(("fc2.weight", Dtype::F32, vec![1, 2], single(&[1.0, 0.0])));
        assert!(load(&entries).unwrap_err().contains("beside"));
    }

    #[test]
    fn rejects_tensors_that_do_not_fit_the_graph_by_name() {
        let rejects = |change: &dyn Fn(&mut Vec<Entry>), words: &[&str]| {
            let mut entries = complete();
            change(&mut entries);
            let message = load(&entries).unwrap_err();
            for word in words {
                assert!(message.contains(word), "{message} does not name {word}");
            }
        };
        rejects(
            &|e| drop(e.remove(1)),
            &["w.safetensors", "fc2.weight", "missing"],
        );
        rejects(
            &|e| e[0].2 = vec![3, 2],
            &["fc1.weight", "[3, 2]", "[2, 3]"],
        );
        rejects(&|e| e[1].1 = Dtype::I32, &["fc2.weight", "I32", "f32"]);
        let nan = [1.0, f64::NAN, 0.0, 0.0, 0.0, 0.0];
        rejects(
            &|e| e[0].3 = double(&nan),
            &["fc1.weight", "NaN", "element 1"],
        );
        let infinite = [0.0, f32::INFINITY];
        rejects(
            &|e| e[1].3 = single(&infinite),
            &["fc2.weight", "inf", "element 1"],
        );
        rejects(&|e| e[2].2 = vec![1, 2], &["bn1.bias", "[1, 2]"]);
        for unknown in ["fc3.weight", "fc1.running_var", "relu1.weight", "weight"] {
            rejects(
                &|e| e.push((unknown, Dtype::F32, vec![1], single(&[1.0]))),
                &["toy", unknown],
            );
        }
    }
}
