//! Options of an export.

use super::choose::{EncodingChoice, Goal};
use super::costs::Core;
use super::quantize::WeightType;
use super::units::StatedUnits;

/// Options of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The type of the stored weights.
    pub weights: WeightType,
    /// The objective that encodings are chosen by.
    pub goal: Goal,
    /// The core that instructions are predicted for.
    pub core: Core,
    /// The encodings that may be used.
    pub encoding: EncodingChoice,
    /// Whether to write a container that loses more accuracy than
    /// [`MOST_LOSS`](super::export::MOST_LOSS).
    pub allow_loss: bool,
    /// When the container states which numbers its input bytes and its logits stand for.
    pub units: StatedUnits,
}

impl Default for Options {
    /// Returns the defaults of `rarefy export`.
    fn default() -> Self {
        Self {
            weights: WeightType::Int(6),
            goal: Goal::Balanced,
            core: Core::M4,
            encoding: EncodingChoice::Auto,
            allow_loss: false,
            units: StatedUnits::Automatic,
        }
    }
}
