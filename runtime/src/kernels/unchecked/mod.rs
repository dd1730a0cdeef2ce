//! Everything without checks: one file a kernel, each with its reason, counted, and its proof.
//!
//! Each has a version in safe Rust that it is compared with, on the host or on the boards, over random
//! layers.

#![allow(unsafe_code)]

#[cfg(feature = "csr")]
pub(super) mod gather;
#[cfg(all(cortex_m, feature = "maps"))]
pub(crate) mod taps;
