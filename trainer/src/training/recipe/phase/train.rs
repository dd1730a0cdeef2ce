//! The options of training.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::training::error::TrainError;
use crate::training::hyperparameters::Hyperparameters;
use crate::training::recipe::keys::better;

/// How a phase trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The number of epochs.
    pub epochs: usize,
    /// The hyperparameters, by their keys, that differ from those of the recipe.
    pub overrides: Table,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            epochs: 20,
            overrides: Table::new(),
        }
    }
}

impl Training {
    /// Returns training for `epochs` epochs with the hyperparameters of the recipe.
    pub fn epochs(epochs: usize) -> Self {
        Self {
            epochs,
            ..Self::default()
        }
    }

    /// Returns the keys that a training phase accepts in a file.
    pub(super) fn keys() -> Vec<String> {
        let shared = Hyperparameters {
            clip: Some(1.0),
            ..Hyperparameters::default()
        };
        let table = Table::try_from(shared).expect("hyperparameters are plain values");
        let epochs = std::iter::once("epochs".to_owned());
        table.keys().cloned().chain(epochs).collect()
    }

    /// Takes the keys of training out of the `table` of a phase.
    pub(super) fn take(table: &mut Table) -> Result<Self, String> {
        let mut training = Self::default();
        for key in Self::keys() {
            match (key.as_str(), table.remove(&key)) {
                (_, None) => {}
                ("epochs", Some(value)) => {
                    let epochs = value.as_integer().and_then(|n| usize::try_from(n).ok());
                    let wrong = || format!("epochs {value} is not a whole number");
                    training.epochs = epochs.ok_or_else(wrong)?;
                }
                (_, Some(value)) => {
                    training.overrides.insert(key, value);
                }
            }
        }
        Ok(training)
    }

    /// Returns the hyperparameters of the phase in a recipe with the `shared` ones.
    ///
    /// # Errors
    /// Returns an error that names a key of the overrides that is unknown or of another type.
    pub fn hyperparameters(&self, shared: &Hyperparameters) -> Result<Hyperparameters, TrainError> {
        if self.overrides.is_empty() {
            return Ok(shared.clone());
        }
        let mut table = Table::try_from(shared).expect("hyperparameters are plain values");
        table.extend(self.overrides.clone());
        table
            .try_into()
            .map_err(|e: toml::de::Error| TrainError::Recipe {
                reason: better(e.message(), []),
            })
    }
}
