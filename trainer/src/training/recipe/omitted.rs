//! Finds the main keys that a recipe file leaves out: those without which a recipe is incomplete.
//!
//! Every key has a default, but a file that omits one of these rarely does so on purpose: a
//! misplaced table header is enough to lose it. Hyperparameters are not main keys.

use std::fmt;

use toml::{Table, Value};

use super::phase::{Gradual, Phase, Prune, Regrow, Training};
use super::plan::Plan;
use crate::pruning::Compression;
use crate::training::error::PhaseAt;

/// A key that a recipe file leaves out, and the value that it has then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omitted {
    /// The phase that the key belongs to; `None` if it belongs to the whole recipe.
    pub phase: Option<PhaseAt>,
    /// The key.
    pub key: &'static str,
    /// The value taken, in words.
    pub value: String,
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, key, value } = self;
        match phase {
            Some(phase) => write!(f, "{key} of {phase} = {value}"),
            None => write!(f, "{key} = {value}"),
        }
    }
}

impl Omitted {
    /// Returns the entry for a file without phases, which is run with `phases` instead.
    #[must_use]
    pub fn phases(phases: &[Phase]) -> Self {
        let in_words = |phase: &Phase| {
            let options = match phase {
                Phase::Train(Training { epochs, .. })
                | Phase::Regrow(Regrow {
                    training: Training { epochs, .. },
                    ..
                }) => format!(" ({epochs} epochs)"),
                Phase::Prune(prune) => format!(" ({} to {}x)", prune.pruner, prune.compression()),
                Phase::Gradual(Gradual {
                    training,
                    pruner,
                    compression,
                    ..
                }) => format!(" ({pruner} to {compression}x, {} epochs)", training.epochs),
                Phase::Rewind(_) => String::new(),
            };
            phase.kind().to_owned() + &options
        };
        let phases: Vec<String> = phases.iter().map(in_words).collect();
        Self {
            phase: None,
            key: "phase",
            value: phases.join(", "),
        }
    }
}

/// Returns what the recipe file `text`, which must be valid, leaves out: the architecture, the
/// dataset, the phases, or the epochs, pruner or compression of a phase.
pub(super) fn find(text: &str) -> Vec<Omitted> {
    let table: Table = toml::from_str(text).unwrap_or_default();
    let mut found = Vec::new();
    for (key, value) in [("arch", "lenet-300-100"), ("data", "digits")] {
        if !table.contains_key(key) {
            let value = value.into();
            let phase = None;
            found.push(Omitted { phase, key, value });
        }
    }
    let Some(Value::Array(phases)) = table.get("phase") else {
        found.push(Omitted::phases(&Plan::default().list()));
        return found;
    };
    for (index, phase) in phases.iter().filter_map(Value::as_table).enumerate() {
        found.extend(of_phase(index, phase));
    }
    found
}

/// Returns what the phase at `index` leaves out.
fn of_phase(index: usize, phase: &Table) -> Vec<Omitted> {
    let epochs = || ("epochs", Training::default().epochs.to_string());
    let compression = || ("compression", Compression::default().to_string());
    let kind = phase.get("kind").and_then(Value::as_str).unwrap_or("");
    let keys = match kind {
        "train" | "regrow" => vec![epochs()],
        "prune" => {
            let pruner = ("pruner", Prune::default().pruner);
            match phase.contains_key("pattern") {
                true => vec![pruner],
                false => vec![pruner, compression()],
            }
        }
        "gradual" => vec![
            ("pruner", Gradual::default().pruner),
            compression(),
            epochs(),
        ],
        _ => Vec::new(),
    };
    let at = PhaseAt::new(index, kind);
    let missing = keys
        .into_iter()
        .filter(|(key, _)| !phase.contains_key(*key));
    let omitted = |(key, value)| Omitted {
        phase: Some(at.clone()),
        key,
        value,
    };
    missing.map(omitted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named_with_its_default() {
        let all = "arch = \"a.toml\"\ndata = \"d\"\n";
        let phases = "[[phase]]\nkind = \"train\"\n[[phase]]\nkind = \"prune\"\n\
            [[phase]]\nkind = \"rewind\"\n[[phase]]\nkind = \"gradual\"\nepochs = 3\n";
        for (text, words) in [
            (
                String::new(),
                "arch = lenet-300-100; data = digits; phase = train (20 epochs), \
                 prune (magnitude/igq to 100x), rewind, train (20 epochs)",
            ),
            (
                all.to_owned() + phases,
                "epochs of phase 1 (train) = 20; pruner of phase 2 (prune) = magnitude/igq; \
                 compression of phase 2 (prune) = 100; pruner of phase 4 (gradual) = magnitude/igq; \
                 compression of phase 4 (gradual) = 100",
            ),
            (
                all.to_owned()
                    + "[[phase]]\nkind = \"prune\"\npattern = \"2:4\"\npruner = \"snip\"",
                "",
            ),
        ] {
            let found: Vec<String> = find(&text).iter().map(Omitted::to_string).collect();
            assert_eq!(found.join("; "), words);
        }
    }

    #[test]
    fn shipped_recipes_leave_nothing_out() {
        for text in [
            include_str!("../../../recipes/gradual.toml"),
            include_str!("../../../recipes/lenet-300-100.toml"),
            include_str!("../../../recipes/rigl.toml"),
            include_str!("../../../recipes/two-of-four.toml"),
            include_str!("../../../recipes/vgg-16.toml"),
        ] {
            assert_eq!(find(text), []);
        }
    }
}
