//! A trained network: the value that deployment starts from.

use super::{DeployError, Network, fold};
use crate::data::Scaling;
use crate::graph::{Graph, Operation, Prunable};
use crate::network::{State, initial};
use crate::pruning::Masks;

/// A trained network, checked to be complete and consistent.
///
/// It needs no run folder: weights that were trained elsewhere, and masks that were computed
/// elsewhere, can be deployed too. A [`FinishedRun`](super::FinishedRun) contains one.
///
/// ```
/// use rarefy_trainer::data::digits;
/// use rarefy_trainer::deploy::{Export, Options, Trained};
/// use rarefy_trainer::graph::{Graph, Operation};
/// use rarefy_trainer::network::initial;
/// use rarefy_trainer::pruning::Masks;
///
/// let mut graph = Graph::new("linear", [1, 28, 28]);
/// graph.push("flat", Operation::Flatten)?;
/// graph.push("scores", Operation::Dense { units: 10, bias: true })?;
/// let masks = Masks::dense(&graph);
/// let state = initial::state(&graph, 1); // Or `State::load`.
/// let pixels = (0.1307, 0.3081);
/// let trained = Trained::new(graph, state, masks, pixels)?;
///
/// let mut data = digits::load();
/// data.test = data.test.limit(100);
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.rfy");
/// let report = Export::new(&trained, &data, Options::default()).container(&path)?;
/// assert_eq!(report.model.nonzeros, 7840);
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    graph: Graph,
    state: State,
    masks: Masks,
    pixels: Scaling,
}

impl Trained {
    /// Assembles a trained network of the architecture `graph`.
    ///
    /// `state` holds the weights, the biases, and the population statistics of batch norms (see
    /// [`State`] for names and shapes); `masks` holds one mask per prunable tensor. Inputs are
    /// pixels normalised by `(pixel / 255 - mean) / std`, where `pixels` is `(mean, std)`, or a
    /// [`Scaling`] with one of each per channel.
    ///
    /// # Errors
    /// Returns [`DeployError::Trained`], which names the tensor at fault, if
    /// - a tensor is missing, has another shape than in `graph`, or has an element that is not
    ///   finite,
    /// - a variance is negative,
    /// - the masks are not those of the prunable tensors of `graph`,
    /// - a weight is nonzero but pruned, or
    /// - `pixels` is not a finite mean and a positive standard deviation, one for all channels or
    ///   one per channel.
    pub fn new(
        graph: Graph,
        state: State,
        masks: Masks,
        pixels: impl Into<Scaling>,
    ) -> Result<Self, DeployError> {
        let trained = Self {
            graph,
            state,
            masks,
            pixels: pixels.into(),
        };
        match trained.fault() {
            Some(fault) => Err(DeployError::Trained(fault)),
            None => Ok(trained),
        }
    }

    /// Returns the architecture.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Returns the weights, biases and batch-norm statistics.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the masks that the network was trained under.
    #[must_use]
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Returns the mean and the standard deviation of `pixel / 255` that inputs are normalised
    /// with.
    #[must_use]
    pub fn pixels(&self) -> &Scaling {
        &self.pixels
    }

    /// Folds the network, without stripping it.
    ///
    /// # Errors
    /// Returns an error if the architecture cannot be folded.
    pub fn fold(&self) -> Result<Network, DeployError> {
        fold::fold(&self.graph, &self.state, &self.masks, &self.pixels)
    }

    /// Returns what is wrong with the parts, if anything: a clause that names the tensor.
    fn fault(&self) -> Option<String> {
        self.state
            .mismatch(&expected(&self.graph))
            .or_else(|| self.negative_variance())
            .or_else(|| self.foreign_mask())
            .or_else(|| self.pruned_weight())
            .or_else(|| self.unusable_pixels())
    }

    /// Returns the first batch norm with a negative variance.
    fn negative_variance(&self) -> Option<String> {
        let mut variances = self.state.0.iter();
        let (name, _) = variances.find(|(name, array)| {
            name.ends_with(".running_var") && array.values.iter().any(|&variance| variance < 0.0)
        })?;
        Some(format!("tensor {name} holds a negative variance"))
    }

    /// Returns the first difference between the masks and the prunable tensors.
    fn foreign_mask(&self) -> Option<String> {
        let tensors = self.graph.prunable();
        let found = self.masks.iter().count();
        if found != tensors.len() {
            return Some(format!(
                "there are {found} masks, but {} has {} prunable tensors",
                self.graph.name(),
                tensors.len()
            ));
        }
        let mut pairs = self.masks.iter().zip(&tensors);
        let (mask, tensor) = pairs.find(|(mask, tensor)| {
            mask.name != tensor.name
                || mask.shape != tensor.shape
                || mask.keep.len() != tensor.len()
        })?;
        Some(format!(
            "there is a mask for {} of shape {:?}, but {} expects one for {} of shape {:?}",
            mask.name,
            mask.shape,
            self.graph.name(),
            tensor.name,
            tensor.shape
        ))
    }

    /// Returns the first weight that is nonzero but pruned.
    fn pruned_weight(&self) -> Option<String> {
        self.masks.iter().find_map(|mask| {
            let weights = self.state.get(&mask.name).values.iter().zip(&mask.keep);
            let mut weights = weights.enumerate();
            let (element, _) = weights.find(|(_, (weight, keep))| !**keep && **weight != 0.0)?;
            Some(format!(
                "element {element} of tensor {} is pruned, but not 0",
                mask.name
            ))
        })
    }

    /// Returns why pixels cannot be normalised; `None` if they can.
    fn unusable_pixels(&self) -> Option<String> {
        let Scaling { mean, std } = &self.pixels;
        let channels = self.graph.input_shape().first().copied().unwrap_or(1);
        (!self.pixels.is_usable(channels)).then(|| {
            format!(
                "pixels of {channels} channels cannot be normalised with mean {mean} and standard deviation {std}"
            )
        })
    }
}

/// Returns a state with every array that a trained network of `graph` has, each in its shape.
fn expected(graph: &Graph) -> State {
    let mut expected = initial::without_kernels(graph);
    for Prunable { name, shape, .. } in graph.prunable() {
        let values = vec![0.0; shape.iter().product()];
        expected.insert(name, shape, values);
    }
    for node in graph.nodes() {
        if node.operation == Operation::BatchNorm {
            let units = node.shape[0];
            for suffix in ["running_mean", "running_var"] {
                expected.insert(
                    format!("{}.{suffix}", node.name),
                    vec![units],
                    vec![0.0; units],
                );
            }
        }
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the parts of a network with a batch norm and one pruned weight.
    fn parts() -> (Graph, State, Masks) {
        let mut graph = Graph::new("toy", [1, 2, 2]);
        let dense = |units| Operation::Dense { units, bias: true };
        for (name, operation) in [
            ("flat", Operation::Flatten),
            ("fc1", dense(3)),
            ("bn1", Operation::BatchNorm),
            ("relu1", Operation::Relu),
            ("fc2", dense(2)),
        ] {
            graph.push(name, operation).unwrap();
        }
        let mut state = initial::state(&graph, 1);
        for suffix in ["running_mean", "running_var"] {
            state.insert(format!("bn1.{suffix}"), vec![3], vec![0.5; 3]);
        }
        state.0.get_mut("fc1.weight").unwrap().values[5] = 0.0;
        let masks = Masks::from_fn(&graph.prunable(), |tensor, element| {
            (tensor, element) != (0, 5)
        });
        (graph, state, masks)
    }

    #[test]
    fn whole_parts_are_accepted() {
        let (graph, state, masks) = parts();
        let expected = fold::fold(&graph, &state, &masks, &(0.1, 0.3).into()).unwrap();
        let trained = Trained::new(graph, state, masks, (0.1, 0.3)).unwrap();
        assert_eq!(trained.fold().unwrap(), expected);
    }

    #[test]
    fn every_fault_names_its_tensor() {
        type Change = dyn Fn(&mut State, &mut Masks, &mut Scaling);
        let fault = |change: &Change, clause: &str| {
            let (graph, mut state, mut masks) = parts();
            let mut pixels = Scaling::from((0.1, 0.3));
            change(&mut state, &mut masks, &mut pixels);
            let error = Trained::new(graph, state, masks, pixels).unwrap_err();
            assert!(matches!(error, DeployError::Trained(_)), "{error:?}");
            assert!(error.to_string().contains(clause), "{error}");
        };
        fault(
            &|state, _, _| drop(state.0.remove("bn1.running_mean")),
            "tensor bn1.running_mean is missing",
        );
        fault(
            &|state, _, _| state.insert("fc2.bias".into(), vec![3], vec![0.0; 3]),
            "tensor fc2.bias has shape [3]",
        );
        fault(
            &|state, _, _| state.0.get_mut("fc2.bias").unwrap().values[1] = f32::NAN,
            "tensor fc2.bias holds NaN at element 1",
        );
        fault(
            &|state, _, _| state.0.get_mut("bn1.running_var").unwrap().values[2] = -1e-3,
            "tensor bn1.running_var holds a negative variance",
        );
        fault(
            &|state, _, _| state.0.get_mut("fc1.weight").unwrap().values[5] = 0.25,
            "element 5 of tensor fc1.weight is pruned, but not 0",
        );
        fault(
            &|_, masks, _| *masks = Masks::dense(&Graph::new("none", [1, 2, 2])),
            "there are 0 masks, but toy has 2 prunable tensors",
        );
        fault(
            &|_, _, pixels| pixels.std = 0.0.into(),
            "standard deviation 0",
        );
    }
}
