//! Everything without checks: one file a kernel, each with its reason, counted, and its proof.
//!
//! Each is compared with safe Rust, on the host or on the boards, over random layers.

#![allow(unsafe_code)]

#[cfg(feature = "csr")]
pub(super) mod gather;
