//! Networks given by an architecture, a file of weights and masks, without a run.

use std::borrow::Cow;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow};

use super::console::Console;
use super::table::error;
use super::{interrupt, usage};
use crate::data::{Dataset, InputScale, Scaling};
use crate::deploy::Trained;
use crate::graph::{self, Graph};
use crate::network::State;
use crate::pruning::{self, Masks, Weights};
use crate::training::floats;
use crate::training::folder::{ARCHITECTURE, RECIPE, WEIGHTS};
use crate::training::recipe::ZEROS;

/// Warns that no connection of the network in `shown` leads from an input to an output.
pub(super) fn note_disconnected(shown: &str, console: &Console) {
    console.note(&format!(
        "warning: no kept weight of {shown} connects an input with an output: every sample gets the same outputs"
    ));
}

/// Where the masks of given weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MaskSource {
    /// The weights that are zero are pruned.
    Zeros,
    /// A file of masks.
    File(PathBuf),
}

impl FromStr for MaskSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            ZEROS => Self::Zeros,
            path => Self::File(path.into()),
        })
    }
}

impl MaskSource {
    /// Returns the value of the option: the path of the file, or the word for zeros.
    pub(super) fn name(&self) -> &Path {
        match self {
            Self::Zeros => Path::new(ZEROS),
            Self::File(path) => path,
        }
    }
}

/// Returns the architecture given with `--arch`. A folder as `rarefy import` writes it stands for
/// the architecture in it.
pub(super) fn arch(name: &str) -> Cow<'_, str> {
    match Path::new(name).join(ARCHITECTURE) {
        file if file.is_file() => file.display().to_string().into(),
        _ => name.into(),
    }
}

/// Returns the file of weights given with `--weights`. A folder stands for the weights in it.
pub(super) fn weights(path: &Path) -> PathBuf {
    match path.join(WEIGHTS) {
        file if file.is_file() => file,
        _ => path.to_path_buf(),
    }
}

/// Returns the file of weights in the folder given with `--arch`, if there is one.
pub(super) fn weights_beside(arch: &str) -> Option<PathBuf> {
    Some(Path::new(arch).join(WEIGHTS)).filter(|file| file.is_file())
}

/// Checks whether `folder` has an architecture and weights, but no run.
pub(super) fn is_network(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has(ARCHITECTURE) && has(WEIGHTS) && !has(RECIPE)
}

/// What the command line says about a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// The architecture: a name, a file, or a folder with a network.
    pub(super) arch: &'a str,
    /// The file of weights, or a folder with one; by default the folder with the architecture.
    pub(super) weights: Option<&'a Path>,
    /// The masks; by default, zero weights are pruned.
    pub(super) masks: Option<&'a MaskSource>,
}

/// A network that was read.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) graph: Graph,
    pub(super) weights: Weights,
    pub(super) masks: Masks,
    /// The file of weights.
    path: PathBuf,
}

impl<'a> Named<'a> {
    /// Names the network in `folder`.
    ///
    /// # Errors
    /// Returns an error if the folder's path is not valid Unicode.
    pub(super) fn of_folder(folder: &'a Path) -> Result<Self> {
        let arch = folder
            .to_str()
            .ok_or_else(|| anyhow!("{} is not valid Unicode: rename it", folder.display()))?;
        Ok(Self {
            arch,
            weights: None,
            masks: None,
        })
    }

    /// Returns what the architecture's file states of the normalisation of its input.
    pub(super) fn input_scale(&self) -> Result<InputScale> {
        Ok(graph::input_scale(&arch(self.arch))?)
    }

    /// Reads the network.
    ///
    /// # Errors
    /// Returns an error that names the file and the tensor if a tensor is missing, or is one that
    /// the architecture has not.
    pub(super) fn load(&self) -> Result<Network> {
        let path = self.weights.map(weights);
        let path = path.or_else(|| weights_beside(self.arch)).ok_or_else(|| {
            usage::wrong(format!(
                "--arch {} needs weights: add --weights with a safetensors file",
                self.arch
            ))
        })?;
        let graph = graph::load(&arch(self.arch))?;
        let weights = Weights::load(&graph, &path)?;
        let masks = match self.masks {
            None | Some(MaskSource::Zeros) => weights.nonzero(&graph),
            Some(MaskSource::File(file)) => Masks::load(&graph, file)?,
        };
        Ok(Network {
            graph,
            weights,
            masks,
            path,
        })
    }
}

impl Network {
    /// Returns the path of the file of weights, for messages.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        self.path.to_string_lossy()
    }

    /// Returns the parameters of the network, in which pruned weights are zero.
    ///
    /// # Errors
    /// Returns an error if biases or batch norms are missing.
    pub(super) fn state(&self) -> Result<State> {
        let missing = self.weights.missing();
        if !missing.is_empty() {
            return Err(anyhow!(
                "{} lacks {}: add these tensors, or set the layer's bias or norm to false in the architecture's file",
                self.path.display(),
                missing.join(", ")
            ));
        }
        let mut state = self.weights.state(&self.graph);
        for mask in self.masks.iter() {
            if let Some(array) = state.0.get_mut(&mask.name) {
                let pairs = array.values.iter_mut().zip(&mask.keep);
                let pruned = pairs.filter(|(_, keep)| !**keep);
                pruned.for_each(|(value, _)| *value = 0.0);
            }
        }
        Ok(state)
    }

    /// Evaluates the network on `data` in floats, and notes its accuracy if `data` has labels.
    /// Returns the network, with statistics of the training images if the file has none, and the
    /// accuracy, which is R² if targets are numbers, and NaN without labels.
    ///
    /// # Errors
    /// Returns an error if biases or batch norms are missing, or if `data` does not fit.
    pub(super) fn evaluated(self, data: &Dataset, console: &Console) -> Result<(Trained, f64)> {
        let shown = self.path.display();
        let mut state = self.state()?;
        pruning::source::fits(&self.graph, data)?;
        let absent = floats::missing_statistics(&self.graph, &state);
        let spinner = console.spinner();
        spinner.message(&format!("evaluating {shown} in floats"));
        let evaluated = floats::evaluate(&self.graph, &state, data, interrupt::flag());
        drop(spinner);
        let evaluated = evaluated.map_err(|error| interrupt::or_interrupted(error.into()))?;
        let with = match absent.is_empty() {
            true => String::new(),
            false => format!(
                ", with statistics of the training {}: it lacks {}",
                data.noun(),
                absent.join(", ")
            ),
        };
        let accuracy = match data.reading.has_labels() {
            true => evaluated.accuracy,
            false => f64::NAN,
        };
        if let Some(variance) = data.test.variance() {
            let text = error((1.0 - accuracy) * variance, accuracy);
            console.note(&format!("{shown}: {text} in floats{with}"));
        } else if !accuracy.is_nan() {
            console.note(&format!(
                "{shown}: {:.2} % of test {} right in floats{with}",
                100.0 * accuracy,
                data.noun()
            ));
        }
        evaluated.statistics.add_to(&self.graph, &mut state);
        let pixels = Scaling::from(&data.normalisation);
        let trained = Trained::new(self.graph, state, self.masks, pixels)?;
        Ok((trained, accuracy))
    }
}
