//! What the tests of several crates share. Never published.
//!
//! | module | contents | feature |
//! |---|---|---|
//! | [`networks`] | random networks of every kind, each from a seed | |
//! | [`resnet`] | ResNet-8 of MLPerf Tiny, with random weights | |
//! | [`corpus`], [`mutate`] | containers to start fuzzing from, and their mutations | |
//! | [`mirror`] | a dataset server that fails in a chosen way | |
//! | [`harmless`] | the check that any bytes are rejected or run within bounds | `engine` |
//! | `oracle` | naive pruning, straight from the definitions | `graphs` |
//!
//! The crates under test depend on this one only for their tests. The features keep the trainer
//! out of the tests of `rarefy-format` and `rarefy-runtime`.
#![forbid(unsafe_code)]

pub mod corpus;
#[cfg(feature = "engine")]
pub mod harmless;
pub mod mirror;
pub mod mutate;
pub mod networks;
#[cfg(feature = "graphs")]
pub mod oracle;
pub mod resnet;

/// Returns `bytes` in hexadecimal, two digits per byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
