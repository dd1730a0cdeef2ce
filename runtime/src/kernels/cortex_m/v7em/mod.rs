//! The instructions of ARMv7E-M, with the DSP extension: Cortex-M4 and M7.

#[cfg(feature = "maps")]
pub(super) mod convolution;
#[cfg(feature = "dense")]
pub(super) mod dense;
#[cfg(feature = "maps")]
pub(super) mod quads;

#[cfg(feature = "columns")]
pub(super) use super::v7m::columns;
#[cfg(feature = "rice")]
pub(super) use super::v7m::rice;
#[cfg(feature = "words")]
pub(super) use super::v7m::words;
