//! From trained weights to a container for the device.
//!
//! [`fold`] turns a trained graph into a [`network`] of weights, biases and ReLUs, [`strip`]
//! removes detached units, [`forward`] computes what it gives, [`order`] sorts the units,
//! [`absorb`] takes out what hardly changes, [`decouple`] copies what an addition cannot share,
//! [`choose`] decides by [`costs`] and [`activity`] how each layer is stored, [`quantize`] makes
//! it integers, [`container`] writes the `.rfy` file, [`companion`] what is known of it beside it,
//! [`emit`] straight-line code, and [`evaluate`] runs it with the device's own kernels. Every step
//! before quantization is exact up to rounding, for the calibration images at least. [`limits`]
//! says what no container can hold; [`export`] takes a run folder through all of them, and
//! [`report`] tells what came of it.

pub mod absorb;
pub mod activity;
pub mod bits;
pub mod choose;
pub mod companion;
mod constants;
pub mod container;
pub mod costs;
pub mod decouple;
mod draft;
pub mod emit;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod fold;
pub mod forward;
pub mod limits;
pub mod network;
pub mod order;
pub mod pairs;
pub mod quantize;
pub mod report;
mod sparse;
pub mod strip;

pub use error::DeployError;
pub use network::{Layer, Network};
