//! Rarefy on the workstation: data, pruning by effective sparsity, training, export, measuring.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod data;
pub mod device;
