//! What each kind of phase does to the network, one file per kind. The options of phases are in
//! [`recipe`](super::recipe).

mod gradual;
pub(super) mod point;
mod prune;
mod regrow;
mod rewind;
pub(super) mod train;
