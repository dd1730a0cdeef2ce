//! The run folder: plain files that tell a run's whole story and let it go on.
//!
//! | file | holds |
//! |---|---|
//! | `run.toml` | the recipe: everything needed to repeat the run |
//! | `arch.toml` | a copy of the architecture, where it is not one of the named |
//! | `metrics.csv` | one line per epoch |
//! | `checkpoint.safetensors` | weights and velocities after the last whole epoch (removed at the end) |
//! | `dense.safetensors` | the dense network, where the pruner trains one |
//! | `masks-direct.safetensors`, `masks.safetensors` | what the pruner keeps; what of it is trained: what is effective, or all where nothing is pruned |
//! | `weights.safetensors` | the trained weights with the statistics they are deployed with |
//! | `result.json` | the figures; written last, so its presence says that the run is whole |

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Recipe, TrainError};
use crate::artifact::{self, FileError};
use crate::graph::{self, Graph};
use crate::network::State;

/// The figures of a quickstart, which keeps them beside its run.
pub const FIGURES: &str = "quickstart.json";

/// The copy of an architecture of the user's own.
const ARCHITECTURE: &str = "arch.toml";

/// A folder that holds one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// Numbers of weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// All prunable weights, N.
    pub total: usize,
    /// Those the mask keeps.
    pub direct: usize,
    /// Those that are connected.
    pub effective: usize,
}

/// Compressions, N over weights left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Compression {
    /// What was asked for.
    pub target: f64,
    /// By the mask.
    pub direct: f64,
    /// By what is connected.
    pub effective: f64,
}

/// Shares of the test images classified rightly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// By the dense network; none where the pruner trains none.
    pub dense: Option<f64>,
    /// By the pruned network.
    pub pruned: f64,
}

/// The figures of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainReport {
    /// The run folder.
    pub run: String,
    /// The dataset.
    pub dataset: String,
    /// The architecture.
    pub arch: String,
    /// The pruner.
    pub pruner: String,
    /// The seed.
    pub seed: u64,
    /// Weights left.
    pub weights: Weights,
    /// Compressions reached.
    pub compression: Compression,
    /// Accuracies on the test images, batch norms on population statistics.
    pub accuracy: Accuracy,
    /// Time spent training and pruning, over all the run's parts.
    pub seconds: f64,
}

/// One line of `metrics.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// "dense" or "pruned".
    pub phase: String,
    /// From 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Share of test images right, statistics taken over a sample of the training images.
    pub accuracy: f64,
    /// Since the run began.
    pub seconds: f64,
}

/// Where an interrupted run stands.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The phase under way.
    pub phase: String,
    /// Whole epochs done of it.
    pub epochs: usize,
    /// Time spent so far.
    pub seconds: f64,
    /// The weights.
    pub weights: State,
    /// The velocities, by the weights' names.
    pub velocities: State,
}

/// The prefix of velocities in a checkpoint.
const VELOCITY: &str = "velocity:";

/// The header of `metrics.csv`.
const HEADER: &str = "phase,epoch,loss,accuracy,seconds\n";

impl RunFolder {
    /// Opens `path` for `recipe`: new or empty, or holding the same recipe's run. With `fresh`
    /// an earlier run there is removed first.
    ///
    /// # Errors
    /// When the folder holds another run or something else, or cannot be written.
    pub fn open(path: &Path, recipe: &Recipe, fresh: bool) -> Result<Self, TrainError> {
        let folder = Self {
            path: path.to_path_buf(),
        };
        let refuse = |reason: String| TrainError::Folder {
            folder: path.display().to_string(),
            reason,
        };
        let occupied = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(FileError::new("open the run folder", path, e).into()),
        };
        if occupied {
            if !folder.file("run.toml").exists() {
                return Err(refuse(
                    "is not empty and holds no run.toml: choose another -o".into(),
                ));
            }
            if fresh {
                folder.clear()?;
            } else {
                let found = folder.recipe()?;
                if let Some((option, ours, theirs)) = recipe.difference(&found) {
                    return Err(refuse(format!(
                        "holds a run with {option} {theirs}, not {ours}: choose another -o, or --force to replace it"
                    )));
                }
                return Ok(folder);
            }
        }
        let text = toml::to_string(recipe).expect("a recipe is plain values");
        let text = format!(
            "# What this run was made with: `rarefy train` with these options repeats it.\n{text}"
        );
        artifact::write(&folder.file("run.toml"), text.as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run made before.
    ///
    /// # Errors
    /// When there is none at `path`.
    pub fn existing(path: &Path) -> Result<(Self, Recipe), TrainError> {
        let folder = Self {
            path: path.to_path_buf(),
        };
        let recipe = folder.recipe()?;
        Ok((folder, recipe))
    }

    /// Whether `path` holds a run of `recipe`, whole or not.
    pub fn holds(path: &Path, recipe: &Recipe) -> bool {
        Self::existing(path).is_ok_and(|(_, found)| recipe.difference(&found).is_none())
    }

    /// The path of the file called `name` in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a copy of `file`, which `graph` was read from.
    ///
    /// # Errors
    /// When the folder's run is of another architecture, or a file cannot be read or written.
    pub fn keep_architecture(&self, file: &Path, graph: &Graph) -> Result<(), TrainError> {
        let copy = self.file(ARCHITECTURE);
        if !copy.exists() {
            artifact::write(&copy, &artifact::read(file)?)?;
        } else if graph::load(&copy.to_string_lossy())? != *graph {
            return Err(TrainError::Folder {
                folder: self.path.display().to_string(),
                reason: format!(
                    "holds a run of another architecture than {} describes: choose another -o, or --force to replace it",
                    file.display()
                ),
            });
        }
        Ok(())
    }

    /// The architecture of the run of `recipe` here.
    ///
    /// # Errors
    /// When it is not known, or the folder's copy cannot be read.
    pub fn architecture(&self, recipe: &Recipe) -> Result<Graph, TrainError> {
        let copy = self.file(ARCHITECTURE);
        Ok(if copy.exists() {
            graph::load(&copy.to_string_lossy())?
        } else {
            graph::load(&recipe.arch)?
        })
    }

    /// Removes the files that a run makes and the figures of a quickstart, which would be another
    /// run's; anything else stays.
    fn clear(&self) -> Result<(), TrainError> {
        const FILES: [&str; 10] = [
            FIGURES,
            ARCHITECTURE,
            "result.json",
            "metrics.csv",
            "checkpoint.safetensors",
            "dense.safetensors",
            "masks-direct.safetensors",
            "masks.safetensors",
            "weights.safetensors",
            // Last: without it the folder would be taken for a stranger's.
            "run.toml",
        ];
        FILES.iter().try_for_each(|name| self.remove(name))
    }

    /// Removes the file called `name`, if it is there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, name: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, e).into())
            }
            _ => Ok(()),
        }
    }

    /// Reads `run.toml`.
    fn recipe(&self) -> Result<Recipe, TrainError> {
        let path = self.file("run.toml");
        let refuse = |reason: String| TrainError::Folder {
            folder: self.path.display().to_string(),
            reason,
        };
        if !path.exists() {
            return Err(refuse(
                "holds no run: give a folder made by `rarefy train`".into(),
            ));
        }
        let text = String::from_utf8_lossy(&artifact::read(&path)?).into_owned();
        toml::from_str(&text).map_err(|e| {
            let reason = e.message().replace('\n', " ");
            refuse(format!(
                "holds a run.toml that cannot be read ({reason}): repeat the run with --force"
            ))
        })
    }

    /// The figures, if the run is whole.
    ///
    /// # Errors
    /// When they are there but cannot be read.
    pub fn result(&self) -> Result<Option<TrainReport>, TrainError> {
        let path = self.file("result.json");
        if !path.exists() {
            return Ok(None);
        }
        serde_json::from_slice(&artifact::read(&path)?)
            .map(|report| {
                // Where the run is now: folders are moved.
                let run = self.path.display().to_string();
                Some(TrainReport { run, ..report })
            })
            .map_err(|e| TrainError::Folder {
                folder: self.path.display().to_string(),
                reason: format!(
                    "holds a result.json that cannot be read ({e}): repeat the run with --force"
                ),
            })
    }

    /// Writes the figures: the run is whole.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self, report: &TrainReport) -> Result<(), TrainError> {
        let text = serde_json::to_string_pretty(report).expect("a report is plain values");
        artifact::write(&self.file("result.json"), (text + "\n").as_bytes())?;
        self.remove("checkpoint.safetensors")
    }

    /// Writes where the run stands.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        let mut state = checkpoint.weights.clone();
        for (name, array) in &checkpoint.velocities.0 {
            state.0.insert(format!("{VELOCITY}{name}"), array.clone());
        }
        let notes = [
            ("phase", checkpoint.phase.clone()),
            ("epochs", checkpoint.epochs.to_string()),
            ("seconds", checkpoint.seconds.to_string()),
        ];
        Ok(state.save(&self.file("checkpoint.safetensors"), &notes)?)
    }

    /// Where the run stands, if it was interrupted; `expected` are the network's arrays.
    ///
    /// # Errors
    /// When there is a checkpoint that cannot be used.
    pub fn checkpoint(&self, expected: &State) -> Result<Option<Checkpoint>, TrainError> {
        let path = self.file("checkpoint.safetensors");
        if !path.exists() {
            return Ok(None);
        }
        let refuse = |reason: String| TrainError::Folder {
            folder: self.path.display().to_string(),
            reason: format!("holds a damaged checkpoint ({reason}): start over with --force"),
        };
        let (mut weights, notes) = State::load(&path).map_err(|e| refuse(e.to_string()))?;
        let mut velocities = State::default();
        for name in expected.0.keys() {
            if let Some(array) = weights.0.remove(&format!("{VELOCITY}{name}")) {
                velocities.0.insert(name.clone(), array);
            }
        }
        for state in [&weights, &velocities] {
            state
                .check(expected, &path)
                .map_err(|e| refuse(e.to_string()))?;
        }
        let note = |key: &str| notes.get(key).cloned().unwrap_or_default();
        let (phase, epochs, seconds) = (
            note("phase"),
            note("epochs").parse(),
            note("seconds").parse(),
        );
        let (Ok(epochs), Ok(seconds)) = (epochs, seconds) else {
            return Err(refuse("its notes are missing".into()));
        };
        Ok(Some(Checkpoint {
            phase,
            epochs,
            seconds,
            weights,
            velocities,
        }))
    }

    /// Adds a line to `metrics.csv`, after dropping lines of epochs that are being repeated.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_metrics(&self, row: &Metrics) -> Result<(), TrainError> {
        let path = self.file("metrics.csv");
        let key = format!("{},{},", row.phase, row.epoch);
        let old = fs::read_to_string(&path).unwrap_or_else(|_| HEADER.into());
        let mut text: String = old
            .split_inclusive('\n')
            .take_while(|line| !line.starts_with(&key))
            .collect();
        text += &format!(
            "{key}{:.6},{:.4},{:.1}\n",
            row.loss, row.accuracy, row.seconds
        );
        Ok(artifact::write(&path, text.as_bytes())?)
    }
}
