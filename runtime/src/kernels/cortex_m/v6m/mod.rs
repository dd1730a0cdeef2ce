//! The instructions of ARMv6-M: Cortex-M0, M0+ and M1, and the baseline of ARMv8-M.

#[cfg(feature = "columns")]
pub(super) mod columns;
#[cfg(feature = "maps")]
pub(super) mod convolution;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(feature = "rice")]
pub(super) mod rice;
#[cfg(feature = "words")]
pub(super) mod words;
