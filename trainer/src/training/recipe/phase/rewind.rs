//! The options of rewinding.

use serde::{Deserialize, Serialize};

/// The options of rewinding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rewind {
    /// The number of steps of the first training phase after which the network had the weights to
    /// restore; 0 for the initial weights drawn from the seed.
    pub to: usize,
}
