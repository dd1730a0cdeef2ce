//! The state of an interrupted run: `checkpoint.safetensors`.
//!
//! The file contains the weights and the optimizer's state before a step, the masks if the phase
//! changes them, and notes (safetensors metadata): the phase, the number of its finished epochs,
//! the number of steps done in the current epoch and the sum of their losses, the time spent, the
//! SHA-256 of each file that the run wrote earlier, and a SHA-256 of the checkpoint's own
//! contents. Loading checks the contents against that checksum and against the recipe;
//! [`Checkpoint::check_masks`] checks the weights and moments against the masks.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::optimizer::OptimizerState;
use super::phase::Part;
use super::sums::Sums;
use crate::atomic::FileError;
use crate::digest::hexadecimal;
use crate::graph::Prunable;
use crate::network::State;
use crate::network::state::{Array, StateError};
use crate::pruning::Masks;

/// The state of an interrupted run.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The name of the current phase, such as "dense".
    pub phase: String,
    /// The number of finished epochs of the phase.
    pub epochs: usize,
    /// The part of the next epoch that is done. If all its steps are done, only its evaluation is
    /// left.
    pub part: Part,
    /// The seconds spent so far.
    pub seconds: f64,
    /// The checksums of the files that the run wrote before the checkpoint.
    pub files: Sums,
    /// The number of connections kept only by a tie-break on their index, because pruned
    /// connections have the same score, if known.
    pub kept_by_index: Option<usize>,
    /// The weights.
    pub weights: State,
    /// The optimizer's state: its number of steps, and its moments.
    pub optimizer: OptimizerState,
    /// The masks, if the phase changes them.
    pub masks: Option<Masks>,
}

/// What a checkpoint must match.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The phases of the run that train, in order.
    pub phases: &'a [ExpectedPhase<'a>],
    /// The tensors that masks can prune.
    pub prunable: &'a [Prunable],
    /// The arrays of the network, whose names and shapes must match.
    pub arrays: &'a State,
}

/// A phase to which a checkpoint can belong.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedPhase<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of its epochs.
    pub epochs: usize,
    /// The number of steps of each epoch.
    pub steps: usize,
    /// The names of its optimizer's moments. Each moment has one array per array of the network,
    /// of the same name and shape.
    pub moments: &'a [&'a str],
}

/// The key of the note with [`Checkpoint::kept_by_index`].
const KEPT: &str = "kept_by_index";

/// The prefix of the names of masks.
const MASK: &str = "mask:";

/// The key of the note with [`OptimizerState::steps`].
const STEPS: &str = "optimizer_steps";

/// The keys of the notes with [`Checkpoint::part`].
const PART: [&str; 2] = ["epoch_steps", "epoch_loss"];

/// The key of the note with the [`sum`].
const SUM: &str = "sha256";

impl Checkpoint {
    /// Writes the checkpoint to `path`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let mut state = self.weights.clone();
        for (moment, arrays) in &self.optimizer.moments {
            for (name, array) in &arrays.0 {
                state.0.insert(format!("{moment}:{name}"), array.clone());
            }
        }
        for mask in self.masks.iter().flat_map(Masks::iter) {
            let values = mask.keep.iter().map(|&keep| f32::from(u8::from(keep)));
            let name = format!("{MASK}{}", mask.name);
            state.insert(name, mask.shape.clone(), values.collect());
        }
        let mut notes = vec![
            ("phase", self.phase.clone()),
            ("epochs", self.epochs.to_string()),
            // Floats are written with the fewest digits that parse to the same number.
            (PART[0], self.part.steps.to_string()),
            (PART[1], self.part.loss.to_string()),
            ("seconds", self.seconds.to_string()),
            ("files", self.files.text()),
            (STEPS, self.optimizer.steps.to_string()),
        ];
        if let Some(kept) = self.kept_by_index {
            notes.push((KEPT, kept.to_string()));
        }
        let named = notes.iter().map(|(key, value)| (*key, value.as_str()));
        notes.push((SUM, sum(&state, named)));
        state.save(path, &notes)
    }

    /// Reads the checkpoint at `path` and checks that it matches `expected`.
    ///
    /// # Errors
    /// Returns a clause that says what is wrong with it.
    pub fn load(path: &Path, expected: &Expected<'_>) -> Result<Self, String> {
        let (mut weights, notes) = State::load(path).map_err(|e| reason(&e))?;
        let named = notes.iter().filter(|(key, _)| *key != SUM);
        if sum(
            &weights,
            named.map(|(key, value)| (key.as_str(), value.as_str())),
        ) != note(&notes, SUM)?
        {
            return Err("it has changed since it was saved".into());
        }
        let phase = note(&notes, "phase")?;
        let Some(&of) = expected.phases.iter().find(|found| found.name == phase) else {
            let phases: Vec<&str> = expected.phases.iter().map(|found| found.name).collect();
            return Err(format!(
                "its phase is {phase:?}, but the run has {}",
                phases.join(" and ")
            ));
        };
        let mut moments = BTreeMap::new();
        for &moment in of.moments {
            let mut arrays = State::default();
            for name in expected.arrays.0.keys() {
                if let Some(array) = weights.0.remove(&format!("{moment}:{name}")) {
                    arrays.0.insert(name.clone(), array);
                }
            }
            moments.insert(moment.into(), arrays);
        }
        let masks = take_masks(&mut weights, expected.prunable)?;
        for state in std::iter::once(&weights).chain(moments.values()) {
            state
                .check(expected.arrays, path)
                .map_err(|e| e.to_string())?;
        }
        let known = |name: &&String| expected.arrays.0.contains_key(*name);
        if let Some(name) = weights.0.keys().find(|name| !known(name)) {
            return Err(format!("the network has no tensor {name}"));
        }
        let checkpoint = Self {
            phase: phase.into(),
            epochs: number(&notes, "epochs")?,
            part: Part {
                steps: number(&notes, PART[0])?,
                loss: number(&notes, PART[1])?,
            },
            seconds: number(&notes, "seconds")?,
            files: Sums::parse(note(&notes, "files")?).ok_or("its note \"files\" is damaged")?,
            kept_by_index: match notes.contains_key(KEPT) {
                true => Some(number(&notes, KEPT)?),
                false => None,
            },
            weights,
            optimizer: OptimizerState {
                steps: number(&notes, STEPS)?,
                moments,
            },
            masks,
        };
        checkpoint.check_notes(&of)?;
        Ok(checkpoint)
    }

    /// Checks the notes against `of`, the phase of the checkpoint.
    fn check_notes(&self, of: &ExpectedPhase<'_>) -> Result<(), String> {
        let Part { steps, loss } = self.part;
        // After the last epoch, there is no next epoch in which steps could be done.
        if self.epochs > of.epochs || self.epochs == of.epochs && steps > 0 {
            return Err(format!(
                "it claims {} epochs and {steps} steps of a phase of {}",
                self.epochs, of.epochs
            ));
        }
        if steps > of.steps {
            return Err(format!(
                "it claims step {steps} of an epoch of {}",
                of.steps
            ));
        }
        if !loss.is_finite() || steps == 0 && loss != 0.0 {
            return Err(format!("it claims a loss of {loss} after {steps} steps"));
        }
        if !(self.seconds.is_finite() && self.seconds >= 0.0) {
            return Err(format!("it claims a time of {} s", self.seconds));
        }
        Ok(())
    }

    /// Checks that the weights that `masks` prune, and their moments, are zero.
    ///
    /// # Errors
    /// Returns a clause that names the first one that is not.
    pub fn check_masks(&self, masks: &Masks) -> Result<(), String> {
        let moments = self.optimizer.moments.iter();
        let moments = moments.map(|(moment, arrays)| (arrays, moment.as_str()));
        for (state, what) in std::iter::once((&self.weights, "weight")).chain(moments) {
            for mask in masks.iter() {
                let Some(Array { values, .. }) = state.0.get(&mask.name) else {
                    return Err(format!("tensor {} is missing", mask.name));
                };
                let mut pairs = values.iter().zip(&mask.keep);
                if let Some(at) = pairs.position(|(&value, &keep)| !keep && value != 0.0) {
                    return Err(format!(
                        "the {what} of {} at element {at} is {}, but the mask prunes it",
                        mask.name, values[at]
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Returns one SHA-256, in hexadecimal, of the arrays of `state` and of `notes`, pairs of key and
/// value.
fn sum<'a>(state: &State, notes: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    let notes: BTreeMap<&str, &str> = notes.collect();
    hash.update(format!("{notes:?}"));
    for (name, array) in &state.0 {
        hash.update(format!("{name:?} {:?}", array.shape));
        for values in array.values.chunks(1024) {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            hash.update(bytes);
        }
    }
    hexadecimal(&hash.finalize())
}

/// Returns what is wrong with a file of the run, without the remedy that suits only the user's own
/// files.
fn reason(error: &StateError) -> String {
    match error {
        StateError::Tensor { reason, .. } => reason.replace("; write it again", ""),
        StateError::File(error) => error.to_string(),
    }
}

/// Takes the masks of the tensors `prunable` out of `state`, if it has them.
fn take_masks(state: &mut State, prunable: &[Prunable]) -> Result<Option<Masks>, String> {
    let mut kept = Vec::new();
    for tensor in prunable {
        let Some(array) = state.0.remove(&format!("{MASK}{}", tensor.name)) else {
            continue;
        };
        if array.shape != tensor.shape {
            return Err(format!("the mask of {} has another shape", tensor.name));
        }
        let values = array.values.iter().enumerate();
        kept.push(
            values
                .filter(|(_, value)| **value != 0.0)
                .map(|(at, _)| at)
                .collect(),
        );
    }
    match kept.len() {
        0 => Ok(None),
        count if count == prunable.len() => Ok(Some(Masks::of::<Vec<usize>>(prunable, kept))),
        _ => Err("some of its masks are missing".into()),
    }
}

/// Returns the note called `key`.
fn note<'a>(notes: &'a HashMap<String, String>, key: &str) -> Result<&'a str, String> {
    let missing =
        || format!("its note {key:?} is missing; another version of rarefy may have written it");
    notes.get(key).map(String::as_str).ok_or_else(missing)
}

/// Parses the number in the note called `key`.
fn number<T: std::str::FromStr>(notes: &HashMap<String, String>, key: &str) -> Result<T, String> {
    let text = note(notes, key)?;
    text.parse()
        .map_err(|_| format!("its note {key:?} is {text:?}, not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::network::initial;

    /// Applies `damage` to a valid checkpoint, saves it, and loads it again.
    fn reloaded(damage: impl FnOnce(&mut Checkpoint)) -> Result<Checkpoint, String> {
        let graph = multilayer("toy", [1, 1, 4], &[3, 2]).unwrap();
        let arrays = initial::state(&graph, 1);
        let mut checkpoint = Checkpoint {
            phase: "pruned".into(),
            epochs: 1,
            part: Part {
                steps: 3,
                loss: 0.1 + 0.2,
            },
            seconds: 1.5,
            files: Sums::default(),
            kept_by_index: Some(3),
            weights: arrays.clone(),
            optimizer: OptimizerState {
                steps: 12,
                moments: [("velocity".into(), arrays.clone())].into(),
            },
            masks: Some(Masks::from_fn(&graph.prunable(), |_, at| at % 2 == 0)),
        };
        damage(&mut checkpoint);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        checkpoint.save(&path).unwrap();
        let phases = ["dense", "pruned"].map(|name| ExpectedPhase {
            name,
            epochs: 2,
            steps: 5,
            moments: &["velocity"],
        });
        let expected = Expected {
            phases: &phases,
            prunable: &graph.prunable(),
            arrays: &arrays,
        };
        let found = Checkpoint::load(&path, &expected)?;
        assert_eq!(found, checkpoint);
        let masks = Masks::from_fn(&graph.prunable(), |_, element| element != 1);
        found.check_masks(&masks).map(|()| found)
    }

    /// Sets the pruned weights of `state` to zero, except for one in fc2.weight, which becomes
    /// `value`.
    fn prune(state: &mut State, value: f32) {
        for name in ["fc1.weight", "fc2.weight"] {
            state.0.get_mut(name).unwrap().values[1] = 0.0;
        }
        state.0.get_mut("fc2.weight").unwrap().values[1] = value;
    }

    /// Returns the velocities of `checkpoint`.
    fn velocities(checkpoint: &mut Checkpoint) -> &mut State {
        checkpoint.optimizer.moments.get_mut("velocity").unwrap()
    }

    #[test]
    fn a_checkpoint_that_matches_recipe_and_masks_is_read_back() {
        for (epochs, steps) in [(0, 0), (0, 5), (1, 3), (2, 0)] {
            reloaded(|checkpoint| {
                prune(&mut checkpoint.weights, 0.0);
                prune(velocities(checkpoint), -0.0);
                checkpoint.epochs = epochs;
                checkpoint.part = Part {
                    steps,
                    loss: steps as f64 / 3.0,
                };
            })
            .unwrap();
        }
    }

    #[test]
    fn the_error_names_what_contradicts_the_recipe_or_the_masks() {
        type Damage = fn(&mut Checkpoint);
        let cases: [(Damage, &str); 14] = [
            (|c| c.epochs = 3, "3 epochs and 3 steps of a phase of 2"),
            (|c| c.epochs = 2, "2 epochs and 3 steps of a phase of 2"),
            (|c| c.part.steps = 6, "step 6 of an epoch of 5"),
            (
                |c| c.part.steps = 0,
                "a loss of 0.30000000000000004 after 0",
            ),
            (|c| c.part.loss = f64::NAN, "a loss of NaN after 3 steps"),
            (|c| c.phase = "regrown".into(), "regrown"),
            (|c| c.seconds = f64::INFINITY, "inf s"),
            (|c| c.seconds = f64::NAN, "NaN s"),
            (|c| c.seconds = -1.0, "-1 s"),
            (
                |c| c.weights.0.get_mut("fc1.bias").unwrap().values[0] = f32::NAN,
                "fc1.bias holds NaN",
            ),
            (
                |c| velocities(c).0.get_mut("fc1.bias").unwrap().values[0] = f32::INFINITY,
                "fc1.bias holds inf",
            ),
            (
                |c| c.weights.insert("fc9.weight".into(), vec![1], vec![0.0]),
                "fc9.weight",
            ),
            (
                |c| {
                    prune(&mut c.weights, 0.5);
                    prune(velocities(c), 0.0);
                },
                "the weight of fc2.weight at element 1 is 0.5",
            ),
            (
                |c| {
                    prune(&mut c.weights, 0.0);
                    prune(velocities(c), 0.25);
                },
                "the velocity of fc2.weight at element 1 is 0.25",
            ),
        ];
        for (damage, words) in cases {
            let error = reloaded(damage).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
    }
}
