//! Scores: in which order a pruner would let connections in, the highest first.
//!
//! One file each; all give one number per weight of every prunable tensor, in the tensor's own
//! layout. Scores are ranked in f64, in which every f32 is exact.

pub mod gradient;
pub mod grasp;
pub mod iterative;
pub mod lamp;
pub mod magnitude;
pub mod random;
pub mod rounds;
pub mod snip;
pub mod synflow;

/// Scores of the prunable tensors, in the graph's order.
pub type Scores = Vec<Vec<f64>>;
