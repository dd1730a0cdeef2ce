//! Where an interrupted run stands: `checkpoint.safetensors`.
//!
//! Weights and velocities after the last whole epoch, with notes: the phase, its epochs, the time
//! spent, and the SHA-256 of the files that the run made before. Loading checks all of it against
//! the recipe and the folder; [`Checkpoint::check_masks`] checks it against the masks.

use std::collections::HashMap;
use std::path::Path;

use super::sums::Sums;
use crate::atomic::FileError;
use crate::network::State;
use crate::network::state::Array;
use crate::pruning::Masks;

/// Where an interrupted run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The phase under way.
    pub phase: String,
    /// Whole epochs done of it.
    pub epochs: usize,
    /// Time spent so far.
    pub seconds: f64,
    /// The files of the folder that it goes with.
    pub files: Sums,
    /// Connections that the mask keeps by their place alone, where that is known.
    pub kept_by_index: Option<usize>,
    /// The weights.
    pub weights: State,
    /// The velocities, by the weights' names.
    pub velocities: State,
}

/// What a checkpoint must go with.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The phases of the run.
    pub phases: &'a [&'a str],
    /// The epochs of each.
    pub epochs: usize,
    /// The network's arrays.
    pub arrays: &'a State,
}

/// The note of [`Checkpoint::kept_by_index`].
const KEPT: &str = "kept_by_index";

/// The prefix of velocities.
const VELOCITY: &str = "velocity:";

impl Checkpoint {
    /// Writes it to `path`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let mut state = self.weights.clone();
        for (name, array) in &self.velocities.0 {
            state.0.insert(format!("{VELOCITY}{name}"), array.clone());
        }
        let mut notes = vec![
            ("phase", self.phase.clone()),
            ("epochs", self.epochs.to_string()),
            ("seconds", self.seconds.to_string()),
            ("files", self.files.text()),
        ];
        if let Some(kept) = self.kept_by_index {
            notes.push((KEPT, kept.to_string()));
        }
        state.save(path, &notes)
    }

    /// Reads the one at `path` and checks that it can be one of a run as `expected`.
    ///
    /// # Errors
    /// Saying what is wrong with it.
    pub fn load(path: &Path, expected: &Expected<'_>) -> Result<Self, String> {
        let (mut weights, notes) = State::load(path).map_err(|e| e.to_string())?;
        let mut velocities = State::default();
        for name in expected.arrays.0.keys() {
            if let Some(array) = weights.0.remove(&format!("{VELOCITY}{name}")) {
                velocities.0.insert(name.clone(), array);
            }
        }
        for state in [&weights, &velocities] {
            state
                .check(expected.arrays, path)
                .map_err(|e| e.to_string())?;
        }
        let known = |name: &&String| expected.arrays.0.contains_key(*name);
        if let Some(name) = weights.0.keys().find(|name| !known(name)) {
            return Err(format!("the network has no tensor {name}"));
        }
        let checkpoint = Self {
            phase: note(&notes, "phase")?.into(),
            epochs: number(&notes, "epochs")?,
            seconds: number(&notes, "seconds")?,
            files: Sums::parse(note(&notes, "files")?).ok_or("its note of files is damaged")?,
            kept_by_index: match notes.contains_key(KEPT) {
                true => Some(number(&notes, KEPT)?),
                false => None,
            },
            weights,
            velocities,
        };
        checkpoint.check_notes(expected)?;
        Ok(checkpoint)
    }

    /// Checks what the notes say against the recipe.
    fn check_notes(&self, expected: &Expected<'_>) -> Result<(), String> {
        let Expected { phases, epochs, .. } = *expected;
        if !phases.contains(&self.phase.as_str()) {
            return Err(format!(
                "its phase is {:?}, and the run has {}",
                self.phase,
                phases.join(" and ")
            ));
        }
        if !(1..=epochs).contains(&self.epochs) {
            return Err(format!(
                "it claims epoch {} of a phase of {epochs}",
                self.epochs
            ));
        }
        if !(self.seconds.is_finite() && self.seconds >= 0.0) {
            return Err(format!("it claims a time of {} s", self.seconds));
        }
        Ok(())
    }

    /// Checks that pruned weights and their velocities are zero under `masks`.
    ///
    /// # Errors
    /// Naming the first that is not.
    pub fn check_masks(&self, masks: &Masks) -> Result<(), String> {
        for (state, what) in [(&self.weights, "weight"), (&self.velocities, "velocity")] {
            for mask in masks.iter() {
                let Some(Array { values, .. }) = state.0.get(&mask.name) else {
                    return Err(format!("tensor {} is missing", mask.name));
                };
                let mut pairs = values.iter().zip(&mask.keep);
                if let Some(at) = pairs.position(|(&value, &keep)| !keep && value != 0.0) {
                    return Err(format!(
                        "the {what} of {} at element {at} is {}, and the mask prunes it",
                        mask.name, values[at]
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The note called `key`.
fn note<'a>(notes: &'a HashMap<String, String>, key: &str) -> Result<&'a str, String> {
    let missing = || format!("its note of {key} is missing");
    notes.get(key).map(String::as_str).ok_or_else(missing)
}

/// The number in the note called `key`.
fn number<T: std::str::FromStr>(notes: &HashMap<String, String>, key: &str) -> Result<T, String> {
    let text = note(notes, key)?;
    text.parse()
        .map_err(|_| format!("its note of {key} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::architecture::multilayer;
    use crate::network::initial;

    /// Saves a whole checkpoint after `damage`, and loads it again.
    fn reloaded(damage: impl FnOnce(&mut Checkpoint)) -> Result<Checkpoint, String> {
        let graph = multilayer("toy", [1, 1, 4], &[3, 2]).unwrap();
        let arrays = initial::state(&graph, 1);
        let mut checkpoint = Checkpoint {
            phase: "pruned".into(),
            epochs: 2,
            seconds: 1.5,
            files: Sums::default(),
            kept_by_index: Some(3),
            weights: arrays.clone(),
            velocities: arrays.clone(),
        };
        damage(&mut checkpoint);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        checkpoint.save(&path).unwrap();
        let expected = Expected {
            phases: &["dense", "pruned"],
            epochs: 2,
            arrays: &arrays,
        };
        let found = Checkpoint::load(&path, &expected)?;
        assert_eq!(found, checkpoint);
        let masks = Masks::from_fn(&graph.prunable(), |_, element| element != 1);
        found.check_masks(&masks).map(|()| found)
    }

    /// Puts `value` where the mask prunes, and zero elsewhere in the mask's way.
    fn obey(state: &mut State, value: f32) {
        for name in ["fc1.weight", "fc2.weight"] {
            state.0.get_mut(name).unwrap().values[1] = 0.0;
        }
        state.0.get_mut("fc2.weight").unwrap().values[1] = value;
    }

    #[test]
    fn one_that_goes_with_the_recipe_and_the_masks_is_read_back_whole() {
        reloaded(|checkpoint| {
            obey(&mut checkpoint.weights, 0.0);
            obey(&mut checkpoint.velocities, -0.0);
        })
        .unwrap();
    }

    #[test]
    fn what_contradicts_the_recipe_or_the_masks_is_named() {
        type Damage = fn(&mut Checkpoint);
        let cases: [(Damage, &str); 11] = [
            (|c| c.epochs = 3, "epoch 3 of a phase of 2"),
            (|c| c.epochs = 0, "epoch 0"),
            (|c| c.phase = "regrown".into(), "regrown"),
            (|c| c.seconds = f64::INFINITY, "inf s"),
            (|c| c.seconds = f64::NAN, "NaN s"),
            (|c| c.seconds = -1.0, "-1 s"),
            (
                |c| c.weights.0.get_mut("fc1.bias").unwrap().values[0] = f32::NAN,
                "fc1.bias holds NaN",
            ),
            (
                |c| c.velocities.0.get_mut("fc1.bias").unwrap().values[0] = f32::INFINITY,
                "fc1.bias holds inf",
            ),
            (
                |c| c.weights.insert("fc9.weight".into(), vec![1], vec![0.0]),
                "fc9.weight",
            ),
            (
                |c| {
                    obey(&mut c.weights, 0.5);
                    obey(&mut c.velocities, 0.0);
                },
                "the weight of fc2.weight at element 1 is 0.5",
            ),
            (
                |c| {
                    obey(&mut c.weights, 0.0);
                    obey(&mut c.velocities, 0.25);
                },
                "the velocity of fc2.weight at element 1 is 0.25",
            ),
        ];
        for (damage, words) in cases {
            let refused = reloaded(damage).unwrap_err();
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }
}
