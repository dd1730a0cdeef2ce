//! Rarefy on the workstation: data, pruning by effective sparsity, training, export, measuring.
//!
//! Data walks one way, each arrow a module usable alone:
//! [`data`] -> [`graph`] (architecture) -> [`pruning`] (ordering, effective masks) -> [`training`]
//! of a [`network`] -> [`deploy`] (fold, strip, quantize, container) -> [`device`] (measure).
#![forbid(unsafe_code)]

pub mod artifact;
pub mod cli;
pub mod data;
pub mod deploy;
pub mod device;
pub mod digest;
pub mod graph;
pub mod memory;
pub mod names;
pub mod network;
pub mod plot;
pub mod pruning;
pub mod random;
pub mod tensors;
pub mod threads;
pub mod training;
