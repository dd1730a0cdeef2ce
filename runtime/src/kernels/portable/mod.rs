//! The kernels in safe Rust, for every target.
//!
//! On Cortex-M and RISC-V, those of `native` replace some of them; tests compare both.

#![cfg_attr(
    any(native, test),
    allow(dead_code, reason = "not every build runs every kernel of this module")
)]

#[cfg(feature = "columns")]
pub(super) mod columns;
#[cfg(feature = "maps")]
pub(crate) mod convolution;
#[cfg(feature = "csr")]
pub(super) mod csr;
#[cfg(feature = "csr-f32")]
pub(super) mod csr_f32;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(any(test, not(feature = "maps")))]
pub(crate) mod ping_pong;

#[cfg(feature = "maps")]
pub(crate) mod pooling;
#[cfg(feature = "rice")]
pub(super) mod rice;
#[cfg(feature = "words")]
pub(super) mod words;
