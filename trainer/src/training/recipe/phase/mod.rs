//! The phases of a recipe: their kinds, and the options of each kind.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::keys;
use crate::names;

mod gradual;
mod prune;
mod regrow;
mod rewind;
mod train;

pub use gradual::Gradual;
pub use prune::Prune;
pub use regrow::{Method, Regrow};
pub use rewind::Rewind;
pub use train::Training;

/// A phase of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub enum Phase {
    /// Trains all weights that are not pruned.
    Train(Training),
    /// Prunes without training.
    Prune(Prune),
    /// Restores the weights of an early step of the first training phase.
    Rewind(Rewind),
    /// Trains while pruning in many small steps.
    Gradual(Gradual),
    /// Trains while dropping and growing connections: dynamic sparse training.
    Regrow(Regrow),
}

impl Phase {
    /// Returns the name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Train(_) => "train",
            Self::Prune(_) => "prune",
            Self::Rewind(_) => "rewind",
            Self::Gradual(_) => "gradual",
            Self::Regrow(_) => "regrow",
        }
    }

    /// Returns the options of training; `None` if the phase does not train.
    pub fn training(&self) -> Option<&Training> {
        match self {
            Self::Train(training)
            | Self::Gradual(Gradual { training, .. })
            | Self::Regrow(Regrow { training, .. }) => Some(training),
            Self::Prune(_) | Self::Rewind(_) => None,
        }
    }

    /// Returns the options of training for modification; `None` if the phase does not train.
    pub fn training_mut(&mut self) -> Option<&mut Training> {
        match self {
            Self::Train(training)
            | Self::Gradual(Gradual { training, .. })
            | Self::Regrow(Regrow { training, .. }) => Some(training),
            Self::Prune(_) | Self::Rewind(_) => None,
        }
    }

    /// Checks whether the phase computes masks.
    pub fn makes_masks(&self) -> bool {
        matches!(self, Self::Prune(_) | Self::Gradual(_) | Self::Regrow(_))
    }
}

/// The names of all kinds.
const KINDS: [&str; 5] = ["train", "prune", "rewind", "gradual", "regrow"];

impl TryFrom<Table> for Phase {
    type Error = String;

    fn try_from(mut table: Table) -> Result<Self, String> {
        let kind = match table.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            _ => {
                let kinds = KINDS.join(", ");
                return Err(format!("a phase needs a `kind`, one of {kinds}"));
            }
        };
        Ok(match kind.as_str() {
            "train" => {
                let training = Training::take(&kind, &mut table)?;
                options::<Nothing>(&kind, &table, true)?;
                Self::Train(training)
            }
            "prune" => Self::Prune(options(&kind, &table, false)?),
            "rewind" => Self::Rewind(options(&kind, &table, false)?),
            "gradual" => {
                let training = Training::take(&kind, &mut table)?;
                Self::Gradual(Gradual {
                    training,
                    ..options(&kind, &table, true)?
                })
            }
            "regrow" => {
                let training = Training::take(&kind, &mut table)?;
                Self::Regrow(Regrow {
                    training,
                    ..options(&kind, &table, true)?
                })
            }
            kind => {
                return Err(names::unknown(
                    "kind of phase",
                    kind,
                    KINDS,
                    &KINDS.join(", "),
                ));
            }
        })
    }
}

/// The options of a phase that only trains.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Parses the options of a phase of this `kind` from the remaining entries of its `table`. If the
/// phase `trains`, suggestions for unknown keys include those of training.
fn options<T: serde::de::DeserializeOwned>(
    kind: &str,
    table: &Table,
    trains: bool,
) -> Result<T, String> {
    let keys = Training::keys();
    let more = keys.iter().map(String::as_str).filter(|_| trains);
    keys::parse(table, more).map_err(|reason| format!("phase {kind}: {reason}"))
}

impl From<Phase> for Table {
    fn from(phase: Phase) -> Self {
        let of = |options: Result<Table, toml::ser::Error>| options.expect("plain values");
        let mut table = match &phase {
            Phase::Train(_) => Table::new(),
            Phase::Prune(options) => of(Table::try_from(options)),
            Phase::Rewind(options) => of(Table::try_from(options)),
            Phase::Gradual(options) => of(Table::try_from(options)),
            Phase::Regrow(options) => of(Table::try_from(options)),
        };
        if let Some(training) = phase.training() {
            let epochs = i64::try_from(training.epochs).unwrap_or(i64::MAX);
            table.insert("epochs".into(), epochs.into());
            table.extend(training.overrides.clone());
        }
        table.insert("kind".into(), phase.kind().into());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::hyperparameters::Hyperparameters;

    fn parsed(text: &str) -> Result<Phase, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn every_kind_survives_a_file() {
        for text in [
            "kind = \"train\"\nepochs = 3\nlearning_rate = 0.5\nschedule = { kind = \"cosine\" }",
            "kind = \"prune\"\npruner = \"lamp\"\ncompression = 30\ndense = [\"first\"]",
            "kind = \"prune\"\npruner = \"lamp\"\npattern = \"2:4\"",
            "kind = \"rewind\"\nto = 500",
            "kind = \"gradual\"\nepochs = 2\nstart = 0.1\nend = 0.5\nevery = 10",
            "kind = \"regrow\"\nmethod = \"set\"\nepochs = 2\nfraction = 0.2",
        ] {
            let phase = parsed(text).unwrap();
            let again = toml::to_string(&phase).unwrap();
            assert_eq!(parsed(&again).unwrap(), phase, "{again}");
            for line in text.lines().filter(|line| !line.contains('{')) {
                let key = line.split(" = ").next().unwrap();
                assert!(again.contains(key), "{again} lacks {key}");
            }
        }
    }

    #[test]
    fn unknown_keys_and_kinds_are_named_with_a_suggestion() {
        for (text, words) in [
            ("epochs = 3", "needs a `kind`"),
            ("kind = \"trian\"", "did you mean train?"),
            (
                "kind = \"train\"\nepocs = 3",
                "unknown key epocs: did you mean epochs?",
            ),
            (
                "kind = \"train\"\nlerning_rate = 3",
                "unknown key lerning_rate: did you mean learning_rate?",
            ),
            (
                "kind = \"gradual\"\nevry = 3",
                "phase gradual: unknown key evry: did you mean every?",
            ),
            ("kind = \"prune\"\nepochs = 3", "unknown key epochs"),
            (
                "kind = \"rewind\"\nto = \"start\"",
                "phase rewind: to is \"start\", but must be a whole number of at least 0",
            ),
            (
                "kind = \"train\"\nschedule = { wormup = 3 }",
                "phase train: unknown key wormup: did you mean warmup?",
            ),
            (
                "kind = \"gradual\"\noptimizer = { kind = \"adam\", beta1 = \"x\" }",
                "phase gradual: beta1 is \"x\", but must be a number",
            ),
            ("kind = \"regrow\"\nmethod = \"rigel\"", "rigel"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_phase_overrides_shared_hyperparameters_key_by_key() {
        let shared = Hyperparameters {
            batch: 32,
            ..Hyperparameters::default()
        };
        let Phase::Train(training) = parsed("kind = \"train\"\nlearning_rate = 0.5").unwrap()
        else {
            panic!("not a training phase");
        };
        let found = training.hyperparameters(&shared).unwrap();
        assert_eq!((found.batch, found.learning_rate), (32, 0.5));
    }
}
