//! Pruning: selecting the connections (weights) that a network keeps.
//!
//! Every pruner is an [`Ordering`] of the connections. A [`score`] (saliency) ranks them, and a
//! [`quota`] sets how many of them each layer keeps at each overall budget, a number of
//! connections. Together they determine each connection's birth: the smallest budget whose mask
//! contains it.
//!
//! - *Direct* pruning keeps the connections of a given budget, whether they are connected to input
//!   and output or not.
//! - *Effective* pruning ([`search`]) takes the smallest budget with a given number of *effective*
//!   connections: those on a path from an input to an output ([`effective`]).
//!
//! A [`Pruner`] is a named combination of score and quota; a [`Source`] holds the weights and data
//! that a pruner may read. [`prune`] runs a pruner to a [`Compression`]. A new pruner is a new
//! score or quota, and a line in [`pruner`].
//!
//! Reference, cited as "paper" in this module: Vysogorets & Kempe, "Connectivity Matters: Neural
//! Network Pruning Through the Lens of Effective Sparsity", JMLR 24(99), 2023.

pub mod bisection;
pub mod compression;
pub mod curve;
pub mod effective;
pub mod error;
mod feasibility;
pub mod hundredths;
pub mod loss;
pub mod ordering;
pub mod paths;
pub mod pattern;
pub mod prune;
pub mod pruner;
pub mod quota;
mod ranking;
pub mod score;
pub mod search;
pub mod source;
mod ties;
mod units;
pub mod weights;

pub use compression::{Compression, InvalidCompression, Target};
pub use error::PruneError;
pub use loss::Loss;
pub use ordering::Ordering;
pub use paths::Connection;
pub use pattern::{Pattern, Place};
pub use prune::Pruned;
pub use pruner::Pruner;
pub use search::Outcome;
pub use source::{Limits, SnipOptions, Source};
pub use weights::Weights;

pub use crate::masks::{Mask, MaskError, Masks};
