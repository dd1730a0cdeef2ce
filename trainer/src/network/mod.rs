//! The parameters of a graph and the computation they define, on candle.
//!
//! [`state::State`] is a collection of named arrays on the host, as in files. [`model::Network`]
//! puts them on a device and runs the graph [`forward`]: with batch statistics for training, or
//! with population [`statistics`] for evaluation. The [`operators`] are fused replacements for
//! candle's own operations where those take several times as long. On devices other than the CPU,
//! and in f64, the same mathematics runs as [`plain`] tensor operations.

mod combined;
#[cfg(test)]
mod equivalence;
pub mod footprint;
pub mod forward;
mod gather;
pub mod gradients;
pub mod initial;
pub mod model;
pub mod operators;
pub mod outputs;
pub mod parameter;
pub mod plain;
pub mod population;
mod segments;
mod sparse;
pub mod state;
pub mod statistics;
#[cfg(test)]
mod tests;

pub use model::Network;
pub use state::State;
pub use statistics::{EPSILON, Statistics};
