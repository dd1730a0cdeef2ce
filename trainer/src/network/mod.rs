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

/// Batch norm's epsilon, added to a variance before its root: Keras' default, as in the paper's
/// code. PyTorch's default is 1e-5: whoever loads trained weights there must give this one, or
/// class scores differ (by up to 0.34 at 300x on LeNet-300-100). `run.toml` and `rarefy arch` state it.
pub const EPSILON: f64 = 1e-3;
