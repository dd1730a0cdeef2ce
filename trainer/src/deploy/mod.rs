//! From trained weights to a container for the device.
//!
//! [`fold`] turns batch norms and the input's normalisation into weights and biases, [`strip`]
//! removes detached units, [`quantize`] makes it integers, [`container`] writes the `.rfy` file and
//! [`evaluate`] runs it with the device's own kernels. Every step but quantization is exact up to
//! rounding; [`export`] takes a run folder through all of them.

pub mod container;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod fold;
pub mod quantize;
pub mod report;
pub mod sparse;
pub mod strip;

pub use error::DeployError;
pub use sparse::SparseLayer;
