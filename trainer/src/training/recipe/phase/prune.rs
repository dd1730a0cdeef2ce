//! The options of the phase `prune`.

use serde::{Deserialize, Serialize};

use crate::pruning::{Compression, Loss, Pattern, Place, Target};

/// The options of the phase `prune`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// The pruner's name.
    pub pruner: String,
    /// The weights that the compression counts.
    #[serde(rename = "type")]
    pub target: Target,
    /// The compression ratio; by default that of the pattern, or else 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The N:M pattern, in place of a compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The layers that are not pruned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dense: Vec<Place>,
    /// The loss whose gradient SNIP computes.
    pub loss: Loss,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            pruner: "magnitude/igq".into(),
            target: Target::Effective,
            compression: None,
            pattern: None,
            dense: Vec::new(),
            loss: Loss::default(),
        }
    }
}

impl Prune {
    /// Returns the requested compression.
    pub fn compression(&self) -> Compression {
        let pattern = self.pattern.map(Pattern::compression);
        self.compression.or(pattern).unwrap_or_default()
    }
}
