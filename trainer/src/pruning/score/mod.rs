//! Scores (saliencies) of connections: pruners keep the connections with the highest scores.
//!
//! Each score is a module with a function that returns one number per weight of every prunable
//! tensor, row-major. Scores are f64, which represents every f32 weight exactly.

pub mod gradient;
pub mod grasp;
pub mod iterative;
pub mod lamp;
pub mod magnitude;
pub mod random;
pub mod rounds;
pub mod snip;
pub mod synflow;

/// One list of scores per prunable tensor, in the order of `Graph::prunable`, row-major.
pub type Scores = Vec<Vec<f64>>;
