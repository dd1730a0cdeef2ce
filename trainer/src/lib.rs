//! Prunes networks by effective sparsity, trains them, exports them as `.rfy` containers and
//! measures them on boards: Rarefy on the workstation, as a library and as the command `rarefy`.
//!
//! Data flows one way, and each module is usable on its own:
//! [`data`] -> [`graph`] (architecture) -> [`pruning`] (ordering, effective masks) -> [`training`]
//! of a [`network`] -> [`deploy`] (fold, strip, quantize, container) -> [`device`] (measure).
//!
//! # Examples
//!
//! Prunes LeNet-300-100 to an effective compression of exactly 100, with ideal gas quotas
//! (Vysogorets & Kempe 2023, section 4) and random scores:
//!
//! ```
//! use rarefy_trainer::graph;
//! use rarefy_trainer::pruning::{Compression, Pruner, Source, Target};
//!
//! let graph = graph::load("lenet-300-100")?;
//! let source = Source::new(&graph);
//! let compression = Compression::new(100.0)?;
//! let pruned = Pruner::by_name("random/igq")?.prune(&source, Target::Effective, compression)?;
//!
//! let connected = &pruned.outcome.effective;
//! assert_eq!((connected.total(), connected.nonzeros()), (266_200, 2_662));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `cli` (default): the command `rarefy`.
//! - `cuda`: training on an NVIDIA GPU; `cudnn` also uses cuDNN.
//! - `metal`: training on an Apple GPU.
#![forbid(unsafe_code)]

pub mod atomic;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod deploy;
pub mod device;
pub mod digest;
pub mod graph;
pub mod import;
pub mod masks;
pub mod memory;
pub mod names;
pub mod network;
mod numbers;
pub mod plot;
pub mod pruning;
pub mod random;
mod remedy;
pub mod tensors;
pub mod threads;
pub mod training;
pub mod transfer;

pub use remedy::Remedy;
