//! Test vectors beside an ONNX file: `test_data_set_N/input_0.pb` and `output_0.pb`, the layout of
//! ONNX' own model zoo.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use prost::Message;

use super::constant::Constant;
use super::model::{CLASSIFIERS, Input, Model};
use super::proto::{ModelProto, TensorProto};
use crate::atomic;
use crate::graph::Graph;
use crate::network::{Network, State, Statistics};

/// The largest file of a test vector, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// How far a network is from the test vectors of its file.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Compared {
    /// The number of test vectors.
    pub sets: usize,
    /// The largest difference of an output, relative to the largest magnitude of the outputs of its
    /// test vector.
    pub difference: f64,
}

/// Why test vectors could not be compared.
#[derive(Debug)]
pub(super) struct Unfit {
    /// The file at fault.
    pub(super) path: PathBuf,
    /// What is wrong with it, and what to do.
    pub(super) reason: String,
}

/// Compares the network of `graph` and `state`, imported from the file `path` of these `bytes`,
/// with the test vectors beside it. Returns `None` if there are none.
pub(super) fn compare(
    path: &Path,
    bytes: &[u8],
    (graph, state): (&Graph, &State),
) -> Result<Option<Compared>, Unfit> {
    let sets = sets(path);
    if sets.is_empty() {
        return Ok(None);
    }
    let of_file = |reason: String| Unfit {
        path: path.into(),
        reason,
    };
    let classifiers = classifiers(bytes).map_err(of_file)?;
    let model = Model::parse(bytes).map_err(of_file)?;
    let mut difference = 0.0_f64;
    for folder in &sets {
        let [x, y] = [folder.join("input_0.pb"), folder.join("output_0.pb")];
        let (inputs, outputs) = (read(&x)?, read(&y)?);
        let inputs = arranged(&inputs.to_floats(), &model.input);
        let found = inputs.and_then(|inputs| scores(graph, state, &inputs));
        let found = found.map_err(|reason| Unfit { path: x, reason })?;
        let found = classified(found, &classifiers);
        let of_set = relative(&found, &outputs.to_floats());
        difference = difference.max(of_set.map_err(|reason| Unfit { path: y, reason })?);
    }
    Ok(Some(Compared {
        sets: sets.len(),
        difference,
    }))
}

/// Returns the folders of test vectors beside the file `path`, in alphabetical order.
fn sets(path: &Path) -> Vec<PathBuf> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten();
    let is_set = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let files = ["input_0.pb", "output_0.pb"];
        name.starts_with("test_data_set_") && files.iter().all(|file| folder.join(file).is_file())
    };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sets: Vec<PathBuf> = folders.filter(is_set).collect();
    sets.sort();
    sets
}

/// Returns the operators that the import leaves out at the end of the network in `bytes`, in order.
fn classifiers(bytes: &[u8]) -> Result<Vec<String>, String> {
    let model = ModelProto::decode(bytes).map_err(|e| e.to_string())?;
    let graph = model.graph.unwrap_or_default();
    let mut output = graph.output.first().map(|output| output.name.clone());
    let mut found = Vec::new();
    while let Some(node) = graph
        .node
        .iter()
        .find(|node| node.output.first() == output.as_ref())
        && CLASSIFIERS.contains(&node.op_type.as_str())
        && found.len() < CLASSIFIERS.len()
    {
        found.insert(0, node.op_type.clone());
        output = node.input.first().cloned();
    }
    Ok(found)
}

/// Reads the tensor in the file `path`.
fn read(path: &Path) -> Result<Constant, Unfit> {
    let unfit = |reason: String| Unfit {
        path: path.into(),
        reason,
    };
    let bytes = atomic::read_at_most(path, MOST_BYTES, "a test vector");
    let bytes = bytes.map_err(|error| unfit(error.to_string()))?;
    let tensor = TensorProto::decode(bytes.as_slice());
    let tensor = tensor.map_err(|e| unfit(format!("it is no test vector ({e}): remove it")))?;
    Constant::read(&tensor).map_err(unfit)
}

/// Returns the samples `values`, arranged as in the file, channel-first: a row per sample.
///
/// # Errors
/// Returns the reason if they are not whole samples of `input`.
fn arranged(values: &[f64], input: &Input) -> Result<Vec<Vec<f32>>, String> {
    let places = &input.flow.places;
    if values.is_empty() || !values.len().is_multiple_of(places.len()) {
        return Err(format!(
            "it has {} values, but an input of the network has {}: remove it, or write it again",
            values.len(),
            places.len()
        ));
    }
    let sample = |values: &[f64]| {
        let mut sample = vec![0.0; values.len()];
        for (&place, &value) in places.iter().zip(values) {
            sample[place as usize] = value as f32;
        }
        sample
    };
    Ok(values.chunks_exact(places.len()).map(sample).collect())
}

/// Returns the class scores of the network for each of `inputs`.
fn scores(graph: &Graph, state: &State, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f64>>, String> {
    let compute = || {
        let shape = (inputs.len(), inputs[0].len());
        let x = Tensor::from_vec(inputs.concat(), shape, &Device::Cpu)?;
        let network = Network::new(graph, state, &Device::Cpu)?;
        let statistics = Statistics::of_state(graph, state);
        let statistics =
            statistics.ok_or(candle_core::Error::msg("batch norms lack statistics"))?;
        let scores = network.forward_to(graph.nodes().len() - 1, &x, &statistics)?;
        scores.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()
    };
    compute().map_err(|error: candle_core::Error| error.to_string())
}

/// Applies the operators that were left out to each of `rows`, and returns all results.
fn classified(rows: Vec<Vec<f64>>, classifiers: &[String]) -> Vec<f64> {
    let apply = |row: Vec<f64>, operator: &String| {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|score| (score - most).exp()).sum();
        match operator.as_str() {
            "Softmax" => row.iter().map(|score| (score - most).exp() / sum).collect(),
            "LogSoftmax" => row.iter().map(|score| score - most - sum.ln()).collect(),
            _ => {
                let best = row.iter().position(|&score| score == most);
                vec![best.unwrap_or(0) as f64]
            }
        }
    };
    let rows = rows.into_iter();
    rows.flat_map(|row| classifiers.iter().fold(row, apply))
        .collect()
}

/// Returns the largest difference of `found` and `expected`, relative to the largest magnitude of
/// `expected`.
///
/// # Errors
/// Returns the reason if there are not as many of both.
fn relative(found: &[f64], expected: &[f64]) -> Result<f64, String> {
    if found.len() != expected.len() {
        return Err(format!(
            "it has {} values, but the network computes {}: remove it, or write it again",
            expected.len(),
            found.len()
        ));
    }
    let scale = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, y| most.max(y.abs()));
    let pairs = found.iter().zip(expected);
    let most = pairs.fold(0.0_f64, |most, (found, expected)| {
        let apart = (found - expected).abs();
        // A result that is no number is as far as can be.
        most.max(if apart.is_nan() { f64::INFINITY } else { apart })
    });
    Ok(most / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_file_is_applied_to_class_scores() {
        let rows = || vec![vec![0.0, 1.0, -1.0], vec![2.0, 2.0, 2.0]];
        let of = |operators: &[&str]| {
            let operators: Vec<String> = operators.iter().map(|&it| it.into()).collect();
            classified(rows(), &operators)
        };
        assert_eq!(of(&[]), rows().concat());
        assert_eq!(of(&["ArgMax"]), [1.0, 0.0]);
        assert_eq!(of(&["Softmax", "ArgMax"]), [1.0, 0.0]);
        // numpy: np.exp(x) / np.exp(x).sum().
        let softmax = [0.244_728_47, 0.665_240_96, 0.090_030_57];
        let third = 1.0 / 3.0;
        for (found, expected) in of(&["Softmax"])
            .iter()
            .zip(softmax.iter().chain(&[third; 3]))
        {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
        for (found, expected) in of(&["LogSoftmax"]).iter().zip(softmax) {
            assert!((found - expected.ln()).abs() < 1e-7, "{found}");
        }
    }

    #[test]
    fn differences_are_relative_to_the_largest_value() {
        assert_eq!(relative(&[1.0, -4.5], &[1.0, -4.0]), Ok(0.125));
        assert_eq!(relative(&[f64::NAN], &[1.0]), Ok(f64::INFINITY));
        assert!(relative(&[1.0], &[1.0, 2.0]).is_err());
    }
}
