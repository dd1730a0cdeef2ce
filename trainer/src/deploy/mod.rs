//! Deployment: from trained weights to a container for the device.
//!
//! Deployment starts from a [`Trained`] network, whose parts may come from anywhere; a
//! [`FinishedRun`] reads them from a run folder. An [`Export`] takes the network through these
//! steps:
//!
//! 1. [`fold`] turns a trained graph into a [`Network`]: layers of weights, biases and ReLUs;
//! 2. [`strip`] removes detached units, and [`order`] sorts the units of hidden layers;
//! 3. [`absorb`] moves constant parts of activations into biases, and [`decouple`] inserts a copy
//!    of each skip whose quantization step does not suit the addition;
//! 4. [`choose`] selects an encoding per layer by [`costs`] and [`activity`], and [`pairs`]
//!    reorders units for the encoding `columns`;
//! 5. [`quantize`] converts weights and activations to integers;
//! 6. [`container`] writes the `.rfy` file, with its [`units`] if the data were not bytes,
//!    [`companion`] a JSON file with its metadata, and [`emit`] Rust or C code;
//! 7. [`evaluate`] measures accuracy with the device's arithmetic.
//!
//! [`variants`] exports a network in many ways at once, each distinct container once.
//!
//! Every step before quantization preserves the network's function up to rounding, at least on the
//! calibration images; [`forward`] is the reference implementation. [`limits`] checks what a
//! container can represent, and [`report`] describes the result.

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
pub mod finished;
pub mod fold;
pub mod forward;
mod integers;
pub mod limits;
pub mod network;
mod options;
pub mod order;
pub mod pairs;
pub mod quantize;
pub mod report;
mod sparse;
pub mod strip;
pub mod trained;
pub mod units;
pub mod variants;

pub use error::DeployError;
pub use export::{Export, ExportReport};
pub use finished::FinishedRun;
pub use network::{Layer, Network};
pub use options::Options;
pub use trained::Trained;
pub use units::StatedUnits;
pub use variants::{Setting, Variant, Variants};
