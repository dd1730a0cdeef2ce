//! Architectures: networks as graphs of named operations with known shapes.
//!
//! A [`Graph`] holds no weights. Its nodes are in topological order: every node comes after its
//! sources, the first is the input, and the last computes the class scores. [`Graph::push`]
//! maintains this order and rejects shapes that do not match. Everything that walks a network
//! (reachability, training, folding) walks these nodes and matches on [`Operation`], so a new kind
//! of layer is one more arm in each walk. Tensor names and layouts are PyTorch's: `fc1.weight` is
//! (out, in).
//!
//! [`architecture`] builds the graphs of the paper by name, [`mod@file`] reads a user's own from
//! TOML, and [`load`] accepts either.

pub mod architecture;
pub mod file;
mod fingerprint;
pub mod kernel;
mod topology;
pub mod window;

pub use file::{ArchitectureError, input_scale, load};
pub use kernel::KernelLayout;
pub use topology::{Graph, GraphError, Node, Operation, Pooling, Prunable};
pub use window::{Padding, Window};
