//! What the phases of a recipe do to the network: a file for each kind. Their options are in
//! [`recipe`](super::recipe).

mod gradual;
pub(super) mod point;
mod prune;
mod regrow;
mod rewind;
pub(super) mod train;
