//! A graph's parameters and what they compute, on candle.
//!
//! [`state::State`] holds named arrays on the host (what files hold); [`model::Network`] puts them on a
//! device and runs the graph [`forward`], for training with batch statistics or for evaluation with
//! population [`statistics`]. [`operators`] are the steps of training where candle's own would cost a
//! multiple; on other devices than the CPU, and in f64, the same mathematics runs as [`plain`] tensor
//! operations.

pub mod forward;
pub mod initial;
pub mod model;
pub mod operators;
pub mod plain;
pub mod state;
pub mod statistics;
#[cfg(test)]
mod tests;

pub use model::Network;
pub use state::State;
pub use statistics::Statistics;

/// Added to a variance before its root, as Keras does (paper's code).
pub const EPSILON: f64 = 1e-3;
