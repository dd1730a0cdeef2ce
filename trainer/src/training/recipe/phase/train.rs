//! The options of training.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::training::error::TrainError;
use crate::training::hyperparameters::{Distillation, Hyperparameters};
use crate::training::recipe::keys;

/// How a phase trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The number of epochs.
    pub epochs: usize,
    /// The hyperparameters that replace those of the recipe, by key.
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
    /// Creates training for `epochs` epochs with the hyperparameters of the recipe.
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
            distillation: Some(Distillation::default()),
            mixup: Some(1.0),
            ..Hyperparameters::default()
        };
        let table = Table::try_from(shared).expect("hyperparameters are plain values");
        let epochs = std::iter::once("epochs".to_owned());
        table.keys().cloned().chain(epochs).collect()
    }

    /// Removes the keys of training from the `table` of a phase of this `kind`, and parses them.
    pub(super) fn take(kind: &str, table: &mut Table) -> Result<Self, String> {
        let mut training = Self::default();
        for key in Self::keys() {
            match (key.as_str(), table.remove(&key)) {
                (_, None) => {}
                ("epochs", Some(value)) => {
                    let epochs = value.as_integer().and_then(|n| usize::try_from(n).ok());
                    let wrong = || {
                        format!(
                            "phase {kind}: epochs is {value}, but must be a whole number of at least 1"
                        )
                    };
                    training.epochs = epochs.ok_or_else(wrong)?;
                }
                (_, Some(value)) => {
                    training.overrides.insert(key, value);
                }
            }
        }
        // Whether the overrides parse does not depend on the recipe that they are applied to.
        let overrides = keys::parse::<Hyperparameters>(&training.overrides, []);
        overrides.map_err(|reason| format!("phase {kind}: {reason}"))?;
        Ok(training)
    }

    /// Returns the hyperparameters of the phase: those of the recipe, `shared`, with the overrides
    /// applied.
    ///
    /// # Errors
    /// Returns an error if a key of the overrides is unknown, or its value has the wrong type.
    pub fn hyperparameters(&self, shared: &Hyperparameters) -> Result<Hyperparameters, TrainError> {
        if self.overrides.is_empty() {
            return Ok(shared.clone());
        }
        let mut table = Table::try_from(shared).expect("hyperparameters are plain values");
        table.extend(self.overrides.clone());
        keys::parse(&table, []).map_err(|reason| TrainError::Recipe { reason })
    }
}
