//! Pruning: which connections stay.
//!
//! Every pruner is an ordering. A [`score`] ranks connections, a [`quota`] says how many each
//! layer may hold at each overall budget, together they give an [`ordering::Ordering`]: the
//! budget at which each connection is let in. *Direct* pruning keeps what a budget lets in;
//! *effective* pruning ([`search`]) takes the smallest budget that has the wanted number of
//! *effective* connections, those on some path from input to output ([`effective`]). A pruner by
//! name is a [`pruner::Pruner`], what it may look at a [`source::Source`]; a new one is a new score or
//! a new quota and a line there.
//!
//! (Vysogorets & Kempe, "Connectivity Matters: Neural Network Pruning Through the Lens of Effective
//! Sparsity", JMLR 24(99), 2023.)

pub mod bisection;
pub mod curve;
pub mod effective;
pub mod error;
mod floats;
pub mod kernels;
pub mod masks;
pub mod ordering;
pub mod pruner;
pub mod quota;
mod ranking;
pub mod score;
pub mod search;
pub mod source;
pub mod sweep;
mod ties;

pub use error::PruneError;
pub use kernels::Kernels;
pub use masks::{Mask, Masks};
pub use ordering::Ordering;
pub use pruner::{Pruned, Pruner};
pub use search::{Outcome, Target};
pub use source::Source;
pub use sweep::Connection;
